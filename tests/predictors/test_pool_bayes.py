"""The exact posterior over a pool against a loop over its tasks, and the errors of the paper's setting."""

import numpy as np
import pytest
import torch
from scipy import stats

from icl_lab.errors import InputError
from icl_lab.evaluation import squared_errors
from icl_lab.functions import DenseLinear, Mixture, TaskPool
from icl_lab.predictors import DenseBayes, MixtureBayes, PoolBayes, bayes
from icl_lab.predictors import pool as module

BASE = DenseLinear(8, scale="raw", noise=0.5)


def by_hand(pool: TaskPool, xs, ys) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log evidence of every prefix, one task at a time."""
    W, X, Y = pool.all_weights().double().numpy(), xs.double().numpy(), ys.double().numpy()
    mean, evidence = np.zeros(Y.shape), np.zeros(Y.shape)
    for b in range(len(Y)):
        for k in range(Y.shape[1]):
            density = [stats.norm(X[b, :k] @ w, pool.noise).pdf(Y[b, :k]).prod() for w in W]
            mean[b, k] = np.dot(density, W @ X[b, k]) / sum(density)
            evidence[b, k] = np.log(np.mean(density))
    return mean, evidence


@pytest.mark.parametrize("tasks", [1, 2, 30])
def test_means_and_evidences_are_those_of_a_loop(tasks):
    pool = TaskPool(DenseLinear(3, noise=0.4), tasks)
    p = pool.sample(6, 5, 2)
    mean, evidence = by_hand(pool, p.xs, p.ys)
    ours = PoolBayes(pool).infer(p.xs, p.ys)
    np.testing.assert_allclose(ours[0].numpy(), mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours[1].numpy(), evidence, rtol=1e-8, atol=1e-10)


def test_pieces_make_no_difference(monkeypatch):
    pool = TaskPool(BASE, 50)
    p = pool.sample(33, 6, 3)
    whole = PoolBayes(pool)(p.xs, p.ys)
    monkeypatch.setattr(module, "CACHE", 120)
    torch.testing.assert_close(PoolBayes(pool)(p.xs, p.ys), whole)
    assert whole.dtype == torch.float32


@pytest.mark.parametrize(("tasks", "inside", "outside"), [(8, 0.092, 1.264), (64, 0.154, 0.887)])
def test_errors_of_the_papers_setting(tasks, inside, outside):
    """Error / D over 16 positions on the pool and on new tasks, beside a simulation in numpy (2,000 pools, 2 %)."""
    pools = [PoolBayes(TaskPool(BASE, tasks, seed)) for seed in range(60)]
    own, new = (
        np.mean([squared_errors(f, fc or f.pool, 60, 16, seed=i).mean() for i, f in enumerate(pools)])
        for fc in (None, BASE)
    )
    assert own == pytest.approx(inside, abs=0.012)
    assert new == pytest.approx(outside, abs=0.08)


def test_nothing_does_better_on_the_pool_and_ridge_does_better_beyond():
    pool = TaskPool(BASE, 256)
    dmmse, ridge = bayes(pool), bayes(BASE)
    assert isinstance(dmmse, PoolBayes)
    on_pool, on_new = ([squared_errors(f, fc, 400, 16).mean() for f in (dmmse, ridge)] for fc in (pool, BASE))
    assert on_pool[0] < 0.7 * on_pool[1]
    assert on_new[0] > 1.5 * on_new[1]
    assert on_new[1] == pytest.approx(0.345, abs=0.02)


def test_a_large_pool_is_nearly_the_whole_law():
    base = DenseLinear(1, noise=0.5)
    p = base.sample(50, 10, 3)
    pool = PoolBayes(TaskPool(base, 20_000))(p.xs, p.ys)
    torch.testing.assert_close(pool, DenseBayes(dim=1, noise=0.5)(p.xs, p.ys), atol=0.05, rtol=0)


def test_without_noise_the_task_that_fits_is_found_at_once():
    pool = TaskPool(DenseLinear(4), 1000)
    p = pool.sample(200, 5, 3)
    error = (PoolBayes(pool)(p.xs, p.ys) - p.ys).abs()
    assert error[:, 0].mean() > 0.5
    assert error[:, 2:].max() < 1e-5
    mixture = MixtureBayes(Mixture((pool, DenseLinear(4))))
    assert (mixture.posterior(p.xs, p.ys)[:, 3, 0] > 0.999).all()
    new = DenseLinear(4).sample(200, 5, 8)
    assert (mixture.posterior(new.xs, new.ys)[:, 3, 0] < 1e-3).all()
    assert mixture(new.xs, new.ys).isfinite().all()


def test_with_noise_the_mixture_with_the_whole_law_is_calibrated():
    mixture = Mixture((TaskPool(DenseLinear(4, noise=0.5), 20), DenseLinear(4, noise=0.5)))
    p = mixture.sample(4000, 5, 3)
    of_pool = bayes(mixture).posterior(p.xs, p.ys)[:, 4, 0]
    for low, high in ((0.0, 0.4), (0.4, 0.7), (0.7, 1.0)):
        rows = (of_pool >= low) & (of_pool <= high)
        assert rows.sum() > 200
        share = (p.component[rows] == 0).double().mean()
        assert float(share) == pytest.approx(float(of_pool[rows].mean()), abs=4 * 0.5 / float(rows.sum()) ** 0.5)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="PoolBayes needs a TaskPool, got DenseLinear"):
        PoolBayes(BASE)
    with pytest.raises(InputError, match="inputs of 8 dimensions, got 3"):
        PoolBayes(TaskPool(BASE, 4))(torch.randn(2, 4, 3), torch.randn(2, 4))
