"""The Lasso on every prefix of every prompt, all at once: the path of solutions, checked by the duality gap.

min over w of ||y - X w||^2 / (2 k) + alpha ||w||_1. As alpha falls from where w = 0 is optimal, w moves along straight
lines, with corners where a coordinate joins or leaves (Osborne, Presnell, Turlach 2000; Efron et al. 2004). Following
the corners is exact and takes about as many steps as w has coordinates, where coordinate descent needs thousands of
rounds when k is near d. All problems of a batch take their steps together, on Gram matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icl_lab.errors import positive
from icl_lab.predictors.base import check_prompts, in_chunks

CHUNK = 24  # prompts at a time
CORNERS = 8  # at most this many per coordinate; ties could make the path circle
AT_LEVEL = 1 - 1e-12
GAP = 1e-10  # duality gap accepted, as a part of ||y||^2 / (2 k)
TIE = 1e-11
ROUNDS = 1000  # of coordinate descent, for a problem that the path leaves above the gap


@dataclass(frozen=True)
class Lasso:
    """``(xs (B, T, d), ys (B, T)) -> (B, T)``: scikit-learn's Lasso(alpha, fit_intercept=False), solved exactly.

    ``[:, k]`` is fitted to the first k examples, with the 1 / (2 k) of scikit-learn in front of the squares; 0 at
    k = 0. The duality gap is at most 1e-10 of ||y||^2 / (2 k); only exact ties with alpha below 1e-4 may leave 1e-8.
    Garg et al. (arXiv 2208.01066) choose alpha = 0.01 from 1 ... 1e-4 by the error at k = 10.
    Raises InputError for alpha <= 0 and for shapes that do not fit.
    """

    alpha: float = 0.01

    def __post_init__(self) -> None:
        positive("alpha", self.alpha)

    @property
    def name(self) -> str:
        return f"Lasso {self.alpha:g}"

    def weights(self, xs: Tensor, ys: Tensor) -> Tensor:
        """(B, T, d) float64: the solution for the first k examples at [:, k]."""
        X, Y = check_prompts(self.name, xs, ys)
        return in_chunks(lambda x, y: (_solve(x, y, self.alpha),), CHUNK, X, Y)[0]

    def __call__(self, xs: Tensor, ys: Tensor) -> Tensor:
        w = self.weights(xs, ys)
        return (w * xs.to(w)).sum(-1).to(xs.device, dtype=xs.dtype)


def _solve(x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """Solutions (b, T, d) for all prefixes of (b, T, d) inputs."""
    b, T, d = x.shape
    k = torch.arange(1, T, dtype=x.dtype)
    x, y, w = x[:, :-1], y[:, :-1], x.new_zeros(b, T, d)  # the last example is a question only
    gram = ((x.unsqueeze(-1) * x.unsqueeze(-2)).cumsum(1) / k[:, None, None]).view(-1, d, d)
    xy = ((x * y.unsqueeze(-1)).cumsum(1) / k[:, None]).view(-1, d)
    yy = ((y * y).cumsum(1) / k).view(-1)
    found = _path(gram, xy, alpha)
    open_ = _above(gram, xy, yy, alpha, found)
    if len(open_):  # coordinates met a corner together: part them by less than the gap allowed
        apart = 1 + TIE * torch.sin(torch.arange(1.0, d + 1, dtype=x.dtype))
        found[open_] = _path(gram[open_], xy[open_] * apart, alpha)
        open_ = _above(gram, xy, yy, alpha, found)
    if len(open_):
        found[open_] = _descend(gram[open_], xy[open_], yy[open_], alpha, found[open_])
    w[:, 1:] = found.view(b, T - 1, d)
    return w


def _gap(gram: Tensor, xy: Tensor, yy: Tensor, alpha: float, w: Tensor) -> Tensor:
    """(n,) duality gaps: how far the objective can be above its minimum."""
    slope = xy - (gram @ w.unsqueeze(-1)).squeeze(-1)  # X'r / k
    ry = yy - (xy * w).sum(1)
    rr = ry - (slope * w).sum(1)
    shrink = (alpha / slope.abs().amax(1).clamp(min=alpha)).clamp(max=1.0)  # makes r a feasible dual point
    return 0.5 * rr * (1 + shrink**2) + alpha * w.abs().sum(1) - shrink * ry


def _above(gram: Tensor, xy: Tensor, yy: Tensor, alpha: float, w: Tensor) -> Tensor:
    """Which problems have a duality gap above the one accepted."""
    return (~(_gap(gram, xy, yy, alpha, w) <= GAP * 0.5 * yy)).nonzero()[:, 0]


def _path(gram: Tensor, xy: Tensor, alpha: float) -> Tensor:
    """Follow the path of n problems from w = 0 to alpha: gram (n, d, d), xy (n, d) -> w (n, d).

    M is the Gram matrix, swept on the active set (Goodnight 1979, "A tutorial on the SWEEP operator"): its rows hold
    -inv(gram_AA) for active coordinates and gram_BA inv(gram_AA) for the others. One product with the signs gives
    both the direction of w and the change of the correlations.
    """
    n, d = xy.shape
    result = torch.zeros_like(xy)
    rows = torch.arange(n)  # where each unfinished problem stands in the result
    M, c, w = gram.clone(), xy.clone(), torch.zeros_like(xy)
    penalty, p = c.abs().max(1)
    running = penalty > alpha
    M, c, w, penalty, p, rows = (t[running] for t in (M, c, w, penalty, p, rows))
    signs = torch.zeros_like(w)
    _enter_or_leave(M, signs, c, p)
    for _ in range(CORNERS * d):
        if len(rows) == 0:
            break
        v = (M @ signs.unsqueeze(-1)).squeeze(-1)
        active = signs != 0
        level = penalty.unsqueeze(1)
        # A coordinate that just left stands at the level: only one that the level catches up with (|v| < 1) may join.
        joins = torch.minimum(
            torch.where(v < AT_LEVEL, (level - c) / (1 - v), torch.inf),
            torch.where(v > -AT_LEVEL, (level + c) / (1 + v), torch.inf),
        )
        leaves = torch.where(w * v > 0, w / v, torch.inf)
        step, p = torch.where(active, leaves, joins).clamp(min=0).min(1)
        last = step >= penalty - alpha
        step = torch.minimum(step, penalty - alpha).unsqueeze(1)
        w = torch.where(active, w - step * v, 0.0)
        c = c - step * torch.where(active, signs, v)
        penalty = penalty - step.squeeze(1)
        if last.any():
            result[rows[last]] = w[last]
            M, c, w, signs, penalty, p, rows = (t[~last] for t in (M, c, w, signs, penalty, p, rows))
        _enter_or_leave(M, signs, c, p)
        w = torch.where(signs != 0, w, 0.0)
    result[rows] = w
    return result


def _enter_or_leave(M: Tensor, signs: Tensor, c: Tensor, p: Tensor) -> None:
    """Coordinate p of each problem joins the active set with the sign of its correlation, or leaves it; in place."""
    i = torch.arange(len(p))
    entering = signs[i, p] == 0
    row = M[i, p]  # (n, d)
    pivot = row[i, p]
    scaled = row / pivot.unsqueeze(1)
    M.addcmul_(row.unsqueeze(2), scaled.unsqueeze(1), value=-1.0)
    scaled = torch.where(entering.unsqueeze(1), scaled, -scaled)
    M[i, p] = scaled
    M[i, :, p] = scaled
    M[i, p, p] = -1.0 / pivot
    signs[i, p] = torch.where(entering, c[i, p].sign(), 0.0)


def _descend(gram: Tensor, xy: Tensor, yy: Tensor, alpha: float, w: Tensor) -> Tensor:
    """Coordinate descent until every duality gap is closed, or ROUNDS; from w where that is better than 0."""
    w = torch.where((_gap(gram, xy, yy, alpha, w) < 0.5 * yy).unsqueeze(1), w, 0.0)
    for round_ in range(ROUNDS):
        if round_ % 10 == 0 and len(_above(gram, xy, yy, alpha, w)) == 0:
            break
        for j in range(w.shape[1]):
            curvature = gram[:, j, j]
            pull = xy[:, j] - (gram[:, j] * w).sum(1) + curvature * w[:, j]
            shrunk = pull.sign() * (pull.abs() - alpha).clamp(min=0)
            w[:, j] = torch.where(curvature > 0, shrunk / curvature.clamp(min=1e-300), 0.0)
    return w
