"""Nearest neighbors and averaging against scikit-learn, plain loops and the errors that theory gives."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsRegressor

from icl_lab.errors import InputError
from icl_lab.evaluation import squared_errors
from icl_lab.functions import DecisionTree, DenseLinear, SparseLinear
from icl_lab.predictors import Averaging, NearestNeighbors
from icl_lab.predictors import neighbors as module


@pytest.mark.parametrize("n", [1, 3, 50])
def test_neighbors_are_those_of_scikit_learn(n):
    p = DecisionTree(dim=4).sample(6, 12, 3)
    out = NearestNeighbors(n)(p.xs, p.ys)
    assert out.dtype == torch.float32
    assert (out[:, 0] == 0).all()
    X, Y = p.xs.double().numpy(), p.ys.double().numpy()
    for b in range(6):
        for k in range(1, 12):
            peer = KNeighborsRegressor(min(n, k)).fit(X[b, :k], Y[b, :k])
            assert float(out[b, k]) == pytest.approx(peer.predict(X[b, k : k + 1])[0], abs=1e-6)


def test_an_example_that_is_asked_again_is_known():
    p = DenseLinear(dim=3).sample(8, 6, 1)
    xs, ys = torch.cat([p.xs, p.xs[:, 2:3]], 1), torch.cat([p.ys, p.ys[:, :1]], 1)
    assert torch.equal(NearestNeighbors(1)(xs, ys)[:, -1], ys[:, 2])


def test_neighbors_know_nothing_of_the_future_or_of_other_prompts(monkeypatch):
    p = DenseLinear(dim=3).sample(9, 7, 1)
    whole = NearestNeighbors()(p.xs, p.ys)
    later = p.ys.clone()
    later[:, 4:] = 99.0
    assert torch.equal(NearestNeighbors()(p.xs, later)[:, :5], whole[:, :5])
    monkeypatch.setattr(module, "CHUNK", 2)
    assert torch.equal(NearestNeighbors()(p.xs, p.ys), whole)
    assert torch.equal(NearestNeighbors()(p.xs[4:5], p.ys[4:5]), whole[4:5])


def test_averaging_is_the_mean_of_products():
    p = SparseLinear(dim=5).sample(7, 9, 2)
    out = Averaging()(p.xs, p.ys)
    X, Y = p.xs.double().numpy(), p.ys.double().numpy()
    for b in range(7):
        assert out[b, 0] == 0
        for k in range(1, 9):
            w = sum(Y[b, i] * X[b, i] for i in range(k)) / k
            assert float(out[b, k]) == pytest.approx(w @ X[b, k], abs=1e-5)


@pytest.mark.parametrize("fc", [DenseLinear(), SparseLinear(scale="raw", nonzeros=3)], ids=["dense", "sparse"])
def test_the_error_of_averaging_is_what_theory_gives(fc):
    """E |(I - S) w|^2 = |w|^2 (d + 1) / k for S the mean of x x' over k standard normal x. Garg et al.'s setting."""
    errors = squared_errors(Averaging(), fc, 1280, 41)
    k = np.arange(1, 41)
    np.testing.assert_allclose(errors.mean(0)[1:], 21 / k, rtol=0.2)
    assert (errors[:, 1:] * k).mean() == pytest.approx(21, rel=0.03)


def test_the_error_of_neighbors_in_one_dimension():
    """f(x) = w x at x ~ N(0, 1): the nearest of very many examples is nearly x itself; the mean of all is nearly 0."""
    few, all_ = (squared_errors(NearestNeighbors(n), DenseLinear(dim=1), 300, 101, ks=[100]).mean() for n in (1, 100))
    assert few < 0.02
    assert all_ == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("predictor", [Averaging(), NearestNeighbors()], ids=["averaging", "neighbors"])
def test_edges_and_bad_shapes(predictor):
    assert predictor(torch.randn(1, 1, 3), torch.randn(1, 1)).tolist() == [[0.0]]
    assert predictor(torch.randn(2, 2, 3), torch.randn(2, 2)).shape == (2, 2)
    with pytest.raises(InputError, match=r"expects xs of shape \(B, T, d\)"):
        predictor(torch.randn(2, 4, 3), torch.randn(2, 5))


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_bad_counts_are_refused(n):
    with pytest.raises(InputError, match=f"n must be .*, got {n}"):
        NearestNeighbors(n)


def test_names():
    assert [NearestNeighbors(n).name for n in (1, 3)] == ["nearest neighbor", "3 nearest neighbors"]
