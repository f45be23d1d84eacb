"""Chapter 14: what models predict that saw a class often or rarely in pretraining, with the examples drawn in.

``view(share, k, kind, seed)`` draws one share; the page draws several. Both call ``draw``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_lab.errors import InputError, unknown
from icl_lab.evaluation import predicted_curve
from icl_lab.figures import BLUE, GREEN, VERMILION, legend_above, plot_functions, style, subplots
from icl_lab.functions import Line, Mixture, Sinusoid
from icl_lab.functions.curves import HALF_WIDTH
from icl_lab.predictors import MixtureBayes
from icl_lab.recipes import SINE_SHARES
from icl_lab.views import model

KINDS = {"line": Line(), "sinusoid": Sinusoid()}  # in the order of the mixture
TRAININGS = ("", "_s1", "_s2")  # as their checkpoints' names end
LOOKS = ((BLUE, "-"), (GREEN, "-."), (VERMILION, (0, (5, 1))))  # of the three trainings
MOST = 20  # examples of a prompt: the models were trained on 21 points
GRID = np.linspace(-HALF_WIDTH, HALF_WIDTH, 101)
ROOM = 1.5  # how far above and below the true function a panel reaches


@dataclass(frozen=True)
class Shown:
    """One prompt after k examples: xs, ys (k,); on GRID (101,): the truth, Bayes, and each training's answer."""

    xs: np.ndarray
    ys: np.ndarray
    truth: np.ndarray
    bayes: np.ndarray
    trainings: tuple[np.ndarray, ...]


def checkpoint_of(share: float, training: str = "") -> str:
    """The checkpoint of a share of sinusoids; training: one of TRAININGS. InputError for a share without one."""
    if share not in SINE_SHARES:
        raise unknown("share of sinusoids", str(share), map(str, SINE_SHARES))
    return f"tiny/line_sine_w{round(1000 * share):03d}{training}"


def shown(share: float, k: int, kind: str = "sinusoid", seed: int = 0) -> Shown:
    """What ``draw`` draws. Raises InputError for a share without models, a kind that is none, a k outside 0 to MOST."""
    names = [checkpoint_of(share, training) for training in TRAININGS]
    if kind not in KINDS:
        raise unknown("kind of function", kind, KINDS)
    if not 0 <= k <= MOST:
        raise InputError(f"k must be from 0 to {MOST}, got {k}.")
    fc = KINDS[kind]
    prompt = fc.sample(1, MOST + 1, seed)  # always all points: fewer examples are the first of more
    truth = fc.values(prompt.task, torch.tensor(GRID, dtype=torch.float32)[None, :, None])[0]
    xs, ys = prompt.xs[0, :k, 0], prompt.ys[0, :k]
    best = MixtureBayes(Mixture(tuple(KINDS.values()), (1 - share, share)))
    return Shown(
        xs.numpy(),
        ys.numpy(),
        truth.double().numpy(),
        predicted_curve(best, xs, ys, GRID),
        tuple(predicted_curve(model(name), xs, ys, GRID) for name in names),
    )


@style()
def draw(ax: Axes, share: float, k: int, kind: str = "sinusoid", seed: int = 0, legend: bool = True) -> Shown:
    """The predicted curves of the three trainings of a share, exact Bayes for that share, the truth, the examples.

    What leaves the panel is cut off. Returns the numbers behind it.
    """
    one = shown(share, k, kind, seed)
    lines = plot_functions(ax, GRID, {"Bayes, mixture": one.bayes}, one.truth, (one.xs, one.ys))
    lines["Bayes, mixture"].set(zorder=4, linewidth=2.6)  # dots on top: the models often lie on the same curve
    for number, (answer, (color, line)) in enumerate(zip(one.trainings, LOOKS, strict=True), 1):
        ax.plot(GRID, answer, color=color, linestyle=line, linewidth=1.6, label=f"training {number}")
    ax.set_ylim(one.truth.min() - ROOM, one.truth.max() + ROOM)
    if legend:
        legend_above(ax, columns=3)
    else:
        ax.get_legend().remove()
    return one


def view(share: float = 0.05, k: int = 10, kind: str = "sinusoid", seed: int = 0) -> Figure:
    """One panel: a share of sinusoids in pretraining, k examples, a class, and the seed of the prompt."""
    fig, ax = subplots(height=4.6)
    draw(ax, share, k, kind, seed)
    return fig
