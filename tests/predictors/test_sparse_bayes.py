"""Exact Bayes on sparse lines: against plain Gaussian conditioning per support, and against draws from the prior."""

from itertools import combinations

import numpy as np
import pytest
import torch

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DenseLinear, SparseLinear
from icl_lab.predictors import DenseBayes, SparseBayes


def by_conditioning(x, y, query, nonzeros, noise):
    """Posterior mean and log evidence of one prompt by numpy: every support a Gaussian process."""
    fits, logs = [], []
    for support in map(list, combinations(range(x.shape[1]), nonzeros)):
        cov = x[:, support] @ x[:, support].T / nonzeros + noise**2 * np.eye(len(y))
        fits.append(query[support] @ x[:, support].T / nonzeros @ np.linalg.solve(cov, y))
        quad = y @ np.linalg.solve(cov, y)
        logs.append(-0.5 * (quad + np.linalg.slogdet(cov)[1] + len(y) * np.log(2 * np.pi)))
    logs = np.array(logs)
    weights = np.exp(logs - logs.max())
    return weights @ fits / weights.sum(), np.log(weights.mean()) + logs.max()


@pytest.mark.parametrize(("dim", "nonzeros"), [(5, 1), (5, 2), (5, 3), (3, 3)])
@pytest.mark.parametrize("noise", [0.3, 0.0])
def test_equal_to_conditioning_support_by_support(dim, nonzeros, noise):
    """Without noise: k up to nonzeros against the noise-free formula, later against the truth."""
    p = SparseLinear(dim=dim, nonzeros=nonzeros, noise=noise).sample(12, 8, 4)
    bayes = SparseBayes(dim, nonzeros, noise=noise)
    means, evidence = bayes.infer(p.xs, p.ys)
    x, y = p.xs.double().numpy(), p.ys.double().numpy()
    assert (means[:, 0] == 0).all()
    assert evidence[:, 0].abs().max() < 1e-12
    for b in range(12):
        for k in range(1, 8):
            if noise or k <= nonzeros:
                mean, log = by_conditioning(x[b, :k], y[b, :k], x[b, k], nonzeros, noise)
                assert means[b, k] == pytest.approx(mean, rel=1e-6, abs=1e-6)
                assert evidence[b, k] == pytest.approx(log, rel=1e-6, abs=1e-6)
            else:
                assert means[b, k] == pytest.approx(y[b, k], abs=1e-4)


def test_equal_to_draws_from_the_prior():
    """A million functions drawn by the function class itself, each weighed by its likelihood."""
    fc = SparseLinear(dim=3, nonzeros=1, noise=0.5)
    prompts = fc.sample(3, 5, 21)
    w = fc.sample(1_000_000, 1, 22).task["w"].double()
    means, evidence = SparseBayes(3, 1, noise=0.5).infer(prompts.xs, prompts.ys)
    for b in range(3):
        for k in (1, 2, 4):
            f = w @ prompts.xs[b].double().T
            residual = prompts.ys[b, :k].double() - f[:, :k]
            likelihood = torch.exp(-0.5 * (residual / 0.5) ** 2).prod(1) / (0.5 * (2 * np.pi) ** 0.5) ** k
            expected = (likelihood * f[:, k]).sum() / likelihood.sum()
            assert means[b, k] == pytest.approx(expected.item(), abs=6e-3)
            assert evidence[b, k] == pytest.approx(likelihood.mean().log().item(), abs=6e-3)


def test_noise_free_is_the_limit_of_small_noise():
    p = SparseLinear(dim=8).sample(30, 5, 4)
    small = SparseBayes(8, 2, noise=1e-4)(p.xs, p.ys)
    gap = (SparseBayes(8, 2)(p.xs, p.ys) - small).abs()
    assert gap.median() < 1e-4
    assert (gap < 0.02).float().mean() > 0.97


def test_expected_errors():
    """.93, .77, 0 after 1, 2, 3 examples (facts of the setting, simulated with N = 640: 5 to 8 per cent off)."""
    curve = icl_curve(SparseBayes(), SparseLinear(), n_prompts=4000, n_points=5)
    assert curve.at(1) == pytest.approx(0.93, abs=0.05)
    assert curve.at(2) == pytest.approx(0.78, abs=0.05)
    assert curve.at(3) < 1e-3
    assert curve.at(4) < 1e-6
    unit, raw = (icl_curve(SparseBayes(scale=s), SparseLinear(scale=s), 300, 5) for s in ("unit", "raw"))
    np.testing.assert_allclose(raw.mean, unit.mean, atol=1e-5)  # the same prompts in other units


def test_posterior_means_are_calibrated():
    """E[f m] = E[m^2] for a posterior mean m, and for hardly anything else."""
    p = SparseLinear(dim=6).sample(10_000, 3, 31)
    m = SparseBayes(6)(p.xs, p.ys)[:, 1:]
    product = (p.ys[:, 1:] - m) * m
    assert (product.mean(0).abs() < 3.5 * product.std(0) / 10_000**0.5).all()
    assert (m**2).mean(0).min() > 10 * product.std(0).max() / 10_000**0.5


def test_all_coordinates_are_the_dense_class():
    p = DenseLinear(dim=4, noise=0.2).sample(20, 9, 1)
    ours, dense = (b.infer(p.xs, p.ys) for b in (SparseBayes(4, 4, noise=0.2), DenseBayes(4, noise=0.2)))
    for a, b in zip(ours, dense, strict=True):
        torch.testing.assert_close(a, b)


def test_data_outside_the_class_stay_finite():
    p = DenseLinear(dim=6).sample(50, 30, 1)
    assert torch.isfinite(SparseBayes(6)(p.xs, p.ys)).all()
    xs = p.xs.clone()
    xs[:, 3] = xs[:, 0]
    xs[:, 1] = 0
    assert torch.isfinite(SparseBayes(6)(xs, p.ys)).all()


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="nonzeros=4 with dim=3"):
        SparseBayes(3, 4)
    with pytest.raises(InputError, match="10 of 20 make 184756"):
        SparseBayes(20, 10)
    with pytest.raises(InputError, match="inputs of 20 dimensions, got 5"):
        SparseBayes()(torch.randn(2, 3, 5), torch.randn(2, 3))
