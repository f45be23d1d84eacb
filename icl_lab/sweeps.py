"""Sweeps: several predictors on several function classes, with what they say kept, so that errors and distances agree.

Numbers, never a plot. What is swept is any parameter of a class: the number of non-zeros, a weight, a frequency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_lab.errors import InputError, unknown
from icl_lab.evaluation import EVALUATION_SEED, check_seed, predict_at, without_noise


@dataclass(frozen=True)
class Sweep:
    """Predictions on the same prompts: V values of what is swept, B prompts each, K numbers of examples.

    values: (V,) as given; ks: (K,); predictions: by name (V, B, K); targets: f(x) without noise (V, B, K); moments:
    E f(x)^2 of each class (V,).
    """

    values: tuple[Any, ...]
    ks: tuple[int, ...]
    predictions: Mapping[str, np.ndarray]
    targets: np.ndarray
    moments: np.ndarray

    def errors(self, name: str, absolute: bool = False) -> np.ndarray:
        """(V, B, K) squared errors over E f(x)^2 of each class; absolute: not divided."""
        return self._scaled((self._of(name) - self.targets) ** 2, absolute)

    def distance(self, one: str, other: str, absolute: bool = False) -> np.ndarray:
        """(V, B, K) squared differences of two predictors, over E f(x)^2 of each class; absolute: not divided."""
        return self._scaled((self._of(one) - self._of(other)) ** 2, absolute)

    def _of(self, name: str) -> np.ndarray:
        if name not in self.predictions:
            raise unknown("predictor", name, self.predictions)
        return self.predictions[name]

    def _scaled(self, squares: np.ndarray, absolute: bool) -> np.ndarray:
        return squares if absolute else squares / self.moments[:, None, None]


def sweep(
    predictors: Mapping[str, Callable],
    classes: Mapping[Any, Any],
    ks: Sequence[int],
    n_prompts: int = 1280,
    seed: int = EVALUATION_SEED,
) -> Sweep:
    """Ask every predictor about every class, at these k, on prompts that all of them share.

    classes: value of what is swept -> function class. Prompts have max(ks) + 1 points. Classes that draw their inputs
    alike also share inputs from value to value. Two sweeps are about the same prompts if n_prompts, max(ks) and seed
    are the same, and not otherwise. Raises InputError for no predictor, no class or no k, a k that is no whole number
    or below 0, and for what ``evaluation.predict_at`` refuses.
    """
    if not predictors or not classes or len(ks) == 0:
        raise InputError(
            f"A sweep needs predictors, classes and ks, got {len(predictors)}, {len(classes)} and {len(ks)}."
        )
    for k in ks:
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
            raise InputError(f"ks must be whole numbers, 0 or more, got {k!r}.")
    ks, seed = tuple(int(k) for k in ks), check_seed(seed)
    said: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    targets = []
    for fc in classes.values():
        prompts = fc.sample(n_prompts, max(ks) + 1, seed, device="cpu")
        plain = without_noise(fc)
        clean = prompts.ys if plain is fc else plain.sample(n_prompts, max(ks) + 1, seed, device="cpu").ys
        targets.append(clean[:, list(ks)].double().numpy())
        for name, predictor in predictors.items():
            said[name].append(predict_at(predictor, prompts.xs, prompts.ys, ks).numpy())
    return Sweep(
        tuple(classes),
        ks,
        {name: np.stack(parts) for name, parts in said.items()},
        np.stack(targets),
        np.array([fc.second_moment for fc in classes.values()], dtype=float),
    )
