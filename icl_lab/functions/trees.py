"""Decision trees on the signs of the coordinates (Garg et al. 2022, arXiv 2208.01066)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions.base import FunctionClass, Stage
from icl_lab.functions.random import Streams

DEEPEST = 12  # 4,096 leaves for every prompt


@dataclass(frozen=True)
class DecisionTree(FunctionClass):
    """A full binary tree: 2**depth leaves with values N(0, 1), so that E f(x)^2 = 1.

    Every inner node looks at one coordinate, uniform among all (one path may meet the same twice), and goes right where
    it is > 0. Nodes are numbered as in a heap: node i has the children 2i + 1 and 2i + 2. task: ``coordinates``
    (B, 2**depth - 1) int64 and ``leaves`` (B, 2**depth), from left to right.
    """

    depth: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.depth != int(self.depth) or not 1 <= self.depth <= DEEPEST:
            raise InputError(f"depth must be a whole number from 1 to {DEEPEST}, got {self.depth}.")

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        n_leaves = 2**self.depth
        coordinates = streams.task.integers(stage.active(self.dim), n_prompts, n_leaves - 1)
        return {"coordinates": coordinates, "leaves": streams.task.normal(n_prompts, n_leaves)}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        # (B, T): all points go down their prompt's tree at once
        node = torch.zeros(xs.shape[:2], dtype=torch.int64, device=xs.device)
        for _ in range(self.depth):
            coordinate = task["coordinates"].gather(1, node)
            right = xs.gather(2, coordinate.unsqueeze(-1)).squeeze(-1) > 0
            node = 2 * node + 1 + right
        return task["leaves"].gather(1, node - (2**self.depth - 1))
