"""How a prediction changes with its query: two learners with equal errors may still answer differently next to it.

For a linear learner the gradient is its weight vector. Garg et al. 2022 (arXiv 2208.01066) compare a transformer's with
that of least squares.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from icl_lab.errors import InputError, positive
from icl_lab.evaluation import CHUNK, label_of, predict_at


def query_gradients(
    predictor: Callable[[Tensor, Tensor], Tensor], xs: Tensor, ys: Tensor, k: int, step: float = 1e-3
) -> Tensor:
    """(B, d) float64: the gradient of yhat[:, k] with respect to the query x_k, the k examples held fixed.

    xs (B, T, d), ys (B, T), T > k; nothing after x_k is looked at, y_k included. A trained transformer
    (``checkpoints.load``) is differentiated by autograd. Any other predictor is asked at x_k plus and minus ``step``
    along each coordinate, in float64: exact where it is linear in the query, 0 on the plateaus of trees and neighbors,
    and 2 d predictions per prompt.
    Raises InputError for shapes that do not fit, k outside 0..T-1 and a step that is not positive.
    """
    xs, ys = torch.as_tensor(xs), torch.as_tensor(ys)
    if xs.ndim != 3 or xs.shape[:2] != ys.shape or len(ys) == 0:
        raise InputError(f"xs must be (B, T, d) and ys (B, T), got {tuple(xs.shape)} and {tuple(ys.shape)}.")
    if k != int(k) or not 0 <= k < ys.shape[1]:
        raise InputError(f"k must be a whole number from 0 to T - 1 = {ys.shape[1] - 1}, got {k}.")
    positive("step", step)
    xs, ys = xs[:, : k + 1].detach(), ys[:, : k + 1].detach().clone()
    ys[:, k] = 0.0  # what is asked for
    model = getattr(predictor, "model", None)
    find = _by_autograd if isinstance(model, nn.Module) else _by_differences
    parts = [
        find(model if isinstance(model, nn.Module) else predictor, x, y, k, step)
        for x, y in zip(xs.split(CHUNK), ys.split(CHUNK), strict=True)
    ]
    gradients = torch.cat(parts)
    if not torch.isfinite(gradients).all():
        raise InputError(f"Predictor '{label_of(predictor)}' has a gradient that is not finite at k={k}.")
    return gradients


def _by_autograd(model: nn.Module, xs: Tensor, ys: Tensor, k: int, step: float) -> Tensor:
    weight = next(model.parameters())
    x, y = xs.to(weight).requires_grad_(), ys.to(weight)
    with torch.enable_grad():
        total = model(x, y)[:, k].sum()  # over prompts, which do not see each other
    (gradient,) = torch.autograd.grad(total, x)
    return gradient[:, k].to("cpu", torch.float64)


def _by_differences(predictor: Callable[..., Tensor], xs: Tensor, ys: Tensor, k: int, step: float) -> Tensor:
    B, _, d = xs.shape
    moves = step * torch.cat([torch.eye(d), -torch.eye(d)]).double()  # (2d, d)
    x = xs.double().repeat_interleave(2 * d, 0)
    x[:, k] += moves.repeat(B, 1)
    y = predict_at(predictor, x, ys.double().repeat_interleave(2 * d, 0), [k])[:, 0].view(B, 2, d)
    return (y[:, 0] - y[:, 1]) / (2 * step)
