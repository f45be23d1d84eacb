"""The classical baselines of Garg et al. 2022 beside the usual loops over prompts and k: CPU seconds, one thread.

Nearest neighbors and averaging give all k at once; the peers' way is a fit for every prompt and every k. Trees and
boosting are scikit-learn's in both columns: ours saves some of its checks on every call, and no more. The networks are
trained one prompt after the other by the peer, from the same weights on the same batches, and all at once by ours.
Learners that fit anew at every k are timed at a few k (``at=`` in the row's name) and on few prompts.

How near these learners come to the published errors is measured by ``benchmarks.garg``, not here.

    python -m benchmarks.run baselines
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.learners import SEED, Learner, Row, compare, every_prefix
from icl_lab.evaluation import predict_at
from icl_lab.functions import DecisionTree, DenseLinear, TwoLayerReLU
from icl_lab.predictors import Averaging, GradientBoosting, GreedyTree, NearestNeighbors, TwoLayerNet

STEPS = 200  # of the network's training; its seconds are in proportion


def neighbors(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(min(3, len(y))).fit(x, y).predict(query[None])[0]


def averaging(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    return query @ (x.T @ y) / len(y)


def tree(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=2, random_state=0).fit(x, y).predict(query[None])[0]


def boosting(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(n_estimators=50, max_depth=4, learning_rate=0.1, random_state=0)
    return model.fit(x, y).predict(query[None])[0]


def network(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    """One network by itself, from the weights and in the order of batches that ours takes."""
    learner = TwoLayerNet(steps=STEPS)
    generator = torch.Generator().manual_seed(learner.seed)
    model = nn.Sequential(nn.Linear(x.shape[1], learner.hidden), nn.ReLU(), nn.Linear(learner.hidden, 1))
    for p, w in zip(model.parameters(), learner.start(x.shape[1], generator), strict=True):
        p.data = w.T.contiguous().view(p.shape)
    adam = torch.optim.Adam(model.parameters(), lr=learner.rate)
    inputs, targets = torch.from_numpy(x).float(), torch.from_numpy(y).float()
    for _ in range(learner.steps):
        chosen = torch.randperm(len(inputs), generator=generator)[: learner.batch]
        loss = (model(inputs[chosen])[:, 0] - targets[chosen]).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        return float(model(torch.from_numpy(query).float()))


def ours_at(predictor: Any, ks: tuple[int, ...]) -> Learner:
    return lambda xs, ys: predict_at(predictor, xs, ys, ks)


def peer_at(fit: Any, ks: tuple[int, ...]) -> Learner:
    """A fit for every prompt at each of these k."""

    def learner(xs: Tensor, ys: Tensor) -> np.ndarray:
        X, Y = xs.double().numpy(), ys.double().numpy()
        return np.array([[fit(x[:k], y[:k], x[k]) for k in ks] for x, y in zip(X, Y, strict=True)])

    return learner


def rows() -> list[Row]:
    """All comparisons, about a quarter of a minute."""

    def drawn(fc: Any, n_prompts: int, n_points: int) -> tuple[str, Tensor, Tensor]:
        p = fc.sample(n_prompts, n_points, SEED)
        return f"{len(p.ys)} x {n_points}", p.xs, p.ys

    few_ks, last = (25, 50, 100), (100,)
    dense, xs, ys = drawn(DenseLinear(), 64, 41)
    found = [
        compare(f"{name}, {dense}", peer_name, learner, every_prefix(fit), xs, ys)
        for name, peer_name, learner, fit in (
            ("3 nearest neighbors", "scikit-learn, every k", NearestNeighbors(), neighbors),
            ("averaging", "numpy, every k", Averaging(), averaging),
        )
    ]
    for name, learner, fit, fc, n_prompts, ks in (
        ("greedy tree, depth 2", GreedyTree(2), tree, DecisionTree(), 64, few_ks),
        ("gradient boosting", GradientBoosting(), boosting, DecisionTree(), 12, few_ks),
        (f"two-layer net, {STEPS} steps", TwoLayerNet(steps=STEPS), network, TwoLayerReLU(scale="raw"), 64, last),
    ):
        size, xs, ys = drawn(fc, n_prompts, 101)
        peer_name = "torch, a loop over prompts" if fit is network else "scikit-learn, same k"
        at = ", ".join(map(str, ks))
        found.append(compare(f"{name}, {size}, at={at}", peer_name, ours_at(learner, ks), peer_at(fit, ks), xs, ys))
    return found
