"""The function classes: what they say of themselves is what is drawn; bad input is refused in a sentence."""

from dataclasses import replace

import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import squared_errors
from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    FourierSeries,
    Line,
    Mixture,
    Sinusoid,
    SparseAny,
    SparseLinear,
    Stage,
    TwoLayerReLU,
)
from icl_lab.predictors import LeastSquares

CLASSES = [
    DenseLinear(dim=5),
    DenseLinear(dim=5, scale="raw"),
    SparseLinear(dim=7, nonzeros=2),
    SparseLinear(dim=7, nonzeros=2, scale="raw"),
    SparseAny(dim=7, most=4),
    SparseAny(dim=7, scale="raw"),
    Line(),
    Line(scale="raw"),
    Sinusoid(),
    FourierSeries(),
    FourierSeries(scale="raw", max_frequency=4),
    DecisionTree(dim=7),
    ConvexCombination(Line(scale="raw"), Sinusoid()),
    ConvexCombination(DenseLinear(dim=5, scale="raw"), TwoLayerReLU(dim=5, hidden=5), 0.3),
    TwoLayerReLU(dim=5, hidden=10),
    TwoLayerReLU(dim=5, hidden=10, scale="raw"),
    Mixture((DenseLinear(dim=7, scale="raw"), SparseLinear(dim=7, scale="raw")), (1, 3)),
]


@pytest.mark.parametrize("fc", CLASSES, ids=str)
def test_second_moment_is_that_of_the_draws(fc):
    ys = fc.sample(200_000, 1, 4).ys
    mean, error = (ys**2).mean().item(), (ys**2).std().item() / len(ys) ** 0.5
    assert abs(mean - fc.second_moment) < 4 * error
    assert 4 * error < 0.05 * fc.second_moment  # the test would see a wrong factor


@pytest.mark.parametrize("fc", [c for c in CLASSES if not isinstance(c, Mixture)], ids=str)
def test_every_class_has_a_noisy_variant(fc):
    """Noise of the stated size is added to y; inputs and functions stay as they are without."""
    clean, noisy = fc.sample(500, 20, 6), replace(fc, noise=0.7).sample(500, 20, 6)
    assert torch.equal(noisy.xs, clean.xs)
    assert torch.equal(fc.values(noisy.task, noisy.xs), clean.ys)
    gap = (noisy.ys - clean.ys).double().flatten() / 0.7
    assert stats.kstest(gap.numpy(), "norm").pvalue > 1e-3
    assert replace(fc, noise=0.7).second_moment == fc.second_moment


def test_gargs_noisy_linear_regression():
    """w ~ N(0, I), y = w . x + N(0, 1), d = 20: least squares at k = 40 leaves d / (k - d - 1) of E f^2 = d."""
    fc = DenseLinear(scale="raw", noise=1.0)
    error = squared_errors(LeastSquares(), fc, 1000, 41, ks=[40]).mean()
    assert error == pytest.approx(1 / 19, rel=0.15)
    assert squared_errors(LeastSquares(), DenseLinear(noise=20**-0.5), 1000, 41, ks=[40]).mean() == pytest.approx(error)


def test_values_are_those_of_the_task():
    p = SparseLinear(dim=7, nonzeros=3).sample(500, 6, 1)
    w = p.task["w"]
    assert ((w != 0).sum(1) == 3).all()
    assert torch.allclose(p.ys, torch.einsum("btd,bd->bt", p.xs, w), atol=1e-5)
    p = Sinusoid().sample(500, 6, 1)
    angle = p.task["w"][:, None].double() * p.xs[..., 0]
    truth = p.task["A"][:, None] * angle.sin() + p.task["B"][:, None] * angle.cos()
    assert torch.allclose(p.ys.double(), truth, atol=1e-5)
    p = Line(scale="raw").sample(500, 6, 1)
    truth = p.task["a"][:, None] * p.xs[..., 0] / (25 / 3) ** 0.5 + p.task["b"][:, None]
    assert torch.allclose(p.ys, truth, atol=1e-5)


def test_inputs_and_frequencies_follow_their_laws():
    p = Sinusoid().sample(20_000, 5, 8)
    assert stats.kstest(p.xs.flatten().double().numpy(), stats.uniform(-5, 10).cdf).pvalue > 1e-3
    assert stats.kstest(p.task["w"].double().numpy(), stats.gamma(6, scale=1 / 6).cdf).pvalue > 1e-3
    assert stats.kstest(DenseLinear(dim=3).sample(20_000, 2, 8).xs.flatten().double(), "norm").pvalue > 1e-3


def test_supports_are_uniform_and_may_be_limited():
    support = SparseLinear(dim=7, nonzeros=2).sample(70_000, 1, 2).task["w"] != 0
    assert stats.chisquare(support.sum(0).numpy()).pvalue > 1e-3
    limited = SparseLinear(dim=7, nonzeros=2).sample(1000, 3, 2, stage=Stage(dims=4))
    assert (limited.task["w"][:, 4:] == 0).all()
    assert (limited.xs[..., 4:] == 0).all()
    assert (limited.xs[..., :4] != 0).all()


