"""The loop: reproducible, resumable bit for bit, and never at a loss for what it had."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from icl_lab import journal, training
from icl_lab.curriculum import Curriculum
from icl_lab.errors import InputError
from icl_lab.functions import DenseLinear, SparseLinear
from icl_lab.journal import LOG, STATE, Diverged
from icl_lab.step import Stepper
from icl_lab.training import train


@pytest.fixture
def nano(nano):
    """As everywhere, but with AdamW unless a test says otherwise: its steps take half the time."""
    return lambda **changes: nano(**{"optimizer": "adamw"} | changes)


def quiet_train(recipe, folder=None, **settings):
    return train(recipe, folder, device="cpu", progress=False, **settings)


def weights(result) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in result.model.parameters()])


class StopAt:
    """A probe that sends this process a signal at its n-th call (with ``every_step``: after step n)."""

    def __init__(self, n: int, number: int = signal.SIGTERM):
        self.n, self.number, self.calls = n, number, 0

    def __call__(self, model):
        self.calls += 1
        if self.calls == self.n:
            os.kill(os.getpid(), self.number)
        return {"k1": 0.5}


def stopped_at(recipe, folder, n, **settings):
    return quiet_train(recipe, folder, probe=StopAt(n), probe_seconds=0.0, **settings)


# ---------------------------------------------------------------- the same again


def test_losses_are_reproducible_and_differ_between_seeds(nano):
    first, again, other = quiet_train(nano()), quiet_train(nano()), quiet_train(nano(seed=1))
    assert first.finished
    assert len(first.losses) == first.steps == 30
    assert first.losses == again.losses
    assert torch.equal(weights(first), weights(again))
    assert first.losses[0] != other.losses[0]


def test_training_learns(nano):
    losses = quiet_train(nano(steps=100, batch_size=32, optimizer="muon")).losses
    assert sum(losses[-20:]) / 20 < 0.7 * sum(losses[:20]) / 20


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam"])
def test_resumed_is_the_uninterrupted_training_bit_for_bit(nano, tmp_path, every_step, optimizer):
    recipe = nano(optimizer=optimizer)
    whole = quiet_train(recipe)
    part = stopped_at(recipe, tmp_path, 11)
    assert (part.finished, part.steps) == (False, 11)
    second = stopped_at(recipe, tmp_path, 6, resume=True)
    assert second.steps == 17
    rest = quiet_train(recipe, tmp_path, resume=True)
    assert rest.finished
    assert part.losses + second.losses + rest.losses == whole.losses
    assert torch.equal(weights(rest), weights(whole))
    assert rest.seconds > second.seconds > part.seconds


def test_given_weights_are_where_it_begins(nano):
    source = quiet_train(nano()).model.state_dict()
    result = quiet_train(nano(lr=1e-12, steps=1), weights=source)
    for name, w in result.model.state_dict().items():
        torch.testing.assert_close(w, source[name])


def test_narrow_models_train_on_one_thread(nano):
    during = []
    torch.set_num_threads(2)
    try:
        quiet_train(nano(steps=1), probe=lambda model: during.append(torch.get_num_threads()) or {})
        assert (during, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(1)


# ---------------------------------------------------------------- interruptions

CHILD = """
import sys, torch
from icl_lab import journal, training
from icl_lab.functions import DenseLinear
journal.LOOK_SECONDS = 0.0
torch.set_num_threads(1)
steps = int(sys.argv[2])
recipe = training.Recipe("nano", DenseLinear(2), 4, steps, size="tiny", batch_size=8, optimizer="adamw")
training.train(recipe, sys.argv[1], device="cpu", resume=True, progress=False, save_seconds=0.1)
"""


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_killed_at_random_moments_it_ends_where_the_uninterrupted_one_does(nano, tmp_path):
    steps, chance = 150, random.Random(20231103)
    path = tmp_path / STATE
    reached = []
    for _ in range(2):
        before = path.stat().st_mtime_ns if path.exists() else 0
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), str(steps)])
        wait_for(lambda before=before: path.exists() and path.stat().st_mtime_ns > before)
        time.sleep(chance.uniform(0.0, 0.3))
        child.kill()
        child.wait()
        reached.append(int(load_file(path)["step"]))
    assert reached == sorted(set(reached))  # it got further every time
    assert reached[0] < steps
    rest = quiet_train(nano(steps=steps), tmp_path, resume=True)
    assert torch.equal(weights(rest), weights(quiet_train(nano(steps=steps))))


def test_at_most_the_last_interval_is_lost(nano, tmp_path, monkeypatch):
    """With a clock that advances one second a step, states lie never more than the interval and one step apart."""
    ticks = iter(range(10**6))
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    step = Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self: (step(self), now.__setitem__(0, float(next(ticks)))))
    saved = []
    save = journal.Journal.save
    monkeypatch.setattr(journal.Journal, "save", lambda self: (save(self), saved.append(self.step)))
    quiet_train(nano(steps=60), tmp_path, save_seconds=7.0)
    assert saved[-1] == 60
    assert max(b - a for a, b in zip([0, *saved], saved, strict=False)) <= 8
    assert len(saved) < 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_loop_with_a_state(nano, tmp_path, every_step, number):
    before = signal.getsignal(number)
    result = quiet_train(nano(), tmp_path, probe=StopAt(7, number), probe_seconds=0.0)
    assert (result.finished, result.steps) == (False, 7)
    assert int(load_file(tmp_path / STATE)["step"]) == 7
    assert signal.getsignal(number) is before


def test_what_a_kill_in_the_midst_of_writing_leaves_is_no_obstacle(nano, tmp_path, every_step):
    stopped_at(nano(), tmp_path, 5)
    (tmp_path / f"{STATE}.tmp").write_bytes(b"half a state")
    with open(tmp_path / LOG, "a") as log:
        log.write('{"step": 6, "lo')
    rest = quiet_train(nano(), tmp_path, resume=True)
    assert rest.finished
    assert not (tmp_path / f"{STATE}.tmp").exists()


def test_the_log_is_cut_back_to_where_training_goes_on(nano, tmp_path, every_step):
    stopped_at(nano(), tmp_path, 5)
    with open(tmp_path / LOG, "a") as log:  # lines of steps whose state was lost, and half a line
        log.write('{"step": 7, "loss": 9.0}\n{"step": 9, "loss": 9.0}\n{"step": 10, "lo')
    quiet_train(nano(), tmp_path, resume=True, probe=lambda model: {"k1": 0.25}, probe_seconds=0.0)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 31))
    assert {line["k1"] for line in lines[:5]} == {0.5}
    assert {line["k1"] for line in lines[5:]} == {0.25}
    assert all(line["loss"] < 9.0 and line["steps_per_second"] > 0 for line in lines)


def test_without_resume_a_training_starts_anew(nano, tmp_path, every_step):
    stopped_at(nano(), tmp_path, 5)
    fresh = quiet_train(nano(), tmp_path)
    assert len(fresh.losses) == 30
    assert json.loads((tmp_path / LOG).read_text().splitlines()[0])["step"] == 1


# ---------------------------------------------------------------- what can go wrong


def test_a_state_of_another_configuration_is_refused(nano, tmp_path, every_step):
    stopped_at(nano(), tmp_path, 3)
    for other in (nano(steps=31), nano(lr=1e-3), replace(nano(), function_class=SparseLinear(2, nonzeros=1))):
        with pytest.raises(InputError, match="another configuration"):
            quiet_train(other, tmp_path, resume=True)
    assert quiet_train(nano(), tmp_path, resume=True).finished


def test_a_damaged_state_is_one_sentence(nano, tmp_path, every_step):
    stopped_at(nano(), tmp_path, 3)
    data = (tmp_path / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a readable training state"):
        quiet_train(nano(), tmp_path, resume=True)


def test_a_full_disk_leaves_the_previous_state_whole(nano, tmp_path, every_step):
    """A limit on file sizes stands for the full disk: writes fail midway with the system's own error."""
    stopped_at(nano(), tmp_path, 5)
    before = (tmp_path / STATE).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(InputError, match=f"Could not write .*{STATE}.*the previous file is whole"):
            quiet_train(nano(), tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / STATE).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [LOG, STATE]
    assert torch.equal(weights(quiet_train(nano(), tmp_path, resume=True)), weights(quiet_train(nano())))


