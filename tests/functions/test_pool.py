"""A pool of tasks: drawn once, the same everywhere, and met uniformly."""

from dataclasses import replace

import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import squared_errors, without_noise
from icl_lab.functions import DenseLinear, Mixture, SparseLinear, TaskPool, training_seed
from icl_lab.training import Recipe

BASE = DenseLinear(8, scale="raw", noise=0.5)


def test_every_prompt_is_about_a_task_of_the_pool():
    pool = TaskPool(BASE, 5)
    weights = pool.all_weights()
    assert weights.shape == (5, 8)
    for seed in (3, training_seed(0, 17)):  # evaluation and training meet the same pool
        p = pool.sample(20_000, 2, seed)
        assert torch.equal(p.task["w"], weights[p.task["index"]])
        assert stats.chisquare(torch.bincount(p.task["index"], minlength=5).numpy()).pvalue > 1e-3
        noise = p.ys - torch.einsum("btd,bd->bt", p.xs, p.task["w"])
        assert stats.kstest(noise.flatten().double().numpy(), stats.norm(scale=0.5).cdf).pvalue > 1e-3


def test_pools_differ_by_their_seed_and_grow_by_new_tasks():
    small, large, other = TaskPool(BASE, 100), TaskPool(BASE, 4000), TaskPool(BASE, 100, pool_seed=1)
    assert torch.equal(small.all_weights(), large.all_weights()[:100])
    assert not torch.isclose(small.all_weights(), other.all_weights()).any()
    drawn = large.all_weights()
    assert stats.kstest(drawn.flatten().double().numpy(), "norm").pvalue > 1e-3
    assert len(drawn.unique(dim=0)) == 4000
    unit = TaskPool(DenseLinear(8), 4000).all_weights()
    torch.testing.assert_close(unit * 8**0.5, drawn)


def test_large_pools_are_met_uniformly():
    pool = TaskPool(BASE, 2**16)
    index = pool.sample(100_000, 1, 3).task["index"].double()
    assert stats.kstest(index.numpy(), stats.uniform(0, 2**16).cdf).pvalue > 1e-3
    assert (index % 2).mean() == pytest.approx(0.5, abs=0.01)


def test_second_moment_is_the_mean_over_pools():
    assert TaskPool(BASE, 3).second_moment == 8
    squares = TaskPool(BASE, 2**16).all_weights().square().sum(1)
    assert float(squares.mean()) == pytest.approx(8, abs=0.08)  # 5 standard errors


def test_it_is_a_class_like_any_other():
    pool = TaskPool(BASE, 16)
    assert (pool.dim, pool.noise) == (8, 0.5)
    _ = pool.sample(3, 2, 1)  # leaves nothing behind
    assert pool == TaskPool(BASE, 16)
    assert len({pool, TaskPool(BASE, 16), TaskPool(BASE, 16, 1), TaskPool(BASE, 17)}) == 3
    plain = Recipe("p", pool, n_points=3, steps=1).config()["function_class"]
    assert plain == {
        "class": "TaskPool",
        "dim": 8,
        "noise": 0.5,
        "base": {"class": "DenseLinear", "dim": 8, "noise": 0.5, "scale": "raw"},
        "tasks": 16,
        "pool_seed": 0,
    }
    mixed = Mixture((pool, BASE)).sample(50, 3, 4)
    assert mixed.xs.shape == (50, 3, 8)


def test_errors_leave_the_noise_out():
    pool = TaskPool(BASE, 16)
    quiet = without_noise(pool)
    assert (quiet.noise, quiet.base.noise, quiet.tasks) == (0.0, 0.0, 16)
    mean = pool.all_weights().square().sum(1).mean() / 8
    errors = squared_errors(lambda xs, ys: 0 * ys, pool, n_prompts=20_000, n_points=2)
    assert errors.mean() == pytest.approx(float(mean), rel=0.03)  # with the noise 3 % more
    assert squared_errors(lambda xs, ys: ys, pool, n_prompts=20_000, n_points=2).mean() == pytest.approx(
        0.25 / 8, rel=0.05
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TaskPool(SparseLinear(4), 3), "TaskPool draws from DenseLinear, got SparseLinear"),
        (lambda: TaskPool(BASE, 0), "tasks must be greater than 0, got 0"),
        (lambda: TaskPool(BASE, 2.5), "tasks must be a whole number, got 2.5"),
        (lambda: TaskPool(BASE, 2, pool_seed=0.5), "pool_seed must be a whole number, got 0.5"),
        (
            lambda: TaskPool(BASE, 2**24 + 1),
            "a pool of 16777217 tasks in 8 dimensions takes 1.0 GiB of memory, at most 1 GiB",
        ),
        (lambda: TaskPool(BASE, 2**40), "takes 65536.0 GiB of memory, at most 1 GiB are allowed"),
    ],
)
def test_bad_input_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


def test_the_largest_pool_samples_without_being_stored():
    p = replace(TaskPool(BASE, 2**24)).sample(64, 16, 1)
    assert p.ys.isfinite().all()
    assert len(p.task["index"].unique()) == 64
