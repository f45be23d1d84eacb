"""What every predictor does with its input: check the shapes, compute on the CPU in float64, answer in float32.

The exact predictors are short recursions over small matrices: a GPU gains nothing, and on the CPU the numbers are the
same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from icl_lab.errors import InputError


def check_prompts(name: str, xs: Tensor, ys: Tensor, dim: int | None = None) -> tuple[Tensor, Tensor]:
    """xs (B, T, d) and ys (B, T) as float64 on the CPU; InputError says expected and got."""
    xs, ys = torch.as_tensor(xs), torch.as_tensor(ys)
    if xs.ndim != 3 or ys.ndim != 2 or xs.shape[:2] != ys.shape or 0 in xs.shape:
        raise InputError(
            f"{name} expects xs of shape (B, T, d) and ys of shape (B, T), got {tuple(xs.shape)} and {tuple(ys.shape)}."
        )
    if dim is not None and xs.shape[2] != dim:
        raise InputError(f"{name} expects inputs of {dim} dimensions, got {xs.shape[2]}.")
    return xs.detach().to("cpu", torch.float64), ys.detach().to("cpu", torch.float64)


def in_chunks(f: Callable[..., tuple[Tensor, ...]], size: int, *batches: Tensor) -> tuple[Tensor, ...]:
    """f applied to slices of ``size`` prompts, results joined along the batch: keeps the work in the cache."""
    parts = [f(*chunk) for chunk in zip(*(b.split(max(1, size)) for b in batches), strict=True)]
    return tuple(torch.cat(p) for p in zip(*parts, strict=True))
