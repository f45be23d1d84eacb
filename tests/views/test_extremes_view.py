"""The figure of chapter 13: what is drawn follows its parameters, and is what the learners say."""

import numpy as np
import pytest

from icl_lab.evaluation import predicted_curve
from icl_lab.figures import subplots
from icl_lab.functions import Line, SinusoidOf, SteepLine
from icl_lab.views import extremes
from icl_lab.views.combination import drawn

START = {"frequency": 2.0, "k": 10, "prompt": 0}


def data(**parameters):
    """Label -> (points, 2) of every line drawn."""
    (ax,) = extremes.view(**parameters).axes
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


@pytest.fixture(scope="module")
def start():
    return data(**START)


def test_it_draws_the_same_again(start):
    again = data(**START)
    assert start.keys() == again.keys() == {"true function", "examples", *extremes.OF_SINUSOIDS}
    for name, points in start.items():
        np.testing.assert_array_equal(points, again[name])


@pytest.mark.parametrize("change", [{"frequency": 2.2}, {"k": 3}, {"prompt": 1}])
def test_every_parameter_changes_what_is_drawn(start, change):
    other = data(**{**START, **change})
    for name, points in start.items():
        if name == "true function" and "k" in change:
            continue  # fewer examples of the same function
        assert points.shape != other[name].shape or not np.allclose(points, other[name], atol=1e-4), name


@pytest.mark.parametrize("frequency", [0.05, 2.0, 5.0])
def test_who_knows_sinusoids_draws_the_truth_at_every_frequency(frequency):
    lines = data(frequency=frequency, k=20, prompt=2)
    np.testing.assert_allclose(lines["Bayes, sinusoid"], lines["true function"], atol=2e-3)


def test_the_curve_reaches_beyond_the_examples():
    _, ax = subplots()
    lines = extremes.draw(ax, SteepLine(steepness=4.0), k=5, prompt=1, names=["Bayes, line"], reach=10.0)
    x, y = lines["Bayes, line"].get_data()
    assert x[0] == -10
    assert x[-1] == 10
    np.testing.assert_allclose(y, lines["true function"].get_ydata(), atol=1e-3)
    assert np.abs(lines["examples"].get_xdata()).max() < 5


def test_what_is_drawn_is_what_the_model_says():
    _, ax = subplots()
    name = extremes.MODELS[0]
    lines = extremes.draw(ax, Line(), k=6, prompt=0, names=[name])
    xs, ys, _ = drawn(Line(), 6, 0, np.zeros(1))
    alone = predicted_curve(extremes.learners()[name], xs, ys, np.array([1.25]))
    x, y = lines[name].get_data()
    np.testing.assert_allclose(y[x == 1.25], alone, atol=1e-4)


def test_two_frequencies_share_their_inputs():
    one, other = (drawn(SinusoidOf(frequency=w), 12, 4, np.zeros(1)) for w in (0.3, 4.0))
    np.testing.assert_array_equal(one[0], other[0])
