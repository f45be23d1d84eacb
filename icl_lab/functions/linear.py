"""Linear functions f(x) = w . x of standard normal inputs (Garg et al. 2022, arXiv 2208.01066)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions.base import FunctionClass, Stage, check_scale
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class DenseLinear(FunctionClass):
    """w ~ N(0, I) over all coordinates; unit scale divides by sqrt(dim), so that E f(x)^2 = 1."""

    scale: str = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else float(self.dim)

    @property
    def weight_std(self) -> float:
        """Standard deviation of each coefficient that may differ from zero."""
        return self.dim**-0.5 if self.scale == "unit" else 1.0

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        return {"w": self.weight_std * streams.task.normal(n_prompts, self.dim)}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return (xs @ task["w"].unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class SparseLinear(DenseLinear):
    """As DenseLinear, but only ``nonzeros`` coordinates, a uniform subset per prompt, have weight."""

    nonzeros: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("nonzeros", self.nonzeros)
        if self.nonzeros > self.dim:
            raise InputError(f"nonzeros must be at most dim, got nonzeros={self.nonzeros} with dim={self.dim}.")

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else float(self.nonzeros)

    @property
    def weight_std(self) -> float:
        return self.nonzeros**-0.5 if self.scale == "unit" else 1.0

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        support = streams.task.subset(n_prompts, self.dim, self.nonzeros, stage.dims)
        w = soft(streams.task.normal(n_prompts, self.dim), stage)
        if stage.others is not None:
            key = support * streams.task.uniform(n_prompts, self.dim)
            w = w.where(key == key.amax(dim=1, keepdim=True), w * stage.others)
        return {"w": self.weight_std * w * support}


@dataclass(frozen=True)
class SparseAny(FunctionClass):
    """Sparse functions of every degree: the number of non-zeros is drawn anew for each prompt.

    It is uniform on 1..``most`` (None: dim), and given the number the support is a uniform subset. Unit scale divides
    w by the root of the prompt's own number, so that E f(x)^2 = 1 for each: the size of y says nothing about it. A
    curriculum that hides coordinates draws from what is left. task: ``w`` (B, dim) and ``nonzeros`` (B,) int64.
    """

    scale: str = "unit"
    most: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)
        if self.largest != int(self.largest) or not 1 <= self.largest <= self.dim:
            raise InputError(f"most must be a whole number from 1 to dim={self.dim}, got {self.most}.")

    @property
    def largest(self) -> int:
        """The largest number of non-zeros."""
        return self.dim if self.most is None else self.most

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else (1 + self.largest) / 2

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        nonzeros = 1 + streams.task.integers(stage.active(self.largest), n_prompts)
        support = streams.task.subset(n_prompts, self.dim, nonzeros, stage.dims)
        w = support * soft(streams.task.normal(n_prompts, self.dim), stage)
        if self.scale == "unit":
            w = w / nonzeros.unsqueeze(-1).sqrt()
        return {"w": w, "nonzeros": nonzeros}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return (xs @ task["w"].unsqueeze(-1)).squeeze(-1)


def soft(w: Tensor, stage: Stage) -> Tensor:
    """Standard normal coefficients as the curriculum has them: signs at softness 0, as they are at 1."""
    if stage.softness is None:
        return w
    return w.sign() * (1 - stage.softness + stage.softness * w.abs())
