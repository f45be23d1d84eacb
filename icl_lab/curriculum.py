"""Curricula: trainings that begin with an easier law and end with the stated one.

A curriculum is part of the training law while it lasts: a model has seen what the curriculum showed it. Both kinds
here work by masks at fixed shapes, from the step number on the device, so that they run inside a CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions import Stage


@dataclass(frozen=True)
class Curriculum:
    """Garg et al.'s schedule (arXiv 2208.01066): coordinates and points grow until the prompt is whole.

    Defaults are theirs for linear functions at d=20: 5 coordinates and 11 points at first, one more coordinate and two
    more points every 2,000 steps.
    """

    dims: int = 5
    points: int = 11
    every: int = 2000
    dims_step: int = 1
    points_step: int = 2

    def at(self, t: Tensor, total: Tensor) -> Stage:
        """The stage at step t; masks ignore what exceeds the prompt."""
        stage = t // self.every
        return Stage(dims=self.dims + self.dims_step * stage, points=self.points + self.points_step * stage)


@dataclass(frozen=True)
class SignsFirst:
    """Ours, for sparse classes: what breaks the plateau on which plain training stays least squares.

    Coefficients are +1 or -1 first and soften linearly to Gaussian, w = sign(g) ((1 - s) + s |g|). With ``dims`` the
    inputs begin with so many coordinates and grow to ``dim`` meanwhile, with 2 * coordinates + 1 points. With
    ``others`` one coefficient comes alone and the rest of the support grows from zero to its size. In a mixture
    the component ``first`` comes alone and the others are mixed in later. Pairs are the fractions of the training at
    which a change begins and ends; after the last of them the law is the stated one.
    """

    dim: int
    dims: int | None = None
    grow: tuple[float, float] = (0.0, 0.3)
    soften: tuple[float, float] = (0.3, 0.65)
    others: tuple[float, float] | None = None
    mix: tuple[float, float] | None = None
    first: int = 1

    def __post_init__(self) -> None:
        positive("dim", self.dim)
        if self.dims is not None and not 0 < self.dims <= self.dim:
            raise InputError(f"a curriculum begins with 1 to dim={self.dim} coordinates, got dims={self.dims}.")
        for name in ("grow", "soften", "others", "mix"):
            pair = getattr(self, name)
            if pair is not None and not 0 <= pair[0] <= pair[1] <= 1:
                raise InputError(f"{name} must be two rising fractions of the training, got {pair}.")

    def at(self, t: Tensor, total: Tensor) -> Stage:
        """The stage at step t of ``total``."""
        dims = points = others = share = None
        if self.dims is not None:
            dims = self.dims + (ramp(t, total, self.grow) * (self.dim - self.dims)).long()
            points = 2 * dims + 1
        if self.others is not None:
            others = ramp(t, total, self.others)
        if self.mix is not None:
            share = ramp(t, total, self.mix)
        return Stage(dims, points, ramp(t, total, self.soften), others, self.first, share)


def ramp(t: Tensor, total: Tensor, pair: tuple[float, float]) -> Tensor:
    """0 before the first fraction of the training, 1 from the second on, linear between them."""
    begin, end = pair
    return ((t / total - begin) / max(end - begin, 1e-9)).clamp(0.0, 1.0)
