"""Drawing prompts: every function class beside the way of the research's code, CPU seconds, one thread.

The peers' code draws with torch's own generator (Garg et al. 2022, arXiv 2208.01066: inputs, then the functions of the
batch; sparse supports in a loop over prompts, trees in a loop over prompts and depth). Classes that it lacks are drawn
here as one would with the same means. Ours are counter-based: a batch depends on its seed alone, on every device, which
costs about twice as much as torch.randn and a fixed part of a millisecond: what the rows without a loop show. Raw
scale, no noise.

Trees have rows of their own: the usual loops both with their inputs drawn and with the same inputs given, for drawing
inputs takes ours longer than everything else about a tree.

    python -m benchmarks.run sampling
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import Row, compared
from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    FourierSeries,
    FunctionClass,
    Line,
    Mixture,
    Sinusoid,
    SparseAny,
    SparseLinear,
    TaskPool,
    TwoLayerReLU,
)
from icl_lab.functions.curves import FREQUENCY_RATE, FREQUENCY_SHAPE, HALF_WIDTH, INPUT_STD

N_PROMPTS, DIM, HIDDEN, DEPTH, TASKS = 64, 20, 100, 4, 1024
WANTED = 20.0  # of trees, against a Python loop
Drawn = tuple[Tensor, Tensor]  # xs (B, T, d) and ys (B, T)


# ---------------------------------------------------------------- the peers' way: (n_prompts, n_points) -> prompts


def linear(w: Tensor, n_points: int) -> Drawn:
    xs = torch.randn(len(w), n_points, w.shape[1])
    return xs, (xs @ w.unsqueeze(-1))[..., 0]


def dense(n_prompts: int, n_points: int) -> Drawn:
    return linear(torch.randn(n_prompts, DIM), n_points)


def sparse(n_prompts: int, n_points: int, nonzeros: int = 2) -> Drawn:
    w = torch.randn(n_prompts, DIM)
    for b in range(n_prompts):
        w[b, torch.randperm(DIM)[nonzeros:]] = 0
    return linear(w, n_points)


def sparse_any(n_prompts: int, n_points: int) -> Drawn:
    w = torch.randn(n_prompts, DIM)
    for b in range(n_prompts):
        w[b, torch.randperm(DIM)[int(torch.randint(1, DIM + 1, ())) :]] = 0
    return linear(w, n_points)


def pool(n_prompts: int, n_points: int) -> Drawn:
    """The tasks are drawn anew with every batch here; kept, they would cost nothing."""
    return linear(torch.randn(TASKS, DIM)[torch.randint(0, TASKS, (n_prompts,))], n_points)


def mixed(n_prompts: int, n_points: int) -> Drawn:
    """Prompt by prompt, each of a class of its own."""
    drawn = [(dense if torch.rand(()) < 0.5 else sparse)(1, n_points) for _ in range(n_prompts)]
    xs, ys = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    return xs, ys


def network(n_prompts: int, n_points: int) -> Drawn:
    xs, w = torch.randn(n_prompts, n_points, DIM), torch.randn(n_prompts, DIM, HIDDEN)
    a = math.sqrt(2 / HIDDEN) * torch.randn(n_prompts, HIDDEN, 1)
    return xs, (torch.relu(xs @ w) @ a)[..., 0]


def wide(n_prompts: int, n_points: int) -> Tensor:
    return HALF_WIDTH * (2 * torch.rand(n_prompts, n_points, 1) - 1)


def line_values(xs: Tensor) -> Tensor:
    a, b = torch.randn(2, len(xs), 1)
    return a * xs[..., 0] / INPUT_STD + b


def sinusoid_values(xs: Tensor) -> Tensor:
    a, b = torch.randn(2, len(xs), 1)
    w = torch.distributions.Gamma(float(FREQUENCY_SHAPE), FREQUENCY_RATE).sample((len(xs), 1))
    return a * torch.sin(w * xs[..., 0]) + b * torch.cos(w * xs[..., 0])


def line(n_prompts: int, n_points: int) -> Drawn:
    xs = wide(n_prompts, n_points)
    return xs, line_values(xs)


def sinusoid(n_prompts: int, n_points: int) -> Drawn:
    xs = wide(n_prompts, n_points)
    return xs, sinusoid_values(xs)


def combination(n_prompts: int, n_points: int) -> Drawn:
    xs = wide(n_prompts, n_points)
    return xs, 0.5 * line_values(xs) + 0.5 * sinusoid_values(xs)


def fourier(n_prompts: int, n_points: int, most: int = 10) -> Drawn:
    xs = wide(n_prompts, n_points)
    a, b = torch.randn(n_prompts, most + 1, 1), torch.randn(n_prompts, most, 1)
    angle = math.pi / HALF_WIDTH * torch.arange(1, most + 1) * xs
    return xs, (a[:, :1] + torch.cos(angle) @ a[:, 1:] + torch.sin(angle) @ b)[..., 0]


def by_prompt(xs: Tensor, coordinates: Tensor, leaves: Tensor) -> Tensor:
    """Trees one prompt after the other: all its points go down a level at once."""
    ys, points = torch.empty(xs.shape[:2]), torch.arange(xs.shape[1])
    for b in range(len(xs)):
        node = torch.zeros(xs.shape[1], dtype=torch.int64)
        for _ in range(DEPTH):
            node = 2 * node + 1 + (xs[b][points, coordinates[b][node]] > 0)
        ys[b] = leaves[b][node - (2**DEPTH - 1)]
    return ys


def by_point(xs: Tensor, coordinates: Tensor, leaves: Tensor) -> Tensor:
    """Trees one prompt, point and node after the other, reading the tensors entry by entry."""
    ys = torch.empty(xs.shape[:2])
    for b in range(len(xs)):
        for i in range(xs.shape[1]):
            node = 0
            for _ in range(DEPTH):
                node = 2 * node + 1 + int(xs[b, i, coordinates[b, node]] > 0)
            ys[b, i] = leaves[b, node - (2**DEPTH - 1)]
    return ys


def by_point_lists(xs: Tensor, coordinates: Tensor, leaves: Tensor) -> Tensor:
    """The same on Python's lists, which is the fastest that such a loop can be."""
    ys = []
    for points, coordinate, leaf in zip(xs.tolist(), coordinates.tolist(), leaves.tolist(), strict=True):
        row = []
        for x in points:
            node = 0
            for _ in range(DEPTH):
                node = 2 * node + 1 + (x[coordinate[node]] > 0)
            row.append(leaf[node - (2**DEPTH - 1)])
        ys.append(row)
    return torch.tensor(ys)


