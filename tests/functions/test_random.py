"""The random numbers: SplitMix64 as published, the laws by Kolmogorov-Smirnov, the streams independent."""

import math

import pytest
import torch
from scipy import stats

from icl_lab.functions import (
    ConvexCombination,
    DecisionTree,
    DenseLinear,
    Line,
    Mixture,
    Sinusoid,
    SparseAny,
    SparseLinear,
    TaskPool,
    TwoLayerReLU,
    training_seed,
)
from icl_lab.functions.random import GAMMA, TRAINING_BIT, Stream, Streams, mix, table_rows

N = 200_000
ALL = [
    DenseLinear(dim=6),
    SparseLinear(dim=6, nonzeros=2),
    Line(),
    Sinusoid(),
    DecisionTree(dim=6),
    TwoLayerReLU(dim=6),
    SparseAny(dim=6),
    TaskPool(DenseLinear(6), 9),
    ConvexCombination(Line(), Sinusoid()),
    Mixture((Line(), Sinusoid())),
    Mixture((DenseLinear(dim=6), SparseLinear(dim=6, nonzeros=2)), (0.3, 0.7)),
]


def stream(seed: int) -> Stream:
    return Streams(seed).inputs


def test_splitmix64_reference_outputs():
    """The first outputs of the reference implementation for seed 1234567, from Vigna's splitmix64.c."""
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    words = mix(torch.tensor(1234567) + torch.arange(1, 6) * GAMMA)
    assert [int(w) % 2**64 for w in words] == expected


def scrambled(word: int) -> int:
    """SplitMix64's output function on Python's own integers."""
    for bits, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word ^ (word >> bits)) * factor % 2**64
    return word ^ (word >> 31)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_draws_never_change(n):
    """Shipped models are measured on these very prompts: every number is what the definition gives, by hand."""

    def key(seed: int, i: int) -> int:
        return scrambled((scrambled((seed + i * GAMMA) % 2**64) + i) % 2**64)

    def draw(key: int, number: int) -> tuple[list[float], list[float]]:
        key = scrambled((key + number * GAMMA) % 2**64)
        words = [scrambled((key + i * GAMMA) % 2**64) for i in range(1, (n + 1) // 2 + 1)]
        u = [((w >> shift & 0xFFFFFF) + 0.5) / 2**24 for shift in (40, 8) for w in words]
        pairs = list(zip(u[: len(words)], u[len(words) :], strict=True))
        z = [math.sqrt(-2 * math.log(a)) * f(2 * math.pi * b) for f in (math.cos, math.sin) for a, b in pairs]
        return u[:n], z[:n]

    drawn = Streams(77)
    for i, s in enumerate((drawn.inputs, drawn.task, drawn.noise), start=1):
        assert s.uniform(n).tolist() == pytest.approx(draw(key(77, i), 1)[0], rel=1e-7)
        assert s.normal(n).tolist() == pytest.approx(draw(key(77, i), 2)[1], abs=5e-6)  # of float32


def test_drawing_leaves_its_arguments_alone():
    words, rows, seed = torch.arange(5), torch.arange(4), torch.tensor(9)
    mix(words)
    table_rows(3, rows, 6)
    DenseLinear(3).sample(2, 4, seed)
    assert (words.tolist(), rows.tolist(), seed.item()) == ([0, 1, 2, 3, 4], [0, 1, 2, 3], 9)


@pytest.mark.parametrize(
    ("draw", "law"),
    [
        (lambda s: s.uniform(N), stats.uniform()),
        (lambda s: s.normal(N), stats.norm()),
        (lambda s: s.gamma(6, N), stats.gamma(6)),
    ],
    ids=["uniform", "normal", "gamma"],
)
def test_laws(draw, law):
    p = [stats.kstest(draw(stream(seed)).double().numpy(), law.cdf).pvalue for seed in range(5)]
    assert min(p) > 1e-3
    assert max(p) > 0.05


def test_uniform_stays_inside_and_normals_are_uncorrelated():
    u = stream(0).uniform(1_000_003)  # an odd count: half of the last word is dropped
    assert u.shape == (1_000_003,)
    assert u.min() > 0
    assert u.max() < 1
    z = stream(1).normal(1000, 1000)
    both_halves = torch.corrcoef(torch.stack([z.flatten()[:500_000], z.flatten()[500_000:]]))[0, 1]
    neighbors = torch.corrcoef(torch.stack([z[:, :-1].flatten(), z[:, 1:].flatten()]))[0, 1]
    assert abs(both_halves) < 5e-3
    assert abs(neighbors) < 5e-3
    assert abs((z**4).mean() - 3) < 0.03


def test_integers_are_uniform():
    for high in (6, torch.tensor(6)):
        drawn = stream(3).integers(high, 1000, 60)
        assert drawn.dtype == torch.int64
        assert stats.chisquare(torch.bincount(drawn.flatten(), minlength=6).numpy()).pvalue > 1e-3
    large = stream(3).integers(3 << 40, N)  # more bits than a float32 has
    assert stats.kstest(large.double().numpy(), stats.uniform(0, 3 << 40).cdf).pvalue > 1e-3
    assert (large % 2).double().mean() == pytest.approx(0.5, abs=0.01)


def test_subsets_are_uniform():
    chosen = stream(2).subset(N, 6, 2)
    assert (chosen.sum(1) == 2).all()
    pairs = torch.zeros(6, 6)
    rows = chosen.nonzero()[:, 1].view(N, 2)
    pairs.index_put_((rows[:, 0], rows[:, 1]), torch.ones(N), accumulate=True)
    counts = pairs[pairs > 0].numpy()
    assert len(counts) == 15
    assert stats.chisquare(counts).pvalue > 1e-3
    assert stream(2).subset(100, 6, 2, torch.tensor(3))[:, 3:].sum() == 0


def test_subsets_of_many_sizes_are_uniform_too():
    sizes = torch.arange(N) % 7
    chosen = stream(4).subset(N, 6, sizes)
    assert torch.equal(chosen.sum(1).long(), sizes)
    for size in (1, 3, 5):
        codes = (chosen[sizes == size] @ 2.0 ** torch.arange(6)).long()
        counts = torch.bincount(codes, minlength=64)
        counts = counts[counts > 0].numpy()
        assert len(counts) == math.comb(6, size)
        assert stats.chisquare(counts).pvalue > 1e-3
    limited = stream(4).subset(100, 6, torch.full((100,), 3), torch.tensor(4))
    assert (limited.sum(1) == 3).all()
    assert limited[:, 4:].sum() == 0


@pytest.mark.parametrize("fc", ALL, ids=lambda c: type(c).__name__)
def test_a_batch_is_a_pure_function_of_its_seed(fc):
    a, b, c = fc.sample(50, 9, 5), fc.sample(50, 9, torch.tensor(5)), fc.sample(50, 9, 6)
    assert torch.equal(a.xs, b.xs)
    assert torch.equal(a.ys, b.ys)
    assert not torch.isclose(a.xs, c.xs).any(dim=-1).float().mean() > 0.01
    assert a.xs.dtype == a.ys.dtype == torch.float32
    assert a.xs.shape == (50, 9, fc.dim)
    assert a.ys.shape == (50, 9)


@pytest.mark.parametrize("kind", [DenseLinear, SparseLinear, Line, Sinusoid, DecisionTree, TwoLayerReLU, SparseAny])
def test_noise_has_a_stream_of_its_own(kind):
    plain, noisy, noisier = (kind(noise=s).sample(3000, 11, 3) for s in (0.0, 0.5, 1.0))
    assert torch.equal(plain.xs, noisy.xs)
    for name, values in plain.task.items():
        assert torch.equal(values, noisy.task[name])
    noise = noisy.ys - plain.ys
    assert torch.allclose(noisier.ys - plain.ys, 2 * noise, atol=1e-5)
    assert stats.kstest(noise.flatten().double().numpy(), stats.norm(scale=0.5).cdf).pvalue > 1e-3
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), plain.ys.flatten()]))[0, 1]) < 0.03


