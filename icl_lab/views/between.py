"""Chapter 11: where a mixture model's predictions stand between those of its two specialists."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_lab.errors import InputError
from icl_lab.evaluation import Interval, interval_of
from icl_lab.figures import BLACK, BLUE, GRAY, ORANGE, PURPLE, style, subplots
from icl_lab.functions import SparseLinear
from icl_lab.predictors import LeastSquares
from icl_lab.sweeps import Sweep, sweep
from icl_lab.views import model

DENSE, SPARSE, MIXTURE, LEAST_SQUARES = "small/dense", "small/sparse2", "small/dense_sparse2", "least squares"
DIM = 20
N_PROMPTS = 160  # enough to see the cloud, few enough for a slider


def place(to_first: Any, to_second: Any, apart: Any) -> tuple[Any, Any]:
    """Where a predictor stands that has these mean squared distances to two others, which are ``apart``.

    All three may be arrays of one shape. Returns (along, off): ``along`` is 0 at the first and 1 at the second of the
    two, measured on the line through them; ``off`` is the squared distance from the line, over ``apart``. Two sides of
    a triangle with the third give its corner: along = (apart + to_first - to_second) / (2 apart).
    A soft average lies on the line (off = 0); a predictor that copies one of the two prompt by prompt lies on the half
    circle over them (off = along (1 - along), Thales). Raises InputError where the two others do not differ.
    """
    first, second, apart = (np.asarray(value, dtype=float) for value in (to_first, to_second, apart))
    if not (apart > 0).all():
        raise InputError(f"Two predictors that agree have no line between them: their distance is {apart.min():g}.")
    along = (apart + first - second) / (2 * apart)
    return along, np.maximum(first / apart - along**2, 0.0)


@cache
def asked(nonzeros: int, k: int, n_prompts: int = N_PROMPTS) -> Sweep:
    """What the three models and least squares say after k examples of functions with so many non-zeros."""
    who = {name: model(name) for name in (DENSE, SPARSE, MIXTURE)}
    return sweep(
        who | {LEAST_SQUARES: LeastSquares()}, {nonzeros: SparseLinear(DIM, nonzeros=nonzeros)}, [k], n_prompts
    )


@style()
def draw_cloud(ax: Axes, dense: np.ndarray, sparse: np.ndarray, mixture: np.ndarray) -> float:
    """One point a prompt: how far the mixture goes from the dense specialist, against how far the sparse one does.

    All (prompts,), predictions. On the flat line the mixture copies the dense specialist, on the diagonal the sparse
    one. Returns the slope of the line through 0 that fits best: the weight of the sparse specialist in a soft average.
    """
    x, y = sparse - dense, mixture - dense
    slope = float(x @ y / (x @ x))
    reach = 1.05 * float(np.abs(np.concatenate([x, y])).max())
    ends = np.array([-reach, reach])
    ax.plot(ends, [0, 0], color=BLUE, linewidth=1.5, label="copies dense")
    ax.plot(ends, ends, color=ORANGE, linewidth=1.5, label="copies sparse")
    ax.plot(ends, slope * ends, color=BLACK, linewidth=1.5, linestyle="--", label="best soft average")
    ax.plot(x, y, "o", color=PURPLE, markersize=3.5, alpha=0.6, markeredgewidth=0, label="a prompt")
    ax.set(xlim=ends, ylim=ends)
    return slope


@style()
def draw_distances(ax: Axes, distances: dict[str, Interval]) -> None:
    """Horizontal bars: mean squared distance of the mixture to each predictor, with 90 % intervals."""
    looks = {SPARSE: ORANGE, DENSE: BLUE, LEAST_SQUARES: GRAY}
    names = list(distances)[::-1]
    means = np.array([distances[name].mean for name in names])
    spread = np.array([[d.mean - d.low, d.high - d.mean] for d in (distances[name] for name in names)]).T
    ax.barh(names, means, xerr=np.maximum(spread, 0), color=[looks[name] for name in names], ecolor=BLACK, capsize=3)
    ax.set_xlabel("squared distance / E f(x)²")
    ax.set_xlim(0, None)


def view(nonzeros: int = 5, k: int = 10) -> Figure:
    """The cloud and the distances at d = 20, for one number of non-zeros and of examples."""
    if not 1 <= nonzeros <= DIM:
        raise InputError(f"nonzeros must be from 1 to {DIM}, got {nonzeros}.")
    found = asked(int(nonzeros), int(k))
    dense, sparse, mixture = (found.predictions[name][0, :, 0] for name in (DENSE, SPARSE, MIXTURE))
    fig, axes = subplots(2, 1, height=6.6, height_ratios=[3, 1])
    slope = draw_cloud(axes[0], dense, sparse, mixture)
    axes[0].set_title(f"{nonzeros} non-zeros, {k} examples: slope {slope:.2f}", loc="left")
    axes[0].set(xlabel="sparse specialist − dense specialist", ylabel="mixture − dense specialist")
    axes[0].legend(loc="upper left")
    others = (SPARSE, DENSE, LEAST_SQUARES)
    draw_distances(axes[1], {name: interval_of(found.distance(MIXTURE, name)[0, :, 0]) for name in others})
    return fig
