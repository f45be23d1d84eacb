"""Gradient descent in context against its closed form, autograd, averaging and least squares."""

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DenseLinear
from icl_lab.predictors import Averaging, GradientDescent, LeastSquares
from icl_lab.predictors import descent as module


@pytest.mark.parametrize(("steps", "rate"), [(1, 0.3), (2, 0.3), (25, 0.1)])
def test_equal_to_the_closed_form(steps, rate):
    """The sum over j < t of (I - rate A)^j rate b, by eigenvalues: (1 - (1 - rate l)^t) / l, or rate t at l = 0."""
    p = DenseLinear(dim=4, noise=0.3).sample(5, 9, 3)
    out, w = GradientDescent(steps, rate)(p.xs, p.ys), GradientDescent(steps, rate).weights(p.xs, p.ys)
    assert (out[:, 0] == 0).all()
    X, Y = p.xs.double().numpy(), p.ys.double().numpy()
    for b in range(5):
        for k in range(1, 9):
            values, V = np.linalg.eigh(X[b, :k].T @ X[b, :k] / k)
            zero = values < 1e-9
            values[zero] = 1.0
            factor = np.where(zero, rate * steps, (1 - (1 - rate * values) ** steps) / values)
            truth = V @ (factor * (V.T @ (X[b, :k].T @ Y[b, :k] / k)))
            np.testing.assert_allclose(w[b, k].numpy(), truth, atol=1e-9)
            assert float(out[b, k]) == pytest.approx(truth @ X[b, k], abs=1e-5)


def test_equal_to_torchs_own_descent():
    p = DenseLinear(dim=3).sample(1, 6, 5)
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    sgd = torch.optim.SGD([w], lr=0.2)
    for _ in range(7):
        sgd.zero_grad()
        (0.5 * (p.xs[0, :5].double() @ w - p.ys[0, :5].double()) ** 2).mean().backward()
        sgd.step()
    torch.testing.assert_close(GradientDescent(7, 0.2).weights(p.xs, p.ys)[0, 5], w.detach())


def test_one_step_at_rate_one_is_averaging_and_many_are_least_squares():
    p = DenseLinear(dim=3).sample(20, 12, 4)
    torch.testing.assert_close(GradientDescent(1, 1.0)(p.xs, p.ys), Averaging()(p.xs, p.ys))
    many, exact = GradientDescent(5000, 0.2)(p.xs, p.ys), LeastSquares()(p.xs, p.ys)
    torch.testing.assert_close(many[:, 8:], exact[:, 8:], atol=1e-3, rtol=0)
    assert (many - exact).abs().median() < 1e-4


def test_error_after_one_step_is_what_theory_gives():
    """E |(I - r S) w|^2 / |w|^2 = 1 - 2 r + r^2 (k + d + 1) / k, at its best for r = k / (k + d + 1)."""
    d, k = 20, 40
    for rate in (0.3, k / (k + d + 1)):
        error = icl_curve(GradientDescent(1, rate), DenseLinear(), ks=[k]).at(k)
        assert error == pytest.approx(1 - 2 * rate + rate**2 * (k + d + 1) / k, rel=0.08)


def test_pieces_and_later_examples_make_no_difference(monkeypatch):
    p = DenseLinear(dim=3).sample(9, 7, 1)
    whole = GradientDescent()(p.xs, p.ys)
    later = p.ys.clone()
    later[:, 4:] = 99.0
    assert torch.equal(GradientDescent()(p.xs, later)[:, :5], whole[:, :5])
    monkeypatch.setattr(module, "CHUNK", 2)
    torch.testing.assert_close(GradientDescent()(p.xs, p.ys), whole)


def test_edges_and_bad_input():
    assert GradientDescent()(torch.randn(1, 1, 3), torch.randn(1, 1)).tolist() == [[0.0]]
    assert [GradientDescent(n).name for n in (1, 5)] == ["gradient descent, 1 step", "gradient descent, 5 steps"]
    for bad, said in (((0, 0.1), "steps must be greater than 0"), ((1.5, 0.1), "whole"), ((3, 0.0), "rate must be gr")):
        with pytest.raises(InputError, match=said):
            GradientDescent(*bad)
    with pytest.raises(InputError, match="gradient descent, 10 steps expects xs"):
        GradientDescent()(torch.randn(2, 4, 3), torch.randn(2, 5))


def test_a_rate_too_large_is_said():
    with pytest.raises(InputError, match="'gradient descent, 3000 steps' gave a prediction that is not finite at k="):
        icl_curve(GradientDescent(3000, 10.0), DenseLinear(dim=3), 4, 6)
