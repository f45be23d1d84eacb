"""Figures: one look per name, alt text in the output, legible on a phone, no plotting backend in the package."""

import base64
import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from icl_lab import figures
from icl_lab.errors import InputError
from icl_lab.evaluation import Curve

ALT = "Error falls from one to zero as examples are added."


def curve(height=1.0):
    k = np.arange(41)
    mean = height * np.maximum(0, 1 - k / 20)
    return Curve(k, mean, mean * 0.9, mean * 1.1)


def test_the_package_is_light():
    code = "import sys, icl_lab, icl_lab.evaluation; print('matplotlib' in sys.modules, 'IPython' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_a_name_has_one_look_and_names_differ_within_one_axes():
    _, ax = figures.subplots()
    alone = figures.plot_curves(ax, {"tiny/line_sine": curve()})["tiny/line_sine"]
    names = ["least squares", "Lasso 0.01", "Bayes, mixture", "tiny/line_sine", "a", "b", "c", "d", "e"]
    _, ax = figures.subplots()
    lines = figures.plot_curves(ax, {n: curve() for n in names})
    assert lines["tiny/line_sine"].get_color() == alone.get_color()
    assert lines["tiny/line_sine"].get_marker() == alone.get_marker()
    looks = {(i.get_color(), str(i.get_linestyle()), i.get_marker()) for i in lines.values()}
    assert len(looks) == len(names)
    assert figures.style_of("Lasso 0.01") == figures.style_of("Lasso")
    assert figures.style_of("Lassoed") != figures.style_of("Lasso")
    assert figures.style_of("small/dense_d5") == figures.style_of("dense") != figures.style_of("tiny/dense_sparse2")


def test_registered_styles_stay(monkeypatch):
    monkeypatch.setattr(figures, "STYLES", dict(figures.STYLES))
    figures.register("my net", "#0072b2")
    figures.register("my net", "#0072B2")
    assert figures.style_of("my net").color == "#0072B2"
    with pytest.raises(InputError, match="already has a style"):
        figures.register("my net", "red")


# Viénot, Brettel and Mollon 1999: how a dichromat sees a linear RGB color.
DICHROMATS = {
    "protan": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]],
    "deutan": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]],
}


@pytest.mark.parametrize("kind", DICHROMATS)
def test_color_blind_readers_can_tell_the_curves_apart(kind):
    """Seen by a dichromat, any two registered looks differ in color, or else in line style or marker."""
    seen = {}
    for name, look in figures.STYLES.items():
        linear = np.array(to_rgb(look.color)) ** 2.2
        seen[name] = np.clip(np.array(DICHROMATS[kind]) @ linear, 0, 1) ** (1 / 2.2)
    for a in seen:
        for b in seen:
            if a < b and np.abs(seen[a] - seen[b]).max() < 0.1:
                one, other = figures.STYLES[a], figures.STYLES[b]
                assert (one.linestyle, one.marker) != (other.linestyle, other.marker)


def test_labels_say_what_is_shown_and_nothing_is_covered_or_small():
    fig, ax = figures.subplots()
    figures.plot_curves(ax, {"least squares": curve(), "Lasso 0.01": curve(0.5), "Bayes, sparse": curve(0.2)})
    figures.reference_line(ax, 1.0, "predicting 0")
    assert ax.get_ylabel() == "squared error / E f(x)²"
    assert "examples" in ax.get_xlabel()
    fig.draw_without_rendering()
    renderer = FigureCanvasAgg(fig).get_renderer()
    legend = ax.get_legend().get_window_extent(renderer)
    assert not legend.overlaps(ax.get_window_extent(renderer))
    assert fig.bbox.contains(*legend.min)
    assert fig.bbox.contains(*legend.max)
    scale = 390 / (fig.get_figwidth() * 72)  # points to pixels on a phone
    texts = [t for t in fig.findobj(mpl.text.Text) if t.get_text() and t.get_visible()]
    assert len(texts) > 10
    assert min(t.get_fontsize() for t in texts) * scale > 9


def test_bands_are_the_intervals_and_data_stay_as_they_are():
    _, ax = figures.subplots()
    c = curve()
    line = figures.plot_curves(ax, {"x": c}, ylim=None)["x"]
    np.testing.assert_array_equal(line.get_ydata(), c.mean)
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(c.high.max())
    lines = figures.plot_functions(ax, c.k, {"x": c.mean}, truth=c.low, points=(c.k[:3], c.mean[:3]))
    np.testing.assert_array_equal(lines["examples"].get_ydata(), c.mean[:3])
    with pytest.raises(InputError, match="at least one curve"):
        figures.plot_curves(ax, {})


def test_show_puts_the_alt_text_into_the_output():
    """In a real IPython shell: one PNG, its alt text in the metadata, the figure shown once, white ground."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    quiet = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=quiet)
    try:
        fig, ax = figures.subplots()
        figures.plot_curves(ax, {"least squares": curve()})
        with capture_output() as captured:
            assert figures.show(fig, "  Error falls\n from one to zero.") is None
        (output,) = captured.outputs
        assert output.metadata["image/png"]["alt"] == "Error falls from one to zero."
        png = base64.b64decode(output.data["image/png"])
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
    finally:
        shell.clear_instance()
    pixels = mpl.image.imread(io.BytesIO(png))
    assert pixels.shape[1] == pytest.approx(figures.WIDTH * figures.DPI, abs=2)
    assert (pixels[0, 0] == 1).all()


def test_show_outside_a_notebook_returns_the_figure():
    fig, _ = figures.subplots()
    assert figures.show(fig, ALT) is fig
    for alt in ("", "   ", "figure", None):
        with pytest.raises(InputError, match="alt must be a sentence"):
            figures.show(fig, alt)


def test_the_same_figure_is_the_same_file():
    def draw() -> Figure:
        fig, ax = figures.subplots()
        figures.plot_curves(ax, {"least squares": curve()})
        return fig

    assert figures.to_png(draw()) == figures.to_png(draw())
