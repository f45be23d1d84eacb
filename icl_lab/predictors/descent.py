"""Gradient descent on linear least squares, in context: how far do a few steps get?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.errors import check_count, positive
from icl_lab.predictors.base import check_prompts, in_chunks

CHUNK = 32  # prompts at a time: the Gram matrices of their prefixes stay in the cache


@dataclass(frozen=True)
class GradientDescent:
    """w after ``steps`` full-batch steps from w = 0 on ||y - X w||^2 / (2 k), for every prefix of k examples.

    ``(xs (B, T, d), ys (B, T)) -> (B, T)``: ``[:, k]`` is w . x_k; 0 at k = 0. Every step adds rate * X'(y - X w) / k,
    so w after t steps is (I - (I - rate A)^t) A^+ b with A = X'X / k and b = X'y / k: least squares in the limit if
    rate < 2 / (the largest eigenvalue of A), which for k < d is about (1 + sqrt(d / k))^2; beyond it w grows without
    bound. One step at rate 1 is averaging. One step is what a single layer of linear attention can do (von Oswald et
    al. 2023, arXiv 2212.07677, who also divide by the number of examples).
    Raises InputError for steps that are no whole number >= 1, rate <= 0 and shapes that do not fit.
    """

    steps: int = 10
    rate: float = 0.1

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        positive("rate", self.rate)

    @property
    def name(self) -> str:
        return f"gradient descent, {self.steps} step{'s' if self.steps > 1 else ''}"

    def weights(self, xs: Tensor, ys: Tensor) -> Tensor:
        """(B, T, d) float64: w after the steps on the first k examples at [:, k]."""
        X, Y = check_prompts(self.name, xs, ys)
        return in_chunks(self._descend, CHUNK, X, Y)[0]

    def _descend(self, X: Tensor, Y: Tensor) -> tuple[Tensor]:
        x, y = X[:, :-1], Y[:, :-1]  # the last example is a question only
        k = torch.arange(1.0, X.shape[1], dtype=X.dtype)
        A = (x.unsqueeze(-1) * x.unsqueeze(-2)).cumsum(1) / k[:, None, None]  # (b, T - 1, d, d)
        b = ((x * y.unsqueeze(-1)).cumsum(1) / k[:, None]).unsqueeze(-1)
        w = self.rate * b
        for _ in range(self.steps - 1):
            w = w + self.rate * (b - A @ w)
        return (torch.cat([torch.zeros_like(X[:, :1]), w.squeeze(-1)], 1),)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        w = self.weights(xs, ys)
        return (w * xs.to(w)).sum(-1).to(xs.device, dtype=xs.dtype)