def test_mixture_draws_its_classes_and_records_them():
    mixture = Mixture((Line(), Sinusoid()), (1, 3))
    assert mixture.weights == (0.25, 0.75)
    p = mixture.sample(40_000, 6, 9)
    n_sines = int(p.component.sum())
    assert p.component.dtype == torch.int64
    assert stats.binomtest(n_sines, 40_000, 0.75).pvalue > 1e-3
    for i, truth in enumerate((Line(), Sinusoid())):  # y is made by the recorded class from its recorded task
        mine = p.component == i
        values = truth.values({n: t[mine] for n, t in p.task[str(i)].items()}, p.xs[mine])
        assert torch.equal(values, p.ys[mine])
    slope = torch.corrcoef(torch.stack([p.task["0"]["a"], p.task["1"]["A"]]))[0, 1]
    assert abs(slope) < 0.02  # components draw from streams of their own
    assert Mixture((Line(noise=0.1), Sinusoid(noise=0.2))).noise == 0.2


@pytest.mark.parametrize(("most", "largest"), [(None, 6), (3, 3)])
def test_the_number_of_nonzeros_is_uniform_and_so_is_the_support(most, largest):
    raw, unit = (SparseAny(dim=6, scale=scale, most=most).sample(60_000, 2, 5) for scale in ("raw", "unit"))
    w, count = raw.task["w"], raw.task["nonzeros"]
    assert torch.equal((w != 0).sum(1), count)
    assert stats.chisquare(torch.bincount(count)[1:].numpy()).pvalue > 1e-3
    assert count.max() == largest
    for n in range(1, largest):
        assert stats.chisquare((w[count == n] != 0).sum(0).numpy()).pvalue > 1e-3
    assert stats.kstest(w[w != 0].double().numpy(), "norm").pvalue > 1e-3
    assert torch.allclose(unit.task["w"] * count[:, None].sqrt(), w, atol=1e-6)
    assert torch.allclose(unit.ys, torch.einsum("btd,bd->bt", unit.xs, unit.task["w"]), atol=1e-5)
    for n in (1, largest):  # the size of y does not tell the number
        assert float(unit.ys[count == n].square().mean()) == pytest.approx(1.0, abs=0.1)


def test_a_curriculum_limits_the_nonzeros_and_makes_them_signs():
    fc = SparseAny(dim=6)
    p = fc.sample(3000, 4, 2, stage=Stage(dims=torch.tensor(3), softness=torch.tensor(0.0)))
    w, count = p.task["w"], p.task["nonzeros"]
    assert (w[:, 3:] == 0).all()
    assert torch.equal(torch.bincount(count) > 0, torch.tensor([False, True, True, True]))
    assert torch.allclose(w.abs(), (w != 0) / count[:, None].sqrt())
    late = fc.sample(3000, 4, 2, stage=Stage(dims=torch.tensor(9), softness=torch.tensor(1.0)))
    assert torch.allclose(late.ys, fc.sample(3000, 4, 2).ys, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DenseLinear(dim=0), "dim must be greater than 0, got 0"),
        (lambda: DenseLinear(dim=2.5), "dim must be a whole number, got 2.5"),
        (lambda: Sinusoid(3), "Sinusoid has inputs of one coordinate, got dim=3"),
        (lambda: DenseLinear(noise=-1), "noise must be a standard deviation >= 0, got -1"),
        (lambda: DenseLinear(scale="big"), "'unit' or 'raw', got 'big'"),
        (lambda: SparseLinear(dim=3, nonzeros=4), "nonzeros=4 with dim=3"),
        (lambda: SparseLinear(nonzeros=0), "nonzeros must be greater than 0"),
        (lambda: SparseAny(dim=3, most=4), "most must be a whole number from 1 to dim=3, got 4"),
        (lambda: SparseAny(most=0), "most must be a whole number from 1 to dim=20, got 0"),
        (lambda: SparseAny(most=1.5), "got 1.5"),
        (lambda: Mixture(()), "at least one component"),
        (lambda: Mixture((DenseLinear(dim=3), Line())), r"\[1, 3\]"),
        (lambda: Mixture((Line(), Sinusoid()), (0, 0)), "sum to a positive number"),
        (lambda: Mixture((Line(), Sinusoid()), (1, -1)), "sum to a positive number"),
        (lambda: Mixture((Line(), Sinusoid()), (1, float("nan"))), "sum to a positive number"),
        (lambda: Mixture((Line(), Sinusoid()), (1,)), "2 components, 1 weights"),
        (lambda: Line().sample(0, 5, 1), "n_prompts must be greater than 0"),
        (lambda: Line().sample(5, 0, 1), "n_points must be greater than 0"),
        (lambda: Mixture((Line(),)).sample(5, -1, 1), "n_points must be greater than 0"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
