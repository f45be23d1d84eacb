"""Chapter 10: what a model trained on lines and sinusoids predicts, with the exact posterior over the two classes.

``view(k, kind, seed)`` draws one prompt; ``panels`` draws several, for the page. Both call ``draw``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_lab.errors import InputError, unknown
from icl_lab.evaluation import predicted_curve
from icl_lab.figures import BLUE, ORANGE, WIDTH, legend_above, plot_functions, style
from icl_lab.functions import Line, Mixture, Sinusoid
from icl_lab.functions.curves import HALF_WIDTH
from icl_lab.predictors import MixtureBayes
from icl_lab.views import model

KINDS = {"line": Line(), "sinusoid": Sinusoid()}  # in the order of the mixture
MIXTURE = Mixture(tuple(KINDS.values()))
MODELS = ("small/line_sine", "small/sine")
MOST = 12  # examples of a prompt
GRID = torch.linspace(-HALF_WIDTH, HALF_WIDTH, 81)


@dataclass(frozen=True)
class Shown:
    """One prompt after k examples: xs, ys (k,); truth and each predictor's answer on GRID (81,); P(class) (2,)."""

    k: int
    kind: str
    xs: np.ndarray
    ys: np.ndarray
    truth: np.ndarray
    curves: dict[str, np.ndarray]
    posterior: np.ndarray

    def off(self, name: str) -> float:
        """Mean squared distance of a predictor's curve to the true function, over GRID."""
        return float(((self.curves[name] - self.truth) ** 2).mean())


@cache
def shown(k: int, kind: str, seed: int) -> Shown:
    """What is drawn. The prompt follows from kind and seed alone: larger k add examples to the same ones.

    Raises InputError for a kind that is not in KINDS and a k outside 0..MOST.
    """
    if kind not in KINDS:
        raise unknown("kind of function", kind, KINDS)
    if not 0 <= k <= MOST:
        raise InputError(f"k must be from 0 to {MOST}, got {k}.")
    fc = KINDS[kind]
    prompt = fc.sample(1, MOST + 1, seed)
    xs, ys = prompt.xs[0, :k, 0], prompt.ys[0, :k]
    exact = MixtureBayes(MIXTURE)
    predictors = {name: model(name) for name in MODELS} | {exact.name: exact}
    curves = {name: predicted_curve(predictor, xs, ys, GRID) for name, predictor in predictors.items()}
    posterior = exact.posterior(prompt.xs, prompt.ys)[0, k].numpy()
    truth = fc.values(prompt.task, GRID[None, :, None])[0].double().numpy()
    return Shown(k, kind, xs.numpy(), ys.numpy(), truth, curves, posterior)


@style()
def draw_posterior(ax: Axes, posterior: np.ndarray) -> None:
    """The probabilities of line and sinusoid as two lengths that add up to 1."""
    start = 0.0
    for name, color, share in zip(KINDS, (BLUE, ORANGE), posterior, strict=True):
        ax.barh(0, share, left=start, color=color, height=0.9)
        if share > 0.42:
            ink = "white" if color == BLUE else "black"
            ax.text(start + share / 2, 0, f"{name} {share:.2f}", ha="center", va="center", color=ink, fontsize=11)
        start += share
    ax.set(xlim=(0, 1), ylim=(-0.5, 0.5), yticks=[], xticks=[])
    ax.grid(False)
    ax.spines[["left", "bottom"]].set_visible(False)


@style()
def draw(above: Axes, below: Axes, state: Shown, scale: float) -> None:
    """Examples, truth and predictions above, the posterior below; scale: half the height of the picture."""
    plot_functions(above, GRID.numpy(), state.curves, state.truth, (state.xs, state.ys))
    above.get_legend().remove()
    above.set_ylim(-scale, scale)
    above.set_title(f"{state.kind}, k = {state.k}")
    draw_posterior(below, state.posterior)


def scale_of(states: list[Shown]) -> float:
    """Half the height that shows the true function with room around it, whatever was predicted."""
    return 1.5 * max(float(np.abs(state.truth).max()) for state in states) + 0.5


@style()
def panels(ks: list[int], kinds: list[str], seed: int, height: float = 2.6) -> Figure:
    """One row for each k, one column for each kind, all of one seed."""
    fig = Figure(figsize=(WIDTH, height * len(ks) + 1.0), layout="constrained")
    axes = fig.subplots(2 * len(ks), len(kinds), squeeze=False, height_ratios=[7, 1] * len(ks))
    for column, kind in enumerate(kinds):
        states = [shown(k, kind, seed) for k in ks]
        for row, state in enumerate(states):
            above, below = axes[2 * row : 2 * row + 2, column]
            draw(above, below, state, scale_of(states))
            if column:
                above.set_ylabel("")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False)
    return fig


@style()
def view(k: int = 2, kind: str = "line", seed: int = 12) -> Figure:
    """What ``small/line_sine``, ``small/sine`` and the exact mixture predict after k examples of one prompt."""
    fig = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    above, below = fig.subplots(2, 1, height_ratios=[8, 1])
    state = shown(k, kind, seed)
    draw(above, below, state, scale_of([state]))
    above.set_title("")
    legend_above(above)
    below.set_title(f"exact probability of each class after k = {k}", fontsize=11)
    return fig
