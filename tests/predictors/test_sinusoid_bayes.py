"""Sinusoids: against a Gaussian process averaged over the frequency's law, and in their limits."""

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import Line, Sinusoid
from icl_lab.predictors import LeastSquares, SinusoidBayes, sinusoid_limit
from icl_lab.predictors.sinusoid import frequency_grid, log_prior, quadrature

LAW = stats.gamma(6, scale=1 / 6)


def by_gaussian_process(x, y, query, noise, w, log_weight):
    """Given w, f is a Gaussian process with covariance cos w(x - x'); numpy's solver, one system per w."""
    cov = np.cos(w[:, None, None] * (x[:, None] - x)) + noise**2 * np.eye(len(x))
    solved = np.linalg.solve(cov, np.broadcast_to(y[:, None], (len(w), len(x), 1)))[..., 0]
    logs = log_weight - 0.5 * (solved @ y + np.linalg.slogdet(cov)[1] + len(y) * np.log(2 * np.pi))
    fits = (np.cos(w[:, None] * (query - x)) * solved).sum(1)
    weights = np.exp(logs - logs.max())
    return weights @ fits / weights.sum(), np.log(weights.sum()) + logs.max()


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_equal_to_a_gaussian_process(noise):
    p = Sinusoid(noise=noise).sample(4, 8, 4)
    means, evidence = SinusoidBayes(noise).infer(p.xs, p.ys)
    x, y = p.xs[..., 0].double().numpy(), p.ys.double().numpy()
    w = (np.arange(20_000) + 0.5) * (7 / 20_000)
    log_weight = LAW.logpdf(w) + np.log(7 / 20_000)
    for b in range(4):
        for k in (1, 2, 3, 5, 7):
            mean, log = by_gaussian_process(x[b, :k], y[b, :k], x[b, k], noise, w, log_weight)
            assert means[b, k] == pytest.approx(mean, abs=1e-3)
            assert evidence[b, k] == pytest.approx(log, abs=2e-3)


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_the_stated_accuracy_against_a_finer_grid(noise):
    p = Sinusoid(noise=noise).sample(12, 41, 11)
    x, y = p.xs[..., 0].double(), p.ys.double()
    w = frequency_grid(noise, 41)
    fine = (torch.arange(4 * len(w), dtype=torch.float64) + 0.5) * (8 / (4 * len(w)))
    gap = torch.stack(
        [
            (quadrature(a, b, noise, w)[0] - quadrature(a, b, noise, fine)[0]).abs()
            for a, b in zip(x[:, None], y[:, None], strict=True)
        ]
    )
    assert gap.max() < 1e-3
    assert gap.median() < 1e-6


def test_prior_is_the_law_of_the_class():
    w = torch.linspace(0.05, 6, 50, dtype=torch.float64)
    np.testing.assert_allclose(log_prior(w), LAW.logpdf(w.numpy()), rtol=1e-9)


def test_noise_free_limit_after_one_two_and_three_examples():
    """k = 1, 2: a noise-free Gaussian process over 100,000 frequencies. k = 3: with noise 2e-3, far below the scale."""
    p = Sinusoid().sample(12, 4, 5)
    means, evidence = SinusoidBayes().infer(p.xs, p.ys)
    x, y = p.xs[..., 0].double().numpy(), p.ys.double().numpy()
    w = (np.arange(60_000) + 0.5) * (6 / 60_000)
    log_weight = LAW.logpdf(w) + np.log(6 / 60_000)
    gaps = []
    for b in range(12):
        for k, noise in ((1, 0.0), (2, 0.0), (3, 2e-3)):
            mean, log = by_gaussian_process(x[b, :k], y[b, :k], x[b, k], noise, w, log_weight)
            gaps.append([abs(means[b, k] - mean), abs(evidence[b, k] - log)])
    gaps = np.array(gaps).reshape(12, 3, 2)
    assert gaps[:, :2].max() < 2e-3
    assert np.median(gaps[:, 2]) < 5e-3  # the reference is itself off by its noise, more where roots are close
    assert np.quantile(gaps[:, 2, 0], 0.8) < 0.03


def test_posterior_means_are_calibrated():
    """E[f m] = E[m^2] for a posterior mean m, and for hardly anything else: wrong weights of the roots show here."""
    p = Sinusoid().sample(3000, 4, 31)
    m = SinusoidBayes()(p.xs, p.ys)[:, 1:]
    product = (p.ys[:, 1:] - m) * m
    assert (product.mean(0).abs() < 3.5 * product.std(0) / 3000**0.5).all()
    assert (m**2).mean(0).min() > 6 * product.std(0).max() / 3000**0.5


def test_error_is_zero_from_four_examples_on():
    curve = icl_curve(SinusoidBayes(), Sinusoid(), n_points=12)
    assert (np.diff(curve.mean[:5]) < 0).all()
    assert 0.1 < curve.at(3) < 0.3
    assert curve.mean[4:].max() < 1e-5