def test_an_unwritable_folder_is_found_before_training(nano, tmp_path, monkeypatch):
    monkeypatch.setattr(Stepper, "__call__", lambda self: pytest.fail("a step was taken"))
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/icl-lab"):
        with pytest.raises(InputError, match="Cannot write into the folder"):
            quiet_train(nano(), folder)


def spoil(monkeypatch, at: int, ruin) -> None:
    """After step ``at`` the weights become what ``ruin`` makes of them."""
    update = Stepper.update

    def spoiled(self, loss):
        update(self, loss)
        if int(self.t) == at:
            self.model.read_out.weight.data.mul_(ruin)

    monkeypatch.setattr(Stepper, "update", spoiled)


def test_a_loss_that_is_not_finite_names_the_step_and_the_last_good_state(nano, tmp_path, every_step, monkeypatch):
    spoil(monkeypatch, 12, float("inf"))
    with pytest.raises(Diverged) as error:
        quiet_train(nano(), tmp_path, save_seconds=1e9)
    assert "at step 12; no state was saved" in str(error.value)
    saving = journal.Journal.save
    monkeypatch.setattr(journal.Journal, "save", lambda self: saving(self) if self.step <= 8 else None)
    monkeypatch.setattr(journal.Journal, "check_weights", lambda self: None)
    with pytest.raises(Diverged) as error:
        quiet_train(nano(), tmp_path, save_seconds=0.0)
    assert f"nan at step 12; the last good state is {tmp_path / STATE}, step 8." in str(error.value)
    assert int(load_file(tmp_path / STATE)["step"]) == 8


