"""Learning curves: squared error against the number of examples, with bootstrap intervals. Numbers, never a plot.

Every error is the squared distance to f(x), without the noise of y, divided by E f(x)^2: predicting zero scores 1.
Intervals are over prompts, 90 %, from 1,000 resamples, as Garg et al. 2022 (arXiv 2208.01066) report them. They say how
exactly this predictor was measured, nothing about another training of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions import Mixture, ShiftedPrompts, TaskPool
from icl_lab.functions.random import TRAINING_BIT
from icl_lab.functions.shifts import Shift

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
            parts.append(_shaped(predictor, predictor(x, y), "(B, T)", tuple(y.shape)))
    return _finite(predictor, torch.cat(parts), range(ys.shape[1]))


def predict_at(
    predictor: Callable[[Tensor, Tensor], Tensor], xs: Tensor, ys: Tensor, ks: Sequence[int] | np.ndarray
) -> Tensor:
    """(B, len(ks)) float64 predictions at these k alone; errors as ``predict``.

    A predictor with a method ``at(xs, ys, k) -> (B,)`` (``predictors.Expensive``) is asked for these k and no others.
    Any other is called once: its predictions at one k are by-products of those at the next.
    """
    ks = [int(k) for k in ks]
    last = max(ks) + 1  # later points would only cost time: point k never sees them
    xs, ys = xs[:, :last].contiguous(), ys[:, :last].contiguous()
    at = getattr(predictor, "at", None)
    if at is None:
        return predict(predictor, xs, ys)[:, ks]
    columns = []
    with torch.no_grad():
        for k in ks:
            parts = zip(xs.split(CHUNK), ys.split(CHUNK), strict=True)
            columns.append(torch.cat([_shaped(predictor, at(x, y, k), "(B,)", (len(y),)) for x, y in parts]))
    return _finite(predictor, torch.stack(columns, 1), ks)


def _shaped(predictor: Callable[..., Tensor], out: Any, wanted: str, shape: tuple[int, ...]) -> Tensor:
    out = torch.as_tensor(out)
    if tuple(out.shape) != shape:
        raise InputError(
            f"Predictor '{label_of(predictor)}' must return predictions of shape {wanted} = {shape}, "
            f"got {tuple(out.shape)}."
        )
    return out.detach().to("cpu", torch.float64)


def _finite(predictor: Callable[..., Tensor], predictions: Tensor, ks: Sequence[int]) -> Tensor:
    """The predictions (B, len(ks)) as they are, if all are numbers."""
    bad = ~torch.isfinite(predictions)
    if bad.any():
        column = int(bad.any(0).nonzero()[0])
        raise InputError(
            f"Predictor '{label_of(predictor)}' gave a prediction that is not finite at k={ks[column]} "
            f"({int(bad[:, column].sum())} of {len(predictions)} prompts)."
        )
    return predictions


def predicted_curve(predictor: Callable[[Tensor, Tensor], Tensor], xs: Any, ys: Any, grid: Any) -> np.ndarray:
    """What a learner says of f at every point of a grid (G,), from the same k examples xs, ys (k,) of one input: (G,).

    G prompts with the same examples, each with one grid point as its query. An in-context learner has no other curve.
    InputError: other shapes, and as ``predict``.
    """
    x, y, queries = (torch.as_tensor(np.asarray(part), dtype=torch.float32) for part in (xs, ys, grid))
    if x.ndim != 1 or x.shape != y.shape or queries.ndim != 1:
        raise InputError(f"A curve needs xs and ys (k,) and a grid (G,), got {x.shape}, {y.shape}, {queries.shape}.")
    prompts = torch.cat([x.expand(len(queries), -1), queries[:, None]], 1)
    outputs = torch.cat([y.expand(len(queries), -1), torch.zeros(len(queries), 1)], 1)  # the last y is never seen
    return predict(predictor, prompts[..., None], outputs)[:, -1].numpy()


def squared_errors(
    predictor: Callable[[Tensor, Tensor], Tensor],
    fc: Any,
    n_prompts: int = 1280,
    n_points: int = 41,
    seed: int = EVALUATION_SEED,
    ks: Sequence[int] | None = None,
) -> np.ndarray:
    """(prompts, ks) errors (yhat - f(x))^2 / E f(x)^2; all k = 0..n_points-1 unless ks says which.

    Expensive learners (``predictors.Expensive``) fit at every k that is asked for: give them ks, ``spread_ks`` for
    instance, and about 100 prompts. What ks leaves out they do not compute.
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
    predictions = predict_at(predictor, prompts.xs, prompts.ys, chosen)
    return ((predictions - targets[:, chosen].double()) ** 2 / fc.second_moment).numpy()


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


