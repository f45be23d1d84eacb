"""Muon for the matrices inside the blocks, AdamW for the rest, or AdamW for everything.

Muon (Jordan et al. 2024; scaled as in Liu et al. 2025, arXiv 2502.16982): momentum, then the nearest
semi-orthogonal matrix by five Newton-Schulz steps. ``torch.optim.Muon`` treats one matrix at a time; here the matrices
of one shape are stacked, so that an orthogonalization is one batched product, and the learning rate is a tensor, so
that a CUDA graph follows the schedule. A test holds the two equal.
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

from icl_lab.errors import unknown
from icl_lab.precision import has_bf16

NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: fast rather than exact, singular values in .7 to 1.2
LEARNING_RATES = {"muon": 5e-3, "adamw": 1e-3, "adam": 1e-4}  # adam at 1e-4 is Garg et al.'s choice


def check_optimizer(name: str) -> None:
    if name not in LEARNING_RATES:
        raise unknown("optimizer", name, LEARNING_RATES)


def orthogonalize(stack: Tensor, dtype: torch.dtype = torch.bfloat16, steps: int = 5, eps: float = 1e-7) -> Tensor:
    """(n, rows, cols) -> the same shape in ``dtype``, every matrix close to semi-orthogonal."""
    a, b, c = NS_COEFFICIENTS
    x = stack.to(dtype)
    wide = x.shape[1] <= x.shape[2]
    if not wide:
        x = x.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT  # (n, r, r), r the smaller side
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Muon over matrices. lr is a float or a 0-dimensional tensor on the parameters' device.

    dtype: of the orthogonalization; bfloat16 is enough, float32 is faster where hardware has no bfloat16.
    """

    def __init__(
        self, params, lr: float | Tensor = 5e-3, momentum: float = 0.95, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "dtype": dtype})
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for p in group["params"]:
                by_shape[p.shape].append(p)
            group["stacks"] = list(by_shape.values())

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for params in group["stacks"]:
                grad = torch.stack([p.grad for p in params]).float()
                state = self.state[params[0]]
                if not state:
                    state["momentum"] = torch.zeros_like(grad)
                state["momentum"].lerp_(grad, 1 - group["momentum"])
                nesterov = grad.lerp(state["momentum"], group["momentum"])
                update = orthogonalize(nesterov, group["dtype"]).float()
                # 0.2 sqrt(max side) gives the update AdamW's usual root mean square, so rates carry over.
                rate = -0.2 * max(params[0].shape) ** 0.5 * group["lr"]
                torch._foreach_add_(params, list((update * rate).unbind(0)))


def build(model: nn.Module, name: str, lr: float, device: torch.device) -> list[torch.optim.Optimizer]:
    """The optimizers of a training, with a tensor learning rate that the schedule overwrites in place.

    ``muon``: Muon on the block matrices, AdamW on the rest, at one rate; ``adamw``; ``adam`` (PyTorch's default betas,
    as Garg et al.). Nothing decays weights: with fresh data at every step there is nothing to overfit.
    Raises InputError for another name.
    """
    check_optimizer(name)
    blocks = [p for n, p in model.named_parameters() if n.startswith("h.") and p.ndim == 2]
    chosen = {id(p) for p in blocks} if name == "muon" else set()
    rest = [p for p in model.parameters() if id(p) not in chosen]
    betas = (0.9, 0.95) if name != "adam" else (0.9, 0.999)
    adam = torch.optim.AdamW(
        rest,
        lr=torch.tensor(lr, device=device),
        betas=betas,
        weight_decay=0.0,
        fused=True,
        capturable=device.type == "cuda",
    )
    adam._warned_capturable_if_run_uncaptured = True  # the steps before the capture are meant to be eager
    optimizers = [adam]
    if chosen:
        dtype = torch.bfloat16 if has_bf16(device) else torch.float32
        optimizers.append(Muon(blocks, lr=torch.tensor(lr, device=device), dtype=dtype))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = lr
    return optimizers


def set_rate(optimizers: list[torch.optim.Optimizer], factor: Tensor) -> None:
    """Multiply every base rate by factor, in place and on the device."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"].copy_(factor * group["base_lr"])


def state_tensors(optimizers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """All optimizer state as flat named tensors, for safetensors: ``<optimizer>.<parameter>.<key>``."""
    flat = {}
    for i, optimizer in enumerate(optimizers):
        params = [p for group in optimizer.param_groups for p in group["params"]]
        for j, p in enumerate(params):
            for key, value in optimizer.state.get(p, {}).items():
                flat[f"optimizer.{i}.{j}.{key}"] = value
    return flat


def load_state_tensors(optimizers: list[torch.optim.Optimizer], flat: dict[str, Tensor]) -> None:
    """Put back what state_tensors took out; entries go to the device of their parameter."""
    for i, optimizer in enumerate(optimizers):
        params = [p for group in optimizer.param_groups for p in group["params"]]
        for j, p in enumerate(params):
            prefix = f"optimizer.{i}.{j}."
            for name, value in flat.items():
                if name.startswith(prefix):
                    optimizer.state[p][name[len(prefix) :]] = value.to(p.device)
