"""The trials behind the recipes' choices: made at equal CPU time, and the table in the docstring is theirs."""

import json

import pytest
import torch

from benchmarks import trials as making
from icl_lab import recipes, trials


def test_the_docstring_of_the_recipes_shows_the_trials_that_were_made():
    assert trials.table() in recipes.__doc__, "print(icl_lab.trials.table()) gives the table anew"


def test_every_trial_differs_from_ours_in_what_its_name_says():
    made = trials.load()
    assert [row["name"] for row in made["rows"]] == list(making.TRIALS)
    for row in made["rows"]:
        assert {key: row[key] for key in making.OURS} == making.OURS | making.TRIALS[row["name"]]
        assert row["name"].lower().startswith(row["optimizer"])
        assert all(
            low <= error <= high for low, error, high in zip(row["low"], row["errors"], row["high"], strict=True)
        )


def test_a_trial_takes_the_cpu_time_it_is_given(tmp_path, monkeypatch):
    """Two variants of unlike speed: the slower one gets fewer steps and both get about the same time."""
    monkeypatch.setattr(making, "TRIALS", {"Muon 4e-3, batch 64": {}, "Muon 4e-3, batch 256": {"batch_size": 256}})
    out = tmp_path / "trials.json"
    threads = torch.get_num_threads()
    making.main(["--recipe", "dense_d5", "--size", "tiny", "--cpu-seconds", "1.5", "--out", str(out)])
    torch.set_num_threads(threads)
    found = json.loads(out.read_text())
    small, large = found["rows"]
    assert found["k"] == [2, 5, 10]
    assert small["steps"] > 1.5 * large["steps"]
    for row in (small, large):
        spent, error = row["curve"][-1]
        assert spent == pytest.approx(1.5, rel=0.6)
        assert error == pytest.approx(row["errors"][1], abs=0.3)  # other prompts
    assert small["name"] in trials.table(found)
