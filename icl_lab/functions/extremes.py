"""Extreme members of the classes of one input: sinusoids of one frequency, and lines of a larger slope.

arXiv 2311.00871 asks models about members of a trained class that its law makes rare. Both classes here draw inputs,
amplitudes and slopes as ``Sinusoid`` and ``Line`` do, from the same streams: sweeps over them share inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions.base import Stage
from icl_lab.functions.curves import HALF_WIDTH, Line, OneDimensional, Sinusoid
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class SinusoidOf(OneDimensional):
    """f(x) = A sin(w x) + B cos(w x) with A, B ~ N(0, 1) and one angular frequency w for all prompts.

    E f(x)^2 is 1 at every w. What goes to 0 with w is what f varies within a prompt: ``variation``.
    No subclass of ``Sinusoid``: the exact Bayes predictor of that law is not this one's.
    """

    frequency: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive("frequency", self.frequency)

    @property
    def variation(self) -> float:
        """E of the variance of f(x) over x ~ U(-5, 5) within a prompt: 1 - E(mean of f over x)^2.

        The mean over x is B sin(5 w) / (5 w); so the variation is 25 w^2 / 3 for small w, and 1 for large w.
        """
        angle = torch.tensor(HALF_WIDTH * self.frequency, dtype=torch.float64)
        return float(1.0 - (angle.sin() / angle) ** 2)

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        A, B = streams.task.normal(2, n_prompts)
        return {"A": A, "B": B, "w": torch.full_like(A, self.frequency)}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return Sinusoid().values(task, xs)


@dataclass(frozen=True)
class SteepLine(OneDimensional):
    """f(x) = (steepness * a x / std + b) / sqrt 2 with a, b ~ N(0, 1): ``Line`` with its slopes multiplied."""

    steepness: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.steepness >= 0:
            raise InputError(f"steepness must be a number >= 0, got {self.steepness}.")

    @property
    def second_moment(self) -> float:
        return (self.steepness**2 + 1.0) / 2.0

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        task = Line().draw_task(streams, n_prompts, stage)
        return {"a": self.steepness * task["a"], "b": task["b"]}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return Line().values(task, xs)
