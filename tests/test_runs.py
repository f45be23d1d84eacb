"""From a recipe to a checkpoint with a measured card."""

import json
import logging
import re
from dataclasses import replace

import pytest
import torch

from icl_lab import checkpoints, recipes, runs, shipping
from icl_lab.errors import InputError
from icl_lab.evaluation import icl_curve
from icl_lab.functions import DecisionTree, DenseLinear, Line, Mixture, Sinusoid, SparseLinear
from icl_lab.journal import LOG, STATE
from icl_lab.precision import Precision
from icl_lab.predictors import LeastSquares
from icl_lab.queue import status
from icl_lab.training import Result
from icl_lab.transformer import SIZES, Transformer


def run(recipe, out, **settings):
    return runs.run(recipe, out, device="cpu", progress=False, n_prompts=64, **settings)


def untrained(recipe) -> Result:
    model = Transformer(recipe.model_config()).init_weights(0)
    return Result(model, [1.0], recipe.steps, 1.0, True, "cpu", Precision(None, False, "float32").reason)


def test_a_finished_run_is_a_checkpoint_and_is_not_repeated(nano, tmp_path, caplog):
    folder = run(nano(), tmp_path)
    assert folder == tmp_path / f"tiny-nano-{nano().run_id}"
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", LOG, "weights.safetensors"]
    predictor = checkpoints.load(folder)
    made = (folder / "card.json").stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "icl_lab"):
        assert run(nano(), tmp_path) == folder
    assert "is finished; --force trains it again" in caplog.text
    assert (folder / "card.json").stat().st_mtime_ns == made
    run(nano(), tmp_path, force=True)
    assert (folder / "card.json").stat().st_mtime_ns > made
    assert predictor.card["sha256"] == checkpoints.load(folder).card["sha256"]  # the same training, the same weights


def test_the_card_reports_what_its_weights_do(nano, tmp_path):
    recipe = replace(nano(), function_class=Mixture((DenseLinear(2), SparseLinear(2, nonzeros=1))))
    predictor = checkpoints.load(run(recipe, tmp_path))
    card = predictor.card
    assert card["recipe"] == recipe.config()
    assert (card["name"], card["steps"], card["seed"], card["device"]) == ("tiny/nano", 30, 0, "cpu")
    assert card["seconds"] > 0
    assert card["parameters"] == sum(p.numel() for p in predictor.model.parameters())
    assert card["versions"]["torch"] == torch.__version__
    assert set(card["curves"]) == {"DenseLinear", "SparseLinear"}
    for fc in recipe.function_class.components:
        curve = icl_curve(predictor, fc, 64, 4)
        reported = card["curves"][type(fc).__name__]
        assert reported["mean"] == pytest.approx(curve.mean.tolist(), abs=2e-6)
        assert reported["low"] == pytest.approx(curve.low.tolist(), abs=2e-6)
        best = icl_curve(runs.bayes(recipe.function_class), fc, 64, 4)  # the optimum of the training law
        assert reported["optimum"] == pytest.approx(best.mean.tolist(), abs=2e-6)


