"""Figures: arrays and Axes in, artists out; ``show(fig, alt)`` puts a figure and its alt text into a notebook.

Colors are those of Okabe and Ito (2008), which color-blind readers can tell apart; marker and line style differ as
well. A predictor looks the same in every figure of the book. Sizes are for a phone: 6.4 inches drawn 390 px wide leave
the small print at 9 px.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_lab.errors import InputError
from icl_lab.evaluation import Curve

ERROR_LABEL = "squared error / E f(x)²"
EXAMPLES_LABEL = "number of in-context examples k"
WIDTH, HEIGHT, DPI = 6.4, 4.0, 160

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GRAY = "#6E6E6E"

RC = {
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "figure.facecolor": "white",  # solid: readable on dark pages too
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}


@dataclass(frozen=True)
class Style:
    """How one predictor looks, as keyword arguments of ``Axes.plot``."""

    color: str
    linestyle: Any = "-"
    marker: str = "o"


# By name, or by the first words of a name: "Lasso 0.01" looks like "Lasso". Color says what a predictor was made for,
# the line how: fits are dashed, exact Bayes is dotted, networks are solid and go by their recipe ("tiny/line_sine").
STYLES: dict[str, Style] = {
    "least squares": Style(BLACK, "--", "s"),
    "Lasso": Style(VERMILION, "--", "D"),
    "ridge": Style(GRAY, "--", "P"),
    "Bayes, dense": Style(BLUE, ":", "v"),
    "Bayes, sparse": Style(ORANGE, ":", "^"),
    "Bayes, mixture": Style(PURPLE, ":", "X"),
    "Bayes, line": Style(BLUE, ":", "<"),
    "Bayes, sinusoid": Style(ORANGE, ":", ">"),
    "Bayes, Fourier": Style(SKY, ":", "h"),
    "3 nearest neighbors": Style(GRAY, "--", "o"),
    "averaging": Style(SKY, "--", "v"),
    "gradient descent": Style(BLUE, "--", "<"),
    "greedy tree": Style(ORANGE, "--", ">"),
    "gradient boosting": Style(PURPLE, "--", "*"),
    "two-layer network": Style(GREEN, "--", "X"),
    "best linear": Style(GREEN, ":", "d"),
    "transformer": Style(GREEN, "-", "o"),
    "dense": Style(BLUE, "-", "v"),
    "sparse2": Style(ORANGE, "-", "^"),
    "dense_sparse2": Style(PURPLE, "-", "X"),
    "sparse1_d8": Style(ORANGE, "-", "p"),
    "dense_sparse1_d8": Style(PURPLE, "-", "P"),
    "sparse_any": Style(GREEN, "-", "s"),
    "line_sine_combined": Style(GREEN, "-", "P"),
    "line_sine_garg": Style(SKY, "-", "p"),
    "relu": Style(VERMILION, "-", "D"),
    "tree": Style(VERMILION, "-", "h"),
    "line": Style(BLUE, "-", "<"),
    "sine": Style(ORANGE, "-", ">"),
    "line_sine": Style(PURPLE, "-", "d"),
}
_SPARE = [
    Style(color, line, marker)
    for line, marker in (("-", "o"), ("-.", "h"), ((0, (5, 1)), "*"))
    for color in (GREEN, SKY, VERMILION, PURPLE, ORANGE, BLUE)
]


def register(name: str, color: str, linestyle: Any = "-", marker: str = "o") -> None:
    """Fix how a predictor looks, in every figure from here on. Registering a name again must not change it."""
    style = Style(mpl.colors.to_hex(color).upper(), linestyle, marker)
    if STYLES.setdefault(name, style) != style:
        raise InputError(f"Predictor '{name}' already has a style, {STYLES[name]}; one name keeps one look.")


def style_of(name: str) -> Style:
    """The style registered for the name, for its longest registered beginning, or one fixed by its spelling.

    The size of a checkpoint does not count: "small/dense" looks like "tiny/dense".
    """
    name = name.rsplit("/", 1)[-1]
    known = [n for n in STYLES if name == n or (name.startswith(n) and not name[len(n)].isalnum())]
    if known:
        return STYLES[max(known, key=len)]
    return _SPARE[zlib.crc32(name.encode()) % len(_SPARE)]


def _styles(names: Sequence[str]) -> dict[str, Style]:
    """Styles that differ within one Axes: a name that would look like an earlier one takes the next spare style."""
    chosen: dict[str, Style] = {}
    for name in names:
        style = style_of(name)
        start = zlib.crc32(name.encode())
        for i in range(len(_SPARE)):
            if style not in chosen.values():
                break
            style = _SPARE[(start + i) % len(_SPARE)]
        chosen[name] = style
    return chosen


@contextmanager
def style() -> Any:
    """The look of the book, as a context or a decorator; everything in this module uses it already."""
    with mpl.rc_context(RC):
        yield


def subplots(rows: int = 1, cols: int = 1, width: float = WIDTH, height: float = HEIGHT, **options: Any) -> Any:
    """(Figure, Axes or array of Axes) in the style of the book; width and height in inches.

    The figure is not known to pyplot, so a notebook shows it once: by ``show``. On a phone two panels one above the
    other read better than side by side.
    """
    with style():
        fig = Figure(figsize=(width, height), layout="constrained")
        axes = fig.subplots(rows, cols, **options)
    return fig, axes


@style()
def plot_curves(
    ax: Axes, curves: Mapping[str, Curve], ylim: tuple[float, float] | None = (-0.05, 1.25), legend: bool = True
) -> dict[str, Any]:
    """Learning curves with their intervals; returns the line of each name. Labels axes; ylim None: no clipping.

    The legend stands above the Axes, where it covers nothing.
    """
    if not curves:
        raise InputError("plot_curves needs at least one curve, got none.")
    lines = {}
    for i, (name, look) in enumerate(_styles(list(curves)).items()):
        c = curves[name]
        every = max(1, len(c.k) // 8)
        (lines[name],) = ax.plot(
            c.k,
            c.mean,
            color=look.color,
            linestyle=look.linestyle,
            marker=look.marker,
            markevery=(i % every, every),  # markers of different curves do not sit on top of each other
            label=name,
        )
        ax.fill_between(c.k, c.low, c.high, color=look.color, alpha=0.18, linewidth=0)
    ax.set_xlabel(EXAMPLES_LABEL)
    ax.xaxis.get_major_locator().set_params(integer=True)  # no half examples
    ax.set_ylabel(ERROR_LABEL)
    if ylim is not None:
        ax.set_ylim(*ylim)
    if legend:
        legend_above(ax)
    return lines


@style()
def legend_above(ax: Axes, columns: int = 2) -> Any:
    """A legend above the Axes."""
    return ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.2, frameon=False)


@style()
def reference_line(ax: Axes, y: float, text: str) -> Any:
    """A thin horizontal line with its label on it, at the right end: what a known number is."""
    line = ax.axhline(y, color=GRAY, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
    ax.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=GRAY,
        fontsize=11,
    )
    return line


@style()
def plot_functions(
    ax: Axes,
    x: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    truth: np.ndarray | None = None,
    points: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """f(x) against x: predictions by name (len(x),), the true function, and the in-context examples (xs, ys)."""
    lines = {}
    if truth is not None:
        (lines["true function"],) = ax.plot(x, truth, color="#B0B0B0", linewidth=5.0, label="true function", zorder=1)
    for name, look in _styles(list(predictions)).items():
        (lines[name],) = ax.plot(x, predictions[name], color=look.color, linestyle=look.linestyle, label=name)
    if points is not None:
        (lines["examples"],) = ax.plot(
            *points, "o", color=BLACK, markerfacecolor="white", markersize=7, label="examples", zorder=5
        )
    ax.set_xlabel("x")
    ax.set_ylabel("f(x)")
    legend_above(ax)
    return lines


def check_alt(alt: str) -> str:
    """Alt text says in a sentence what is seen; InputError if there is none."""
    if not isinstance(alt, str) or len(alt.split()) < 3:
        raise InputError(f"alt must be a sentence that says what the figure shows, got {alt!r}.")
    return " ".join(alt.split())


def to_png(fig: Figure) -> bytes:
    """The figure as PNG, on its own white ground."""
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def show(fig: Figure, alt: str) -> Figure | None:
    """Display the figure once, with ``alt`` in the metadata of the output; in plain Python return the figure.

    alt: a sentence that says what is seen, for readers who do not see it. The book copies it into the page.
    """
    alt = check_alt(alt)
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return fig
    if get_ipython() is None:
        return fig
    png = base64.b64encode(to_png(fig)).decode()
    display(
        {"image/png": png, "text/plain": alt},
        metadata={"image/png": {"alt": alt, "width": round(100 * fig.get_figwidth())}},
        raw=True,
    )
    _close(fig)
    return None


def _close(fig: Figure) -> None:
    """Forget a figure made by pyplot, or the notebook would show it a second time at the end of the cell."""
    import sys

    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)
