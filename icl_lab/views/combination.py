"""Chapter 12's figure: predicted curves for weight * line + (1 - weight) * sinusoid, with the examples drawn in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.evaluation import predicted_curve
from icl_lab.figures import plot_functions, subplots
from icl_lab.functions import ConvexCombination, Line, Mixture, Sinusoid
from icl_lab.functions.curves import HALF_WIDTH
from icl_lab.predictors import MixtureBayes

MODELS = ("small/line_sine", "small/line_sine_combined")
GRID = np.linspace(-HALF_WIDTH, HALF_WIDTH, 101)
PROMPTS, POINTS = 8, 40  # always drawn, so that fewer examples are the first of more
SEED = 12


def drawn(function_class: Any, k: int, prompt: int, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first k examples of one of PROMPTS prompts, xs and ys (k,), and its function on the grid (G,).

    Raises InputError for a k outside 0 to POINTS and a prompt outside 0 to PROMPTS - 1.
    """
    if not 0 <= k <= POINTS or not 0 <= prompt < PROMPTS:
        raise InputError(f"There are {PROMPTS} prompts of {POINTS} examples, got prompt={prompt} and k={k}.")
    prompts = function_class.sample(PROMPTS, POINTS, SEED)
    queries = torch.as_tensor(grid, dtype=torch.float32)[None, :, None].expand(PROMPTS, -1, -1)
    truth = function_class.values(prompts.task, queries)[prompt]
    return prompts.xs[prompt, :k, 0].numpy(), prompts.ys[prompt, :k].numpy(), truth.double().numpy()


@cache
def learners() -> Mapping[str, Callable[[Tensor, Tensor], Tensor]]:
    """By name: the models that there are, and exact Bayes for the law of the first of them."""
    models = {name: checkpoints.load(name) for name in MODELS if name in checkpoints.list()}
    return {**models, "Bayes, mixture": MixtureBayes(Mixture((Line(), Sinusoid())))}


def draw(
    ax: Axes, weight: float = 0.5, k: int = 20, prompt: int = 0, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Curves of the learners for one combination; returns the lines by name. The functions are those of every weight.

    names: which learners, all by default. What leaves the panel is cut off.
    """
    xs, ys, truth = drawn(ConvexCombination(Line(), Sinusoid(), weight), k, prompt, GRID)
    known = learners()
    said = {name: predicted_curve(known[name], xs, ys, GRID) for name in (names or known)}
    lines = plot_functions(ax, GRID, said, truth, (xs, ys))
    room = 0.35 * (np.ptp(truth) + 1.0)
    ax.set_ylim(truth.min() - room, truth.max() + room)
    return lines


def view(weight: float = 0.5, k: int = 20, prompt: int = 0) -> Figure:
    """One panel for a weight of the line, a number of examples and one of PROMPTS prompts."""
    fig, ax = subplots(height=4.8)
    draw(ax, weight, k, prompt)
    return fig