def test_rows_of_a_table_are_drawn_one_by_one():
    table = table_rows(7, torch.arange(30_000), 5)
    rows = torch.tensor([[29_999, 3], [3, 1]])
    assert torch.equal(table_rows(7, rows, 5), table[rows])
    assert stats.kstest(table.flatten().double().numpy(), "norm").pvalue > 1e-3
    near = torch.cat([table[:-1], table[1:], table_rows(8, torch.arange(29_999), 5)], 1).T  # next row, next seed
    assert (torch.corrcoef(near) - torch.eye(15)).abs().max() < 0.03


def test_the_table_of_a_seed_is_no_batch_of_it():
    table = table_rows(7, torch.arange(1000), 6)
    for s in (Streams(7).inputs, Streams(7).task, Streams(7).noise):
        drawn = s.normal(1000, 6)
        assert not torch.isclose(table.flatten()[:, None], drawn.flatten()[:50], rtol=0, atol=1e-9).any()


def test_inputs_task_and_noise_are_independent():
    s = Streams(11)
    draws = torch.stack([s.inputs.normal(N), s.task.normal(N), s.noise.normal(N)])
    off_diagonal = torch.corrcoef(draws) - torch.eye(3)
    assert off_diagonal.abs().max() < 0.01
    again = torch.stack([Streams(12).inputs.normal(N), draws[0], s.inputs.normal(N)])  # next seed, next draw
    assert (torch.corrcoef(again) - torch.eye(3)).abs().max() < 0.01


def test_training_seeds_are_distinct_and_apart_from_evaluation():
    seeds = {training_seed(run, step) for run in (0, 1, 2**30 - 1) for step in (0, 1, 2**32 - 1)}
    assert len(seeds) == 9
    assert min(seeds) >= TRAINING_BIT
    assert max(seeds) < 2**63  # stays an int64
