"""A fixed pool of functions: how many different tasks must be seen before a model solves new ones?

Raventos et al. 2023 (arXiv 2306.15063): D = 8, 16 points, noise of variance 1/4, raw scale, 2 to 2**20 tasks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError, check_count, whole
from icl_lab.functions.base import FunctionClass, Stage
from icl_lab.functions.linear import DenseLinear
from icl_lab.functions.random import Streams, table_rows

MOST_GIB = 1  # of weights in float64: the exact Bayes predictor of a pool holds them all


@dataclass(frozen=True)
class TaskPool(FunctionClass):
    """``tasks`` functions of the base class, drawn once; every prompt is about one of them, uniformly chosen.

    The pool belongs to ``pool_seed``: training, evaluation and every device meet the same one, and a pool of more tasks
    begins with those of a smaller one. Sampling draws the weights of the chosen tasks anew from their numbers, so it
    keeps nothing. dim and noise are the base's. task: ``index`` (B,) int64 and ``w`` (B, dim).
    Raises InputError for another base than DenseLinear and for a pool of more than 1 GiB.
    """

    base: DenseLinear
    tasks: int
    pool_seed: int = 0
    dim: int = field(init=False)
    noise: float = field(init=False)

    def __post_init__(self) -> None:
        if type(self.base) is not DenseLinear:
            raise InputError(f"TaskPool draws from DenseLinear, got {type(self.base).__name__}.")
        object.__setattr__(self, "dim", self.base.dim)
        object.__setattr__(self, "noise", self.base.noise)
        super().__post_init__()
        check_count("tasks", self.tasks)
        whole("pool_seed", self.pool_seed)
        size = 8 * self.dim * self.tasks / 2**30
        if size > MOST_GIB:
            raise InputError(
                f"a pool of {self.tasks} tasks in {self.dim} dimensions takes {size:.1f} GiB of memory, "
                f"at most {MOST_GIB} GiB are allowed."
            )

    @property
    def second_moment(self) -> float:
        """The base's, which is the mean over pools: errors on pools of all sizes and on new tasks share one measure.

        The mean square of w in a small pool differs from it, by a factor of 1 +- sqrt(2 / (dim * tasks)).
        """
        return self.base.second_moment

    def weights(self, index: Tensor) -> Tensor:
        """(..., dim) weights of the tasks (...) of these numbers."""
        return self.base.weight_std * table_rows(self.pool_seed, index, self.dim)

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        index = streams.task.integers(self.tasks, n_prompts)
        return {"index": index, "w": self.weights(index)}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return self.base.values(task, xs)

    def all_weights(self) -> Tensor:
        """(tasks, dim) float32 on the CPU."""
        return torch.cat([self.weights(part) for part in torch.arange(self.tasks).split(1 << 20)])
