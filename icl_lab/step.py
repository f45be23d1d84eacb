"""One training step as one function of the device: draw prompts, loss on every prefix, backward, update.

The step number is a tensor on the device and everything follows from it: the batch (see functions/random.py), the
learning rate, the curriculum. So nothing passes between host and device, and on a GPU the whole step is captured in one
CUDA graph and replayed. Losses stay in a ring on the device until somebody asks for them.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from icl_lab import optimizers
from icl_lab.functions import training_seed
from icl_lab.precision import Precision
from icl_lab.transformer import Transformer

log = logging.getLogger("icl_lab")

RING = 512  # losses kept on the device; the host must read them at least this often
GRAPH_WARMUP = 3  # eager steps before capture, as CUDA graphs ask for; they train like any other


class Stepper:
    """Call it for one step. ``micro`` prompts pass through the model at once; the update sees the whole batch."""

    def __init__(
        self, recipe: Any, model: Transformer, device: torch.device, precision: Precision, compiled: bool = True
    ) -> None:
        self.recipe, self.model, self.device, self.precision = recipe, model, device, precision
        self.optimizers = optimizers.build(model, recipe.optimizer, recipe.learning_rate, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision.scale_loss)
        self.t = torch.zeros((), dtype=torch.int64, device=device)
        self.total = torch.zeros((), dtype=torch.int64, device=device)
        self.set_total(recipe.steps)
        self.ring = torch.zeros(RING, device=device)
        self.micro = recipe.batch_size
        self.compiled = compiled and device.type == "cuda"
        self.graph: torch.cuda.CUDAGraph | None = None
        self.graph_tried = device.type != "cuda" or precision.scale_loss
        if device.type == "cuda" and precision.scale_loss:
            log.info("eager steps: loss scaling reads its overflow flag on the host, which no graph can hold")
        self.forward = torch.compile(model) if self.compiled else model
        self.eager_steps = 0

    def set_total(self, steps: int) -> None:
        """How many steps the training has; the learning rate falls to zero at the last."""
        self.total_steps = steps  # the host's copy, so that the loop need not ask the device
        self.total.fill_(steps)

    def rate_factor(self) -> Tensor:
        """Linear warm-up, then linear decay to zero at the last step."""
        t = self.t.float()
        return torch.clamp((t + 1) / self.recipe.warmup, max=1.0) * torch.clamp(1 - t / self.total, min=0.0)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """xs, ys and the loss weight of every position (a curriculum hides the late ones at first)."""
        recipe = self.recipe
        seed = training_seed(recipe.seed, self.t)
        dims, points = recipe.curriculum.at(self.t) if recipe.curriculum else (None, recipe.n_points)
        prompts = recipe.function_class.sample(recipe.batch_size, recipe.n_points, seed, self.device, active_dims=dims)
        weight = (torch.arange(recipe.n_points, device=self.device) < points).float()
        return prompts.xs, prompts.ys, weight / weight.sum() / recipe.batch_size

    def accumulate(self) -> Tensor:
        """Gradients of the batch, in pieces of ``micro`` prompts; returns the loss."""
        xs, ys, weight = self.draw()
        loss = torch.zeros((), device=self.device)
        for x, y in zip(xs.split(self.micro), ys.split(self.micro), strict=True):
            with torch.autocast(
                self.device.type, self.precision.dtype, self.precision.dtype is not None, cache_enabled=False
            ):
                yhat = self.forward(x, y)
            piece = (((yhat.float() - y) ** 2) * weight).sum()
            self.scaler.scale(piece).backward()
            loss += piece.detach()
        return loss

    def body(self) -> None:
        """The step itself; the same code runs eagerly and inside a graph."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss = self.accumulate()
        optimizers.set_rate(self.optimizers, self.rate_factor())
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        self.ring.index_copy_(0, (self.t % RING).view(1), loss.view(1))
        self.t += 1

    def __call__(self) -> None:
        if self.graph is not None:
            self.graph.replay()
            return
        if not self.graph_tried and self.eager_steps >= GRAPH_WARMUP:
            self.capture()
            self()
            return
        try:
            self.body()
        except torch.OutOfMemoryError:
            self.halve()
            self()
            return
        except Exception as error:
            if not self.compiled:
                raise
            self.compiled, self.forward = False, self.model
            log.warning("torch.compile failed, going on without it: %s", str(error).splitlines()[0])
            self()
            return
        self.eager_steps += 1

    def halve(self) -> None:
        """GPU memory was too small: half as many prompts at once, the same batch in the update."""
        if self.micro == 1:
            raise torch.OutOfMemoryError("GPU memory is too small for a single prompt; take a smaller size.")
        self.micro = (self.micro + 1) // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("GPU memory too small: %d prompts at once, batch of %d kept", self.micro, self.recipe.batch_size)

    def capture(self) -> None:
        """Record the step once; replays launch it whole. Where that fails, say why and stay eager."""
        self.graph_tried = True
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.body()
        except Exception as error:  # capture fails in many ways, all of them survivable
            torch.cuda.synchronize(self.device)
            log.warning("eager steps: the step could not be captured (%s)", str(error).splitlines()[0])
            return
        self.graph = graph

    def losses(self, since: int) -> list[float]:
        """Losses of the steps from ``since`` to now: the only place where the host waits for the device."""
        now = int(self.t)
        if now - since > RING:
            raise ValueError(f"losses are kept for {RING} steps, asked for {now - since}.")
        ring = self.ring.tolist()
        return [ring[step % RING] for step in range(since, now)]

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as flat tensors."""
        model = {f"model.{name}": p.detach() for name, p in self.model.state_dict().items()}
        return {**model, **optimizers.state_tensors(self.optimizers), "step": self.t, "total": self.total}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state; the next step is bit for bit the one that would have come (on a CPU)."""
        weights = {name.removeprefix("model."): v for name, v in state.items() if name.startswith("model.")}
        self.model.load_state_dict(weights)
        optimizers.load_state_tensors(self.optimizers, state)
        self.t.copy_(state["step"])
        self.set_total(int(state["total"]))
