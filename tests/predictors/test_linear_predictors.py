"""Least squares, ridge, dense Bayes and line Bayes against numpy, scikit-learn and closed forms."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve, squared_errors
from icl_lab.functions import DenseLinear, Line, SparseLinear
from icl_lab.predictors import DenseBayes, LeastSquares, LineBayes, Ridge


def by_lstsq(xs, ys):
    """numpy's minimum-norm solution, prefix by prefix."""
    out = np.zeros(ys.shape)
    for b, (x, y) in enumerate(zip(xs.double().numpy(), ys.double().numpy(), strict=True)):
        for k in range(1, len(y)):
            out[b, k] = x[k] @ np.linalg.lstsq(x[:k], y[:k], rcond=1e-6)[0]
    return out


def degenerate(kind):
    """Prompts whose inputs repeat, vanish or stay in a subspace; y does not fit any linear function."""
    g = torch.Generator().manual_seed(3)
    xs, ys = torch.randn(20, 14, 5, generator=g), torch.randn(20, 14, generator=g)
    if kind == "repeated":
        xs[:, 1], xs[:, 4], xs[:, 9] = xs[:, 0], -2 * xs[:, 2], xs[:, 0]
    elif kind == "repeated up to float32":
        xs[:, 1], xs[:, 4] = xs[:, 0] / 3, xs[:, 2] * 0.7 + xs[:, 3] * 1.3
    elif kind == "nearly repeated":
        xs[:, 1:4] = xs[:, :1] + 1e-3 * xs[:, 1:4]
        ys = (xs.double() @ torch.ones(5, dtype=torch.float64)).float()
    elif kind == "zero":
        xs[:, 0] = xs[:, 3] = 0
        xs[:5] = 0
    elif kind == "subspace":
        xs[..., 2:] = 0
    elif kind == "one dimension":
        xs = xs[..., :1].contiguous()
    elif kind == "huge and tiny":
        xs, ys = xs * 1e4, ys * 1e-3
    return xs, ys


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "repeated",
        "repeated up to float32",
        "nearly repeated",
        "zero",
        "subspace",
        "one dimension",
        "huge and tiny",
    ],
)
def test_least_squares_is_lstsq_on_every_prefix(kind):
    xs, ys = degenerate(kind)
    expected = by_lstsq(xs, ys)
    np.testing.assert_allclose(LeastSquares()(xs, ys), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_directions_seen_many_times_over_stay_seen():
    """Inputs within 1e-3 of each other, exactly linear outputs, all in float64: rounding must not pile up."""
    g = torch.Generator().manual_seed(4)
    xs = torch.randn(200, 1, 8, generator=g).double() + 1e-3 * torch.randn(200, 9, 8, generator=g).double()
    w = torch.randn(200, 8, 1, generator=g).double()
    ys = (xs @ w)[..., 0]
    out = LeastSquares()(xs, ys)
    assert out.dtype == torch.float64
    assert (out - ys)[:, -1].abs().max() < 1e-11


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_least_squares_is_lstsq_at_d_20(noise):
    p = DenseLinear(noise=noise).sample(25, 41, 1)
    out, expected = LeastSquares()(p.xs, p.ys), by_lstsq(p.xs, p.ys)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=2e-6)
    assert out.dtype == torch.float32


@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 1.0, 30.0])
def test_ridge_is_scikit_learns(alpha):
    p = DenseLinear(dim=7, noise=0.3).sample(10, 16, 2)
    out = Ridge(alpha)(p.xs, p.ys)
    for b in range(10):
        x, y = p.xs[b].double().numpy(), p.ys[b].double().numpy()
        assert out[b, 0] == 0
        for k in range(1, 16):
            # the dual form: accurate for k < d too
            fit = x[k] @ x[:k].T @ np.linalg.solve(x[:k] @ x[:k].T + alpha * np.eye(k), y[:k])
            assert abs(fit - out[b, k]) < 1e-5
        peer = SklearnRidge(alpha=alpha, fit_intercept=False, solver="svd").fit(x[:15], y[:15])
        assert abs(peer.predict(x[15:16])[0] - out[b, 15]) < 1e-5


