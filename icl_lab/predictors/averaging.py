"""Averaging: the cheapest estimate of a linear function, one product and one mean."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.predictors.base import check_prompts


@dataclass(frozen=True)
class Averaging:
    """``(xs (B, T, d), ys (B, T)) -> (B, T)``: w . x_k with w the mean of y_i x_i over k examples; 0 at k = 0.

    Right on average for standard normal inputs, since E x x' = I. On noise-free linear functions of them the error over
    E f^2 is (d + 1) / k for k >= 1, however sparse w is. Garg et al. 2022 (arXiv 2208.01066) use it as a baseline.
    Raises InputError for shapes that do not fit.
    """

    @property
    def name(self) -> str:
        return "averaging"

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        X, Y = check_prompts(self.name, xs, ys)
        sums = (X * Y.unsqueeze(-1)).cumsum(1).roll(1, dims=1)  # sums[:, k] over the first k, save at k = 0
        sums[:, 0] = 0.0
        k = torch.arange(X.shape[1], dtype=X.dtype).clamp(min=1)
        return ((sums * X).sum(-1) / k).to(xs.device, dtype=xs.dtype)
