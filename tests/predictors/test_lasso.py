"""The Lasso against scikit-learn, the conditions of its optimum, and the errors that the papers report."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso as SklearnLasso

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DenseLinear, SparseLinear
from icl_lab.predictors import Lasso
from icl_lab.predictors import lasso as module

CASES = [
    (SparseLinear(), 0.01),
    (SparseLinear(), 0.1),
    (DenseLinear(), 0.01),
    (DenseLinear(noise=0.5), 1e-3),
    (DenseLinear(dim=3), 0.3),
]


@pytest.mark.parametrize(("fc", "alpha"), CASES, ids=str)
def test_equal_to_scikit_learn(fc, alpha):
    p = fc.sample(2, 41, 7)
    out = Lasso(alpha)(p.xs, p.ys)
    assert (out[:, 0] == 0).all()
    X, Y = p.xs.double().numpy(), p.ys.double().numpy()
    peer = SklearnLasso(alpha=alpha, fit_intercept=False, tol=1e-9, max_iter=200_000)
    for b in range(2):
        for k in (1, 2, 5, 10, 16, 20, 25, 40):
            peer.fit(X[b, :k], Y[b, :k])
            assert abs(peer.predict(X[b, k : k + 1])[0] - out[b, k]) < 1e-4


def check_optimum(xs, ys, alpha, slack=1e-6):
    """|X'r / k| <= alpha everywhere, = alpha sign(w) where w is not zero: necessary and sufficient."""
    x, y = xs.double(), ys.double()
    w = Lasso(alpha).weights(xs, ys)
    for k in range(1, y.shape[1]):
        wk = w[:, k]
        slope = ((y[:, :k] - (x[:, :k] @ wk[..., None])[..., 0])[..., None] * x[:, :k]).mean(1)
        assert slope.abs().max() <= alpha * (1 + slack)
        held = wk.abs() > 1e-9
        assert torch.allclose(slope[held], alpha * wk[held].sign(), rtol=slack * 10, atol=0)


@pytest.mark.parametrize(("fc", "alpha"), CASES, ids=str)
def test_conditions_of_the_optimum_hold_everywhere(fc, alpha):
    p = fc.sample(128, 41, 8)
    check_optimum(p.xs, p.ys, alpha)


@pytest.mark.parametrize("kind", ["zero columns", "repeated columns", "repeated inputs", "signs", "one dimension"])
def test_degenerate_inputs(kind, monkeypatch):
    p = DenseLinear(dim=6, noise=0.3).sample(40, 15, 3)
    xs, ys = p.xs.clone(), p.ys.clone()
    if kind == "zero columns":
        xs[..., 3:] = 0
    elif kind == "repeated columns":
        xs[..., 3:] = xs[..., :3]
    elif kind == "repeated inputs":
        xs[:, 3:6] = xs[:, :3]
    elif kind == "signs":
        xs, ys = xs.sign(), ys.sign()  # coordinates tie exactly
    else:
        xs = xs[..., :1].contiguous()
    monkeypatch.setattr(module, "_descend", None)  # the path alone, ties included
    check_optimum(xs, ys, 0.01, slack=1e-4)


def test_coordinate_descent_closes_what_is_left_open(monkeypatch):
    p = SparseLinear(dim=6).sample(10, 9, 3)
    expected = Lasso(0.1)(p.xs, p.ys)
    monkeypatch.setattr(module, "_path", lambda gram, xy, alpha: torch.full_like(xy, torch.nan))
    torch.testing.assert_close(Lasso(0.1)(p.xs, p.ys), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("fc", "alpha", "expected"),
    [
        (SparseLinear(scale="raw"), 0.01, {3: 0.78, 5: 0.44, 8: 0.11, 10: 0.02, 12: 0.007, 15: 0.001}),
        (SparseLinear(scale="raw"), 0.1, {3: 0.76, 5: 0.44, 8: 0.16, 10: 0.05, 12: 0.03, 15: 0.02}),
        (SparseLinear(scale="raw", nonzeros=3), 0.01, {5: 0.57, 10: 0.06}),
        (DenseLinear(scale="raw"), 0.01, {5: 1.06, 10: 0.69, 15: 0.37, 20: 0.09}),
    ],
    ids=str,
)
def test_errors_come_near_the_expected_ones(fc, alpha, expected):
    """Values simulated with scikit-learn (640 prompts each); for three non-zeros midway to Garg et al.'s.

    Weights on raw scale, as theirs: on unit scale the same alpha penalizes more.
    """
    curve = icl_curve(Lasso(alpha), fc, ks=list(expected))
    for k, error in expected.items():
        assert curve.at(k) == pytest.approx(error, rel=0.15, abs=0.035), k


def test_strong_penalty_never_learns():
    assert icl_curve(Lasso(1.0), SparseLinear(), 400).mean.min() > 0.5


def test_uses_earlier_examples_only_and_refuses_bad_input():
    p = DenseLinear(dim=4).sample(6, 9, 3)
    before = Lasso(0.05)(p.xs, p.ys)
    ys = p.ys.clone()
    ys[:, 4:] = np.nan
    assert torch.equal(Lasso(0.05)(p.xs[:, :5], ys[:, :5]), before[:, :5])
    with pytest.raises(InputError, match="alpha must be greater than 0, got 0"):
        Lasso(0)
    with pytest.raises(InputError, match=r"Lasso 0.01 expects xs of shape .* got \(9, 4\)"):
        Lasso()(p.xs[0], p.ys)
