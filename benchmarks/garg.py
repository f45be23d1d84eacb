"""Classical learners beside the values that Garg et al. 2022 (arXiv 2208.01066) report for them, in their setting.

d = 20, raw scale, squared error over E f(x)^2, at the number of examples they name. The interval is ours, 90 % over
prompts; theirs are means over 1,280. Expensive learners run on fewer. Seconds are CPU time of one thread; all rows
take about a minute and a half.

    python -m benchmarks.garg
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from icl_lab.evaluation import icl_curve
from icl_lab.functions import DecisionTree, DenseLinear, SparseLinear, TwoLayerReLU
from icl_lab.predictors import (
    Averaging,
    GradientBoosting,
    GreedyTree,
    Lasso,
    LeastSquares,
    NearestNeighbors,
    TwoLayerNet,
)

DENSE, SPARSE = DenseLinear(scale="raw"), SparseLinear(scale="raw", nonzeros=3)
TREE, RELU = DecisionTree(), TwoLayerReLU(scale="raw")


@dataclass(frozen=True)
class Row:
    """A learner on a class after k examples; published is None where the paper shows a figure and no number."""

    predictor: Any
    fc: Any
    k: int
    published: float | None
    n_prompts: int = 1280


ROWS = (
    Row(LeastSquares(), DENSE, 20, 0.0),
    Row(Averaging(), DENSE, 40, None),
    Row(NearestNeighbors(), DENSE, 40, None),
    Row(Lasso(0.01), SPARSE, 5, 0.62),
    Row(Lasso(0.01), SPARSE, 10, 0.08),
    Row(NearestNeighbors(), TREE, 100, None),
    Row(GreedyTree(2), TREE, 100, 0.80, 2560),
    Row(GreedyTree(4, signs=True), TREE, 100, 0.50, 2560),
    Row(GradientBoosting(), TREE, 100, 0.62, 640),
    Row(GradientBoosting(signs=True), TREE, 100, 0.31, 640),
    Row(TwoLayerNet(), RELU, 100, 0.17, 512),
    Row(TwoLayerNet(rate=5e-2), DENSE, 20, 0.37, 128),
    Row(TwoLayerNet(rate=5e-2), DENSE, 50, 0.04, 128),
    Row(TwoLayerNet(rate=5e-2), DENSE, 100, 0.003, 128),
)


def lines(rows: tuple[Row, ...] = ROWS) -> Iterator[str]:
    """A line of text per row, as soon as it is measured."""
    yield f"{'learner':30} {'class':14} {'k':>4} {'paper':>7} {'ours':>7} {'90 % interval':>17} {'prompts':>8} {'s':>6}"
    for row in rows:
        start = time.process_time()
        curve = icl_curve(row.predictor, row.fc, row.n_prompts, row.k + 1, ks=[row.k])
        seconds = time.process_time() - start
        paper = "" if row.published is None else f"{row.published:.3f}"
        name, law, interval = row.predictor.name, type(row.fc).__name__, f"{curve.low[0]:.3f} to {curve.high[0]:.3f}"
        left = f"{name:30} {law:14} {row.k:4} {paper:>7} {curve.mean[0]:7.3f}"
        yield f"{left} {interval:>17} {row.n_prompts:8} {seconds:6.1f}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for line in lines():
        print(line, flush=True)
