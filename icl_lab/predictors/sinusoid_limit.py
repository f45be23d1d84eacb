"""Sinusoids without noise: the posterior after one, two, three and more examples, as the limit noise -> 0.

Three unknowns (A, B, w). One or two examples leave a curve or surface of them, three a finite set of points: a
sinusoid of frequency w passes through three examples if and only if

    G(w) = y1 sin w(x2 - x3) + y2 sin w(x3 - x1) + y3 sin w(x1 - x2) = 0,

and each root weighs prior(A, B, w) / |det d(y1, y2, y3)/d(A, B, w)|. Later examples decide between the roots, each
refitted to all examples by Gauss-Newton steps; float32's rounding stands for the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from icl_lab.functions.curves import FREQUENCY_RATE, FREQUENCY_SHAPE

SAME = 1e-5  # inputs closer than this are one input
LOWEST = 1e-3  # of the frequencies searched; the law leaves 1e-16 below
CELLS = 1600  # of the search for roots: 0.005 wide, G oscillates no faster than sin 10 w
CELLS_TWO = 4096  # of the integral after two examples
HALVINGS = 50
TOUCH = 1e-6  # part of |y| by which rounding may lift a double root off zero
STEP = 0.05  # the largest correction of w at once
POLISH = 3  # corrections per example
FEWER, FEWER_FROM = 4, 6  # candidates kept once so many examples have been seen
TINY = 1e-30
LOG_2PI = math.log(2 * math.pi)

Prior = Callable[[Tensor], Tensor]


def limit(x: Tensor, y: Tensor, rounding: float, log_prior: Prior, top: float) -> tuple[Tensor, Tensor]:
    """Posterior means and log evidences (B, T) from (B, T) inputs and outputs; frequencies up to ``top``.

    Examples that repeat an earlier input add nothing to the posterior; their agreement counts as evidence.
    """
    B, T = x.shape
    second = _first((x - x[:, :1]).abs() > SAME)
    apart = (x - x[:, :1]).abs().minimum((x - x.gather(1, second.clamp(max=T - 1)[:, None])).abs())
    third = _first((apart > SAME) & (torch.arange(T) > second[:, None]))
    k = torch.arange(T)
    stage = (k > 0).long() + (k > second[:, None]) + (k > third[:, None])  # how many different inputs were seen
    mean, evidence = torch.zeros(2, B, T, dtype=x.dtype)
    for i in range(1, min(T, int(second.max()) + 1)):
        rows = stage[:, i] == 1
        mean[rows, i] = y[rows, 0] * _mean_cosine(x[rows, i] - x[rows, 0])
        evidence[rows, i] = -0.5 * (y[rows, 0] ** 2 + LOG_2PI)
    for i in range(2, min(T, int(third.max()) + 1)):
        rows = (stage[:, i] == 2).nonzero()[:, 0]
        for part in rows.split(64):
            j = second[part]
            pair = x[part, 0], x[part, j], y[part, 0], y[part, j]
            mean[part, i], evidence[part, i] = _two_examples(*pair, x[part, i], log_prior, top)
    rows = third < T - 1
    if rows.any():
        chosen = torch.stack([torch.zeros_like(second), second, third], 1)[rows]
        late = _three_or_more(x[rows], y[rows], chosen, rounding, log_prior, top)
        seen = stage[rows] == 3
        mean[rows], evidence[rows] = (
            torch.where(seen, a, b[rows]) for a, b in zip(late, (mean, evidence), strict=True)
        )
    return mean, evidence + torch.where(stage < 3, _repeats(x, y, second, third, rounding), 0.0)


def _first(mask: Tensor) -> Tensor:
    """(B,) index of the first True in each row, T if there is none."""
    return torch.where(mask.any(1), mask.long().argmax(1), mask.shape[1])


def _repeats(x: Tensor, y: Tensor, second: Tensor, third: Tensor, rounding: float) -> Tensor:
    """(B, T) log density of outputs whose inputs repeat one of the first two, before a third was seen."""
    T = x.shape[1]
    k = torch.arange(T)
    repeat = (k > 0) & (k != second[:, None]) & (k < third[:, None])
    y_second = y.gather(1, second.clamp(max=T - 1)[:, None])
    of_second = (k > second[:, None]) & ((x - x[:, :1]).abs() > SAME)
    difference = y - torch.where(of_second, y_second, y[:, :1])
    variance = 2 * rounding**2
    terms = -0.5 * (difference**2 / variance + LOG_2PI + math.log(variance))
    terms = torch.where(repeat, terms, 0.0)
    return terms.cumsum(1) - terms


def _mean_cosine(distance: Tensor) -> Tensor:
    """E cos(w distance): the covariance of f at two inputs, from the characteristic function of the Gamma law."""
    return torch.complex(torch.ones_like(distance), -distance / FREQUENCY_RATE).pow(-FREQUENCY_SHAPE).real


def _two_examples(
    x1: Tensor, x2: Tensor, y1: Tensor, y2: Tensor, x: Tensor, log_prior: Prior, top: float
) -> tuple[Tensor, Tensor]:
    """Mean at x and log evidence from two examples: every w interpolates, weighed by N((y1, y2); 0, K_w)."""
    w = (torch.arange(CELLS_TWO, dtype=x.dtype) + 0.5) * (top / CELLS_TWO)
    x1, x2, y1, y2, x = (t[:, None] for t in (x1, x2, y1, y2, x))
    half = 0.5 * w * (x2 - x1)
    sine = torch.sin(2 * half)
    # K_w = [[1, cos], [cos, 1]]: in the sum and the difference of the outputs it is diagonal.
    quad = ((y1 - y2) / (2 * torch.sin(half))) ** 2 + ((y1 + y2) / (2 * torch.cos(half))) ** 2
    joint = log_prior(w) - LOG_2PI - torch.log(sine.abs()) - 0.5 * quad + math.log(top / CELLS_TWO)
    evidence = joint.logsumexp(1)
    fits = (y1 * torch.sin(w * (x2 - x)) + y2 * torch.sin(w * (x - x1))) / sine
    return (torch.exp(joint - evidence[:, None]) * fits).sum(1), evidence


def _three_or_more(
    x: Tensor, y: Tensor, chosen: Tensor, rounding: float, log_prior: Prior, top: float
) -> tuple[Tensor, Tensor]:
    """Means and log evidences (B, T), meant after the three ``chosen`` examples (B, 3) of different inputs."""
    B, T = x.shape
    order = torch.ones(B, T).scatter(1, chosen, 0.0).argsort(dim=1, stable=True)  # the chosen come first: no prefix
    x, y = x.gather(1, order), y.gather(1, order)  # that reaches beyond them is changed as a set
    w, valid = _candidates(x[:, :3], y[:, :3], top)  # (B, J)
    means, evidences = torch.zeros(2, B, T, dtype=x.dtype)
    for k in range(3, T):
        w, fit = _polish(w, x[:, None, :k], y[:, None, :k])
        # Laplace's method around each root, exact for noise -> 0: prior / sqrt det(J'J) * noise^(3 - k) * misfit
        total = log_prior(w) - 0.5 * (fit.A**2 + fit.B**2) - LOG_2PI - fit.log_volume
        total = total - (k - 3) * (math.log(rounding) + 0.5 * LOG_2PI) - 0.5 * fit.misfit / rounding**2
        total = torch.where(valid, total, -torch.inf)
        here = fit.A * torch.sin(w * x[:, k, None]) + fit.B * torch.cos(w * x[:, k, None])
        means[:, k] = (total.softmax(1) * here).sum(1)
        evidences[:, k] = total.logsumexp(1)
        if k >= FEWER_FROM and w.shape[1] > FEWER:
            best = total.topk(FEWER, 1).indices
            w, valid = w.gather(1, best), valid.gather(1, best)
    return means, evidences


@dataclass(frozen=True)
class _Fit:
    """Least squares at given frequencies: amplitudes, misfit |r|^2, log sqrt det(J'J), Gauss-Newton step in w."""

    A: Tensor
    B: Tensor
    misfit: Tensor
    log_volume: Tensor
    step: Tensor


def _fit(w: Tensor, x: Tensor, y: Tensor) -> _Fit:
    """w (B, J); x, y (B, 1, k). Amplitudes by Gram-Schmidt; w enters by what they cannot imitate of its slope."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(-1, keepdim=True)

    def length(a: Tensor) -> Tensor:
        return dot(a, a).sqrt().clamp(min=TINY)

    angle = w[..., None] * x
    s, c = torch.sin(angle), torch.cos(angle)
    n1 = length(c)
    q1 = c / n1
    s1 = s - q1 * dot(q1, s)
    s1 = s1 - q1 * dot(q1, s1)
    n2 = length(s1)
    q2 = s1 / n2
    A = dot(q2, y) / n2
    B = (dot(q1, y) - A * dot(q1, s)) / n1
    r = y - A * s - B * c
    slope = x * (A * c - B * s)
    for q in (q1, q2, q1, q2):
        slope = slope - q * dot(q, slope)
    n3 = length(slope)
    volume = (n1.log() + n2.log() + n3.log())[..., 0]
    step = (dot(slope, r) / n3**2)[..., 0].clamp(-STEP, STEP)
    return _Fit(A[..., 0], B[..., 0], dot(r, r)[..., 0], volume, step)


def _polish(w: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, _Fit]:
    """Frequencies moved downhill to the least squares of all examples so far, and the fits there."""
    fit = _fit(w, x, y)
    for _ in range(POLISH):
        moved = (w + fit.step).clamp(min=LOWEST)
        other = _fit(moved, x, y)
        better = other.misfit < fit.misfit
        w = torch.where(better, moved, w)
        fit = _Fit(*(torch.where(better, getattr(other, f.name), getattr(fit, f.name)) for f in fields(_Fit)))
    return w, fit


def _candidates(x3: Tensor, y3: Tensor, top: float) -> tuple[Tensor, Tensor]:
    """The roots of G in (LOWEST, top) for each prompt, padded: frequencies (B, J) and which of them count.

    Sign changes on a grid. Where |G| has a minimum between two nodes, the minimum is made a node too, so that two
    roots within one cell are found; a double root that rounding lifted off zero counts as one. A prompt without
    roots gets the frequency that comes closest to interpolating.
    """
    d = x3.roll(-1, 1) - x3.roll(-2, 1)  # x2 - x3, x3 - x1, x1 - x2

    def G(w: Tensor, i: Tensor) -> Tensor:
        return (y3[i] * torch.sin(w[:, None] * d[i])).sum(-1)

    def slope(w: Tensor, i: Tensor) -> Tensor:
        return (y3[i] * d[i] * torch.cos(w[:, None] * d[i])).sum(-1)

    grid = torch.linspace(LOWEST, top, CELLS + 1, dtype=x3.dtype)
    nodes = (y3[..., None] * torch.sin(d[..., None] * grid)).sum(1)  # (B, CELLS + 1)
    slopes = (y3[..., None] * d[..., None] * torch.cos(d[..., None] * grid)).sum(1)
    change = nodes[:, :-1] * nodes[:, 1:] <= 0
    dip = ~change & (slopes[:, :-1] * slopes[:, 1:] < 0) & (slopes[:, :-1] * nodes[:, :-1] < 0)
    row, cell = change.nonzero(as_tuple=True)
    dip_row, dip_cell = dip.nonzero(as_tuple=True)
    bottom = _bisect(lambda w: slope(w, dip_row), grid[dip_cell], grid[dip_cell + 1])
    depth = G(bottom, dip_row) * nodes[dip_row, dip_cell].sign()
    touches = (depth > 0) & (depth < TOUCH * y3.abs().sum(1)[dip_row])
    touch_row, touch = dip_row[touches], bottom[touches]
    crosses = depth <= 0
    dip_row, dip_cell, bottom = dip_row[crosses], dip_cell[crosses], bottom[crosses]
    row = torch.cat([row, dip_row, dip_row])
    low = torch.cat([grid[cell], grid[dip_cell], bottom])
    high = torch.cat([grid[cell + 1], bottom, grid[dip_cell + 1]])
    root = torch.cat([_bisect(lambda w: G(w, row), low, high), touch])
    row = torch.cat([row, touch_row])
    empty = torch.ones(len(x3), dtype=torch.bool).index_fill(0, row, False).nonzero()[:, 0]
    distance = (nodes**2 / (torch.sin(d[..., None] * grid) ** 2).sum(1))[empty]
    return _pad(torch.cat([row, empty]), torch.cat([root, grid[distance.argmin(1)]]), len(x3))


def _bisect(f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """One sign change of f in each interval, by halving."""
    f_low = f(low)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        left = f(middle) * f_low <= 0
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
    return 0.5 * (low + high)


def _pad(row: Tensor, value: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """A list of (row, value) as a table (n_rows, J) and which of its entries are filled; others hold 1."""
    order = row.argsort(stable=True)
    row, value = row[order], value[order]
    counts = torch.bincount(row, minlength=n_rows)
    column = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
    table = torch.ones(n_rows, int(counts.max()), dtype=value.dtype)
    table[row, column] = value
    return table, torch.arange(table.shape[1]) < counts[:, None]