def test_an_interrupted_run_asks_how_to_go_on(nano, tmp_path, monkeypatch):
    train = runs.train
    monkeypatch.setattr(runs, "train", lambda *a, **k: replace_finished(train(*a, **k)))
    folder = run(nano(), tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == [LOG, STATE]  # no card: it is not finished
    monkeypatch.setattr(runs, "train", train)
    with pytest.raises(InputError, match="unfinished run: --resume goes on with it, --force starts anew"):
        run(nano(), tmp_path)
    run(nano(), tmp_path, resume=True)
    assert not (folder / STATE).exists()
    assert checkpoints.load(folder).card["steps"] == 30


def replace_finished(result: Result) -> Result:
    return replace(result, finished=False)


def test_a_forced_run_that_was_interrupted_is_not_taken_for_finished(nano, tmp_path, monkeypatch):
    folder = run(nano(), tmp_path)
    train = runs.train
    monkeypatch.setattr(runs, "train", lambda *a, **k: replace_finished(train(*a, **k)))
    run(nano(), tmp_path, force=True)
    monkeypatch.setattr(runs, "train", train)
    assert (folder / STATE).exists()
    run(nano(), tmp_path, resume=True)
    assert not (folder / STATE).exists()


def test_minutes_make_another_run(nano, tmp_path):
    folder = run(nano(), tmp_path, minutes=0.001)
    assert folder.name == f"tiny-nano-{nano().run_id}-0.001min"
    for bad in (0, -2.0):
        with pytest.raises(InputError, match="minutes must be greater than 0"):
            run(nano(), tmp_path, minutes=bad)


@pytest.mark.parametrize(
    ("size", "change", "storage"),
    [
        ("tiny", 5e-4, "float16"),
        ("tiny", 2e-3, "float32"),
        ("small", 5e-4, "float16"),
        ("small", 2e-3, "float32"),
        ("standard", 5e-4, "int8"),
        ("standard", 2e-3, "float16"),
    ],
)
def test_the_smallest_storage_that_changes_no_error_is_taken(nano, tmp_path, monkeypatch, size, change, storage):
    monkeypatch.setitem(SIZES, size, (1, 16, 2))
    differences = iter([change, 0.0])
    monkeypatch.setattr(runs, "largest_difference", lambda a, b: 0.0 if a is b else next(differences))
    recipe = nano(size=size)
    folder = runs.export(recipe, untrained(recipe), tmp_path, n_prompts=16)
    card = checkpoints.load(folder).card
    assert card["storage"] == storage
    assert card["storage_changes_errors_by"] <= runs.STORAGE_TOLERANCE


def test_the_curves_of_a_card_are_those_of_the_stored_weights(nano, tmp_path, monkeypatch):
    """int8 changes these coarse weights' errors: the card must report the change and the weights as they are stored."""
    monkeypatch.setitem(SIZES, "standard", (1, 16, 2))
    monkeypatch.setattr(runs, "STORAGE_TOLERANCE", 1.0)
    recipe = nano(size="standard", init_std=1.0)
    result = untrained(recipe)
    folder = runs.export(recipe, result, tmp_path, n_prompts=64)
    predictor = checkpoints.load(folder)
    reported = predictor.card["curves"]["DenseLinear"]["mean"]
    exact = icl_curve(checkpoints.Pretrained(result.model, {"name": ""}), DenseLinear(2), 64, 4).mean
    assert reported == pytest.approx(icl_curve(predictor, DenseLinear(2), 64, 4).mean.tolist(), abs=2e-6)
    change = predictor.card["storage_changes_errors_by"]
    assert change == pytest.approx(max(abs(exact - reported) / exact), abs=1e-5)
    assert change > 1e-4


def test_differences_are_the_largest_over_classes_and_positions():
    a = {"x": {"mean": [0.5, 0.2]}, "y": {"mean": [0.1, 0.1]}}
    b = {"x": {"mean": [0.5, 0.25]}, "y": {"mean": [0.1, 0.1]}}
    assert runs.largest_difference(a, b) == pytest.approx(0.25)  # a part of the error
    c = {"x": {"mean": [0.5, 0.2]}, "y": {"mean": [0.1, 0.102]}}
    small = {"x": {"mean": [0.5, 0.2]}, "y": {"mean": [0.1, 0.001]}}
    assert runs.largest_difference(c, a) == pytest.approx(0.002 / 0.102)
    assert runs.largest_difference(small, c) == pytest.approx(0.101 / 0.1)  # small errors count as .1


def test_warm_starts(nano, tmp_path):
    source = run(nano(), tmp_path)
    warm = nano(warm_start=str(source), steps=1, lr=1e-12)
    card = checkpoints.load(run(warm, tmp_path)).card
    assert card["warm_start"] == str(source)
    first = checkpoints.load(source).card
    assert card["started_from"]["sha256"] == first["sha256"]
    assert card["total_steps"] == first["steps"] + 1
    assert card["total_seconds"] == pytest.approx(first["seconds"] + card["seconds"], abs=0.11)
    assert (first["total_steps"], first["started_from"]) == (first["steps"], None)
    assert card["started_from"]["training"]["history"] == first["history"]
    assert card["curves"]["DenseLinear"]["mean"] == pytest.approx(
        checkpoints.load(source).card["curves"]["DenseLinear"]["mean"], abs=1e-4
    )
    with pytest.raises(InputError, match="cannot start tiny/nano: its model is"):
        run(nano(warm_start=str(source), n_points=5), tmp_path)


# ---------------------------------------------------------------- the probe


def test_the_probe_shows_the_error_at_three_k_beside_the_optimum():
    recipe = recipes.get("dense_d5")
    probe = runs.Probe(recipe)
    seen = probe(Transformer(recipe.model_config()).init_weights(0))
    assert set(seen) == {"k2", "k5", "k10", "best2", "best5", "best10"}
    prompts = probe.prompts
    expected = ((LeastSquares()(prompts.xs, prompts.ys) - prompts.ys) ** 2).mean(0)
    assert seen["best2"] == pytest.approx(float(expected[2]), abs=1e-4)
    assert seen["best5"] < 1e-3

    def zero(xs, ys):
        return torch.zeros_like(ys)

    zero.parameters = lambda: iter([torch.zeros(1)])
    assert probe(zero)["k10"] == pytest.approx(1.0, abs=0.3)


def test_a_law_without_a_known_optimum_is_measured_alone(nano, tmp_path):
    law = Mixture((DenseLinear(2), DecisionTree(2)))  # the optimum of one component is not that of the mixture
    recipe = replace(nano(), function_class=law)
    seen = runs.Probe(recipe)(Transformer(recipe.model_config()).init_weights(0))
    assert set(seen) == {"k1", "k2", "k3"}
    card = checkpoints.load(run(recipe, tmp_path)).card
    assert {name: curve["optimum"] for name, curve in card["curves"].items()} == {
        "DenseLinear": None,
        "DecisionTree": None,
    }
    assert all(len(curve["mean"]) == 4 for curve in card["curves"].values())
    mean = card["curves"]["DecisionTree"]["mean"][2]
    assert status.errors_of_card(card).endswith(f"DecisionTree k=2 {mean:.3f}")
    assert status.errors({"step": 3, **seen}).count("(") == 0


@pytest.mark.parametrize(("function_class", "n_points", "ks"), [(Line(), 41, [2, 4, 40]), (DenseLinear(2), 1, [0])])
def test_the_probe_finds_its_ks_in_any_prompt(nano, function_class, n_points, ks):
    assert runs.Probe(replace(nano(n_points=n_points), function_class=function_class), 4).ks == ks


# ---------------------------------------------------------------- recipes and shipping


def test_recipes_are_named_by_what_they_train_on():
    assert {"dense_d5", "line_sine", "sine", "dense", "sparse2", "dense_sparse2"} <= set(recipes.ALL)
    for name, recipe in recipes.ALL.items():
        assert recipe.name == name
        assert name.replace("_", "").isalnum()
        said = re.search(r"_d(\d+)$", name)
        usual = 1 if "line" in name or "sine" in name else 8 if "pool" in name else 20
        assert recipe.function_class.dim == (int(said[1]) if said else usual), name
    assert recipes.get("line_sine").function_class == Mixture((Line(), Sinusoid()))
    with pytest.raises(InputError, match=r"Unknown recipe 'dense_sparse3'\. Did you mean 'dense_sparse2'"):
        recipes.get("dense_sparse3")


def test_configure_changes_only_what_is_given():
    assert runs.configure("dense_d5", steps=None, seed=None) == recipes.get("dense_d5")
    changed = runs.configure("dense_d5", steps=7, seed=3)
    assert (changed.steps, changed.seed, changed.size) == (7, 3, "tiny")
    sparse = recipes.get("sparse1_d8")
    assert sparse.curriculum is not None
    assert runs.configure("sparse1_d8", plain=True, steps=9) == replace(sparse, curriculum=None, steps=9)


def test_shipping_copies_a_run_and_renews_the_index(nano, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "CLONE", tmp_path / "clone")
    monkeypatch.setattr(shipping, "INDEX", tmp_path / "shipped.json")
    folder = run(nano(), tmp_path / "runs")
    shipped = shipping.ship(folder)
    assert shipped == tmp_path / "clone" / "tiny" / "nano"
    assert sorted(p.name for p in shipped.iterdir()) == ["card.json", "weights.safetensors"]
    assert json.loads((tmp_path / "shipped.json").read_text()) == shipping.make_index(tmp_path / "clone")
    assert list(shipping.make_index(tmp_path / "clone")) == ["tiny/nano"]
    (folder / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is not the file its card names"):
        shipping.ship(folder)


def test_shipped_seeds_of_one_training_are_counted(nano, tmp_path, monkeypatch):
    """A second seed gets a name of its own; both cards, the index and the page of models then say two."""
    monkeypatch.setattr(checkpoints, "CLONE", tmp_path / "clone")
    monkeypatch.setattr(shipping, "INDEX", tmp_path / "shipped.json")
    monkeypatch.setitem(recipes.ALL, "nano", nano())
    for recipe in (nano(), nano(seed=4), replace(nano(), name="other")):
        shipping.ship(run(recipe, tmp_path / "runs"))
    trainings = {name: card["trainings"] for name, card in shipping.cards().items()}
    assert trainings == {"tiny/nano": 2, "tiny/nano_s4": 2, "tiny/other": 1}
    assert json.loads((tmp_path / "shipped.json").read_text()) == shipping.make_index(tmp_path / "clone")
    page = (tmp_path / "clone" / "README.md").read_text()
    assert page == shipping.readme()
    row = next(line for line in page.splitlines() if line.startswith("| `tiny/nano_s4` |"))
    curve = shipping.cards()["tiny/nano_s4"]["curves"]["DenseLinear"]
    k = curve["k"][-1]
    assert f"{curve['mean'][k]:.3f} ({curve['optimum'][k]:.3f}) at {k}" in row
    assert "| 2 |" in row


def test_a_run_keeps_its_history(nano, tmp_path):
    """The card tells the whole training, what was noted before an interruption too."""
    folder = run(nano(), tmp_path)
    card = checkpoints.read_card(folder)
    assert [entry["step"] for entry in card["history"]] == [entry["step"] for entry in runs.read_log(folder)]
    assert card["history"][-1]["step"] == nano().steps
    assert card["left_plateau"] is None  # not a sparse class
