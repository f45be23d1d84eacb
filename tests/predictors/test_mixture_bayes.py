"""Ideal model selection: the posterior over classes and the mixed prediction."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import curve_of, icl_curve, paired_difference, squared_errors
from icl_lab.functions import DenseLinear, FunctionClass, Line, Mixture, Sinusoid, SparseAny, SparseLinear
from icl_lab.predictors import LeastSquares, LineBayes, MixtureBayes, SinusoidBayes, SparseBayes, bayes

HALVES = Mixture((DenseLinear(), SparseLinear()))
CURVES = Mixture((Line(), Sinusoid()))


def test_expected_errors_on_sparse_prompts():
    """.944, .794, 0 after 1, 2, 3 examples (simulated, 5 to 8 per cent off)."""
    curve = icl_curve(MixtureBayes(HALVES), SparseLinear(), n_prompts=4000, n_points=5)
    assert curve.at(1) == pytest.approx(0.944, abs=0.05)
    assert curve.at(2) == pytest.approx(0.794, abs=0.05)
    assert curve.at(3) < 1e-3
    assert curve.at(4) < 1e-6


def test_on_dense_prompts_it_is_least_squares():
    """Within a few per cent after one and two examples, exactly after."""
    ours, ols = (squared_errors(p, DenseLinear(), 640, 25) for p in (MixtureBayes(HALVES), LeastSquares()))
    gap = paired_difference(ours, ols)
    assert np.abs(gap.mean[1:3]).max() < 0.04
    assert np.abs(gap.mean[3:]).max() < 3e-3
    np.testing.assert_allclose(ours[:, 4:], ols[:, 4:], atol=1e-4)


def test_selection_costs_least_where_the_weights_are_right():
    """On the mixture itself no specialist does better, and no other weights do, beyond what chance explains."""
    mixture = Mixture((DenseLinear(dim=6), SparseLinear(dim=6)))
    best = squared_errors(MixtureBayes(mixture), mixture, 3000, 6)
    for other in (
        LeastSquares(),
        SparseBayes(6),
        MixtureBayes(Mixture(mixture.components, (1, 9))),
        MixtureBayes(Mixture(mixture.components, (9, 1))),
    ):
        assert paired_difference(best, squared_errors(other, mixture, 3000, 6)).low.max() <= 1e-6
        assert curve_of(squared_errors(other, mixture, 3000, 6)).mean.sum() > best.mean(0).sum()


@pytest.mark.parametrize(
    "mixture",
    [
        Mixture((DenseLinear(dim=6), SparseLinear(dim=6)), (0.3, 0.7)),
        CURVES,
        Mixture((Line(noise=0.3), Sinusoid(noise=0.3))),
    ],
    ids=["linear", "curves", "noisy curves"],
)
def test_posterior_is_calibrated(mixture):
    """Among prompts to which it gives class 1 a probability near p, about p of them are of class 1."""
    n = 1000 if mixture.noise else 2500
    p = mixture.sample(n, 5, 17)
    posterior = MixtureBayes(mixture).posterior(p.xs, p.ys)
    assert posterior.shape == (n, 5, 2)
    torch.testing.assert_close(posterior.sum(-1), torch.ones(n, 5, dtype=torch.float64))
    torch.testing.assert_close(posterior[:, 0], torch.tensor(mixture.weights).double().expand(n, 2))
    truth = p.component.double()
    for k in (1, 2, 3):
        one = posterior[:, k, 1]
        gap = truth - one  # has mean 0 given the examples, so also times any function of them
        for weight in (torch.ones(n), one, p.ys[:, 0].double() ** 2, (one > 0.5).double()):
            z = (gap * weight).sum() / (gap * weight).pow(2).sum().sqrt().clamp(min=0.3)
            assert abs(z) < 3.5, k
    brier = ((posterior[..., 1] - truth[:, None]) ** 2).mean(0)
    assert brier[4] < brier[2] < brier[0]


def test_without_noise_the_class_is_known_from_three_examples_on():
    for mixture, k in ((HALVES, 3), (CURVES, 3)):
        p = mixture.sample(600, 8, 23)
        right = MixtureBayes(mixture).posterior(p.xs, p.ys)[torch.arange(600), :, p.component]
        assert right[:, k].min() > 0.9
        assert right[:, k].mean() > 0.9995
        assert right[:, k + 1 :].min() > 0.999


@pytest.mark.parametrize(
    "mixture",
    [
        Mixture((Line(noise=0.3), Sinusoid(noise=0.3)), (1, 2)),
        Mixture((DenseLinear(dim=3, noise=0.4), SparseLinear(dim=3, nonzeros=1, noise=0.4))),
    ],
    ids=["curves", "linear"],
)
def test_equal_to_draws_from_the_prior(mixture):
    """Functions drawn by the mixture's own classes, weighed by their likelihood: prediction, posterior and evidence."""
    noise, prompts = mixture.noise, mixture.sample(3, 4, 41)
    predictor = MixtureBayes(mixture)
    means, evidence = predictor.infer(prompts.xs, prompts.ys)
    posterior = predictor.posterior(prompts.xs, prompts.ys)
    n = 400_000
    tasks = [c.sample(n, 1, 42).task for c in mixture.components]
    for b in range(3):
        x = prompts.xs[b : b + 1].expand(n, -1, -1)
        values = torch.stack([c.values(t, x) for c, t in zip(mixture.components, tasks, strict=True)]).double()
        for k in (1, 2, 3):
            residual = prompts.ys[b, :k].double() - values[..., :k]
            likelihood = torch.exp(-0.5 * (residual / noise) ** 2).prod(-1) / (noise * (2 * np.pi) ** 0.5) ** k
            joint = likelihood * torch.tensor(mixture.weights)[:, None]  # (classes, draws)
            tolerance = 8 * (joint.pow(2).sum().sqrt() / joint.sum()).item()  # of the reference, from its weights
            assert tolerance < 0.2
            assert means[b, k] == pytest.approx(((joint * values[..., k]).sum() / joint.sum()).item(), abs=tolerance)
            assert evidence[b, k] == pytest.approx((joint.sum() / n).log().item(), abs=tolerance)
            assert posterior[b, k, 1] == pytest.approx((joint[1].sum() / joint.sum()).item(), abs=tolerance)


