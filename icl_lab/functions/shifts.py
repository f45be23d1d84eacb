"""Prompts from another law than a class's own: does what was learned hold there?

Garg et al. 2022 (arXiv 2208.01066) train on one law and test on shifted ones; the definitions here are theirs, for any
class. Every ``gen_*(function_class, n_prompts, n_points, seed, **own)`` is a pure function of its arguments. It draws
the inputs and functions of ``function_class.sample`` with that seed and then shifts: prompts of two shifts are paired.

Two kinds. Where all inputs or functions follow another law, every position is a query after the ones before it, as in
ordinary prompts. Where only the query differs from its context, a prompt has one query: n_points - 1 ordinary examples
and a last point that is the shifted query (``query_only`` is True). ``evaluation.shifted_curve`` reads both: the first
kind from one batch, the second from a batch for every k.

Errors are divided by E f(x)^2 under the shifted law, so that predicting zero scores 1 everywhere; shifts of direction
keep the mean squared length of x, hence E f(x)^2. For scaled x and w that is E f(x)^2 at the new scale. Garg et al.'s
code plots those two without dividing by it (predicting zero then scores factor^2); the values in their text are lowest
near factor 1 and rise to both sides, as errors divided by it do, so we read them that way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from icl_lab.errors import InputError, positive
from icl_lab.functions.base import STATED, FunctionClass, Prompts
from icl_lab.functions.combination import ConvexCombination
from icl_lab.functions.curves import Line, Sinusoid
from icl_lab.functions.fourier import FourierSeries
from icl_lab.functions.linear import DenseLinear, SparseAny
from icl_lab.functions.networks import TwoLayerReLU
from icl_lab.functions.pool import TaskPool
from icl_lab.functions.random import Streams
from icl_lab.functions.trees import DecisionTree

FACTORS = (1 / 3, 1 / 2, 2.0, 3.0)  # of x and of w, in Garg et al.
MOMENT_DRAWS = (20_000, 4)  # prompts and points for a second moment that has no formula


@dataclass(frozen=True)
class ShiftedPrompts(Prompts):
    """Prompts, and what errors on them are measured by.

    clean: (B, T) f(x) without noise; second_moment: E f(x)^2 under the shifted law; query_only: whether the last point
    alone is a shifted query, and the others are its context. task is that of the class before any scaling of w.
    """

    clean: Tensor | None = None
    second_moment: float = 1.0
    query_only: bool = False


Shift = Callable[..., ShiftedPrompts]  # (function_class, n_prompts, n_points, seed, **own)


def gen_skewed(fc: FunctionClass, n_prompts: int, n_points: int, seed: int) -> ShiftedPrompts:
    """x with a skewed covariance: eigenvalues proportional to 1 / i^2 in a random basis, with the trace of before.

    Each prompt has its own basis (Garg et al. draw one for an evaluation): the interval over prompts covers them.
    """
    draw = _Draw(fc, n_prompts, n_points, seed)
    return draw.prompts(draw.stretched(1 / torch.arange(1.0, fc.dim + 1)))


def gen_subspace(fc: FunctionClass, n_prompts: int, n_points: int, seed: int) -> ShiftedPrompts:
    """x in a random subspace of dim // 2 dimensions, one per prompt, scaled to the mean squared length of before."""
    draw = _Draw(fc, n_prompts, n_points, seed)
    if fc.dim < 2:
        raise InputError(f"a subspace of half the dimensions needs dim >= 2, got dim={fc.dim}.")
    return draw.prompts(draw.stretched((torch.arange(fc.dim) < fc.dim // 2).float()))


def gen_noisy(fc: FunctionClass, n_prompts: int, n_points: int, seed: int, noise: float = 1.0) -> ShiftedPrompts:
    """y with noise of standard deviation ``noise``, counted at the raw scale of the class, instead of its own.

    Garg et al.: noise 1 on w . x with w ~ N(0, I), a signal of variance dim. On unit scale it is divided as f is.
    Errors are to f(x); Garg et al. measure them to the noisy y, which adds noise^2 / E f^2 to each.
    """
    if not noise >= 0:
        raise InputError(f"noise must be a standard deviation >= 0, got {noise}.")
    draw = _Draw(fc, n_prompts, n_points, seed)
    base = fc.base if isinstance(fc, TaskPool) else fc
    raw = replace(base, scale="raw") if hasattr(base, "scale") else base
    return draw.prompts(draw.xs, noise=noise * math.sqrt(fc.second_moment / raw.second_moment))


def gen_scaled_x(fc: FunctionClass, n_prompts: int, n_points: int, seed: int, factor: float = 2.0) -> ShiftedPrompts:
    """factor * x; Garg et al. take 1/3, 1/2, 2 and 3 (``FACTORS``). Inputs on an interval then reach beyond it.

    E f(x)^2 is that of the scaled inputs: factor^2 times the class's for linear functions and two-layer networks, the
    same for trees, sinusoids and Fourier series. For a class of your own it is measured on 20,000 functions.
    """
    positive("factor", factor)
    draw = _Draw(fc, n_prompts, n_points, seed)
    return draw.prompts(factor * draw.xs, second_moment=fc.second_moment * _growth(fc, factor))


def gen_scaled_w(fc: FunctionClass, n_prompts: int, n_points: int, seed: int, factor: float = 2.0) -> ShiftedPrompts:
    """factor * f, that is factor * w for linear functions; Garg et al. take 1/3, 1/2, 2 and 3 (``FACTORS``)."""
    positive("factor", factor)
    draw = _Draw(fc, n_prompts, n_points, seed)
    return draw.prompts(draw.xs, factor=factor, second_moment=factor**2 * fc.second_moment)


def gen_orthants(fc: FunctionClass, n_prompts: int, n_points: int, seed: int, opposite: bool = False) -> ShiftedPrompts:
    """All examples of a prompt in one random orthant (one pattern of signs), the query drawn anew from the class.

    opposite: the query lies in the opposite orthant of the examples', where the fresh one lies anywhere.
    """
    draw = _Draw(fc, n_prompts, n_points, seed)
    signs = draw.streams.inputs.normal(n_prompts, 1, fc.dim).sign()
    context = draw.xs.abs() * signs
    return draw.query(context, -context[:, -1] if opposite else draw.xs[:, -1])


def gen_query_equal(fc: FunctionClass, n_prompts: int, n_points: int, seed: int) -> ShiftedPrompts:
    """The query is one of the examples, uniformly chosen; with no example (n_points = 1) it is an ordinary one."""
    draw = _Draw(fc, n_prompts, n_points, seed)
    if n_points == 1:
        return draw.query(draw.xs, draw.xs[:, -1])
    chosen = draw.streams.inputs.integers(n_points - 1, n_prompts)
    return draw.query(draw.xs, draw.xs[torch.arange(n_prompts), chosen])


def gen_query_orthogonal(fc: FunctionClass, n_prompts: int, n_points: int, seed: int) -> ShiftedPrompts:
    """The query is orthogonal to every example and has the length it had: for linear f the examples say nothing of it.

    Raises InputError for dim examples or more, which leave no direction.
    """
    draw = _Draw(fc, n_prompts, n_points, seed)
    if n_points > fc.dim:
        raise InputError(f"a query orthogonal to its examples needs fewer than dim={fc.dim}, got {n_points - 1}.")
    context, query = draw.xs[:, :-1].double(), draw.xs[:, -1].double()
    rest = query
    if n_points > 1:
        basis = torch.linalg.qr(context.transpose(1, 2)).Q  # (B, d, k)
        for _ in range(2):  # twice, as Gram-Schmidt is: the second time removes what rounding left
            rest = rest - (basis @ (basis.transpose(1, 2) @ rest.unsqueeze(-1))).squeeze(-1)
    rest = rest * (query.norm(dim=1) / rest.norm(dim=1)).unsqueeze(1)
    return draw.query(draw.xs, rest.float())


class _Draw:
    """The inputs and functions that ``function_class.sample`` draws with this seed, before any shift."""

    def __init__(self, fc: FunctionClass, n_prompts: int, n_points: int, seed: int) -> None:
        if not isinstance(fc, FunctionClass):
            raise InputError(f"shifts are of one function class, got {type(fc).__name__}: pass its components in turn.")
        positive("n_prompts", n_prompts)
        positive("n_points", n_points)
        self.fc = fc
        self.streams = Streams(seed)
        self.xs = fc.draw_inputs(self.streams, n_prompts, n_points)
        self.task = fc.draw_task(self.streams, n_prompts, STATED)

    def prompts(
        self,
        xs: Tensor,
        factor: float = 1.0,
        noise: float | None = None,
        second_moment: float | None = None,
        query_only: bool = False,
    ) -> ShiftedPrompts:
        """The functions drawn, times ``factor``, at other inputs; noise and second_moment: the class's unless given."""
        noise = self.fc.noise if noise is None else noise
        second_moment = self.fc.second_moment if second_moment is None else second_moment
        clean = factor * self.fc.values(self.task, xs)
        ys = clean + noise * self.streams.noise.normal(*clean.shape) if noise else clean
        return ShiftedPrompts(xs, ys, None, self.task, clean, second_moment, query_only)

    def query(self, context: Tensor, query: Tensor) -> ShiftedPrompts:
        """(B, T, d) with its last point replaced by the query (B, d)."""
        return self.prompts(torch.cat([context[:, :-1], query.unsqueeze(1)], 1), query_only=True)

    def stretched(self, lengths: Tensor) -> Tensor:
        """Inputs multiplied by U diag(lengths) U' with a random rotation U per prompt; lengths are normalized first."""
        d = self.fc.dim
        lengths = lengths.double() * math.sqrt(d / lengths.double().square().sum())
        U = torch.linalg.qr(self.streams.inputs.normal(len(self.xs), d, d).double()).Q  # signs of columns cancel
        return ((self.xs.double() @ U * lengths) @ U.transpose(1, 2)).float()


def _growth(fc: FunctionClass, factor: float) -> float:
    """E f(factor x)^2 / E f(x)^2. Written out for the classes of this package, measured for others."""
    match fc:
        case DenseLinear() | SparseAny() | TaskPool() | TwoLayerReLU():
            return factor**2
        case DecisionTree() | Sinusoid() | FourierSeries():
            return 1.0
        case Line():
            return (factor**2 + 1) / 2
        case ConvexCombination(f=f, g=g):
            a, b = fc.shares
            return (a * f.second_moment * _growth(f, factor) + b * g.second_moment * _growth(g, factor)) / (
                a * f.second_moment + b * g.second_moment
            )
    draw = _Draw(fc, *MOMENT_DRAWS, seed=0)
    scaled, plain = (fc.values(draw.task, c * draw.xs).double().square().mean() for c in (factor, 1.0))
    return float(scaled / plain)
