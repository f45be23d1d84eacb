"""How often a score is right on a world's questions, and how sure that number is. Numbers out, never a plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from icl_lab.errors import InputError


class Accuracy(NamedTuple):
    """A share of right answers with its interval, all between 0 and 1."""

    mean: float
    low: float
    high: float


def correct(score: Callable, lm, cases: Sequence) -> np.ndarray:
    """Which cases a score gets right: (len(cases),) bool. ``score`` is called as ``score(lm, prompts, labels)``.

    A case has a ``prompt``, its candidate ``labels`` and the number of the right one, ``answer``.
    """
    if not len(cases):
        raise InputError("There are no cases to score.")
    scores = score(lm, [case.prompt for case in cases], [case.labels for case in cases])
    return scores.argmax(axis=1) == np.array([case.answer for case in cases])


def cost(score: Callable, lm, cases: Sequence) -> tuple[float, float]:
    """(forward passes, tokens read) that a score takes for one case, on average over ``cases``; padding is free.

    Cases are scored together, so what they share is counted once. Measured, by the model's own `Cost`.
    """
    before = lm.spent
    correct(score, lm, cases)
    spent = [after - earlier for after, earlier in zip(lm.spent, before, strict=True)]
    return spent[0] / len(cases), spent[1] / len(cases)


def accuracy(right: np.ndarray, level: float = 0.9) -> Accuracy:
    """Share of True in ``right`` with Wilson's interval: the spread over queries, not over trainings.

    Raises InputError for an empty array or a level outside (0, 1).
    """
    right = np.asarray(right, dtype=float)
    if not right.size:
        raise InputError("An accuracy needs at least one answer.")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}.")
    n, p, z = right.size, float(right.mean()), NormalDist().inv_cdf((1 + level) / 2)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return Accuracy(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def difference(right: np.ndarray, other: np.ndarray, level: float = 0.9) -> Accuracy:
    """Mean of right - other over the same cases (between -1 and 1), with a paired interval.

    The normal interval of a mean, on differences smoothed by one case each way, so that scores which agree on every
    one of a few cases are not reported as certainly equal. Raises InputError for arrays of different length.
    """
    right, other = np.asarray(right, dtype=float), np.asarray(other, dtype=float)
    if right.shape != other.shape or not right.size:
        raise InputError(f"A paired difference needs two arrays of one length, got {right.size} and {other.size}.")
    d, z = right - other, NormalDist().inv_cdf((1 + level) / 2)
    smoothed = np.append(d, [1.0, -1.0])
    half = z * float(smoothed.std()) / len(smoothed) ** 0.5
    mean = float(d.mean())
    return Accuracy(mean, max(-1.0, mean - half), min(1.0, mean + half))
