"""Learning curves: squared error against the number of examples, with bootstrap intervals. Numbers, never a plot.

Every error is the squared distance to f(x), without the noise of y, divided by E f(x)^2: predicting zero scores 1.
Intervals are over prompts, 90 %, from 1,000 resamples, as Garg et al. 2022 (arXiv 2208.01066) report them. They say how
exactly this predictor was measured, nothing about another training of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions import Mixture, TaskPool
from icl_lab.functions.random import TRAINING_BIT

EVALUATION_SEED = 20231103  # the day arXiv 2311.00871 appeared; any int below TRAINING_BIT does
CHUNK = 256  # prompts per call of a predictor
RESAMPLES = 1000
LEVEL = 0.9


@dataclass(frozen=True)
class Curve:
    """A learning curve: at k[i] examples the mean error and its 90 % interval; four arrays of one length."""

    k: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, k: int) -> float:
        """The mean error after k examples."""
        where = np.flatnonzero(self.k == k)
        if len(where) == 0:
            raise InputError(f"The curve has no point at k={k}; it has {self.k.tolist()}.")
        return float(self.mean[where[0]])


def check_seed(seed: int) -> int:
    """Evaluation seeds are ints from 0 to 2**62 - 1. Training sets bit 62, so the two can never meet."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < TRAINING_BIT:
        raise InputError(f"An evaluation seed must be an int from 0 to 2**62 - 1 (above are training's), got {seed!r}.")
    return int(seed)


def label_of(predictor: Callable[[Tensor, Tensor], Tensor]) -> str:
    """The predictor's name, as legends and error messages show it."""
    return getattr(predictor, "name", None) or getattr(predictor, "__name__", type(predictor).__name__)


def without_noise(fc: Any) -> Any:
    """The same class without noise. It draws the same inputs and functions: noise has a stream of its own."""
    if isinstance(fc, Mixture):
        return replace(fc, components=tuple(without_noise(c) for c in fc.components))
    if isinstance(fc, TaskPool):
        return replace(fc, base=without_noise(fc.base))
    return replace(fc, noise=0.0) if getattr(fc, "noise", 0.0) else fc


def predict(predictor: Callable[[Tensor, Tensor], Tensor], xs: Tensor, ys: Tensor) -> Tensor:
    """(B, T) float64 predictions on the CPU, computed CHUNK prompts at a time without gradients.

    Raises InputError if the predictor returns another shape or a number that is not finite.
    """
    parts = []
    with torch.no_grad():
        for x, y in zip(xs.split(CHUNK), ys.split(CHUNK), strict=True):
            out = torch.as_tensor(predictor(x, y))
            if out.shape != y.shape:
                raise InputError(
                    f"Predictor '{label_of(predictor)}' must return predictions of shape (B, T) = {tuple(y.shape)}, "
                    f"got {tuple(out.shape)}."
                )
            parts.append(out.detach().to("cpu", torch.float64))
    predictions = torch.cat(parts)
    bad = ~torch.isfinite(predictions)
    if bad.any():
        k = int(bad.any(0).nonzero()[0])
        count = int(bad[:, k].sum())
        raise InputError(
            f"Predictor '{label_of(predictor)}' gave a prediction that is not finite at k={k} "
            f"({count} of {len(predictions)} prompts)."
        )
    return predictions


def squared_errors(
    predictor: Callable[[Tensor, Tensor], Tensor],
    fc: Any,
    n_prompts: int = 1280,
    n_points: int = 41,
    seed: int = EVALUATION_SEED,
    ks: Sequence[int] | None = None,
) -> np.ndarray:
    """(prompts, ks) errors (yhat - f(x))^2 / E f(x)^2; all k = 0..n_points-1 unless ks says which.

    Two predictors with the same other arguments see the same prompts: compare them with ``paired_difference``.
    Sampling is on the CPU, so the prompts are the same on every machine. InputError: a seed of training, counts
    that are not positive, ks outside 0..n_points-1, predictions of a wrong shape or not finite.
    """
    positive("n_prompts", n_prompts)
    positive("n_points", n_points)
    chosen = _check_ks(ks, n_points)
    seed = check_seed(seed)
    prompts = fc.sample(n_prompts, n_points, seed, device="cpu")
    plain = without_noise(fc)
    targets = prompts.ys if plain is fc else plain.sample(n_prompts, n_points, seed, device="cpu").ys
    last = int(chosen.max()) + 1  # later points would only cost time: point k never sees them
    predictions = predict(predictor, prompts.xs[:, :last].contiguous(), prompts.ys[:, :last].contiguous())
    errors = (predictions - targets[:, :last].double()) ** 2 / fc.second_moment
    return errors.numpy()[:, chosen]


def icl_curve(
    predictor: Callable[[Tensor, Tensor], Tensor],
    fc: Any,
    n_prompts: int = 1280,
    n_points: int = 41,
    seed: int = EVALUATION_SEED,
    ks: Sequence[int] | None = None,
) -> Curve:
    """The learning curve of a predictor on a function class; arguments and errors as ``squared_errors``.

    To look at one class of a mixture, pass that class: its errors are divided by its own E f(x)^2.
    """
    errors = squared_errors(predictor, fc, n_prompts, n_points, seed, ks)
    return curve_of(errors, _check_ks(ks, n_points))


def curve_of(errors: np.ndarray, k: Sequence[int] | np.ndarray | None = None, seed: int = 0) -> Curve:
    """Mean and 90 % bootstrap interval of per-prompt numbers (prompts, ks); seed: of the resampling."""
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 2 or len(errors) == 0:
        raise InputError(f"Errors must have shape (prompts, ks), got {errors.shape}.")
    k = np.arange(errors.shape[1]) if k is None else np.asarray(k)
    if k.shape != errors.shape[1:]:
        raise InputError(f"One k per column is needed: {errors.shape[1]} columns, {k.size} ks.")
    low, high = bootstrap(errors, seed)
    return Curve(k, errors.mean(0), low, high)


def bootstrap(errors: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The 90 % percentile interval of the mean over prompts (axis 0), from 1,000 resamples of whole prompts."""
    n = len(errors)
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)
    means = counts @ errors / n  # (RESAMPLES, ks)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def paired_difference(first: np.ndarray, second: np.ndarray, k: Sequence[int] | None = None) -> Curve:
    """first - second, prompt by prompt: the interval leaves out what both owe to the prompts they share.

    Both are ``squared_errors`` of the same class, counts and seed. Negative: the first has the smaller error.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape:
        raise InputError(f"Paired errors must have one shape, got {first.shape} and {second.shape}.")
    return curve_of(first - second, k)


def _check_ks(ks: Sequence[int] | None, n_points: int) -> np.ndarray:
    if ks is None:
        return np.arange(n_points)
    chosen = np.asarray(ks)
    if chosen.ndim != 1 or len(chosen) == 0 or chosen.dtype.kind not in "iu":
        raise InputError(f"ks must be a list of whole numbers, got {ks!r}.")
    if chosen.min() < 0 or chosen.max() >= n_points:
        raise InputError(f"ks must lie between 0 and n_points - 1 = {n_points - 1}, got {chosen.tolist()}.")
    return chosen