TREE_LOOPS = {
    "loop over prompts and depth": by_prompt,
    "loop over prompts, points, nodes (lists)": by_point_lists,
    "loop over prompts, points, nodes": by_point,
}


def trees(n_prompts: int, n_points: int, values: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Drawn:
    xs = torch.randn(n_prompts, n_points, DIM)
    coordinates = torch.randint(0, DIM, (n_prompts, 2**DEPTH - 1))
    return xs, values(xs, coordinates, torch.randn(n_prompts, 2**DEPTH))


# ---------------------------------------------------------------- comparisons


@dataclass(frozen=True)
class Case:
    """A class of ours, the points of a prompt, and the same law drawn the peers' way."""

    fc: FunctionClass | Mixture
    n_points: int
    peer: Callable[[int, int], Drawn]
    peer_name: str


AT_ONCE, LOOP = "torch's generator, at once", "torch's generator, loop over prompts"
CASES = {
    "dense": Case(DenseLinear(scale="raw"), 41, dense, AT_ONCE),
    "sparse": Case(SparseLinear(scale="raw"), 41, sparse, LOOP),
    "sparse of any degree": Case(SparseAny(scale="raw"), 41, sparse_any, LOOP),
    "pool of 1,024 tasks": Case(TaskPool(DenseLinear(scale="raw"), TASKS), 41, pool, AT_ONCE),
    "dense and sparse": Case(
        Mixture((DenseLinear(scale="raw"), SparseLinear(scale="raw"))), 41, mixed, "torch's generator, prompt by prompt"
    ),
    "two-layer networks": Case(TwoLayerReLU(scale="raw"), 101, network, AT_ONCE),
    "lines": Case(Line(scale="raw"), 41, line, AT_ONCE),
    "sinusoids": Case(Sinusoid(), 41, sinusoid, AT_ONCE),
    "line and sinusoid combined": Case(ConvexCombination(Line(scale="raw"), Sinusoid(), 0.5), 41, combination, AT_ONCE),
    "Fourier series": Case(FourierSeries(scale="raw"), 41, fourier, AT_ONCE),
}


def tree_rows(n_prompts: int, n_points: int, rounds: int) -> list[Row]:
    """Trees, inputs drawn and inputs given."""
    fc = DecisionTree(DIM, depth=DEPTH)
    p = fc.sample(n_prompts, n_points, 0)
    given = (p.xs, p.task["coordinates"], p.task["leaves"])
    sampled = {name: partial(trees, n_prompts, n_points, loop) for name, loop in TREE_LOOPS.items()}
    walked = {name: partial(loop, *given) for name, loop in TREE_LOOPS.items()}
    size = f"{n_prompts} x {n_points}"
    return [
        *compared({f"sampling, trees, {size}": lambda: fc.sample(n_prompts, n_points, 0)}, sampled, rounds, WANTED),
        *compared({f"trees at given inputs, {size}": lambda: fc.values(p.task, p.xs)}, walked, rounds, WANTED),
    ]


def rows(n_prompts: int = N_PROMPTS, rounds: int = 5) -> list[Row]:
    """All comparisons, about ten seconds."""
    found = []
    for name, case in CASES.items():
        ours = {
            f"sampling, {name}, {n_prompts} x {case.n_points}": partial(case.fc.sample, n_prompts, case.n_points, 0)
        }
        found += compared(ours, {case.peer_name: partial(case.peer, n_prompts, case.n_points)}, rounds)
    return found + tree_rows(n_prompts, 101, rounds)
