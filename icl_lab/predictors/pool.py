"""Exact Bayes for a pool of tasks: every task is a hypothesis, weighed by how well it fits the examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions import TaskPool
from icl_lab.predictors.base import check_prompts, in_chunks
from icl_lab.predictors.gaussian import ROUNDING

CACHE = 1 << 17  # prompts x tasks at a time


@dataclass(frozen=True)
class PoolBayes:
    """Posterior mean under a ``TaskPool``; Raventos et al. 2023 (arXiv 2306.15063) call it dMMSE.

    ``(xs (B, T, dim), ys (B, T)) -> (B, T)``: the mean of w . x_k over the tasks of the pool, each weighed by
    exp(-|y - X w|^2 / (2 noise^2)). Without noise, float32's rounding of y stands for it: the task that comes closest.
    Float64 inside. Time grows with tasks x prompts x points: 2**16 tasks and 1,280 prompts of 16 points take under a
    minute on one core.
    Raises InputError for shapes that do not fit.
    """

    pool: TaskPool

    def __post_init__(self) -> None:
        if not isinstance(self.pool, TaskPool):
            raise InputError(f"PoolBayes needs a TaskPool, got {type(self.pool).__name__}.")

    @property
    def function_class(self) -> TaskPool:
        return self.pool

    @property
    def name(self) -> str:
        return "Bayes, pool"

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means and log evidences at every prefix, each (B, T) float64; see ``DenseBayes.infer``."""
        X, Y = check_prompts(self.name, xs, ys, self.pool.dim)
        W = self.pool.all_weights().double().T  # (dim, M)
        noise = self.pool.noise or rounding or ROUNDING * math.sqrt(self.pool.second_moment)
        return in_chunks(lambda x, y: average(x, y, W, noise), CACHE // self.pool.tasks, X, Y)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)


def average(X: Tensor, Y: Tensor, W: Tensor, noise: float) -> tuple[Tensor, Tensor]:
    """Means and log evidences (b, T) from X (b, T, d), Y (b, T) and the tasks' weights W (d, M)."""
    b, T, _ = X.shape
    M = W.shape[1]
    fit = torch.zeros(b, M, dtype=W.dtype)  # -|y - X w|^2 / (2 noise^2) of every task
    means, evidences = torch.empty(2, b, T, dtype=W.dtype)
    for k in range(T):
        values = X[:, k] @ W  # (b, M)
        best = fit.amax(1, keepdim=True)
        weight = (fit - best).exp_()
        total = weight.sum(1)
        means[:, k] = torch.linalg.vecdot(weight, values) / total
        evidences[:, k] = best[:, 0] + total.log() - math.log(M) - 0.5 * k * math.log(2 * math.pi * noise**2)
        if k < T - 1:  # the last y is never an example
            residual = values.sub_(Y[:, k, None])
            fit.addcmul_(residual, residual, value=-0.5 / noise**2)
    return means, evidences
