"""Trees grown on the examples of a prompt, by scikit-learn: what is known to work on decision trees.

A fit for every prompt and every k is what these cost: see the seconds in each docstring, and ask for few k.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError, check_count, positive
from icl_lab.predictors.expensive import Expensive


def scikit_learn(path: str) -> Any:
    """Something of scikit-learn by its path, imported when first asked for; the extra ``book`` brings it."""
    module, _, name = f"sklearn.{path}".rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError:
        raise InputError("trees are grown by scikit-learn, which is not installed: pip install scikit-learn.") from None


def fit_each(make: Callable[[], Any], X: Tensor, Y: Tensor, query: Tensor, signs: bool) -> Tensor:
    """One scikit-learn regressor per prompt: X (B, k, d), Y (B, k), query (B, d) -> predictions (B,)."""
    if signs:
        X, query = X.sign(), query.sign()
    prompts = zip(X.numpy(), Y.numpy(), query.unsqueeze(1).numpy(), strict=True)
    with scikit_learn("config_context")(assume_finite=True, skip_parameter_validation=True):  # a third of a small fit
        return torch.tensor([make().fit(x, y).predict(q)[0] for x, y, q in prompts], dtype=Y.dtype)


@dataclass(frozen=True)
class GreedyTree(Expensive):
    """A regression tree grown greedily on the first k examples (CART, scikit-learn): ``(xs, ys) -> (B, T)``.

    Garg et al. 2022 (arXiv 2208.01066) take depth 2, the best of 1 to 6 and unlimited (``max_depth=None``) on decision
    trees of depth 4 at d = 20, and depth 4 where it is fed the signs of x, on which alone those trees depend
    (``signs=True``): errors .80 and .50 at k = 100. Ties between splits are broken by ``seed``.

    Expensive: about 1 ms per prompt and k on one core at d = 20, k = 100; 100 prompts at 8 values of k take a second.
    Raises InputError for depths < 1, shapes that do not fit, and where scikit-learn is missing.
    """

    max_depth: int | None = 2
    signs: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_depth is not None:
            check_count("max_depth", self.max_depth)

    @property
    def name(self) -> str:
        depth = "" if self.max_depth is None else f", depth {self.max_depth}"
        return f"greedy tree{depth}{', signs' if self.signs else ''}"

    def fit(self, X: Tensor, Y: Tensor, query: Tensor) -> Tensor:
        tree = scikit_learn("tree.DecisionTreeRegressor")
        return fit_each(lambda: tree(max_depth=self.max_depth, random_state=self.seed), X, Y, query, self.signs)


@dataclass(frozen=True)
class GradientBoosting(Expensive):
    """Trees fitted one after the other to what the earlier ones leave (scikit-learn): ``(xs, ys) -> (B, T)``.

    It stands for Garg et al.'s XGBoost of 50 trees, depth 4, rate 0.1 (errors .62 at k = 100 on decision trees of depth
    4 at d = 20, and .31 with ``signs=True``). XGBoost shrinks a leaf of n examples by n / (n + 1) and begins at 0.5;
    scikit-learn's leaves are plain means and it begins at the mean of y.

    Expensive: about 35 ms per prompt and k on one core at d = 20, k = 100; 100 prompts at 8 values of k take 20 s.
    Raises InputError for counts < 1, rate <= 0, shapes that do not fit, and where scikit-learn is missing.
    """

    n_trees: int = 50
    depth: int = 4
    rate: float = 0.1
    signs: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("n_trees", self.n_trees)
        check_count("depth", self.depth)
        positive("rate", self.rate)

    @property
    def name(self) -> str:
        return f"gradient boosting{', signs' if self.signs else ''}"

    def fit(self, X: Tensor, Y: Tensor, query: Tensor) -> Tensor:
        boosting = scikit_learn("ensemble.GradientBoostingRegressor")
        options = {"n_estimators": self.n_trees, "max_depth": self.depth, "learning_rate": self.rate}
        return fit_each(lambda: boosting(**options, random_state=self.seed), X, Y, query, self.signs)
