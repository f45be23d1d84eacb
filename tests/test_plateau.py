"""The plateau of sparse classes: when a training counts as having left it, and what a card keeps of the log."""

import pytest
import torch

from icl_lab import plateau
from icl_lab.functions import DenseLinear, Mixture, SparseLinear
from icl_lab.predictors import Lasso, LeastSquares

SPARSE = SparseLinear(8, nonzeros=1)


class AsModel(torch.nn.Module):
    """A predictor in the place of a model."""

    def __init__(self, predictor):
        super().__init__()
        self.predictor, self.weight = predictor, torch.nn.Parameter(torch.zeros(()))

    def forward(self, xs, ys):
        return self.predictor(xs, ys)


@pytest.mark.parametrize("law", [SPARSE, Mixture((DenseLinear(8), SPARSE))])
def test_least_squares_is_the_plateau_and_lasso_is_off_it(law, caplog):
    watch = plateau.Watch(law, 17)
    assert watch.k == 4
    with caplog.at_level("INFO", logger="icl_lab"):
        at = watch(AsModel(LeastSquares()))
        assert at["of_ls"] == pytest.approx(1.0)
        assert at["sparse"] == pytest.approx(0.5, abs=0.1)  # 1 - k/d
        assert caplog.text == ""
        assert watch(AsModel(Lasso(0.01)))["of_ls"] < 0.5
        assert watch(AsModel(Lasso(0.01)))["of_ls"] < 0.5
    assert caplog.text.count("the plateau is left") == 1


def test_laws_without_a_sparse_class_have_no_plateau():
    assert plateau.Watch(DenseLinear(8), 17)(AsModel(LeastSquares())) == {}


def test_short_prompts_are_watched_at_their_end():
    assert plateau.Watch(SparseLinear(20), 6).k == 5


def entries(*ratios):
    return [{"step": 10 * i, "seconds": 2.0 * i, "of_ls": r} for i, r in enumerate(ratios)]


@pytest.mark.parametrize(
    ("ratios", "step"),
    [((1.2, 1.0, 0.95), None), ((1.2, 0.8, 0.5), 10), ((0.8, 1.0, 0.89, 0.3), 20), ((0.8, 0.9), None), ((), None)],
)
def test_left_means_left_for_good(ratios, step):
    found = plateau.left_at(entries(*ratios))
    assert found == (None if step is None else {"step": step, "seconds": step / 5})


def test_logs_of_other_laws_never_left():
    assert plateau.left_at([{"step": 1, "seconds": 1.0, "k5": 0.1}]) is None


@pytest.mark.parametrize("n", [1, 5, 60, 61, 1000])
def test_a_thinned_log_keeps_both_ends(n):
    log = [{"step": i, "loss": i / 3} for i in range(n)]
    kept = plateau.thinned(log)
    assert len(kept) == min(n, plateau.HISTORY)
    assert (kept[0]["step"], kept[-1]["step"]) == (0, n - 1)
    assert all(entry["loss"] == pytest.approx(entry["step"] / 3, rel=1e-3) for entry in kept)


def card(steps, ratios, origin=None, left=None):
    training = {"steps": steps, "seconds": 2.0 * steps, "history": entries(*ratios), "left_plateau": left}
    return training | {"recipe": {"curriculum": None}, "started_from": origin}


def origin(card):
    return {"training": plateau.training_of(card), "started_from": card["started_from"]}


def test_histories_of_warm_starts_are_told_from_the_first_step_of_all():
    first = card(20, (1.2, 1.0))
    second = card(30, (0.95, 0.8), origin(first), left={"step": 10, "seconds": 2.0})
    third = card(5, (0.7,), origin(second), left={"step": 0, "seconds": 0.0})
    assert [t["steps"] for t in plateau.trainings(third)] == [20, 30, 5]
    assert [e["step"] for e in plateau.joined(third)] == [0, 10, 20, 30, 50]
    assert [e["seconds"] for e in plateau.joined(third)] == [0.0, 2.0, 40.0, 42.0, 100.0]
    assert plateau.first_left(third) == {"step": 30, "seconds": 42.0}  # by the second training, 10 steps in
    assert plateau.first_left(first) is None
    assert plateau.joined(first) == first["history"]
