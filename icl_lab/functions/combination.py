"""Convex combinations of two classes: functions that belong to neither, though both were trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError
from icl_lab.functions.base import FunctionClass, Stage
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class ConvexCombination(FunctionClass):
    """weight * f(x) + (1 - weight) * g(x), with f and g drawn independently and met at the same inputs.

    weight: a number from 0 to 1 for all prompts, or None: uniform on (0, 1), drawn anew for every prompt.
    arXiv 2311.00871 tests models of two classes on such combinations and sweeps the weight, which calls for a number;
    how it draws weights otherwise is not known to us. Uniform is our choice for combinations in training: no weight is
    left out, and none is met more often than another. A combination keeps the scale of the formula, so for classes of
    variance 1 its own is weight^2 + (1 - weight)^2, as small as 1/2; errors are divided by it.

    noise is that of the combination; f and g must be without. task: ``f`` and ``g``, the tasks of each, and ``weight``
    (B,). Raises InputError for classes of different inputs and for a weight outside 0 to 1.
    """

    f: FunctionClass
    g: FunctionClass
    weight: float | None = None
    dim: int = field(init=False)
    noise: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        for part in (self.f, self.g):
            if not isinstance(part, FunctionClass):
                raise InputError(f"ConvexCombination combines two function classes, got {type(part).__name__}.")
            if part.noise:
                name = type(part).__name__
                raise InputError(f"noise is added to the combination, not to its parts: {name} has {part.noise}.")
        if self.f.dim != self.g.dim or input_law(self.f) != input_law(self.g):
            raise InputError(
                "ConvexCombination needs two classes with the same law of inputs, got "
                f"{type(self.f).__name__} with dim={self.f.dim} and {type(self.g).__name__} with dim={self.g.dim}."
            )
        if self.weight is not None and not (0 <= self.weight <= 1):
            raise InputError(f"weight must be a number from 0 to 1, or None for a uniform one, got {self.weight}.")
        object.__setattr__(self, "dim", self.f.dim)
        super().__post_init__()

    @property
    def shares(self) -> tuple[float, float]:
        """E weight^2 and E (1 - weight)^2."""
        return (1 / 3, 1 / 3) if self.weight is None else (self.weight**2, (1 - self.weight) ** 2)

    @property
    def second_moment(self) -> float:
        """E of the square: f and g are independent, and of mean zero at every x."""
        a, b = self.shares
        return a * self.f.second_moment + b * self.g.second_moment

    def draw_inputs(self, streams: Streams, n_prompts: int, n_points: int) -> Tensor:
        return self.f.draw_inputs(streams, n_prompts, n_points)

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        weight = streams.task.uniform(n_prompts)
        if self.weight is not None:
            weight = torch.full_like(weight, self.weight)  # drawn all the same: f and g do not depend on it
        f, g = (part.draw_task(streams, n_prompts, stage) for part in (self.f, self.g))
        return {"f": f, "g": g, "weight": weight}

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        weight = task["weight"].unsqueeze(-1)
        return weight * self.f.values(task["f"], xs) + (1 - weight) * self.g.values(task["g"], xs)


def input_law(fc: FunctionClass) -> Any:
    """What draws the inputs of a class: classes that share the method share the law."""
    return input_law(fc.f) if isinstance(fc, ConvexCombination) else type(fc).draw_inputs
