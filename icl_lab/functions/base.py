"""Prompts, and what a function class is: a law of inputs and a law of functions.

A new class is one file: subclass FunctionClass and write ``draw_task`` and ``values`` (and ``draw_inputs`` unless
inputs are standard normal), and say what E f(x)^2 is. Everything is vectorized over prompts and runs on any device.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icl_lab.errors import InputError, check_count, positive
from icl_lab.functions.random import Streams


@dataclass(frozen=True)
class Prompts:
    """A batch of prompts, each with its own function.

    xs: (B, T, d) inputs; ys: (B, T) outputs, noise included; component: (B,) int64, which class of a mixture each
    prompt was drawn from (None outside mixtures); task: what defines the drawn functions, by name, (B, ...) each.
    """

    xs: Tensor
    ys: Tensor
    component: Tensor | None = None
    task: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """Where a curriculum stands: how the law of a training differs from the stated one for the time being.

    Every field is a number or a 0-dimensional tensor on the device; None leaves that part of the law as it is.
    """

    dims: int | Tensor | None = None  # inputs beyond the first so many coordinates are zero
    points: int | Tensor | None = None  # only so many positions of a prompt count in the loss
    softness: float | Tensor | None = None  # sparse coefficients: 0 are signs, 1 are Gaussian, linear in between
    others: float | Tensor | None = None  # sparse coefficients but one are multiplied by it: 0 leaves one alone, 1 all
    first: int = 0  # the component of a mixture that comes first, and
    share: float | Tensor | None = None  # how much of the stated mixture there is: 0 none, 1 all

    def active(self, n: int) -> int | Tensor:
        """How many of the first n coordinates are not hidden; a curriculum may count beyond them."""
        if isinstance(self.dims, Tensor):
            return self.dims.clamp(max=n)
        return n if self.dims is None else min(self.dims, n)


STATED = Stage()


@dataclass(frozen=True)
class FunctionClass:
    """A law of functions with inputs of ``dim`` coordinates.

    noise is the standard deviation of what is added to y. ``second_moment`` is E f(x)^2 without noise: errors are
    divided by it, so predicting zero scores 1.
    """

    dim: int = 20
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_count("dim", self.dim)
        if self.noise < 0:
            raise InputError(f"noise must be a standard deviation >= 0, got {self.noise}.")

    @property
    def second_moment(self) -> float:
        return 1.0

    def draw_inputs(self, streams: Streams, n_prompts: int, n_points: int) -> Tensor:
        """(B, T, d), here standard normal."""
        return streams.inputs.normal(n_prompts, n_points, self.dim)

    def draw_task(self, streams: Streams, n_prompts: int, stage: Stage) -> dict[str, Any]:
        raise NotImplementedError

    def values(self, task: dict[str, Any], xs: Tensor) -> Tensor:
        """f(x) for every prompt's own f: (B, T, d) -> (B, T)."""
        raise NotImplementedError

    def sample(
        self,
        n_prompts: int,
        n_points: int,
        seed: int | Tensor,
        device: torch.device | str = "cpu",
        stage: Stage = STATED,
    ) -> Prompts:
        """Draw prompts; a pure function of the arguments.

        seed: an int below 2**62 for evaluation (training sets bit 62), or an int64 tensor on the device.
        stage: where a curriculum stands, in training.
        Raises InputError for counts that are not positive.
        """
        positive("n_prompts", n_prompts)
        positive("n_points", n_points)
        streams = Streams(seed, device)
        xs = self.draw_inputs(streams, n_prompts, n_points)
        if stage.dims is not None:
            xs = xs * (torch.arange(self.dim, device=xs.device) < stage.dims)
        task = self.draw_task(streams, n_prompts, stage)
        ys = self.values(task, xs)
        if self.noise:
            ys = ys + self.noise * streams.noise.normal(*ys.shape)
        return Prompts(xs, ys, None, task)


def check_scale(scale: str) -> None:
    """``unit``: E f(x)^2 = 1; ``raw``: every coefficient is N(0, 1)."""
    if scale not in ("unit", "raw"):
        raise InputError(f"scale must be 'unit' or 'raw', got '{scale}'.")
