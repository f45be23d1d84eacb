"""Exact Bayes for Fourier series: a linear model of the waves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from icl_lab.functions import FourierSeries
from icl_lab.predictors.base import check_prompts
from icl_lab.predictors.linear import one_model

ROUNDING = 1e-6  # of the standard deviation of f: waves of float32 inputs miss the exact ones by about as much


@dataclass(frozen=True)
class FourierBayes:
    """Posterior mean under ``FourierSeries(scale, max_frequency, noise)``: ridge regression on 1, cosines and sines.

    ``(xs (B, T, 1), ys (B, T)) -> (B, T)``. Inputs at random leave some combinations of waves hardly touched, so the
    coefficients of float32 data are not those that fit best: without noise, rounding of 1e-6 of the standard deviation
    of f stands for it. Then the error falls to 0 soon after k = 2 * max_frequency + 1 examples.
    Raises InputError for shapes that do not fit.
    """

    scale: str = "unit"
    max_frequency: int = 10
    noise: float = 0.0

    def __post_init__(self) -> None:
        _ = self.function_class  # checks the values

    @property
    def function_class(self) -> FourierSeries:
        return FourierSeries(scale=self.scale, max_frequency=self.max_frequency, noise=self.noise)

    @property
    def name(self) -> str:
        return "Bayes, Fourier"

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means and log evidences at every prefix, each (B, T) float64; see ``DenseBayes.infer``."""
        X, Y = check_prompts(self.name, xs, ys, 1)
        fc = self.function_class
        noise = self.noise or max(rounding or 0.0, ROUNDING * math.sqrt(fc.second_moment))
        return one_model(fc.features(X), Y, fc.coefficient_std, noise, noise)

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)
