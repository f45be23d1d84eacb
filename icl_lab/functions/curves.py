"""Functions of one input: lines and sinusoids on x ~ U(-5, 5).

arXiv 2311.00871 trains on a linear and a sinusoidal class; its exact sinusoid is not known to us. The definition here
is our own choice: phase and amplitude are free, and the angular frequency follows Gamma(6, rate 6), mean 1. Inputs are
wide on purpose: with x ~ N(0, 1) a straight line would explain three quarters of a sinusoid's variance and the two
classes would hardly differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions.base import FunctionClass, Stage, check_scale
from icl_lab.functions.random import Streams

HALF_WIDTH = 5.0
INPUT_STD = HALF_WIDTH / 3**0.5  # of U(-5, 5)
FREQUENCY_SHAPE = 6  # angular frequency ~ Gamma(shape 6, rate 6): mean 1, standard deviation 0.41
FREQUENCY_RATE = 6.0


@dataclass(frozen=True)
class OneDimensional(FunctionClass):
    """Inputs uniform on (-5, 5), in raw units; transformers divide by INPUT_STD themselves."""

    dim: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim != 1:
            raise InputError(f"{type(self).__name__} has inputs of one coordinate, got dim={self.dim}.")

    def draw_inputs(self, streams: Streams, n_prompts: int, n_points: int) -> Tensor:
        return HALF_WIDTH * (2.0 * streams.inputs.uniform(n_prompts, n_points, 1) - 1.0)


@dataclass(frozen=True)
class Line(OneDimensional):
    """f(x) = (a x / std + b) / sqrt 2 with slope a and intercept b ~ N(0, 1); raw scale leaves out the sqrt 2."""

    scale: str = "unit"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale(self.scale)

    @property
    def second_moment(self) -> float:
        return 1.0 if self.scale == "unit" else 2.0

    @property
    def factor(self) -> float:
        """Standard deviation of a and of b after scaling."""
        return 0.5**0.5 if self.scale == "unit" else 1.0

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        a, b = streams.task.normal(2, n_prompts)
        return {"a": a, "b": b}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        return self.factor * (task["a"][:, None] * xs[..., 0] / INPUT_STD + task["b"][:, None])


@dataclass(frozen=True)
class Sinusoid(OneDimensional):
    """f(x) = A sin(w x) + B cos(w x), A, B ~ N(0, 1), w ~ Gamma(6, rate 6).

    E f(x)^2 = 1 whatever the law of w, because sin^2 + cos^2 = 1.
    """

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        A, B = streams.task.normal(2, n_prompts)
        return {"A": A, "B": B, "w": streams.task.gamma(FREQUENCY_SHAPE, n_prompts) / FREQUENCY_RATE}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        angle = task["w"][:, None] * xs[..., 0]
        return task["A"][:, None] * torch.sin(angle) + task["B"][:, None] * torch.cos(angle)
