"""Fourier series: against the Gaussian process they are, and the error that 2 N + 1 examples leave."""

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import FourierSeries, Mixture, Sinusoid
from icl_lab.predictors import FourierBayes, MixtureBayes, bayes


@pytest.mark.parametrize(("scale", "noise"), [("unit", 0.3), ("raw", 0.5), ("unit", 1e-3)])
def test_equal_to_the_gaussian_process(scale, noise):
    """Cov f(x), f(x') = s^2 (1 + the sum of cos(n pi (x - x') / 5)), s^2 = 1 or 1 / (N + 1)."""
    fc = FourierSeries(scale=scale, max_frequency=4, noise=noise)
    p = fc.sample(3, 14, 5)
    means, evidences = bayes(fc).infer(p.xs, p.ys)
    for b in range(3):
        x, y = p.xs[b, :, 0].double().numpy(), p.ys[b].double().numpy()
        gap = x[:, None] - x
        cov = (1 + sum(np.cos(n * np.pi * gap / 5) for n in range(1, 5))) / (5 if scale == "unit" else 1)
        for k in (0, 1, 4, 9, 13):
            noisy = cov[:k, :k] + noise**2 * np.eye(k)
            truth = cov[k, :k] @ np.linalg.solve(noisy, y[:k]) if k else 0.0
            assert float(means[b, k]) == pytest.approx(truth, abs=1e-5)
            density = stats.multivariate_normal(np.zeros(k), noisy).logpdf(y[:k]) if k else 0.0
            assert float(evidences[b, k]) == pytest.approx(density, abs=1e-4)


def test_nothing_is_left_soon_after_as_many_examples_as_coefficients():
    curve = icl_curve(bayes(FourierSeries()), FourierSeries(), 400, 36, ks=[0, 5, 10, 20, 28, 35])
    assert curve.mean[0] == pytest.approx(1, abs=0.1)
    assert (np.diff(curve.mean[:5]) < 0).all()
    assert 0.02 < curve.mean[3] < 0.12
    assert curve.mean[4:].max() < 1e-5


def test_it_tells_series_from_sinusoids():
    mixture = Mixture((FourierSeries(max_frequency=3), Sinusoid()))
    p = mixture.sample(200, 12, 3)
    right = MixtureBayes(mixture).posterior(p.xs, p.ys)[torch.arange(200), 11, p.component]
    assert right.mean() > 0.98


def test_edges_and_bad_input():
    assert FourierBayes()(torch.ones(1, 1, 1), torch.ones(1, 1)).tolist() == [[0.0]]
    assert bayes(FourierSeries(scale="raw", max_frequency=2, noise=0.1)) == FourierBayes("raw", 2, 0.1)
    with pytest.raises(InputError, match="Bayes, Fourier expects inputs of 1 dimensions, got 2"):
        FourierBayes()(torch.ones(1, 3, 2), torch.ones(1, 3))
    with pytest.raises(InputError, match="max_frequency must be greater than 0"):
        FourierBayes(max_frequency=0)
