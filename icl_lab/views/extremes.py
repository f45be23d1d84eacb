"""Chapter 13's figure: predicted curves for extreme members of a class, with the examples drawn in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from icl_lab import checkpoints
from icl_lab.evaluation import predicted_curve
from icl_lab.figures import plot_functions, subplots
from icl_lab.functions import SinusoidOf
from icl_lab.functions.curves import HALF_WIDTH
from icl_lab.predictors import LineBayes, SinusoidBayes
from icl_lab.views.combination import PROMPTS, drawn

MODELS = ("small/line_sine", "small/sine")
POINTS_DRAWN = 121  # fine enough for 8 periods
OF_SINUSOIDS = (*MODELS, "Bayes, sinusoid")

__all__ = ["MODELS", "OF_SINUSOIDS", "PROMPTS", "draw", "learners", "view"]


@cache
def learners() -> Mapping[str, Callable[[Tensor, Tensor], Tensor]]:
    """By name: the model of lines and sinusoids, that of sinusoids alone, and exact Bayes for each class."""
    models = {name: checkpoints.load(name) for name in MODELS}
    return {**models, "Bayes, sinusoid": SinusoidBayes(), "Bayes, line": LineBayes()}


def draw(
    ax: Axes,
    function_class: Any,
    k: int = 20,
    prompt: int = 0,
    names: Sequence[str] = OF_SINUSOIDS,
    reach: float = HALF_WIDTH,
) -> dict[str, Any]:
    """Curves of the learners for one function, from -reach to reach; returns the lines by name.

    function_class: of one input, such as SinusoidOf(frequency=5) or SteepLine(steepness=4); its examples lie where it
    draws them. What leaves the panel is cut off.
    """
    grid = np.linspace(-reach, reach, POINTS_DRAWN)
    xs, ys, truth = drawn(function_class, k, prompt, grid)
    said = {name: predicted_curve(learners()[name], xs, ys, grid) for name in names}
    lines = plot_functions(ax, grid, said, truth, (xs, ys))
    room = 0.5 * np.ptp(truth) + 0.1
    ax.set_ylim(truth.min() - room, truth.max() + room)
    return lines


def view(frequency: float = 1.0, k: int = 20, prompt: int = 0) -> Figure:
    """One panel for a sinusoid of an angular frequency, a number of examples and one of PROMPTS prompts."""
    fig, ax = subplots(height=4.8)
    draw(ax, SinusoidOf(frequency=frequency), k, prompt)
    return fig
