"""Exact in-context learners against the usual loops: CPU seconds, one thread, ours and the peer taking turns.

Both get the same prompts, in slices that alternate, so a change of the machine's speed meets both. Rows say how far
the predictions differ: a fast wrong answer would show. (On dense prompts it is scikit-learn's default tolerance that
shows; the tests compare with a tight one.)

    python -m benchmarks.learners
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from benchmarks import timing
from icl_lab.functions import DenseLinear, SparseLinear
from icl_lab.predictors import Lasso, LeastSquares, SparseBayes

SEED = 424242
SLICES = 4
ALPHA = 0.01
NOISE = 0.1


@dataclass(frozen=True)
class Row(timing.Row):
    """A comparison of two learners that should predict the same."""

    difference: float = field(kw_only=True)  # median over predictions of |ours - peer|


Learner = Callable[[Tensor, Tensor], np.ndarray | Tensor]


def compare(
    name: str, peer_name: str, ours: Learner, peer: Learner, xs: Tensor, ys: Tensor, wanted: float | None = None
) -> Row:
    """Both on the same slices of prompts, in turns; the first to go changes from slice to slice."""
    seconds, gaps = {"ours": 0.0, "peer": 0.0}, []
    ours(xs[:2], ys[:2])  # the first call pays for start-up, on neither's account
    peer(xs[:2], ys[:2])
    for i, (x, y) in enumerate(zip(xs.chunk(SLICES), ys.chunk(SLICES), strict=True)):
        order = [("ours", ours), ("peer", peer)]
        answers = {}
        for who, learner in order if i % 2 else order[::-1]:
            start = time.process_time()
            answers[who] = np.asarray(learner(x, y), dtype=np.float64)
            seconds[who] += time.process_time() - start
        gaps.append(np.abs(answers["ours"] - answers["peer"]))
    ratio = seconds["peer"] / seconds["ours"]
    gap = float(np.median(np.stack(gaps)))
    return Row(name, peer_name, seconds["ours"], seconds["peer"], ratio, wanted, difference=gap)


def every_prefix(fit: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> Learner:
    """The usual loop: one fit for every prompt and every prefix."""

    def learner(xs: Tensor, ys: Tensor) -> np.ndarray:
        X, Y = xs.double().numpy(), ys.double().numpy()
        out = np.zeros(Y.shape)
        for b in range(len(Y)):
            for k in range(1, Y.shape[1]):
                out[b, k] = fit(X[b, :k], Y[b, :k], X[b, k])
        return out

    return learner


def lstsq(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    return query @ np.linalg.lstsq(x, y, rcond=None)[0]


def scikit_lasso(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    """As Garg et al.'s code calls it: default tolerance 1e-4, which is looser than ours."""
    from sklearn.linear_model import Lasso as SklearnLasso

    return query @ SklearnLasso(alpha=ALPHA, fit_intercept=False, max_iter=5000).fit(x, y).coef_


def support_by_support(nonzeros: int, noise: float) -> Callable[[np.ndarray, np.ndarray, np.ndarray], float]:
    """Posterior mean by conditioning, all supports of one prefix in one call of numpy's solver."""

    def fit(x: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
        supports = np.array(list(combinations(range(x.shape[1]), nonzeros)))
        features = x[:, supports].transpose(1, 0, 2)  # (S, k, nonzeros)
        gram = features.transpose(0, 2, 1) @ features + noise**2 * nonzeros * np.eye(nonzeros)
        xy = (features * y[:, None]).sum(1)
        w = np.linalg.solve(gram, xy[..., None])[..., 0]
        log = 0.5 * ((xy * w).sum(1) / noise**2 - np.linalg.slogdet(gram)[1])
        weight = np.exp(log - log.max())
        return weight @ (query[supports] * w).sum(1) / weight.sum()

    return fit


def rows(n_prompts: int = 256, n_points: int = 41) -> list[Row]:
    """All comparisons, about half a minute; one thread for torch (set OMP_NUM_THREADS=1 for numpy)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn says where it stops before its tolerance
            sparse, dense = (fc.sample(n_prompts, n_points, SEED) for fc in (SparseLinear(), DenseLinear()))
            noisy = SparseLinear(noise=NOISE).sample(max(SLICES, n_prompts // 8), n_points, SEED)
            return [
                compare(
                    f"least squares, {n_prompts} x {n_points}",
                    "numpy.linalg.lstsq",
                    LeastSquares(),
                    every_prefix(lstsq),
                    dense.xs,
                    dense.ys,
                ),
                *(
                    compare(
                        f"Lasso {ALPHA}, {kind}, {n_prompts} x {n_points}",
                        "scikit-learn Lasso",
                        Lasso(ALPHA),
                        every_prefix(scikit_lasso),
                        p.xs,
                        p.ys,
                        5.0,
                    )
                    for kind, p in (("sparse", sparse), ("dense", dense))
                ),
                compare(
                    f"sparse Bayes, noise {NOISE}, {len(noisy.ys)} x {n_points}",
                    "numpy, 190 supports at once",
                    SparseBayes(noise=NOISE),
                    every_prefix(support_by_support(2, NOISE)),
                    noisy.xs,
                    noisy.ys,
                ),
            ]
    finally:
        torch.set_num_threads(threads)


def sparse_bayes_seconds(n_prompts: int = 1280, n_points: int = 41) -> float:
    """CPU seconds of one learning curve of SparseBayes, d = 20; at most 10 are wanted."""
    p = SparseLinear().sample(n_prompts, n_points, SEED)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.process_time()
        out = SparseBayes()(p.xs, p.ys)
        seconds = time.process_time() - start
    finally:
        torch.set_num_threads(threads)
    if not math.isfinite(float(out.sum())):
        raise ArithmeticError("SparseBayes gave a prediction that is not finite.")
    return seconds


if __name__ == "__main__":
    for row in rows():
        print(
            f"{row.name:36s} {row.ours:7.2f} s   {row.peer_name:28s} {row.peer:7.2f} s   {row.ratio:6.1f}x   "
            f"median difference {row.difference:.0e}"
        )
    print(f"sparse Bayes, noise-free, 1280 x 41 {sparse_bayes_seconds():8.2f} s of 10")
