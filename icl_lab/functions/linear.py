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
        w = streams.task.normal(n_prompts, self.dim)
        if stage.softness is not None:
            w = w.sign() * (1 - stage.softness + stage.softness * w.abs())
        return {"w": self.weight_std * w * support}
