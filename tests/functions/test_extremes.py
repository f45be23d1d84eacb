"""Extreme members of the classes of one input: their formulas, their moments, and what they share with the classes."""

import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.functions import Line, Sinusoid, SinusoidOf, SteepLine
from icl_lab.functions.shifts import gen_scaled_x
from icl_lab.predictors import bayes


@pytest.mark.parametrize("frequency", [0.05, 1.0, 5.0])
def test_a_sinusoid_of_one_frequency_is_that_of_the_formula(frequency):
    p = SinusoidOf(frequency=frequency).sample(200, 6, 3)
    A, B = (p.task[name].double()[:, None] for name in "AB")
    x = p.xs[..., 0].double()
    expected = A * torch.sin(frequency * x) + B * torch.cos(frequency * x)
    torch.testing.assert_close(p.ys.double(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frequency", [0.05, 0.4, 1.0, 5.0])
def test_moment_and_variation_are_those_of_many_draws(frequency):
    fc = SinusoidOf(frequency=frequency)
    y = fc.sample(20_000, 400, 8).ys.double()
    assert float(y.square().mean()) == pytest.approx(fc.second_moment, rel=0.03)
    assert float(y.var(1).mean()) == pytest.approx(fc.variation, rel=0.03)


def test_a_slow_sinusoid_varies_as_a_line_does():
    assert SinusoidOf(frequency=0.01).variation == pytest.approx(25 * 0.01**2 / 3, rel=1e-3)
    assert SinusoidOf(frequency=0.01).second_moment == 1


@pytest.mark.parametrize("steepness", [0.0, 1.0, 4.0])
def test_a_steep_line_has_a_larger_slope_and_the_same_intercept(steepness):
    usual, steep = Line().sample(20_000, 3, 4), SteepLine(steepness=steepness).sample(20_000, 3, 4)
    torch.testing.assert_close(steep.task["a"], steepness * usual.task["a"])
    assert torch.equal(steep.task["b"], usual.task["b"])
    assert torch.equal(steep.xs, usual.xs)
    slope = (steep.ys[:, 1] - steep.ys[:, 0]) / (steep.xs[:, 1, 0] - steep.xs[:, 0, 0])
    torch.testing.assert_close(slope, steep.task["a"] / (2 * 25 / 3) ** 0.5, atol=1e-2, rtol=1e-3)
    assert float(steep.ys.double().square().mean()) == pytest.approx(
        SteepLine(steepness=steepness).second_moment, rel=0.04
    )


def test_amplitudes_are_those_of_the_class_whatever_the_frequency():
    one, other = (SinusoidOf(frequency=w).sample(50, 4, 9) for w in (0.3, 3.0))
    usual = Sinusoid().sample(50, 4, 9)
    for p in (one, other):
        assert torch.equal(p.task["A"], usual.task["A"])
        assert torch.equal(p.xs, usual.xs)


def test_scaled_inputs_have_the_moment_of_the_scaled_line():
    shifted = gen_scaled_x(SteepLine(steepness=2.0), 10, 3, 0, factor=2.0)
    assert shifted.second_moment == pytest.approx((16 + 1) / 2, rel=0.05)


def test_the_law_of_the_class_is_not_theirs():
    with pytest.raises(InputError, match="no exact Bayes"):
        bayes(SinusoidOf(frequency=2.0))


def test_wrong_values_say_so():
    for frequency in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="frequency"):
            SinusoidOf(frequency=frequency)
    with pytest.raises(InputError, match="steepness"):
        SteepLine(steepness=-1.0)
