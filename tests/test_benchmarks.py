"""The benchmarks' wiring, and the peers' ways: what is compared must be the same thing."""

import json
import time
from dataclasses import replace

import pytest
import torch

from benchmarks import baselines, evaluation, run, sampling, step
from benchmarks.timing import Row, compared, cpu_rounds, cpu_time
from icl_lab.errors import InputError
from icl_lab.functions import DecisionTree, DenseLinear
from icl_lab.predictors import Averaging, GradientBoosting, GreedyTree, NearestNeighbors, TwoLayerNet
from icl_lab.transformer import SIZES


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


# ---------------------------------------------------------------- timing


def test_what_waits_is_not_counted():
    assert cpu_time(lambda: time.sleep(0.2)) < 0.1
    assert cpu_time(lambda: busy(0.02)) >= 0.02


def test_a_short_call_runs_often_and_a_long_one_once():
    calls = {"short": 0, "long": 0}

    def call(name, seconds):
        calls[name] += 1
        busy(seconds)

    times = cpu_rounds({"short": lambda: call("short", 0.002), "long": lambda: call("long", 0.04)}, 2)
    assert calls["long"] == 3  # the start-up and two rounds
    assert 2 + 2 * 5 < calls["short"] <= 2 + 2 * 15
    assert all(0.002 <= t < 0.02 for t in times["short"])
    assert all(t >= 0.04 for t in times["long"])


def test_a_row_says_how_often_ours_fits_into_the_peers():
    ours, peers = {"a": lambda: busy(0.01), "b": lambda: busy(0.03)}, {"slow": lambda: busy(0.06)}
    a, b = compared(ours, peers, rounds=3, wanted=2.0, scale=10.0)
    assert (a.name, a.peer_name, a.wanted) == ("a", "slow", 2.0)
    assert (a.ours, a.peer, a.ratio) == pytest.approx((0.1, 0.6, 6.0), rel=0.3)
    assert b.ratio == pytest.approx(2.0, rel=0.3)
    with pytest.raises(InputError, match="Names must differ between ours and the peers', got \\['a'\\]"):
        compared(ours, {"a": list}, rounds=1)


# ---------------------------------------------------------------- running some parts


@pytest.fixture
def parts(monkeypatch):
    """Two parts that take no time; what they measured changes with every call."""
    count = iter(range(1, 100))

    def rows():
        n = float(next(count))
        return [Row("this", "that", n, 2 * n, 2.0)]

    monkeypatch.setattr(run, "PARTS", {"first": (rows, dict), "second": (rows, lambda: {"more": 1.23456})})


def test_one_part_leaves_the_others(parts, tmp_path, capsys):
    path = tmp_path / "results.json"
    run.run([], path)
    whole = json.loads(path.read_text())
    assert list(whole["parts"]) == ["first", "second"]
    assert whole["parts"]["second"]["more"] == 1.235  # four digits
    assert whole["parts"]["first"]["comparisons"][0]["ours"] == 1.0
    run.run(["first"], path)
    after = json.loads(path.read_text())
    assert after["parts"]["first"]["comparisons"][0]["ours"] == 3.0
    assert after["parts"]["second"] == whole["parts"]["second"]
    assert list(after["parts"]) == ["first", "second"]
    assert after["parts"]["first"]["machine"]["torch"] == torch.__version__
    assert capsys.readouterr().out.count("2.00x") == 3


def test_an_unknown_part_is_refused_before_anything_runs(parts, tmp_path):
    with pytest.raises(InputError, match=r"Unknown part of the benchmarks 'secnd'\. Did you mean 'second'"):
        run.run(["first", "secnd"], tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


# ---------------------------------------------------------------- the peers' ways


@pytest.mark.parametrize("name", sampling.CASES)
def test_peers_draw_the_same_law(name):
    case = sampling.CASES[name]
    torch.manual_seed(0)
    n = 1500
    theirs, ours = case.peer(n, 6), case.fc.sample(n, 6, 1)
    for xs, ys in (theirs, (ours.xs, ours.ys)):
        assert (xs.shape, ys.shape) == ((n, 6, case.fc.dim), (n, 6))
        square = ys.square().mean(1)
        deviation = float(square.mean() - case.fc.second_moment) / float(square.std() / n**0.5)
        assert abs(deviation) < 4
    fourth = [(ys**4).mean() / (ys**2).mean() ** 2 for ys in (theirs[1], ours.ys)]  # classes differ in this one
    assert fourth[0] == pytest.approx(fourth[1], rel=0.25)


@pytest.mark.parametrize("loop", sampling.TREE_LOOPS.values(), ids=list(sampling.TREE_LOOPS))
def test_loops_over_trees_give_what_ours_gives(loop):
    p = DecisionTree(sampling.DIM, depth=sampling.DEPTH).sample(5, 7, 3)
    assert torch.equal(loop(p.xs, p.task["coordinates"], p.task["leaves"]), p.ys)
    xs, ys = sampling.trees(300, 5, loop)
    assert xs.shape == (300, 5, sampling.DIM)
    assert ys.square().mean() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("learner", "fit"),
    [
        (NearestNeighbors(), baselines.neighbors),
        (Averaging(), baselines.averaging),
        (GreedyTree(2), baselines.tree),
        (GradientBoosting(), baselines.boosting),
        (TwoLayerNet(steps=20), baselines.network),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_classical_learners_predict_what_their_peers_do(learner, fit, monkeypatch):
    monkeypatch.setattr(baselines, "STEPS", 20)
    p, ks = DenseLinear(4).sample(2, 13, 5), (1, 2, 12)
    ours, theirs = baselines.ours_at(learner, ks)(p.xs, p.ys), baselines.peer_at(fit, ks)(p.xs, p.ys)
    assert ours.shape == theirs.shape == (2, 3)
    torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-5, rtol=1e-5)


def test_both_ways_of_evaluating_give_an_error_for_every_prompt():
    peer = step.PeerModel(*SIZES["tiny"]).eval()
    torch.nn.init.zeros_(peer.read_out.weight)
    torch.nn.init.zeros_(peer.read_out.bias)
    errors = evaluation.peer_errors(peer, 130)  # batches of 64, 64 and 2; a model that predicts zero scores 1
    assert errors.shape == (130, step.N_POINTS)
    assert errors.mean() == pytest.approx(1.0, abs=0.15)
    learner = evaluation.ours("tiny", "interleaved")
    assert learner.model.config.n_tokens == 2 * step.N_POINTS
    assert replace(learner.model.config, tokens="pair") == evaluation.ours("tiny", "pair").model.config
