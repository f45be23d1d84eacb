"""Fourier series against the sum written out, their moments and their covariance."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.functions import FourierSeries, Sinusoid


@pytest.mark.parametrize("top", [1, 3, 10])
def test_values_are_those_of_the_sum(top):
    p = FourierSeries(max_frequency=top, scale="raw").sample(30, 9, 4)
    assert p.xs.shape == (30, 9, 1)
    a, b, x = p.task["a"].double().numpy(), p.task["b"].double().numpy(), p.xs[..., 0].double().numpy()
    truth = np.zeros((30, 9)) + a[:, :1]
    for n in range(1, top + 1):
        truth += a[:, [n]] * np.cos(n * math.pi * x / 5) + b[:, [n - 1]] * np.sin(n * math.pi * x / 5)
    np.testing.assert_allclose(p.ys.numpy(), truth, atol=2e-5)


def test_coefficients_and_inputs_follow_their_laws():
    p = FourierSeries(scale="raw").sample(5000, 4, 7)
    assert p.task["a"].shape == (5000, 11)
    assert p.task["b"].shape == (5000, 10)
    both = torch.cat([p.task["a"], p.task["b"]], 1)
    assert stats.kstest(both.flatten().double().numpy(), "norm").pvalue > 1e-3
    assert (torch.corrcoef(both.T) - torch.eye(21)).abs().max() < 0.06  # 4 standard errors
    assert stats.kstest(p.xs.flatten().double().numpy(), stats.uniform(-5, 10).cdf).pvalue > 1e-3
    assert torch.equal(p.xs, Sinusoid().sample(5000, 4, 7).xs)  # the same inputs as the other curves


def test_second_moment_is_the_same_at_every_input():
    """E f(x) f(x') = (1 + the sum of cos(n pi (x - x') / 5)) / 11 on unit scale: 1 where x = x'."""
    fc = FourierSeries()
    task = fc.sample(30_000, 1, 8).task
    xs = torch.tensor([-4.9, 0.0, 0.3, 2.5])[None, :, None].expand(30_000, -1, -1)
    f = fc.values(task, xs).double()
    gap = xs[0, :, 0] - xs[0, :, 0][:, None]
    truth = (1 + sum(torch.cos(n * math.pi * gap / 5) for n in range(1, 11))) / 11
    torch.testing.assert_close(f.T @ f / len(f), truth.double(), atol=0.03, rtol=0)


def test_scale_and_noise():
    raw, unit = (FourierSeries(scale=scale, max_frequency=3).sample(50, 8, 2) for scale in ("raw", "unit"))
    torch.testing.assert_close(raw.ys / 2, unit.ys)
    assert FourierSeries(scale="raw").second_moment == 11
    assert FourierSeries().second_moment == 1
    noisy = FourierSeries(max_frequency=3, noise=0.5).sample(5000, 8, 2)
    clean = FourierSeries(max_frequency=3).sample(5000, 8, 2)
    assert torch.equal(noisy.xs, clean.xs)
    assert float((noisy.ys - clean.ys).std()) == pytest.approx(0.5, rel=0.02)


def test_it_repeats_after_ten():
    fc = FourierSeries()
    p = fc.sample(20, 6, 3)
    torch.testing.assert_close(fc.values(p.task, p.xs + 10), p.ys, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_frequency": 0}, "max_frequency must be greater than 0, got 0"),
        ({"max_frequency": 2.5}, "max_frequency must be a whole number, got 2.5"),
        ({"scale": "big"}, "'unit' or 'raw', got 'big'"),
        ({"dim": 2}, "FourierSeries has inputs of one coordinate, got dim=2"),
        ({"noise": -1}, "noise must be a standard deviation >= 0, got -1"),
    ],
)
def test_bad_input_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        FourierSeries(**changes)
