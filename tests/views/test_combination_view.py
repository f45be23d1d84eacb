"""The figure of chapter 12: what is drawn follows its parameters, and is what the learners say."""

import numpy as np
import pytest
import torch

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.evaluation import predicted_curve
from icl_lab.functions import ConvexCombination, Line, Sinusoid
from icl_lab.predictors import LineBayes
from icl_lab.views.combination import GRID, MODELS, PROMPTS, drawn, learners, view


def data(**parameters):
    """Label -> (points, 2) of every line drawn."""
    (ax,) = view(**parameters).axes
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


START = {"weight": 0.5, "k": 10, "prompt": 0}


@pytest.fixture(scope="module")
def start():
    return data(**START)


def test_it_draws_the_same_again(start):
    again = data(**START)
    assert start.keys() == again.keys() == {"true function", "examples", *learners()}
    for name, points in start.items():
        np.testing.assert_array_equal(points, again[name])


@pytest.mark.parametrize("change", [{"weight": 0.6}, {"k": 11}, {"prompt": 1}])
def test_every_parameter_changes_what_is_drawn(start, change):
    other = data(**{**START, **change})
    for name, points in start.items():
        if name == "true function" and "k" in change:
            continue  # more examples of the same function
        same = points.shape == other[name].shape and np.allclose(points, other[name], atol=1e-4)
        assert not same, name


def test_more_examples_come_after_the_fewer(start):
    more = data(**{**START, "k": 20})
    np.testing.assert_array_equal(more["examples"][:10], start["examples"])
    np.testing.assert_array_equal(more["true function"], start["true function"])


def test_the_examples_and_the_truth_are_those_of_the_formula():
    parts = {weight: drawn(ConvexCombination(Line(), Sinusoid(), weight), 20, 3, GRID) for weight in (0.0, 0.25, 1.0)}
    for i in (1, 2):  # outputs of the examples, and the function on the grid
        mixed = 0.25 * parts[1.0][i] + 0.75 * parts[0.0][i]
        np.testing.assert_allclose(parts[0.25][i], mixed, atol=1e-5)
    xs, ys, truth = parts[1.0]
    np.testing.assert_allclose(np.interp(xs, GRID, truth), ys, atol=1e-5)  # a line: interpolation is exact


def test_a_curve_is_one_answer_per_query():
    model = checkpoints.load(MODELS[0])
    xs, ys, _ = drawn(ConvexCombination(Line(), Sinusoid(), 0.5), 7, 0, GRID)
    curve = predicted_curve(model, xs, ys, GRID)
    for i in (0, 33, 100):
        x = torch.tensor([*xs, GRID[i]], dtype=torch.float32)[None, :, None]
        y = torch.tensor([*ys, 5.0], dtype=torch.float32)[None]  # whatever stands at the query is not read
        np.testing.assert_allclose(float(model(x, y)[0, -1]), curve[i], atol=1e-4)


def test_a_line_is_continued_by_who_knows_lines():
    curve = predicted_curve(LineBayes(), [-1.0, 2.0], [0.5, 2.0], np.array([-5.0, 0.0, 4.0]))
    np.testing.assert_allclose(curve, [-1.5, 1.0, 3.0], atol=1e-5)


def test_no_example_is_a_prompt_too():
    assert np.isfinite(predicted_curve(learners()["Bayes, mixture"], [], [], GRID[:3])).all()


def test_wrong_shapes_and_counts_say_so():
    with pytest.raises(InputError, match="A curve needs"):
        predicted_curve(LineBayes(), np.zeros((2, 1)), np.zeros(2), GRID)
    for k, prompt in ((41, 0), (-1, 0), (5, PROMPTS), (5, -1)):
        with pytest.raises(InputError, match="There are 8 prompts"):
            drawn(Line(), k, prompt, GRID)
