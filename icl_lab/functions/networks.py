"""Two-layer networks with random weights (Garg et al. 2022, arXiv 2208.01066)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import check_count
from icl_lab.functions.base import FunctionClass, Stage, check_scale
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class TwoLayerReLU(FunctionClass):
    """f(x) = sum over ``hidden`` units of a_i relu(w_i . x), a ~ N(0, 2 / hidden), w ~ N(0, I), no biases.

    Raw scale is Garg et al.'s: half of w . x survives the relu, so E f(x)^2 = hidden * (2 / hidden) * dim / 2 = dim.
    Unit scale divides by sqrt(dim). task: ``a`` (B, hidden) and ``w`` (B, hidden, dim).
    """

    scale: str = "unit"
    hidden: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)
        check_count("hidden", self.hidden)

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else float(self.dim)

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        variance = 2 / self.hidden * (self.second_moment / self.dim)
        a = variance**0.5 * streams.task.normal(n_prompts, self.hidden)
        return {"a": a, "w": streams.task.normal(n_prompts, self.hidden, self.dim)}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        hidden = torch.relu(xs @ task["w"].transpose(1, 2))  # (B, T, hidden)
        return (hidden @ task["a"].unsqueeze(-1)).squeeze(-1)
