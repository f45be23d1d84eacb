"""Shifts: what they do to inputs, functions and noise, their second moments, and what they leave as it was."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    FourierSeries,
    FunctionClass,
    Line,
    Mixture,
    ShiftedPrompts,
    Sinusoid,
    SparseLinear,
    TaskPool,
    TwoLayerReLU,
    gen_noisy,
    gen_orthants,
    gen_query_equal,
    gen_query_orthogonal,
    gen_scaled_w,
    gen_scaled_x,
    gen_skewed,
    gen_subspace,
)

EVERY = [
    (gen_skewed, {}),
    (gen_subspace, {}),
    (gen_noisy, {"noise": 2.0}),
    (gen_scaled_x, {"factor": 3}),
    (gen_scaled_w, {"factor": 1 / 3}),
    (gen_orthants, {}),
    (gen_orthants, {"opposite": True}),
    (gen_query_equal, {}),
    (gen_query_orthogonal, {}),
]
IDS = ["skewed", "subspace", "noisy", "scaled x", "scaled w", "orthants", "opposite", "equal", "orthogonal"]
QUERY_ONLY = (gen_orthants, gen_query_equal, gen_query_orthogonal)


@pytest.mark.parametrize(("gen", "own"), EVERY, ids=IDS)
@pytest.mark.parametrize("fc", [DenseLinear(dim=6, scale="raw"), TwoLayerReLU(dim=6, hidden=20), DecisionTree(dim=6)])
def test_the_second_moment_is_that_of_the_draws(gen, own, fc):
    n = 10_000
    p = gen(fc, n, 3, 5, **own)
    assert isinstance(p, ShiftedPrompts)
    assert p.query_only == (gen in QUERY_ONLY)
    squares = p.clean[:, -1].double().square()
    assert abs(squares.mean() - p.second_moment) < 4.5 * squares.std() / n**0.5
    lengths = p.xs[:, -1].double().square().sum(1) / own.get("factor", 1) ** 2
    if gen != gen_scaled_w:
        assert abs(lengths.mean() - 6) < 4.5 * lengths.std() / n**0.5  # norm-matched, save for the scale


@pytest.mark.parametrize(("gen", "own"), EVERY, ids=IDS)
def test_functions_are_those_of_the_sample_and_seeds_count(gen, own):
    fc = SparseLinear(dim=6, nonzeros=2)
    p, plain = gen(fc, 50, 4, 9, **own), fc.sample(50, 4, 9)
    assert torch.equal(p.task["w"], plain.task["w"])
    assert p.xs.shape == (50, 4, 6)
    factor = own["factor"] if gen is gen_scaled_w else 1
    assert torch.allclose(p.clean, factor * torch.einsum("btd,bd->bt", p.xs, p.task["w"]), atol=1e-5)
    again, other = gen(fc, 50, 4, 9, **own), gen(fc, 50, 4, 10, **own)
    assert torch.equal(again.xs, p.xs)
    assert torch.equal(again.ys, p.ys)
    assert not torch.isclose(other.xs, p.xs).any()
    if gen in QUERY_ONLY[1:]:
        assert torch.equal(p.xs[:, :-1], plain.xs[:, :-1])  # the context is ordinary
    if gen in (gen_noisy, gen_scaled_w):
        assert torch.equal(p.xs, plain.xs)


@pytest.mark.parametrize(("gen", "own"), EVERY, ids=IDS)
@pytest.mark.parametrize("n_prompts", [1, 3])
def test_one_prompt_and_one_point(gen, own, n_prompts):
    p = gen(DenseLinear(dim=4), n_prompts, 1, 2, **own)
    assert p.xs.shape == (n_prompts, 1, 4)
    assert p.clean.shape == p.ys.shape == (n_prompts, 1)
    assert p.xs.isfinite().all()
    assert (p.xs != 0).all()


def test_skewed_covariance_has_the_stated_eigenvalues_in_bases_that_differ():
    p = gen_skewed(DenseLinear(dim=5), 4, 40_000, 3)
    wanted = 1 / torch.arange(1.0, 6).double() ** 2
    covariance = p.xs.double().transpose(1, 2) @ p.xs.double() / 40_000
    values, vectors = torch.linalg.eigh(covariance)
    torch.testing.assert_close(values.flip(1), (5 * wanted / wanted.sum()).expand(4, 5), rtol=0.03, atol=0)
    overlap = (vectors[:, :, -1] @ vectors[:, :, -1].T).abs() - torch.eye(4)
    assert overlap.max() < 0.95
    many = gen_skewed(DenseLinear(dim=5), 6000, 1, 4).xs[:, 0].double()
    covariance = many.T @ many / len(many)  # over bases the directions even out
    torch.testing.assert_close(covariance, torch.eye(5).double(), atol=0.12, rtol=0)


def test_subspaces_have_half_the_dimensions():
    for dim, rank in ((6, 3), (7, 3), (2, 1)):
        p = gen_subspace(DenseLinear(dim=dim), 20, 30, 3)
        values = torch.linalg.svdvals(p.xs)
        assert (values[:, rank - 1] > 0.5).all()
        assert values[:, rank:].max() < 1e-5
    assert torch.linalg.svdvals(p.xs.reshape(-1, 2))[-1] > 1  # each prompt has its own


def test_noise_is_counted_at_the_raw_scale():
    for fc, std in (
        (DenseLinear(dim=20, scale="raw"), 1.0),
        (DenseLinear(dim=20), 20**-0.5),
        (DenseLinear(dim=20, noise=5.0), 20**-0.5),
        (SparseLinear(dim=20, nonzeros=4), 0.5),
        (TaskPool(DenseLinear(dim=4), 10), 0.5),
        (DecisionTree(dim=5), 1.0),
        (FourierSeries(max_frequency=3), 0.5),
    ):
        p = gen_noisy(fc, 2000, 10, 3)
        assert stats.kstest(((p.ys - p.clean) / std).flatten().double().numpy(), "norm").pvalue > 1e-3
        assert p.second_moment == fc.second_moment
    quiet = gen_noisy(DenseLinear(noise=5.0), 20, 10, 3, noise=0)
    assert torch.equal(quiet.ys, quiet.clean)


def test_a_noisy_class_stays_noisy_under_other_shifts():
    p = gen_scaled_w(DenseLinear(dim=4, noise=0.5), 2000, 10, 3, factor=3)
    assert stats.kstest(((p.ys - p.clean) / 0.5).flatten().double().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(p.ys - p.clean != 0, torch.ones(2000, 10, dtype=torch.bool))


@pytest.mark.parametrize("factor", [1 / 3, 1 / 2, 2, 3])
def test_scaling_and_the_second_moment_it_leaves(factor):
    dense = DenseLinear(dim=5)
    plain, x, w = dense.sample(30, 6, 2), *(g(dense, 30, 6, 2, factor=factor) for g in (gen_scaled_x, gen_scaled_w))
    torch.testing.assert_close(x.xs, factor * plain.xs)
    torch.testing.assert_close(x.ys, factor * plain.ys)
    torch.testing.assert_close(w.ys, factor * plain.ys)
    assert x.second_moment == pytest.approx(factor**2)
    assert w.second_moment == pytest.approx(factor**2)
    for fc, moment in (
        (TwoLayerReLU(dim=4, hidden=7, scale="raw"), 4 * factor**2),
        (DecisionTree(dim=4), 1.0),
        (Line(), (factor**2 + 1) / 2),
        (Sinusoid(), 1.0),
        (FourierSeries(scale="raw", max_frequency=3), 4.0),
        (ConvexCombination(Line(), Sinusoid(), 0.5), (factor**2 + 3) / 8),
        (ConvexCombination(DenseLinear(dim=4, scale="raw"), DecisionTree(dim=4)), (4 * factor**2 + 1) / 3),
    ):
        p = gen_scaled_x(fc, 20_000, 1, 1, factor=factor)
        squares = p.clean.double().square()
        assert abs(squares.mean() - moment) < 4.5 * squares.std() / 20_000**0.5
        assert gen_scaled_x(fc, 2, 3, 1, factor=factor).second_moment == pytest.approx(moment)


@dataclass(frozen=True)
class Quadratic(FunctionClass):
    """f(x) = sum of w_i x_i^2: a class that nobody here knows the moments of."""

    def draw_task(self, streams, n_prompts, stage):
        return {"w": streams.task.normal(n_prompts, self.dim)}

    def values(self, task, xs):
        return (xs**2 @ task["w"].unsqueeze(-1)).squeeze(-1)

    @property
    def second_moment(self):
        return 3.0 * self.dim


def test_the_moment_of_an_unknown_class_is_measured():
    assert gen_scaled_x(Quadratic(dim=3), 2, 3, 1, factor=2).second_moment == pytest.approx(16 * 9)


def test_examples_share_an_orthant_and_the_query_does_not():
    fc = DenseLinear(dim=5)
    p, plain = gen_orthants(fc, 4000, 7, 3), fc.sample(4000, 7, 3)
    signs = p.xs[:, :-1].sign()
    assert torch.equal(signs, signs[:, :1].expand_as(signs))
    assert torch.equal(p.xs[:, :-1].abs(), plain.xs[:, :-1].abs())
    assert torch.equal(p.xs[:, -1], plain.xs[:, -1])
    pattern = ((signs[:, 0] > 0) * 2 ** torch.arange(5)).sum(1)
    assert stats.chisquare(torch.bincount(pattern, minlength=32).numpy()).pvalue > 1e-3
    agree = (p.xs[:, -1].sign() == signs[:, 0]).sum(1)
    expected = 4000 * stats.binom(5, 0.5).pmf(np.arange(6))
    assert stats.chisquare(torch.bincount(agree, minlength=6).numpy(), expected).pvalue > 1e-3
    opposite = gen_orthants(fc, 4000, 7, 3, opposite=True)
    assert torch.equal(opposite.xs[:, :-1], p.xs[:, :-1])
    assert torch.equal(opposite.xs[:, -1].sign(), -signs[:, 0])


def test_the_query_equals_one_of_the_examples():
    p = gen_query_equal(DenseLinear(dim=3), 6000, 6, 3)
    same = (p.xs[:, :-1] == p.xs[:, -1:]).all(-1)
    assert (same.sum(1) == 1).all()
    assert stats.chisquare(same.sum(0).numpy()).pvalue > 1e-3
    torch.testing.assert_close((p.ys[:, :-1] * same).sum(1), p.ys[:, -1])


@pytest.mark.parametrize("k", [0, 1, 4, 5])
def test_the_query_is_orthogonal_to_the_examples(k):
    fc = DenseLinear(dim=6)
    p, plain = gen_query_orthogonal(fc, 3000, k + 1, 3), fc.sample(3000, k + 1, 3)
    dots = (p.xs[:, :-1].double() @ p.xs[:, -1].double().unsqueeze(-1)).squeeze(-1)
    assert dots.abs().sum() < 1e-4 * 3000
    torch.testing.assert_close(p.xs[:, -1].norm(dim=1), plain.xs[:, -1].norm(dim=1))
    if k == 0:
        torch.testing.assert_close(p.xs, plain.xs)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: gen_skewed(Mixture((Line(),)), 2, 3, 1), "of one function class, got Mixture"),
        (lambda: gen_skewed(Line(), 0, 3, 1), "n_prompts must be greater than 0"),
        (lambda: gen_query_equal(Line(), 2, 0, 1), "n_points must be greater than 0"),
        (lambda: gen_subspace(Line(), 2, 3, 1), "needs dim >= 2, got dim=1"),
        (lambda: gen_query_orthogonal(DenseLinear(dim=3), 2, 4, 1), "fewer than dim=3, got 3"),
        (lambda: gen_noisy(Line(), 2, 3, 1, noise=-1), "noise must be a standard deviation >= 0, got -1"),
        (lambda: gen_noisy(Line(), 2, 3, 1, noise=math.nan), "noise must be a standard deviation >= 0, got nan"),
        (lambda: gen_scaled_x(Line(), 2, 3, 1, factor=0), "factor must be greater than 0, got 0"),
        (lambda: gen_scaled_w(Line(), 2, 3, 1, factor=-2), "factor must be greater than 0, got -2"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
