"""The view of chapter 14: every parameter changes what is drawn, and what is drawn is what the predictors say."""

import numpy as np
import pytest
import torch

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.figures import subplots
from icl_lab.functions import Line, Mixture, Sinusoid
from icl_lab.predictors import MixtureBayes
from icl_lab.recipes import SINE_SHARES
from icl_lab.views import coverage

BASE = {"share": 0.05, "k": 3, "kind": "sinusoid", "seed": 1}


def lines(fig):
    """Line data of a figure by label."""
    return {line.get_label(): line.get_xydata() for ax in fig.axes for line in ax.get_lines()}


@pytest.mark.parametrize("change", [{"share": 0.5}, {"k": 10}, {"kind": "line"}, {"seed": 2}])
def test_each_parameter_changes_the_drawn_data(change):
    before, after = lines(coverage.view(**BASE)), lines(coverage.view(**{**BASE, **change}))
    assert before.keys() == after.keys()
    for name in ("Bayes, mixture", "training 1", "training 2", "training 3"):  # each of them, not one for all
        if name == "Bayes, mixture" and "share" in change:
            continue  # from three examples on, exact Bayes does not ask for the share
        assert np.abs(before[name] - after[name]).max() > 1e-3, name


def test_bayes_of_two_examples_depends_on_the_share():
    rare, common = (lines(coverage.view(share, 2, "sinusoid", 0))["Bayes, mixture"] for share in (0.005, 0.5))
    assert np.abs(rare - common).max() > 0.1


def test_the_same_parameters_draw_the_same():
    first, second = lines(coverage.view(**BASE)), lines(coverage.view(**BASE))
    for name, points in first.items():
        np.testing.assert_array_equal(points, second[name])


def test_fewer_examples_are_the_first_of_more():
    few, many = coverage.shown(0.1, 4, "line", 3), coverage.shown(0.1, 12, "line", 3)
    np.testing.assert_array_equal(few.xs, many.xs[:4])
    np.testing.assert_array_equal(few.ys, many.ys[:4])
    np.testing.assert_array_equal(few.truth, many.truth)


@pytest.mark.parametrize("kind", ["line", "sinusoid"])
def test_the_truth_goes_through_the_examples(kind):
    one = coverage.shown(0.5, 20, kind, 5)
    fc = {"line": Line(), "sinusoid": Sinusoid()}[kind]
    prompt = fc.sample(1, coverage.MOST + 1, 5)
    np.testing.assert_allclose(one.xs, prompt.xs[0, :20, 0])
    near = np.abs(coverage.GRID[:, None] - one.xs).argmin(0)  # the grid's step is 0.1, and no slope is above 10
    assert np.abs(one.truth[near] - one.ys).max() < 0.5


def test_curves_are_the_predictors_answers():
    """A point of a curve is the prediction for a prompt that ends in that query, by the model of that share."""
    one = coverage.shown(0.02, 5, "sinusoid", 7)
    prompt, at = Sinusoid().sample(1, coverage.MOST + 1, 7), 30
    xs, ys = prompt.xs[:, :6].clone(), prompt.ys[:, :6].clone()
    xs[0, 5, 0], ys[0, 5] = coverage.GRID[at], 99.0  # the query's own output must not matter
    for name, answer in zip(("", "_s1", "_s2"), one.trainings, strict=True):
        model = checkpoints.load(f"tiny/line_sine_w020{name}")
        assert answer[at] == pytest.approx(float(model(xs, ys)[0, 5]), abs=1e-4)
    two = coverage.shown(0.02, 2, "sinusoid", 7)  # where the share counts
    law = Mixture((Line(), Sinusoid()), (0.98, 0.02))
    queried = torch.cat([xs[:, :2], xs[:, 5:]], 1)
    assert two.bayes[at] == pytest.approx(float(MixtureBayes(law)(queried, torch.zeros(1, 3) + ys[:, [0, 1, 5]])[0, 2]))


def test_every_share_has_three_models():
    assert {coverage.checkpoint_of(s, t) for s in SINE_SHARES for t in coverage.TRAININGS} <= set(checkpoints.list())


def test_a_small_panel_has_no_legend():
    _, axes = subplots(2, 1)
    coverage.draw(axes[0], 0.5, 4, legend=False)
    coverage.draw(axes[1], 0.5, 4)
    assert axes[0].get_legend() is None
    assert [text.get_text() for text in axes[1].get_legend().get_texts()][-1] == "training 3"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"share": 0.3}, "share of sinusoids"),
        ({"kind": "parabola"}, "kind of function"),
        ({"k": 21}, "from 0 to 20, got 21"),
        ({"k": -1}, "from 0 to 20, got -1"),
    ],
)
def test_what_goes_wrong_is_said(wrong, said):
    with pytest.raises(InputError, match=said):
        coverage.view(**{**BASE, **wrong})
