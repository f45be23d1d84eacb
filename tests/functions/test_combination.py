"""Convex combinations: both parts at the same inputs, drawn independently, weighed as said."""

from dataclasses import replace

import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import squared_errors
from icl_lab.functions import ConvexCombination, DecisionTree, DenseLinear, Line, Mixture, Sinusoid, SparseLinear, Stage
from icl_lab.training import Recipe

PAIR = (Line(), Sinusoid())


@pytest.mark.parametrize("weight", [None, 0.0, 0.25, 1.0])
def test_values_are_those_of_the_formula(weight):
    p = ConvexCombination(*PAIR, weight).sample(300, 7, 5)
    a, b = (p.task["f"][name].double()[:, None] for name in ("a", "b"))
    A, B, w = (p.task["g"][name].double()[:, None] for name in ("A", "B", "w"))
    share = p.task["weight"].double()[:, None]
    x = p.xs[..., 0].double()
    line = (a * x / (25 / 3) ** 0.5 + b) / 2**0.5
    sine = A * torch.sin(w * x) + B * torch.cos(w * x)
    torch.testing.assert_close(p.ys, (share * line + (1 - share) * sine).float(), atol=1e-5, rtol=1e-5)
    if weight is not None:
        assert (p.task["weight"] == weight).all()


def test_weights_are_uniform_and_leave_the_functions_as_they_are():
    drawn = ConvexCombination(*PAIR).sample(20_000, 1, 6).task
    assert stats.kstest(drawn["weight"].double().numpy(), "uniform").pvalue > 1e-3
    fixed = ConvexCombination(*PAIR, 0.7).sample(20_000, 1, 6).task
    assert torch.equal(drawn["f"]["a"], fixed["f"]["a"])
    assert torch.equal(drawn["g"]["w"], fixed["g"]["w"])


def test_the_parts_are_independent_of_each_other_and_of_the_weight():
    dense = DenseLinear(dim=1)
    task = ConvexCombination(dense, dense).sample(40_000, 1, 6).task
    draws = torch.stack([task["f"]["w"][:, 0], task["g"]["w"][:, 0], task["weight"]])
    assert (torch.corrcoef(draws) - torch.eye(3)).abs().max() < 0.02
    assert (torch.corrcoef(draws.abs()) - torch.eye(3)).abs().max() < 0.02


@pytest.mark.parametrize(
    ("combination", "moment"),
    [
        (ConvexCombination(*PAIR), 2 / 3),
        (ConvexCombination(*PAIR, 0.5), 0.5),
        (ConvexCombination(*PAIR, 1.0), 1.0),
        (ConvexCombination(DenseLinear(4, scale="raw"), DecisionTree(4), 0.9), 0.81 * 4 + 0.01),
        (ConvexCombination(Line(scale="raw"), ConvexCombination(*PAIR, 0.5)), (2 + 0.5) / 3),
    ],
    ids=["uniform", "half", "one", "raw", "nested"],
)
def test_second_moments(combination, moment):
    assert combination.second_moment == pytest.approx(moment)
    ys = combination.sample(200_000, 1, 3).ys
    assert float(ys.square().mean()) == pytest.approx(moment, rel=0.03)


def test_it_is_a_class_like_any_other():
    noisy = ConvexCombination(SparseLinear(6), DenseLinear(6), 0.5, noise=0.5)
    quiet = replace(noisy, noise=0.0)
    assert noisy.dim == quiet.dim == 6
    assert noisy != quiet
    assert len({noisy, quiet, replace(noisy)}) == 2
    plain = Recipe("c", noisy, n_points=3, steps=1).config()["function_class"]
    assert plain["class"] == "ConvexCombination"
    assert plain["f"]["class"] == "SparseLinear"
    assert plain["noise"] == plain["weight"] == 0.5
    errors = squared_errors(lambda xs, ys: 0 * ys, noisy, n_prompts=4000, n_points=3)  # noise does not count
    assert errors.mean() == pytest.approx(1.0, abs=0.1)


def test_both_parts_see_the_stage_of_a_curriculum():
    combination = ConvexCombination(SparseLinear(6), DecisionTree(6), 0.5)
    p = combination.sample(500, 3, 1, stage=Stage(dims=torch.tensor(4), softness=torch.tensor(0.0)))
    assert (p.xs[..., 4:] == 0).all()
    w = p.task["f"]["w"]
    assert (w[:, 4:] == 0).all()
    assert torch.allclose(w[w != 0].abs(), torch.tensor(0.5**0.5))
    assert p.task["g"]["coordinates"].max() == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ConvexCombination(Line(), DenseLinear(1)), "same law of inputs, got Line with dim=1 and DenseLinear"),
        (
            lambda: ConvexCombination(DenseLinear(3), DenseLinear(4)),
            "dim=3 and DenseLinear with dim=4",
        ),
        (lambda: ConvexCombination(ConvexCombination(*PAIR), DenseLinear(1)), "same law of inputs"),
        (lambda: ConvexCombination(Mixture(PAIR), Line()), "two function classes, got Mixture"),
        (lambda: ConvexCombination(Line(noise=0.1), Sinusoid()), "not to its parts: Line has 0.1"),
        (lambda: ConvexCombination(*PAIR, noise=-1), "noise must be a standard deviation >= 0, got -1"),
        (lambda: ConvexCombination(*PAIR, 1.5), "from 0 to 1, or None for a uniform one, got 1.5"),
        (lambda: ConvexCombination(*PAIR, float("nan")), "from 0 to 1, or None for a uniform one, got nan"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
