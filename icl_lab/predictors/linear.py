"""Least squares, ridge, and exact Bayes for dense linear functions. All are one recursion, ``gaussian.sweep``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions import DenseLinear, Line
from icl_lab.functions.base import check_scale
from icl_lab.functions.curves import INPUT_STD
from icl_lab.predictors.base import check_prompts, in_chunks
from icl_lab.predictors.gaussian import ROUNDING, sweep

CHUNK = 128  # prompts at a time: their 20 x 20 matrices stay in the cache


def one_model(features: Tensor, ys: Tensor, *args: float) -> tuple[Tensor, Tensor]:
    """``sweep`` for one model per prompt: features (B, T, s) -> means and log evidences (B, T)."""
    means, evidences = in_chunks(lambda f, y: sweep(f.unsqueeze(2), y, *args), CHUNK, features, ys)
    return means[..., 0], evidences[..., 0]


@dataclass(frozen=True)
class LeastSquares:
    """The minimum-norm solution of min ||y - X w||^2 on every prefix: what numpy.linalg.lstsq gives.

    ``(xs (B, T, d), ys (B, T)) -> (B, T)`` float32; ``[:, k]`` uses the first k examples and x_k; 0 at k = 0.
    On noise-free linear functions of normal inputs the error over E f^2 is max(0, 1 - k/d), however sparse w is.
    Inputs that repeat to within 1e-6 of their length (float32) count as the same direction.
    Raises InputError for shapes that do not fit.
    """

    @property
    def name(self) -> str:
        return "least squares"

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        X, Y = check_prompts(self.name, xs, ys)
        return one_model(X, Y, 1.0, 0.0, 1.0)[0].to(xs.device, dtype=xs.dtype)


@dataclass(frozen=True)
class Ridge:
    """min ||y - X w||^2 + alpha ||w||^2 on every prefix, without intercept. Exact to 1e-6 for alpha >= 1e-8.

    Shapes and errors as LeastSquares; alpha must be positive (alpha -> 0 is LeastSquares).
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        positive("alpha", self.alpha)

    @property
    def name(self) -> str:
        return f"ridge {self.alpha:g}"

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        X, Y = check_prompts(self.name, xs, ys)
        return one_model(X, Y, 1.0, math.sqrt(self.alpha), 1.0)[0].to(xs.device, dtype=xs.dtype)


@dataclass(frozen=True)
class DenseBayes:
    """Posterior mean under ``DenseLinear(dim, scale, noise)``: no predictor has a smaller mean squared error there.

    With noise it is ridge with alpha = noise^2 / weight variance; without, minimum-norm least squares.
    """

    dim: int = 20
    scale: str = "unit"
    noise: float = 0.0

    def __post_init__(self) -> None:
        _ = self.function_class  # checks the values

    @property
    def function_class(self) -> DenseLinear:
        return DenseLinear(dim=self.dim, scale=self.scale, noise=self.noise)

    @property
    def name(self) -> str:
        return "Bayes, dense"

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means of f(x_k) and log evidences log p(y_0..y_(k-1) | x), each (B, T) float64.

        Without noise the evidence is that of noise ``rounding`` to leading order (default: float32's, 1e-7 of the
        standard deviation of f): each example that the earlier ones determine counts 1 / rounding.
        """
        X, Y = check_prompts(self.name, xs, ys, self.dim)
        fc = self.function_class
        return one_model(X, Y, fc.weight_std, self.noise, rounding or ROUNDING * math.sqrt(fc.second_moment))

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)


@dataclass(frozen=True)
class LineBayes:
    """Posterior mean under ``Line(scale, noise)``: regression on (x / std, 1). Exact, error 0 from k = 2 noise-free."""

    scale: str = "unit"
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if self.noise < 0:
            raise InputError(f"noise must be a standard deviation >= 0, got {self.noise}.")

    @property
    def function_class(self) -> Line:
        return Line(scale=self.scale, noise=self.noise)

    @property
    def name(self) -> str:
        return "Bayes, line"

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """As DenseBayes.infer."""
        X, Y = check_prompts(self.name, xs, ys, 1)
        features = X.new_ones(*X.shape[:2], 2)
        features[..., 0] = X[..., 0] / INPUT_STD
        fc = self.function_class
        return one_model(features, Y, fc.factor, self.noise, rounding or ROUNDING * math.sqrt(fc.second_moment))

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)
