"""Random Fourier series on x ~ U(-5, 5) (Panwar et al. 2024, arXiv 2306.04891)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import check_count
from icl_lab.functions.base import Stage, check_scale
from icl_lab.functions.curves import HALF_WIDTH, OneDimensional
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class FourierSeries(OneDimensional):
    """f(x) = a_0 + the sum over n = 1..max_frequency of a_n cos(n pi x / 5) + b_n sin(n pi x / 5), all N(0, 1).

    sin^2 + cos^2 = 1, so E f(x)^2 = 1 + max_frequency at every x; unit scale divides f by its root, raw scale is Panwar
    et al.'s. Their highest frequency is 10, with 2 * 10 + 1 coefficients: as many examples determine f. For a law in
    which the highest frequency varies from prompt to prompt, mix classes: ``Mixture([FourierSeries(max_frequency=n)
    for n in range(1, 11)])``. task: ``a`` (B, max_frequency + 1), the constant first, and ``b`` (B, max_frequency).
    """

    scale: str = "unit"
    max_frequency: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)
        check_count("max_frequency", self.max_frequency)

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else 1.0 + self.max_frequency

    @property
    def coefficient_std(self) -> float:
        """Standard deviation of each coefficient."""
        return math.sqrt(self.second_moment / (1 + self.max_frequency))

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        a = streams.task.normal(n_prompts, self.max_frequency + 1)
        b = streams.task.normal(n_prompts, self.max_frequency)
        return {"a": self.coefficient_std * a, "b": self.coefficient_std * b}

    def features(self, xs: Tensor) -> Tensor:
        """(B, T, 1) -> (B, T, 2 * max_frequency + 1): 1, the cosines and the sines, what the coefficients multiply."""
        n = torch.arange(1, self.max_frequency + 1, dtype=xs.dtype, device=xs.device)
        angle = (math.pi / HALF_WIDTH) * n * xs  # (B, T, max_frequency)
        return torch.cat([torch.ones_like(xs), torch.cos(angle), torch.sin(angle)], -1)

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        coefficients = torch.cat([task["a"], task["b"]], -1)
        return (self.features(xs) @ coefficients.unsqueeze(-1)).squeeze(-1)