def test_close_inputs_leave_doubt_that_later_examples_remove():
    """Three inputs within 0.02 leave the frequency in doubt; the fit must follow what comes after."""
    g = torch.Generator().manual_seed(1)
    task = Sinusoid().sample(300, 1, 5).task
    xs = 8 * torch.rand(300, 12, 1, generator=g) - 4
    xs[:, 1:3] = xs[:, :1] + torch.tensor([0.01, 0.02])[:, None]
    ys = Sinusoid().values(task, xs)
    error = (SinusoidBayes()(xs, ys) - ys).abs()
    assert error[:, 6:].max() < 1e-4
    assert error[:, 3:5].max() > 0.01  # the case is as hard as meant


def test_roots_that_share_a_cell_are_found(monkeypatch):
    p = Sinusoid().sample(3000, 3, 12)
    x, y = p.xs[..., 0].double(), p.ys.double()
    monkeypatch.setattr(sinusoid_limit, "CELLS", 200)
    coarse, coarse_valid = sinusoid_limit._candidates(x, y, 8.0)
    monkeypatch.setattr(sinusoid_limit, "CELLS", 6400)
    fine, fine_valid = sinusoid_limit._candidates(x, y, 8.0)
    assert (coarse_valid.sum(1) != fine_valid.sum(1)).sum() <= 1
    sums = [torch.where(valid, w, 0.0).sum(1) for w, valid in ((coarse, coarse_valid), (fine, fine_valid))]
    assert ((sums[0] - sums[1]).abs() > 1e-6).sum() <= 1
    gap = (fine - p.task["w"].double()[:, None]).abs().masked_fill(~fine_valid, 9.0).min(1).values
    assert gap.median() < 1e-6  # the true frequency is among them
    assert (gap < 0.01).double().mean() > 0.999


@pytest.mark.parametrize("w", [0.02, 0.2, 3.0, 6.0])
def test_frequencies_from_the_tails_are_found_too(w):
    p = Sinusoid().sample(200, 8, 5)
    ys = Sinusoid().values(p.task | {"w": torch.full((200,), w)}, p.xs)
    error = (SinusoidBayes()(p.xs, ys) - ys)[:, 5:].abs()
    assert error.quantile(0.99) < 1e-2
    assert error.median() < 1e-5


def test_repeated_inputs_teach_nothing_new():
    p = Sinusoid().sample(30, 7, 6)
    at = torch.tensor([0, 0, 1, 1, 0, 2, 3])  # positions of the points in the repeating prompt
    plain, repeating = SinusoidBayes()(p.xs, p.ys), SinusoidBayes()(p.xs[:, at], p.ys[:, at])
    torch.testing.assert_close(repeating[:, 2], plain[:, 1])  # x_1 after x_0 twice
    torch.testing.assert_close(repeating[:, 1:2], p.ys[:, :1])
    torch.testing.assert_close(repeating[:, 3:5], p.ys[:, [1, 0]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(repeating[:, 5], plain[:, 2])
    torch.testing.assert_close(repeating[:, 6], plain[:, 3], atol=1e-3, rtol=1e-3)
    same = SinusoidBayes()(p.xs[:, :1].expand(30, 5, 1), p.ys[:, :1].expand(30, 5))
    torch.testing.assert_close(same[:, 1:], p.ys[:, :1].expand(30, 4))


def test_data_outside_the_class_stay_finite_and_the_past_is_all_that_counts():
    p = Line().sample(200, 20, 1)
    for bayes in (SinusoidBayes(), SinusoidBayes(0.2)):
        out = bayes(p.xs, p.ys)
        assert torch.isfinite(out).all()
        ys = p.ys.clone()
        ys[:, 6:] = 3.0
        torch.testing.assert_close(bayes(p.xs, ys)[:, :7], out[:, :7])
        ys[:, -1] = torch.nan
        assert torch.isfinite(bayes(p.xs, ys)).all()


def test_with_noise_it_beats_what_knows_less():
    fc = Sinusoid(noise=0.2)
    ours = icl_curve(SinusoidBayes(0.2), fc, 128, 21)
    assert ours.at(20) < 0.03
    assert ours.at(8) < icl_curve(SinusoidBayes(0.8), fc, 128, 21).at(8)
    assert ours.at(8) < 0.3 * icl_curve(LeastSquares(), fc, 128, 21).at(8)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"noise = 0 or noise >= 0\.005, got 0\.001"):
        SinusoidBayes(0.001)
    with pytest.raises(InputError, match="noise must be"):
        SinusoidBayes(-0.1)
    with pytest.raises(InputError, match="inputs of 1 dimensions, got 5"):
        SinusoidBayes()(torch.randn(2, 3, 5), torch.randn(2, 3))
