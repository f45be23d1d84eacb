"""Curves, intervals, seeds, and the sentences for predictors that misbehave."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from icl_lab import evaluation
from icl_lab.errors import InputError
from icl_lab.evaluation import (
    Curve,
    curve_of,
    icl_curve,
    paired_difference,
    shifted_curve,
    shifted_errors,
    squared_errors,
)
from icl_lab.functions import (
    DenseLinear,
    Line,
    Mixture,
    Sinusoid,
    SparseLinear,
    gen_noisy,
    gen_orthants,
    gen_query_equal,
    gen_query_orthogonal,
    gen_scaled_w,
    gen_scaled_x,
    gen_skewed,
    gen_subspace,
    training_seed,
)
from icl_lab.functions.random import TRAINING_BIT
from icl_lab.predictors import Expensive, LeastSquares, Ridge


@dataclass(frozen=True)
class Always:
    value: float = 0.0
    name: str = "always"

    def __call__(self, xs, ys):
        return torch.full_like(ys, self.value)


@pytest.mark.parametrize(
    "fc", [DenseLinear(scale="raw"), Line(scale="raw", noise=0.5), Mixture((Line(scale="raw"), Sinusoid()), (1, 3))]
)
def test_zero_scores_one_whatever_the_scale(fc):
    errors = squared_errors(Always(), fc, n_prompts=4000, n_points=3)
    assert errors.shape == (4000, 3)
    assert abs(errors.mean() - 1) < 0.06


def test_errors_are_to_the_function_and_not_to_noisy_outputs():
    """The truth scores 0 under any noise; the noisy y itself scores noise^2 / E f^2."""
    fc = Mixture((DenseLinear(dim=3, scale="raw", noise=2.0), SparseLinear(dim=3, scale="raw", noise=2.0)))
    truth = evaluation.without_noise(fc).sample(500, 6, 77).ys
    rows = iter(truth.split(evaluation.CHUNK))
    assert squared_errors(lambda xs, ys: next(rows), fc, 500, 6, 77).max() == 0
    copied = squared_errors(lambda xs, ys: ys, fc, 5000, 6).mean()
    assert copied == pytest.approx(4.0 / fc.second_moment, rel=0.05)


def test_curve_is_the_mean_of_the_errors_and_ks_only_choose():
    fc = DenseLinear(dim=5)
    errors = squared_errors(LeastSquares(), fc, 300, 11)
    curve = icl_curve(LeastSquares(), fc, 300, 11)
    chosen = icl_curve(LeastSquares(), fc, 300, 11, ks=[7, 2])
    np.testing.assert_allclose(curve.mean, errors.mean(0))
    np.testing.assert_allclose(chosen.mean, curve.mean[[7, 2]])
    assert chosen.k.tolist() == [7, 2]
    assert curve.at(2) == chosen.at(2)
    with pytest.raises(InputError, match="no point at k=3"):
        chosen.at(3)
    p = fc.sample(300, 11, evaluation.EVALUATION_SEED)  # the definition, written out
    by_hand = ((LeastSquares()(p.xs, p.ys) - p.ys) ** 2 / fc.second_moment).numpy()
    np.testing.assert_allclose(errors, by_hand, atol=1e-6)


def test_interval_covers_nine_times_in_ten():
    """Means of 400 draws from a skewed law: the interval must hold the true mean in about 90 % of 300 repeats."""
    draws = np.random.default_rng(0).exponential(size=(400, 300))
    curve = curve_of(draws)
    covered = ((curve.low <= 1) & (curve.high >= 1)).mean()
    assert 0.85 <= covered <= 0.95
    width = (curve.high - curve.low).mean()
    assert width == pytest.approx(2 * 1.645 / 20, rel=0.05)  # standard error 1 / sqrt(400)
    again = curve_of(draws)
    assert np.array_equal(again.low, curve.low)


def test_paired_difference_leaves_out_what_is_shared():
    fc = DenseLinear(dim=5)
    a, b = (squared_errors(p, fc, 400, 11) for p in (LeastSquares(), Ridge(0.5)))
    difference = paired_difference(a, b)
    np.testing.assert_allclose(difference.mean, a.mean(0) - b.mean(0), atol=1e-12)
    single = curve_of(b)
    assert difference.high[3] - difference.low[3] < 0.5 * (single.high[3] - single.low[3])
    with pytest.raises(InputError, match="one shape"):
        paired_difference(a, b[:10])


def test_evaluation_never_uses_a_seed_of_training():
    assert 0 <= evaluation.EVALUATION_SEED < TRAINING_BIT
    for seed in (training_seed(0, 0), training_seed(7, 123), TRAINING_BIT, -1, 1.5, True, None):
        with pytest.raises(InputError, match="evaluation seed"):
            icl_curve(Always(), Line(), 4, 4, seed=seed)
    assert isinstance(icl_curve(Always(), Line(), 4, 4, seed=np.int64(3)), Curve)


def test_chunks_do_not_change_numbers(monkeypatch):
    whole = squared_errors(LeastSquares(), DenseLinear(dim=4), 70, 6)
    monkeypatch.setattr(evaluation, "CHUNK", 16)
    np.testing.assert_array_equal(squared_errors(LeastSquares(), DenseLinear(dim=4), 70, 6), whole)


class Counting(Expensive):
    """Predicts the mean of the examples, and counts its fits."""

    name = "counting"

    def __init__(self):
        self.fits = []

    def fit(self, X, Y, query):
        self.fits.append((len(X), X.shape[1]))
        return Y.mean(1)


def test_an_expensive_learner_is_asked_for_the_wanted_k_alone(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", 60)
    fc, learner = Line(noise=0.3), Counting()
    chosen = squared_errors(learner, fc, 100, 12, ks=[7, 0, 2])
    assert sorted(learner.fits) == [(40, 2), (40, 7), (60, 2), (60, 7)]  # 0 at k = 0 costs nothing
    everything = squared_errors(Counting(), fc, 100, 12)
    np.testing.assert_array_equal(chosen, everything[:, [7, 0, 2]])
    cheap = lambda xs, ys: torch.cat([ys[:, :1] * 0, ys.cumsum(1)[:, :-1] / torch.arange(1, ys.shape[1])], 1)  # noqa: E731
    np.testing.assert_allclose(everything, squared_errors(cheap, fc, 100, 12), atol=1e-5)


def test_expensive_learners_that_misbehave_are_named():
    learner = Counting()
    learner.fit = lambda X, Y, query: Y
    with pytest.raises(InputError, match=r"'counting' must return predictions of shape \(B,\) = \(8,\), got \(8, 3\)"):
        icl_curve(learner, Line(), 8, 5, ks=[3])
    learner.fit = lambda X, Y, query: Y.mean(1) / (X.shape[1] != 3)
    with pytest.raises(InputError, match=r"'counting' gave .* not finite at k=3 \(8 of 8"):
        icl_curve(learner, Line(), 8, 5, ks=[1, 3])


def test_ks_for_expensive_learners_are_spread_evenly():
    assert evaluation.spread_ks(41) == [0, 6, 11, 17, 23, 29, 34, 40]
    assert evaluation.spread_ks(101, 3) == [0, 50, 100]
    assert evaluation.spread_ks(3) == [0, 1, 2]
    assert evaluation.spread_ks(1) == [0]


@pytest.mark.parametrize(
    ("gen", "own"),
    [
        (gen_skewed, {}),
        (gen_scaled_x, {"factor": 3}),
        (gen_scaled_w, {"factor": 1 / 3}),
        (gen_noisy, {}),
        (gen_orthants, {}),
        (gen_query_equal, {}),
    ],
)
def test_zero_scores_one_under_every_shift(gen, own):
    errors = shifted_errors(Always(), gen, DenseLinear(dim=6), [0, 4], 3000, **own)
    assert errors.shape == (3000, 2)
    np.testing.assert_allclose(errors.mean(0), 1, atol=0.15)


def test_shifted_errors_are_those_of_the_last_point_or_of_all():
    fc, seed = DenseLinear(dim=4, noise=0.2), 7
    ours = shifted_errors(LeastSquares(), gen_orthants, fc, [3, 1], 50, seed, opposite=True)
    for column, k in enumerate((3, 1)):
        p = gen_orthants(fc, 50, k + 1, seed, opposite=True)
        truth = (LeastSquares()(p.xs, p.ys)[:, -1] - p.clean[:, -1]) ** 2
        np.testing.assert_allclose(ours[:, column], truth.numpy(), rtol=1e-4, atol=1e-6)
    ours = shifted_errors(LeastSquares(), gen_scaled_w, fc, [3, 1], 50, seed, factor=2)
    p = gen_scaled_w(fc, 50, 4, seed, factor=2)
    truth = (LeastSquares()(p.xs, p.ys) - p.clean) ** 2 / 4
    np.testing.assert_allclose(ours, truth.numpy()[:, [3, 1]], rtol=1e-4, atol=1e-6)


def test_least_squares_under_gargs_shifts():
    """What the noise-free optimum must give: nothing is known beside the examples, all is known on one of them."""
    fc, ks = DenseLinear(dim=8), [1, 4, 7]
    equal = shifted_curve(LeastSquares(), gen_query_equal, fc, ks, 200)
    assert equal.mean.max() < 1e-8
    assert equal.k.tolist() == ks
    orthogonal = shifted_curve(LeastSquares(), gen_query_orthogonal, fc, ks, 2000)
    np.testing.assert_allclose(orthogonal.mean, 1, atol=0.12)
    assert (shifted_curve(LeastSquares(), gen_subspace, fc, [2, 4], 1000).mean[[0]] > 0.35).all()
    assert shifted_curve(LeastSquares(), gen_subspace, fc, [4], 1000).mean < 1e-5  # d / 2 examples are enough
    plain, skewed = icl_curve(LeastSquares(), fc, ks=ks), shifted_curve(LeastSquares(), gen_skewed, fc, ks)
    assert (skewed.mean[:2] < plain.mean[:2]).all()
    tripled = shifted_curve(LeastSquares(), gen_scaled_x, fc, ks, factor=3)
    np.testing.assert_allclose(tripled.mean, plain.mean, atol=0.1)


def test_expensive_learners_work_under_shifts():
    learner = Counting()
    shifted_curve(learner, gen_orthants, DenseLinear(dim=3), [2, 5], 10)
    shifted_curve(learner, gen_skewed, DenseLinear(dim=3), [2, 5], 10)
    assert learner.fits == [(10, 2), (10, 5)] * 2


def nan_from_three(xs, ys):
    out = torch.zeros_like(ys)
    out[0, 3:] = float("nan")
    return out


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f: icl_curve(nan_from_three, f), r"'nan_from_three' .* not finite at k=3 \(5 of 1280"),
        (lambda f: icl_curve(Always(float("inf")), f), "'always' .* not finite at k=0"),
        (lambda f: icl_curve(lambda x, y: y[:, 1:], f, 8, 5), r"\(B, T\) = \(8, 5\), got \(8, 4\)"),
        (lambda f: icl_curve(lambda x, y: x, f, 8, 5), r"got \(8, 5, 1\)"),
        (lambda f: icl_curve(Always(), f, 0), "n_prompts must be greater than 0"),
        (lambda f: icl_curve(Always(), f, 8, 0), "n_points must be greater than 0"),
        (lambda f: icl_curve(Always(), f, 8, 5, ks=[5]), "n_points - 1 = 4"),
        (lambda f: icl_curve(Always(), f, 8, 5, ks=[]), "list of whole numbers"),
        (lambda f: icl_curve(Always(), f, 8, 5, ks=[0.5]), "list of whole numbers"),
        (lambda f: shifted_curve(Always(), gen_skewed, f, [-1, 3], 8), r"ks must be 0 or more, got \[-1, 3\]"),
        (lambda f: shifted_curve(Always(), gen_skewed, f, None, 8), "list of whole numbers, got None"),
        (lambda f: shifted_curve(Always(), gen_skewed, f, [], 8), "list of whole numbers"),
        (lambda f: shifted_curve(Always(), gen_skewed, f, [3], 0), "n_prompts must be greater than 0"),
        (lambda f: shifted_curve(Always(), gen_skewed, f, [3], 8, seed=TRAINING_BIT), "evaluation seed"),
        (lambda f: shifted_curve(Always(), gen_skewed, Mixture((f,)), [3], 8), "one function class, got Mixture"),
        (lambda f: shifted_curve(Always(), gen_query_orthogonal, f, [0, 1], 8), "fewer than dim=1, got 1"),
        (lambda f: evaluation.spread_ks(0), "n_points must be greater than 0"),
        (lambda f: curve_of(np.zeros(4)), r"\(prompts, ks\), got \(4,\)"),
        (lambda f: curve_of(np.zeros((4, 2)), [1]), "2 columns, 1 ks"),
    ],
)
def test_what_goes_wrong_is_said(call, said):
    with pytest.raises(InputError, match=said):
        call(Line())
