"""The view of chapter 10: every parameter changes what is drawn, and what is drawn is what the predictors say."""

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.evaluation import predict_at
from icl_lab.functions import Line, Sinusoid
from icl_lab.views import selection


def drawn(fig):
    """Line data and bar lengths of a figure."""
    lines = [line.get_xydata() for ax in fig.axes for line in ax.get_lines()]
    bars = [[bar.get_width() for bar in ax.patches] for ax in fig.axes if ax.patches]
    return np.concatenate([np.ravel(part) for part in (*lines, *bars)])


@pytest.mark.parametrize("change", [{"k": 3}, {"kind": "sinusoid"}, {"seed": 13}])
def test_each_parameter_changes_the_drawn_data(change):
    base = {"k": 2, "kind": "line", "seed": 12}
    before, after = drawn(selection.view(**base)), drawn(selection.view(**{**base, **change}))
    assert before.shape != after.shape or not np.allclose(before, after)


def test_the_same_parameters_draw_the_same():
    first = drawn(selection.view(k=3, kind="sinusoid", seed=4))
    selection.shown.cache_clear()
    np.testing.assert_array_equal(first, drawn(selection.view(k=3, kind="sinusoid", seed=4)))


def test_curves_are_the_models_answers():
    """A point of the curve is the model's prediction for a prompt that ends in that query."""
    state = selection.shown(5, "sinusoid", 7)
    prompt = Sinusoid().sample(1, selection.MOST + 1, 7)
    at = 30
    xs, ys = prompt.xs[:, :6].clone(), prompt.ys[:, :6].clone()
    xs[0, 5, 0], ys[0, 5] = selection.GRID[at], 99.0  # the query's own output must not matter
    for name in selection.MODELS:
        expected = predict_at(selection.model(name), xs, ys, [5])[0, 0]
        assert state.curves[name][at] == pytest.approx(float(expected), abs=2e-3)
    assert float(prompt.ys[0, 5]) == pytest.approx(_truth(state, float(prompt.xs[0, 5, 0])), abs=0.05)


def _truth(state, x):
    return float(np.interp(x, selection.GRID.numpy(), state.truth))


def test_posterior_and_exact_curve_against_closed_forms():
    """No example: both classes alike and a flat zero; three on a line: a line, drawn through the first two."""
    nothing = selection.shown(0, "line", 3)
    np.testing.assert_allclose(nothing.posterior, [0.5, 0.5])
    np.testing.assert_allclose(nothing.curves["Bayes, mixture"], 0, atol=1e-9)
    state = selection.shown(3, "line", 3)
    assert state.posterior[0] > 0.99
    slope = (state.ys[1] - state.ys[0]) / (state.xs[1] - state.xs[0])
    straight = state.ys[0] + slope * (selection.GRID.numpy() - state.xs[0])
    np.testing.assert_allclose(state.curves["Bayes, mixture"], straight, atol=1e-2)
    np.testing.assert_allclose(state.truth, straight, atol=1e-3)
    bent = selection.shown(3, "sinusoid", 3)
    assert bent.posterior[1] > 0.99
    assert bent.off("Bayes, mixture") < 1.5


def test_examples_are_kept_as_k_grows_and_panels_show_the_same():
    few, more = selection.shown(2, "line", 5), selection.shown(6, "line", 5)
    np.testing.assert_array_equal(few.xs, more.xs[:2])
    fig = selection.panels([2, 6], ["line"], 5)
    curve = fig.axes[0].get_lines()[1].get_ydata()
    np.testing.assert_array_equal(curve, few.curves[selection.MODELS[0]])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InputError, match="k must be"):
        selection.shown(selection.MOST + 1, "line", 1)
    with pytest.raises(InputError, match="kind of function"):
        selection.shown(1, "parabola", 1)
    assert isinstance(selection.KINDS["line"], Line)
