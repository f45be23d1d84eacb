"""Exact Bayes for sinusoids: amplitudes in closed form, the frequency by quadrature, or by its equation without noise.

f(x) = A sin(w x) + B cos(w x), A, B ~ N(0, 1), w ~ Gamma(6, rate 6) (``functions.curves.Sinusoid``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from icl_lab.errors import InputError
from icl_lab.functions import Sinusoid
from icl_lab.functions.curves import FREQUENCY_RATE, FREQUENCY_SHAPE
from icl_lab.predictors.base import check_prompts, in_chunks
from icl_lab.predictors.gaussian import ROUNDING
from icl_lab.predictors.sinusoid_limit import limit

MAX_FREQUENCY = 8.0  # the law leaves 1e-15 beyond
COARSEST = 0.02  # grid step; with inputs in (-5, 5) nothing oscillates faster in w than cos(10 w)
LEAST_NOISE = 0.005
CACHE = 400_000  # prompts x points x frequencies at a time


def log_prior(w: Tensor) -> Tensor:
    """log density of the angular frequency."""
    a, b = FREQUENCY_SHAPE, FREQUENCY_RATE
    return (a - 1) * torch.log(w) - b * w + a * math.log(b) - math.lgamma(a)


def frequency_grid(noise: float, n_points: int) -> Tensor:
    """Midpoints of equal cells on (0, MAX_FREQUENCY), fine enough for the narrowest posterior.

    After k examples a sinusoid of amplitude r leaves a spread of about noise / (r sqrt(k E x^2 / 2)) in w. The step is
    1.7 such spreads at k = n_points, r = 3; midpoints of a bell that wide miss its integral by 1e-3, of those that
    occur (r about 1.3) by 1e-12.
    """
    spread = noise / (3.0 * math.sqrt(25 / 6 * n_points))
    n = math.ceil(MAX_FREQUENCY / min(COARSEST, 1.7 * spread))
    return (torch.arange(n, dtype=torch.float64) + 0.5) * (MAX_FREQUENCY / n)


def quadrature(x: Tensor, y: Tensor, noise: float, w: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior means and log evidences (B, T) from (B, T) inputs and outputs, summing over the frequencies w (G,).

    Given w the model is linear with two weights: both the posterior and the evidence follow from five running sums.
    """
    angle = x[..., None] * w  # (B, T, G)
    s, c = torch.sin(angle), torch.cos(angle)

    def before(terms: Tensor) -> Tensor:
        """Sums over the examples before each point."""
        return pad(terms[:, :-1].cumsum(1), (0, 0, 1, 0))

    count = torch.arange(x.shape[1], dtype=x.dtype)[:, None]
    ss, sc = before(s * s), before(s * c)
    ys, yc = before(y[..., None] * s), before(y[..., None] * c)
    yy = pad((y[:, :-1] ** 2).cumsum(1), (1, 0))[..., None]
    v = noise**2  # prior variance is 1: (features'features + v) weights = features'y
    ss_v, cc_v = ss + v, count - ss + v
    det = ss_v * cc_v - sc * sc
    A, B = (ys * cc_v - yc * sc) / det, (yc * ss_v - ys * sc) / det
    misfit = (yy - A * ys - B * yc) / v
    log_likelihood = -0.5 * (misfit + torch.log(det) + (count - 2) * math.log(v) + count * math.log(2 * math.pi))
    joint = log_likelihood + log_prior(w) + math.log(MAX_FREQUENCY / len(w))
    evidence = joint.logsumexp(-1)
    mean = (torch.exp(joint - evidence[..., None]) * (A * s + B * c)).sum(-1)
    return mean, evidence


@dataclass(frozen=True)
class SinusoidBayes:
    """Posterior mean under ``Sinusoid(noise)``: ``(xs (B, T, 1), ys (B, T)) -> (B, T)``; inputs within (-5, 5).

    With noise: quadrature over the frequency, whose step shrinks with the noise; predictions are exact to 1e-3 of the
    outputs' standard deviation in the worst prompt and to 1e-6 in most (tests compare with a grid 4 times finer).
    Time grows as 1 / noise; below 0.005 an InputError says so.

    Without noise, the limit noise -> 0 (``sinusoid_limit``): k = 1 in closed form; k = 2 an integral over all
    frequencies, since any of them interpolates two points (4,096 cells: off by 3e-4 on average, by 1e-2 in the worst
    of 100 prompts, where two outputs nearly agree); at k = 3 a finite set of frequencies is left, the roots of one
    equation, each weighed by its density; from k = 4 on only the true one, and the error is 0 up to rounding.
    Outputs that no sinusoid below frequency 8 interpolates (another class, or noisy data) have no such limit:
    predictions then are those of sinusoids fitted from three examples on. Give the predictor a noise for such data.
    """

    noise: float = 0.0

    def __post_init__(self) -> None:
        _ = self.function_class  # checks the value
        if 0 < self.noise < LEAST_NOISE:
            raise InputError(f"SinusoidBayes takes noise = 0 or noise >= {LEAST_NOISE}, got {self.noise}.")

    @property
    def function_class(self) -> Sinusoid:
        return Sinusoid(noise=self.noise)

    @property
    def name(self) -> str:
        return "Bayes, sinusoid"

    def infer(self, xs: Tensor, ys: Tensor, rounding: float | None = None) -> tuple[Tensor, Tensor]:
        """Posterior means and log evidences at every prefix, each (B, T) float64; see ``DenseBayes.infer``."""
        X, Y = check_prompts(self.name, xs, ys, 1)
        if not self.noise:
            return limit(X[..., 0], Y, rounding or ROUNDING, log_prior, MAX_FREQUENCY)
        w = frequency_grid(self.noise, X.shape[1])
        size = CACHE // (X.shape[1] * len(w))
        return in_chunks(lambda x, y: quadrature(x, y, self.noise, w), size, X[..., 0], torch.nan_to_num(Y))

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        return self.infer(xs, ys)[0].to(xs.device, dtype=xs.dtype)
