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
from icl_lab.errors import InputError
from icl_lab.functions import Stage, training_seed
from icl_lab.precision import LossScale, Precision
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
        self.parameters = list(model.parameters())
        self.optimizers = optimizers.build(model, recipe.optimizer, recipe.learning_rate, device)
        self.loss_scale = LossScale(device) if precision.scale_loss else None
        self.t = torch.zeros((), dtype=torch.int64, device=device)
        self.total = torch.zeros((), dtype=torch.int64, device=device)
        self.set_total(recipe.steps)
        self.ring = torch.zeros(RING, device=device)
        self.micro = recipe.batch_size
        on_gpu = device.type == "cuda"
        self.forward = torch.compile(model) if compiled and on_gpu else model
        self.graph: torch.cuda.CUDAGraph | None = None
        self.graph_wanted = on_gpu  # until a capture worked or failed
        self.side = torch.cuda.Stream(device) if on_gpu else None
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
        stage = recipe.curriculum.at(self.t, self.total) if recipe.curriculum else Stage()
        prompts = recipe.function_class.sample(recipe.batch_size, recipe.n_points, seed, self.device, stage)
        xs, ys, n = prompts.xs, prompts.ys, recipe.n_points
        weight = torch.ones(n, device=self.device)
        if stage.points is not None:
            weight = (torch.arange(n, device=self.device) < stage.points).float()
            if self.device.type == "cpu":  # shapes may change here: what does not count is not computed
                n = min(n, int(stage.points))
        return xs[:, :n], ys[:, :n], weight[:n] / weight.sum() / recipe.batch_size

    def gradients(self) -> Tensor:
        """Gradients of the batch, in pieces of ``micro`` prompts; returns the loss."""
        self.model.zero_grad(set_to_none=True)
        xs, ys, weight = self.draw()
        loss = torch.zeros((), device=self.device)
        for x, y in zip(xs.split(self.micro), ys.split(self.micro), strict=True):
            # No cache of cast weights: each is used once in a forward pass, and a cache does not go with graphs.
            dtype = self.precision.dtype
            with torch.autocast(self.device.type, dtype, dtype is not None, cache_enabled=False):
                yhat = self.forward(x, y)
            piece = (((yhat.float() - y) ** 2) * weight).sum()
            (piece * self.loss_scale.factor if self.loss_scale else piece).backward()
            loss += piece.detach()
        return loss

    def update(self, loss: Tensor) -> None:
        """Clip, move the weights, keep the loss."""
        gradients = [p.grad for p in self.parameters]
        if self.loss_scale:
            self.loss_scale.unscale(gradients)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
        if self.loss_scale:
            self.loss_scale.update(gradients, norm)
        optimizers.set_rate(self.optimizers, self.rate_factor())
        for optimizer in self.optimizers:
            optimizer.step()
        self.ring.index_copy_(0, (self.t % RING).view(1), loss.view(1))
        self.t += 1

    def __call__(self) -> None:
        if self.graph_wanted and self.eager_steps >= GRAPH_WARMUP:
            self.capture()
        if self.graph is not None:
            self.graph.replay()
        elif self.graph_wanted:
            # Steps before a capture run on a stream of their own, as CUDA graphs ask for.
            main = torch.cuda.current_stream(self.device)
            self.side.wait_stream(main)
            with torch.cuda.stream(self.side):
                self.eager()
            main.wait_stream(self.side)
        else:
            self.eager()

    def eager(self) -> None:
        """One step without a graph. Where memory or the compiler fails, the gradients are taken anew."""
        loss = None
        while loss is None:
            too_large = False
            try:
                loss = self.gradients()
            except torch.OutOfMemoryError:
                too_large = True
            except Exception as error:
                if self.forward is self.model:
                    raise
                self.forward = self.model
                log.warning("the model is not compiled: %s", root_cause(error))
            if too_large:  # not in the except clause: there the traceback still holds the activations
                self.halve()
        self.update(loss)
        self.eager_steps += 1

    def halve(self) -> None:
        """GPU memory was too small: half as many prompts at once, the same batch in the update."""
        if self.micro == 1:
            raise InputError("GPU memory is too small for a single prompt; take a smaller size or --device cpu.")
        self.micro = (self.micro + 1) // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning("GPU memory too small: %d prompts at once, batch of %d kept", self.micro, self.recipe.batch_size)

    def capture(self) -> None:
        """Record the step once; replays launch it whole. Where that fails, say why and stay eager."""
        self.graph_wanted = False
        main = torch.cuda.current_stream(self.device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self.update(self.gradients())
        except Exception as error:  # capture fails in many ways, all of them survivable
            torch.cuda.set_stream(main)  # a failed capture leaves its own stream behind as the current one
            torch.cuda.synchronize(self.device)
            log.warning("eager steps: the step could not be captured: %s", root_cause(error))
            return
        self.graph = graph
        log.info("steps are replayed from one CUDA graph")

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
        scale = self.loss_scale.tensors() if self.loss_scale else {}
        return {**model, **optimizers.state_tensors(self.optimizers), **scale, "step": self.t, "total": self.total}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state; the next step is bit for bit the one that would have come (on a CPU)."""
        weights = {name.removeprefix("model."): v for name, v in state.items() if name.startswith("model.")}
        self.model.load_state_dict(weights)
        optimizers.load_state_tensors(self.optimizers, state)
        for name, tensor in (self.loss_scale.tensors() if self.loss_scale else {}).items():
            tensor.copy_(state.get(name, tensor))  # absent where the earlier steps ran in another format
        self.t.copy_(state["step"])
        self.set_total(int(state["total"]))


def root_cause(error: BaseException) -> str:
    """The first line of the error that began it: what follows a failed capture or compilation says little."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
