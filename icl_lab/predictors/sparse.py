"""Exact Bayes for sparse linear functions: every support is a small model, weighed by its evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions import SparseLinear
from icl_lab.predictors.base import check_prompts, in_chunks
from icl_lab.predictors.gaussian import ROUNDING, sweep

MOST_SUPPORTS = 20_000
CACHE = 8_000  # prompts x supports at a time


@dataclass(frozen=True)
class SparseBayes:
    """Posterior mean under ``SparseLinear(dim, nonzeros, scale, noise)``, all supports enumerated (190 for 2 of 20).

    ``(xs (B, T, dim), ys (B, T)) -> (B, T)``. Without noise it is the limit noise -> 0: up to k = nonzeros examples
    every support interpolates and is weighed by the density it gave the examples; from k = nonzeros + 1 only the one
    that still interpolates is left and the error is 0. Data that no support interpolates get the limit too: the
    support that comes closest. Float64 inside; the limit is analytic (``gaussian.sweep``).
    Raises InputError for shapes that do not fit and for more than 20,000 supports.
    """

    dim: int = 20
    nonzeros: int = 2
    scale: str = "unit"
    noise: float = 0.0

    def __post_init__(self) -> None:
        _ = self.function_class  # checks the values
        count = math.comb(self.dim, self.nonzeros)
        if count > MOST_SUPPORTS:
            raise InputError(
                f"SparseBayes enumerates at most {MOST_SUPPORTS} supports; {self.nonzeros} of {self.dim} make {count}."
            )

    @property
    def function_class(self) -> SparseLinear:
        return SparseLinear(dim=self.dim, nonzeros=self.nonzeros, scale=self.scale, noise=self.noise)

    @property
    def name(self) -> str:
        return "Bayes, sparse"

    @property
    def supports(self) -> Tensor:
        """(S, nonzeros) coordinates of each support."""
        return torch.tensor(list(combinations(range(self.dim), self.nonzeros)))

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means and log evidences at every prefix, each (B, T) float64; see ``DenseBayes.infer``."""
        X, Y = check_prompts(self.name, xs, ys, self.dim)
        supports = self.supports
        fc = self.function_class
        rounding = rounding or ROUNDING * math.sqrt(fc.second_moment)

        def average(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            means, evidences = sweep(x[:, :, supports], y, fc.weight_std, self.noise, rounding)  # (b, T, S)
            mean = (evidences.softmax(-1) * means).sum(-1)
            return mean, evidences.logsumexp(-1) - math.log(len(supports))

        return in_chunks(average, CACHE // len(supports), X, Y)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)