def test_dense_bayes_is_ridge_with_noise_and_least_squares_without():
    for scale, weight_var in (("unit", 1 / 6), ("raw", 1.0)):
        p = DenseLinear(dim=6, scale=scale, noise=0.4).sample(30, 15, 2)
        same = Ridge(0.4**2 / weight_var)(p.xs, p.ys)
        torch.testing.assert_close(DenseBayes(6, scale, 0.4)(p.xs, p.ys), same, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(DenseBayes(6, scale)(p.xs, p.ys), LeastSquares()(p.xs, p.ys))


@pytest.mark.parametrize("noise", [0.3, 0.0])
def test_evidence_is_the_density_of_the_examples(noise):
    """Against the Gaussian density by numpy; without noise while every example is new (k <= d)."""
    p = DenseLinear(dim=6, noise=noise).sample(20, 7, 2)
    evidence = DenseBayes(6, noise=noise).infer(p.xs, p.ys)[1]
    x, y = p.xs.double().numpy(), p.ys.double().numpy()
    for b in range(20):
        for k in range(7):
            cov = x[b, :k] @ x[b, :k].T / 6 + noise**2 * np.eye(k)
            quad = y[b, :k] @ np.linalg.solve(cov, y[b, :k])
            expected = -0.5 * (quad + np.linalg.slogdet(cov)[1] + k * np.log(2 * np.pi))
            assert evidence[b, k] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_evidence_without_noise_is_that_of_small_noise_to_leading_order():
    p = DenseLinear(dim=3).sample(20, 9, 2)
    small = DenseBayes(3, noise=1e-4).infer(p.xs, p.ys)[1]
    limit = DenseBayes(3).infer(p.xs, p.ys, rounding=1e-4)[1]
    torch.testing.assert_close(limit, small, rtol=1e-4, atol=2e-3)


def test_line_bayes_is_a_gaussian_process():
    for noise in (0.0, 0.2):
        p = Line(noise=noise).sample(20, 8, 5)
        out = LineBayes(noise=noise)(p.xs, p.ys)
        x, y = p.xs[..., 0].double().numpy(), p.ys.double().numpy()
        for b in range(20):
            for k in range(1, 8 if noise else 3):
                kernel = lambda u, v: 0.5 * (np.outer(u, v) / (25 / 3) + 1)  # noqa: E731
                gram = kernel(x[b, :k], x[b, :k]) + noise**2 * np.eye(k)
                expected = kernel(x[b, k : k + 1], x[b, :k]) @ np.linalg.solve(gram, y[b, :k])
                assert out[b, k] == pytest.approx(expected[0], rel=1e-4, abs=1e-5)
    assert squared_errors(LineBayes(), Line(), n_points=10)[:, 3:].mean() < 1e-8


@pytest.mark.parametrize("fc", [DenseLinear(), SparseLinear(), SparseLinear(scale="raw")], ids=str)
def test_least_squares_curve_is_one_minus_k_over_d(fc):
    curve = icl_curve(LeastSquares(), fc, ks=[0, 5, 10, 15, 20, 40])
    expected = np.maximum(0, 1 - curve.k / 20)
    half = np.maximum(curve.high - curve.low, 1e-6)
    assert (np.abs(curve.mean - expected) < 1.5 * half).all()
    assert (half < 0.2).all()
    assert curve.mean[-2:].max() < 1e-7


def test_predictions_use_earlier_examples_only():
    p = DenseLinear(dim=4, noise=0.1).sample(6, 9, 3)
    for predictor in (LeastSquares(), Ridge(0.1), DenseBayes(4), DenseBayes(4, noise=0.1)):
        before = predictor(p.xs, p.ys)
        xs, ys = p.xs.clone(), p.ys.clone()
        ys[:, 4:] = 7.0
        xs[:, 5:] = -1.0
        assert torch.equal(predictor(xs, ys)[:, :5], before[:, :5])
        assert not torch.allclose(predictor(xs, ys)[:, 5], before[:, 5])
        ys[:, -1] = float("nan")  # the last y is the question
        assert torch.isfinite(predictor(xs, ys)).all()
        assert torch.equal(p.xs, DenseLinear(dim=4, noise=0.1).sample(6, 9, 3).xs)  # inputs are left alone


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, y: LeastSquares()(x[0], y), r"\(B, T, d\).*got \(5, 3\) and \(2, 5\)"),
        (lambda x, y: LeastSquares()(x, y[:, :4]), r"got \(2, 5, 3\) and \(2, 4\)"),
        (lambda x, y: LeastSquares()(x[:, :0], y[:, :0]), r"got \(2, 0, 3\)"),
        (lambda x, y: DenseBayes(20)(x, y), "inputs of 20 dimensions, got 3"),
        (lambda x, y: LineBayes()(x, y), "inputs of 1 dimensions, got 3"),
        (lambda x, y: Ridge(0), "alpha must be greater than 0"),
        (lambda x, y: DenseBayes(0), "dim must be greater than 0"),
        (lambda x, y: DenseBayes(3, scale="huge"), "'unit' or 'raw'"),
        (lambda x, y: LineBayes(noise=-1), "noise must be"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call(torch.randn(2, 5, 3), torch.randn(2, 5))