def test_weights_that_are_not_finite_are_never_saved(nano, tmp_path, every_step, monkeypatch):
    spoil(monkeypatch, 30, float("nan"))  # by the last update: no loss will tell
    with pytest.raises(Diverged, match=r"not finite after step 29; the last good state is .*, step 29"):
        quiet_train(nano(), tmp_path, save_seconds=0.0)
    assert all(t.isfinite().all() for t in load_file(tmp_path / STATE).values())
    with pytest.raises(Diverged):
        quiet_train(nano())


# ---------------------------------------------------------------- minutes, recipes


def test_minutes_set_the_number_of_steps(nano, monkeypatch):
    """On a clock of 0.1 s a step: 0.2 minutes hold 120 steps; 3 % are kept in reserve."""
    now = [100.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    step = Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self: (step(self), now.__setitem__(0, now[0] + 0.1)))
    result = quiet_train(nano(steps=10_000), minutes=0.2)
    assert result.finished
    assert 112 <= result.steps <= 120
    with pytest.raises(InputError, match="minutes must be greater than 0, got -1"):
        quiet_train(nano(), minutes=-1)


def test_a_resumed_training_keeps_the_steps_that_minutes_gave_it(nano, tmp_path, every_step):
    recipe = nano(steps=10_000)
    part = stopped_at(recipe, tmp_path, 40, minutes=0.01)  # decided after 35 steps: time is over
    if not part.finished:
        assert int(load_file(tmp_path / STATE)["total"]) < 10_000
    rest = quiet_train(recipe, tmp_path, resume=True)
    assert rest.finished
    assert rest.steps < 10_000


def test_run_ids_are_hashes_of_the_configuration(nano):
    assert nano().run_id == nano().run_id
    ids = {
        r.run_id
        for r in (
            nano(),
            nano(seed=1),
            nano(steps=31),
            nano(tokens="interleaved"),
            replace(nano(), function_class=DenseLinear(2, scale="raw")),
            replace(nano(), function_class=SparseLinear(2, nonzeros=2)),
            replace(nano(), curriculum=Curriculum()),
        )
    }
    assert len(ids) == 7
    assert json.loads(json.dumps(nano().config())) == nano().config()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "steps must be greater than 0, got 0"),
        ({"batch_size": -1}, "batch_size must be greater than 0, got -1"),
        ({"lr": 0.0}, "lr must be greater than 0, got 0"),
        ({"size": "tinny"}, "Unknown size 'tinny'. Did you mean 'tiny'"),
        ({"optimizer": "sgd"}, "Unknown optimizer 'sgd'"),
        ({"tokens": "interleave"}, "Did you mean 'interleaved'"),
        ({"seed": 2**30}, "seed must be from 0"),
    ],
)
def test_bad_recipes(nano, changes, words):
    with pytest.raises(InputError, match=words):
        nano(**changes)


def test_a_recipe_in_the_old_format_of_states_is_read(nano, tmp_path, every_step):
    """Unknown entries of a state's header are left alone: states outlive small changes of the code."""
    stopped_at(nano(), tmp_path, 3)
    from safetensors import safe_open

    with safe_open(tmp_path / STATE, "pt") as file:
        header = file.metadata()
    save_file(load_file(tmp_path / STATE), tmp_path / STATE, header | {"extra": "1"})
    assert quiet_train(nano(), tmp_path, resume=True).finished


def test_training_imports_little():
    """Only torch, numpy, safetensors, tqdm and the command line's library: a bare GPU machine has no more."""
    missing = ("matplotlib", "sklearn", "scipy", "transformers", "pooch", "ipywidgets", "IPython", "pandas", "requests")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}));"  # None there makes an import fail
        "from icl_lab import cli, runs, training; runs.Probe(runs.recipes.get('dense_d5'), 4)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
