"""Figures of the language lab: numbers and Axes in, artists out. Each score looks the same in every chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from icl_lab import figures
from icl_lab.errors import InputError
from icl_lab.language.evaluation import Accuracy

figures.register("direct", figures.VERMILION, "-", "s")
figures.register("perplexity", figures.ORANGE, "--", "D")
figures.register("perplexity, label first", figures.PURPLE, "-.", "^")
figures.register("channel", figures.BLUE, "-", "o")
figures.register("PMI given C", figures.PURPLE, "--", "v")
figures.register("contextual calibration", figures.ORANGE, "-.", "P")
figures.register("domain-context calibration", figures.GREEN, "-", "X")
figures.register("exact Bayes", figures.GRAY, ":", "x")


@figures.style()
def plot_accuracy(
    ax: Axes, settings: Sequence[str], rows: Mapping[str, Sequence[Accuracy]], legend: bool = True
) -> dict[str, Any]:
    """Accuracy of each named score in each setting, with its interval; returns the artists of each name.

    rows: name -> one Accuracy per setting. The settings stand side by side at equal distances. A row without
    intervals (a known value) stands exactly at its setting.
    """
    places, artists = np.arange(len(settings)), {}
    for number, (name, values) in enumerate(rows.items()):
        if len(values) != len(settings):
            raise InputError(f"'{name}' has {len(values)} accuracies for {len(settings)} settings.")
        look = figures.style_of(name)
        mean, low, high = np.array(values, dtype=float).T
        known = np.allclose(low, high)
        shift = 0 if known else 0.05 * (number - (len(rows) - 1) / 2)  # intervals do not cover each other
        artists[name] = ax.errorbar(
            places + shift,
            mean,
            yerr=None if known else [mean - low, high - mean],
            color=look.color,
            linestyle=look.linestyle,
            marker=look.marker,
            capsize=3,
            label=name,
        )
    ax.set_xticks(places, settings)
    ax.set_ylim(-0.03, 1.03)
    ax.set_ylabel("share of right answers")
    if legend:
        figures.legend_above(ax)
    return artists


@figures.style()
def plot_shares(ax: Axes, rows: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """One bar for each row, cut into named shares (each between 0 and 1); returns the bars of each share's name.

    Every row must name the same shares, in the order in which they stand from left to right; from dark to light and
    hatched in turn, so that they differ without color.
    """
    if not rows:
        raise InputError("plot_shares needs at least one row, got none.")
    names = list(next(iter(rows.values())))
    for row, shares in rows.items():
        if list(shares) != names:
            raise InputError(f"The row '{row}' has the shares {list(shares)}, expected {names}.")
    places, artists = np.arange(len(rows)), {}
    left = np.zeros(len(rows))
    for number, name in enumerate(names):
        width = np.array([shares[name] for shares in rows.values()])
        gray = str(round(0.3 + 0.6 * number / max(1, len(names) - 1), 2))
        hatch = ("", "///", "...")[number % 3]
        artists[name] = ax.barh(places, width, 0.6, left=left, color=gray, edgecolor="white", hatch=hatch, label=name)
        left += width
    ax.set_yticks(places, list(rows))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.0)
    figures.legend_above(ax)
    return artists


@figures.style()
def plot_bins(
    ax: Axes, x: np.ndarray, series: Mapping[str, np.ndarray], looks: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Mean of each series at each value that ``x`` (n,) takes, with bars from the 5 % to the 95 % point.

    looks: name of a series -> the registered name whose color and line it takes (default: its own name).
    """
    values, artists = np.unique(np.round(x, 6)), {}
    for number, (name, y) in enumerate(series.items()):
        look = figures.style_of((looks or {}).get(name, name))
        groups = [y[np.isclose(x, value, atol=1e-5)] for value in values]
        mean = np.array([group.mean() for group in groups])
        low, high = np.array([np.quantile(group, (0.05, 0.95)) for group in groups]).T
        shift = 0.1 * (number - (len(series) - 1) / 2)
        artists[name] = ax.errorbar(
            values + shift,
            mean,
            yerr=[np.maximum(mean - low, 0), np.maximum(high - mean, 0)],
            color=look.color,
            linestyle=look.linestyle,
            marker=look.marker,
            capsize=3,
            label=name,
        )
    return artists
