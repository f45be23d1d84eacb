"""Learners that fit a model anew for every prompt and every k: asked for the k that are wanted, and for no others."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.predictors.base import check_prompts


class Expensive:
    """A predictor with one method more: ``at(xs (B, T, d), ys (B, T), k) -> (B,)``, the prediction at one k alone.

    ``icl_curve(..., ks=)`` uses it, so a curve at 8 values of k costs 8 fits per prompt and not one per point. Calling
    the predictor itself gives all (B, T) and fits T - 1 times per prompt. A learner is ``fit`` and a name.
    """

    expensive: ClassVar[bool] = True
    name: str

    def fit(self, X: Tensor, Y: Tensor, query: Tensor) -> Tensor:
        """Fit X (B, k, d), Y (B, k), float64, k >= 1, prompt by prompt; predictions (B,) at query (B, d)."""
        raise NotImplementedError

    def at(self, xs: Tensor, ys: Tensor, k: int) -> Tensor:
        """(B,) predictions of y_k from the first k examples and x_k; 0 at k = 0. InputError unless 0 <= k < T."""
        X, Y = check_prompts(self.name, xs, ys)
        T = X.shape[1]
        if k != int(k) or not 0 <= k < T:
            raise InputError(f"k must be a whole number from 0 to T - 1 = {T - 1}, got {k}.")
        if k == 0:
            return xs.new_zeros(len(X))
        return self.fit(X[:, :k], Y[:, :k], X[:, k]).to(xs.device, dtype=xs.dtype)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        check_prompts(self.name, xs, ys)
        return torch.stack([self.at(xs, ys, k) for k in range(ys.shape[1])], 1)