def spread_ks(n_points: int = 41, count: int = 8) -> list[int]:
    """``count`` values of k from 0 to n_points - 1, as evenly as whole numbers can be: for expensive learners."""
    positive("n_points", n_points)
    positive("count", count)
    return sorted({round(k) for k in np.linspace(0, n_points - 1, count)})


def shifted_errors(
    predictor: Callable[[Tensor, Tensor], Tensor],
    gen: Shift,
    fc: Any,
    ks: Sequence[int],
    n_prompts: int = 1280,
    seed: int = EVALUATION_SEED,
    **own: Any,
) -> np.ndarray:
    """(prompts, ks) errors on prompts from ``gen(fc, n_prompts, n_points, seed, **own)`` (``functions.shifts``).

    Errors are (yhat - f(x))^2, to f without noise, over E f(x)^2 under the shifted law: predicting zero scores 1. Where
    every position is shifted alike, one batch of max(ks) + 1 points serves all ks. Where only the query is, each k has
    a batch of its own of k + 1 points, about the same functions, and the prediction at its last point counts.
    InputError: as ``squared_errors``, and what the shift itself refuses.
    """
    positive("n_prompts", n_prompts)
    chosen = _check_whole(ks)
    if chosen.min() < 0:
        raise InputError(f"ks must be 0 or more, got {chosen.tolist()}.")
    seed = check_seed(seed)
    prompts = gen(fc, n_prompts, int(chosen.max()) + 1, seed, **own)
    if not prompts.query_only:
        return _errors_at(predictor, prompts, chosen)
    batches = (gen(fc, n_prompts, int(k) + 1, seed, **own) for k in chosen)
    return np.concatenate([_errors_at(predictor, p, [p.xs.shape[1] - 1]) for p in batches], 1)


def shifted_curve(
    predictor: Callable[[Tensor, Tensor], Tensor],
    gen: Shift,
    fc: Any,
    ks: Sequence[int],
    n_prompts: int = 1280,
    seed: int = EVALUATION_SEED,
    **own: Any,
) -> Curve:
    """The learning curve under a shift: ``shifted_curve(model, gen_scaled_x, DenseLinear(), [10, 20, 40], factor=3)``.

    Arguments and errors as ``shifted_errors``.
    """
    return curve_of(shifted_errors(predictor, gen, fc, ks, n_prompts, seed, **own), ks)


def _errors_at(
    predictor: Callable[[Tensor, Tensor], Tensor], p: ShiftedPrompts, ks: Sequence[int] | np.ndarray
) -> np.ndarray:
    predictions = predict_at(predictor, p.xs, p.ys, ks)
    return ((predictions - p.clean[:, ks].double()) ** 2 / p.second_moment).numpy()


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
    low, high = _ends(_counts(n, seed) @ errors / n)
    return low, high


def _counts(n: int, seed: int) -> np.ndarray:
    """(RESAMPLES, n): how often each of n prompts is in each resample."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES)


def _ends(resampled: np.ndarray) -> np.ndarray:
    """The ends (2, ...) of the interval that the resampled statistics (RESAMPLES, ...) span."""
    return np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)


class Interval(NamedTuple):
    """A mean with the ends of its 90 % interval."""

    mean: float
    low: float
    high: float


def interval_of(values: np.ndarray, seed: int = 0) -> Interval:
    """Mean and 90 % bootstrap interval of one number per prompt (prompts,)."""
    curve = curve_of(np.asarray(values)[:, None], seed=seed)
    return Interval(float(curve.mean[0]), float(curve.low[0]), float(curve.high[0]))


def ratio_of_means(above: np.ndarray, below: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``above`` over mean of ``below``, both (prompts,), of the same prompts: resampled together.

    Raises InputError for different shapes, and when the lower mean is 0 in a resample.
    """
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 1 or len(above) == 0:
        raise InputError(f"A ratio needs two arrays of shape (prompts,), got {above.shape} and {below.shape}.")
    draws = _counts(len(above), seed)
    under = draws @ below
    if not (under > 0).all():
        raise InputError("A ratio needs a mean above 0 below the line in every resample, got 0 in one.")
    low, high = _ends((draws @ above) / under)
    return Interval(float(above.mean() / below.mean()), float(low), float(high))


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
    chosen = _check_whole(ks)
    if chosen.min() < 0 or chosen.max() >= n_points:
        raise InputError(f"ks must lie between 0 and n_points - 1 = {n_points - 1}, got {chosen.tolist()}.")
    return chosen


def _check_whole(ks: Sequence[int] | None) -> np.ndarray:
    chosen = np.asarray(ks)
    if chosen.ndim != 1 or len(chosen) == 0 or chosen.dtype.kind not in "iu":
        raise InputError(f"ks must be a list of whole numbers, got {ks!r}.")
    return chosen