def test_noise_free_is_the_limit_of_small_noise():
    mixture = Mixture((DenseLinear(dim=5), SparseLinear(dim=5)))
    noisy = Mixture((DenseLinear(dim=5, noise=1e-4), SparseLinear(dim=5, noise=1e-4)))
    p = mixture.sample(60, 8, 3)
    gap = (MixtureBayes(mixture).posterior(p.xs, p.ys) - MixtureBayes(noisy).posterior(p.xs, p.ys)).abs()
    assert gap.median() < 1e-4
    assert (gap < 0.02).double().mean() > 0.97


def test_one_class_certain_is_that_class_and_mixtures_nest():
    p = CURVES.sample(40, 8, 3)
    torch.testing.assert_close(MixtureBayes(Mixture((Line(), Sinusoid()), (1, 0)))(p.xs, p.ys), LineBayes()(p.xs, p.ys))
    torch.testing.assert_close(
        MixtureBayes(Mixture((Line(), Sinusoid()), (0, 1)))(p.xs, p.ys), SinusoidBayes()(p.xs, p.ys)
    )
    nested = MixtureBayes(Mixture((Mixture((Line(), Sinusoid())), Line()), (2, 1)))
    flat = MixtureBayes(Mixture((Line(), Sinusoid()), (2, 1)))
    torch.testing.assert_close(nested(p.xs, p.ys), flat(p.xs, p.ys))


@pytest.mark.parametrize(("scale", "most"), [("unit", None), ("raw", 2)])
def test_a_random_number_of_nonzeros_is_a_mixture_of_them(scale, most):
    """Against every support in turn: its prior, the normal density of the examples, its ridge regression."""
    fc = SparseAny(dim=3, noise=0.5, scale=scale, most=most)
    p = fc.sample(8, 6, 2)
    ours = bayes(fc)(p.xs, p.ys)
    largest = most or 3
    for b, k in itertools.product(range(8), range(6)):
        X, y, x = p.xs[b, :k].double().numpy(), p.ys[b, :k].double().numpy(), p.xs[b, k].double().numpy()
        total = answer = 0.0
        for n in range(1, largest + 1):
            supports = list(itertools.combinations(range(3), n))
            for support in supports:
                S = list(support)
                variance = 1 / n if scale == "unit" else 1.0
                covariance = variance * X[:, S] @ X[:, S].T + 0.25 * np.eye(k)
                density = stats.multivariate_normal(np.zeros(k), covariance).pdf(y) if k else 1.0
                weight = density / len(supports) / largest
                total += weight
                answer += weight * variance * x[S] @ X[:, S].T @ np.linalg.solve(covariance, y) if k else 0.0
        assert float(ours[b, k]) == pytest.approx(answer / total, abs=1e-5)


def test_too_many_supports_have_no_optimum():
    with pytest.raises(InputError, match="at most 20000 supports; 6 of 20 make 38760"):
        bayes(SparseAny(20))


def test_bad_input_is_refused():
    class Parabola(FunctionClass):
        pass

    assert bayes(Line(scale="raw", noise=0.1)) == LineBayes(scale="raw", noise=0.1)
    with pytest.raises(InputError, match="no exact Bayes predictor for Parabola"):
        MixtureBayes(Mixture((Parabola(dim=1), Line())))
    with pytest.raises(InputError, match="needs a Mixture, got Line"):
        MixtureBayes(Line())
    with pytest.raises(InputError, match="inputs of 20 dimensions, got 3"):
        MixtureBayes(HALVES)(torch.randn(2, 4, 3), torch.randn(2, 4))
