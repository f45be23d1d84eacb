"""The queue from end to end at tiny size: real processes, killed for real, and parts that arrive damaged."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.files import read_json, sha256, write_json
from icl_lab.journal import STATE
from icl_lab.queue import jobs, joining, packing, runner, slices, speed, status
from icl_lab.queue.locks import LOCK, ORDER, Lock, holder
from icl_lab.queue.results import UNFINISHED, last_note, read_state

ROOT = Path(__file__).parents[1]
TINY = {"recipe": '"dense_d5"', "batch_size": "4"}
NOT_ON_A_BARE_MACHINE = ("pooch", "ipywidgets", "papermill", "psutil", "playwright", "jupyter_book", "nbformat")


def write_list(path: Path, *entries: dict[str, object], tail: str = "") -> Path:
    """A list of tiny trainings; each entry's keys replace or add to the usual ones."""
    text = ""
    for entry in entries:
        lines = {**TINY, **{key: json.dumps(value) for key, value in entry.items()}}
        text += "[[job]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items())
    path.write_text(text + tail)
    return path


def until(condition, seconds: float = 300.0, what: str = "") -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fake_run(queue: Path, entry: dict[str, object], steps: int = 7, finished: bool = True) -> str:
    """A run folder as a worker leaves it, with untrained weights and a card that claims so many steps."""
    from icl_lab import runs
    from icl_lab.training import Result
    from icl_lab.transformer import Transformer

    job = jobs.Job(**{"recipe": "dense_d5", "batch_size": 4, **entry})
    model = Transformer(job.training.model_config()).init_weights(job.training.seed)
    card = runs.make_card(job.training, Result(model, [], steps, 1.0, finished, "cpu", "float32"), {}, 0)
    run = queue / job.folder
    place = run if finished else run / UNFINISHED
    checkpoints.save(place, model.state_dict(), card | {"planned_steps": 100, "finished": finished})
    write_json(run / ORDER, {"job": {"recipe": "dense_d5", "batch_size": 4, **entry}})
    return job.folder


# ---------------------------------------------------------------- from end to end


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Child processes in which the libraries that a bare machine lacks cannot be imported."""
    site = tmp_path / "bare"
    site.mkdir()
    blocked = f"sys.modules.update(dict.fromkeys({NOT_ON_A_BARE_MACHINE!r}))"
    (site / "sitecustomize.py").write_text(f"import sys; {blocked}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT)]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_killed_twice_packed_joined_and_warm_started(tmp_path: Path, bare: None, caplog) -> None:
    caplog.set_level("INFO", "icl_lab.queue")
    queue, away = tmp_path / "queue", tmp_path / "home"
    listing = write_list(tmp_path / "list.toml", {"steps": 150}, {"steps": 30, "seed": 1})
    first, second = jobs.read(listing).jobs
    a, b = queue / first.folder, queue / second.folder

    # A runner in a process of its own, killed as soon as its first training has left a state.
    code = f"from icl_lab.queue.slices import run; run(9, {str(listing)!r}, {str(queue)!r}, '1', 'cpu', 64, 0.2)"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until(lambda: (a / STATE).exists(), what="the first state")
    process.kill()
    process.wait()
    orphan = holder(a / LOCK)
    assert orphan, "the worker should outlive its runner"
    assert "was killed" in status.status(listing, queue)

    # What is there can be packed at any moment: weights of the last state, nothing measured, and the card says so.
    packing.pack(tmp_path / "early", listing, queue)
    (early,) = joining.join(tmp_path / "early", tmp_path / "early_home")
    card = checkpoints.load(early / UNFINISHED).card
    assert (card["measured"], card["finished"], card["planned_steps"]) == (False, False, 150)
    assert 0 < card["steps"] < 150

    # The next runner takes the orphan for its own; that is killed as well, and its training goes on from its state.
    def kill() -> None:
        until(lambda: "earlier runner" in caplog.text, what="the adoption")
        reached.append(read_state(a, weights=False).step)
        os.kill(orphan, signal.SIGKILL)

    reached: list[int] = []
    with beside(kill):
        assert slices.run(9, listing, queue, "1", "cpu", 64, 0.2) == 0
    assert f"{first.name} goes on" in caplog.text
    steps = [json.loads(line)["step"] for line in (a / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == 150
    again = re.search(r"going on from step (\d+) of 150", (a / "worker.log").read_text())
    assert int(again[1]) >= reached[0] > 0
    for run, planned in ((a, 150), (b, 30)):
        card = checkpoints.load(run).card
        assert (card["finished"], card["measured"]) == (True, True)
        assert card["steps"] == card["total_steps"] == planned
        assert len(card["curves"]["DenseLinear"]["mean"]) == 11
        assert not (run / STATE).exists()
    log = (queue / "queue.log").read_text()
    assert log.index(f"{first.name} goes on") < log.index(f"{second.name} starts"), "first things first"

    # Home.
    packing.pack(tmp_path / "parts", listing, queue)
    assert joining.join(tmp_path / "parts", away) == sorted([away / first.folder, away / second.folder])
    assert (away / first.folder / "weights.safetensors").read_bytes() == (a / "weights.safetensors").read_bytes()
    assert status.status(listing, away).count(" done ") == 2

    # A later slice begins from the joined weights and ends in the middle: the unfinished model is measured.
    later = write_list(tmp_path / "later.toml", {"steps": 10**6, "warm_start": str(away / first.folder)})
    (third,) = jobs.read(later).jobs
    c = queue / third.folder
    slice_ = runner.Runner((third,), queue, "cpu", False, time.time() + 600, time.time() + 600, n_prompts=64)

    def end_of_slice() -> None:
        until(lambda: last_note(c).get("step", 0) > 0, what="the first steps of the later slice")
        slice_.train_end = time.time()

    with beside(end_of_slice):
        slice_.loop([])
        slice_.finish([])
    card = checkpoints.load(c / UNFINISHED).card
    assert (card["finished"], card["measured"], card["planned_steps"]) == (False, True, 10**6)
    assert card["total_steps"] == 150 + card["steps"] > 150
    assert card["total_seconds"] > card["seconds"]
    assert card["warm_start"] == str(away / first.folder)
    assert card["started_from"]["sha256"] == checkpoints.load(a).card["sha256"]
    assert len(card["curves"]["DenseLinear"]["optimum"]) == 11

    # On the same machine it goes on from its state; told to stop, runner and worker do so at once, without measuring.
    with beside(lambda: (until(lambda: last_note(c)["step"] > card["steps"]), os.kill(os.getpid(), signal.SIGTERM))):
        assert slices.run(9, later, queue, "1", "cpu", 64, 0.2) == 0
    state = read_state(c)
    assert state.step > card["steps"]
    assert holder(c / LOCK) is None
    packing.pack(tmp_path / "later_parts", later, queue)
    joining.join(tmp_path / "later_parts", away)
    newest = checkpoints.load(away / third.folder / UNFINISHED).card
    assert (newest["steps"], newest["total_steps"]) == (state.step, 150 + state.step), "the newer state, not the card"


@contextlib.contextmanager
def beside(function):
    """The function in a thread of its own while the block runs."""
    thread = threading.Thread(target=function)
    thread.start()
    yield
    thread.join()


# ---------------------------------------------------------------- how time is divided


def hollow(tmp_path: Path, listing: Path, minutes: float, **changes) -> runner.Runner:
    """A runner that starts nothing and only writes down what it would start, and for how long."""
    now = time.time()
    made = runner.Runner(jobs.read(listing).jobs, tmp_path, "cpu", False, now + 60 * minutes, now + 60 * minutes)
    for key, value in changes.items():
        setattr(made, key, value)
    made.started = []

    def launch(job: jobs.Job, seconds: float) -> None:
        made.started.append((job.training.seed, round(seconds / 60, 2)))
        made.works.append(runner.Work(job, tmp_path / job.folder, None, time.time() + seconds))

    made.launch = launch
    return made


@pytest.fixture
def four(tmp_path: Path) -> Path:
    lengths = (9, 4, 4, 2)
    return write_list(tmp_path / "four.toml", *({"minutes": m, "seed": i} for i, m in enumerate(lengths)))


def test_first_things_get_their_minutes_first(tmp_path: Path, four: Path) -> None:
    slice_ = hollow(tmp_path, four, 25)
    slice_.start()
    assert slice_.started == [(0, 9)]
    slice_.start()
    assert len(slice_.started) == 1, "one at a time"
    slice_.works.clear()
    slice_.failed.add(jobs.read(four).jobs[0].folder)
    slice_.start()
    assert slice_.started[1] == (1, 4)


def test_side_by_side_minutes_are_stretched_by_what_sharing_costs(tmp_path: Path, four: Path) -> None:
    slice_ = hollow(tmp_path, four, 60, slots=2, gain=1.25)
    slice_.start()
    assert slice_.started == [(0, 14.4), (1, 6.4)]


@pytest.mark.parametrize(("left", "expected"), [(8.9, [(0, 8.9)]), (4.4, [(1, 4)]), (1.9, [(3, 1.9)]), (0.9, [])])
def test_what_is_left_goes_to_the_first_job_that_gets_half_its_minutes(
    tmp_path: Path, four: Path, left: float, expected: list
) -> None:
    slice_ = hollow(tmp_path, four, left)
    slice_.start()
    assert [(seed, pytest.approx(minutes, abs=0.02)) for seed, minutes in expected] == slice_.started


def test_on_a_gpu_one_newcomer_compiles_while_the_last_one_ends(tmp_path: Path, four: Path) -> None:
    slice_ = hollow(tmp_path, four, 25, cuda=True)
    slice_.start()
    slice_.works[0].ends = time.time() + runner.EARLY / 2
    slice_.start()
    slice_.start()
    assert [seed for seed, _ in slice_.started] == [0, 1]


def test_a_job_done_elsewhere_is_left_out(tmp_path: Path) -> None:
    listing = write_list(tmp_path / "l.toml", {"steps": 9, "done": "in checkpoints/"}, {"steps": 9, "seed": 1})
    slice_ = hollow(tmp_path, listing, 9)
    slice_.start()
    assert [seed for seed, _ in slice_.started] == [1]
    assert "done: in checkpoints/" in status.status(listing, tmp_path)


def test_a_worker_that_keeps_dying_is_given_up_and_the_next_job_starts(tmp_path: Path, monkeypatch, caplog) -> None:
    listing = write_list(tmp_path / "l.toml", {"steps": 9}, {"steps": 9, "seed": 1})
    monkeypatch.setattr(runner, "POLL", 0.01)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    caplog.set_level("INFO", "icl_lab.queue")
    assert slices.run(1, listing, tmp_path / "q", "1", "cpu") == 1
    assert caplog.text.count("was killed") == 2 * (runner.STARTS - 1)
    assert caplog.text.count("ended 3 times without a word") == 2


def test_a_training_that_fails_says_why_and_is_not_repeated(tmp_path: Path, bare: None, caplog) -> None:
    listing = write_list(tmp_path / "l.toml", {"steps": 9, "lr": 1e30, "optimizer": "adam"})
    assert slices.run(9, listing, tmp_path / "q", "1", "cpu", 64) == 1
    assert "failed: The " in caplog.text
    assert "finite" in caplog.text or "was nan" in caplog.text
    assert "failed: The " in status.status(listing, tmp_path / "q")


def test_only_processes_that_bring_a_fifth_are_taken() -> None:
    assert speed.decide([100.0, 119.0, 121.0]) == (3, 1.21)
    assert speed.decide([100.0, 119.0, 119.9]) == (1, 1.0)
    assert speed.decide([100.0, 150.0, 151.0]) == (2, 1.5)
    assert speed.decide([]) == (1, 1.0)


def test_speed_is_measured_once_on_real_processes(tmp_path: Path, bare: None, monkeypatch) -> None:
    (job,) = jobs.read(write_list(tmp_path / "l.toml", {"steps": 9})).jobs
    count, gain = speed.side_by_side(job, "cpu", tmp_path, window=0.3)
    known = read_json(tmp_path / "speed.json")
    assert len(known["steps_per_second"]) == 3
    assert min(known["steps_per_second"]) > 0
    assert (count, gain) == speed.decide(known["steps_per_second"])
    monkeypatch.setattr(speed, "measure", lambda *_: pytest.fail("measured twice"))
    assert speed.side_by_side(job, "cpu", tmp_path) == (count, gain)


def test_speed_that_cannot_be_measured_means_one_at_a_time(tmp_path: Path, monkeypatch) -> None:
    (job,) = jobs.read(write_list(tmp_path / "l.toml", {"steps": 9})).jobs
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert speed.side_by_side(job, "cpu", tmp_path) == (1, 1.0)


# ---------------------------------------------------------------- parts


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, Path]:
    """(folder with parts small enough to be several, queue they come from)."""
    queue = tmp_path / "queue"
    listing = write_list(tmp_path / "list.toml", *({"steps": 9, "seed": i} for i in range(3)))
    for i in range(3):
        fake_run(queue, {"steps": 9, "seed": i}, finished=i < 2)
    packing.pack(tmp_path / "parts", listing, queue, part_bytes=500_000)
    return tmp_path / "parts", queue


def test_parts_are_few_small_and_flat_and_bring_everything_home(packed, tmp_path: Path) -> None:
    parts, queue = packed
    names = [path.name for path in parts.iterdir()]
    assert len(names) == 5, "four parts and the manifest"
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for name in names)
    assert all(path.stat().st_size <= 500_000 for path in parts.iterdir())
    joining.join(parts, tmp_path / "home")
    runs = {name: data for name, data in files_of(queue).items() if name.count("/")}
    assert {n: d for n, d in files_of(tmp_path / "home").items() if not n.startswith("slices")} == runs
    before = files_of(tmp_path / "home")
    joining.join(parts, tmp_path / "home")
    assert files_of(tmp_path / "home") == before, "joining twice changes nothing"


def test_what_does_not_fit_waits_for_the_next_pack(tmp_path: Path, caplog) -> None:
    queue, out = tmp_path / "queue", tmp_path / "out"
    listing = write_list(tmp_path / "list.toml", *({"steps": 9, "seed": i} for i in range(3)))
    folders = [fake_run(queue, {"steps": 9, "seed": i}) for i in range(3)]
    one = sum(path.stat().st_size for path in (queue / folders[0]).iterdir())
    room = (2 * one + 40_000) // packing.MOST_PARTS
    packing.pack(out, listing, queue, part_bytes=room)
    assert f"{folders[2]} did not fit" in caplog.text
    assert [path.name for path in joining.join(out, tmp_path / "home")] == sorted(folders[:2])
    packing.pack(out, listing, queue, part_bytes=room)
    assert [path.name for path in joining.join(out, tmp_path / "home")] == sorted([folders[2], folders[0]])
    assert len(list(out.iterdir())) <= 5, "the parts of the first pack are gone"


def test_real_size_fits(tmp_path: Path) -> None:
    """Four trainings of 9.6 MB, as the first slice leaves them, come home in one pack; the fifth and sixth as well."""
    units = {f"run{i}": {f"run{i}/weights.safetensors": bytes(9_600_000)} for i in range(7)}
    chosen, waiting = packing.fit({}, units, {}, packing.PART_BYTES * packing.MOST_PARTS)
    assert waiting == ["run6"]
    assert len(packing.tar(chosen)) <= packing.PART_BYTES * packing.MOST_PARTS
    assert packing.PART_BYTES < 15_000_000


def damage_missing(parts: list[Path]) -> str:
    parts[1].unlink()
    return f"{parts[1].name} missing"


def damage_truncated(parts: list[Path]) -> str:
    parts[1].write_bytes(parts[1].read_bytes()[:-100])
    return "bytes, expected"


def damage_swapped(parts: list[Path]) -> str:
    first, second = parts[0].read_bytes(), parts[1].read_bytes()
    parts[0].write_bytes(second)
    parts[1].write_bytes(first)
    return "swapped"


def damage_flipped(parts: list[Path]) -> str:
    data = bytearray(parts[2].read_bytes())
    data[1000] ^= 1
    parts[2].write_bytes(data)
    return f"{parts[2].name} is damaged"


@pytest.mark.parametrize("damage", [damage_missing, damage_truncated, damage_swapped, damage_flipped])
def test_a_damaged_part_is_one_sentence_and_nothing_written(packed, tmp_path: Path, damage) -> None:
    parts, _ = packed
    sentence = damage(sorted(parts.glob("*.part*")))
    (tmp_path / "home").mkdir()
    with pytest.raises(InputError, match=sentence):
        joining.join(parts, tmp_path / "home")
    assert not list((tmp_path / "home").iterdir())


def forge(parts: Path, files: dict[str, bytes]) -> None:
    """Parts whose hashes are all right, around content that is not."""
    packing.write(parts, files, [], packing.PART_BYTES)


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/outside", "a/../outside", "a/../../outside", "a/./b", ".hidden/x", "a//b", "a\\b"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "parts").mkdir()
    forge(tmp_path / "parts", {name: b"x"})
    with pytest.raises(InputError, match="no plain path"):
        joining.join(tmp_path / "parts", tmp_path / "home")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts"]


def test_a_link_or_a_file_that_the_manifest_does_not_know_is_refused(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for kind, sentence in ((tarfile.SYMTYPE, "not a plain file"), (tarfile.REGTYPE, "do not agree on stranger")):
        forge(parts, {"known": b"x"})
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("stranger")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        manifest = read_json(parts / packing.MANIFEST)
        (parts / manifest["parts"][0]["name"]).write_bytes(buffer.getvalue())
        manifest["parts"][0] |= {"sha256": sha256(buffer.getvalue()), "bytes": len(buffer.getvalue())}
        manifest["files"] = []
        write_json(parts / packing.MANIFEST, manifest)
        with pytest.raises(InputError, match=sentence):
            joining.join(parts, tmp_path / "home")
        assert not (tmp_path / "home").exists()


def test_weights_that_their_card_does_not_name_are_refused_before_anything_is_put_into_place(tmp_path: Path) -> None:
    queue, parts = tmp_path / "queue", tmp_path / "parts"
    parts.mkdir()
    good, bad = fake_run(queue, {"steps": 9}), fake_run(queue, {"steps": 9, "seed": 1})
    files = {name: data for name, data in files_of(queue).items() if name.startswith((good, bad))}
    files[f"{bad}/weights.safetensors"] = files[f"{good}/weights.safetensors"]
    forge(parts, files)
    with pytest.raises(InputError, match="not the file its card names"):
        joining.join(parts, tmp_path / "home")
    assert not list((tmp_path / "home").iterdir())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "There is no queue-manifest.json"),
        ("{", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('{"format": 2, "parts": [], "files": []}', "is not a manifest"),
        ('{"format": 1, "parts": [{"name": "../x", "bytes": 1, "sha256": ""}], "files": []}', "names a part '../x'"),
    ],
)
def test_a_manifest_that_is_none(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / packing.MANIFEST).write_text(text)
    with pytest.raises(InputError, match=sentence):
        joining.join(tmp_path, tmp_path / "home")


def test_joining_keeps_what_is_further(packed, tmp_path: Path) -> None:
    parts, _ = packed
    home = tmp_path / "home"
    folder = fake_run(home, {"steps": 9, "seed": 2}, steps=9)  # finished here, unfinished in the parts
    kept = (home / folder / "card.json").read_bytes()
    joined = [path.name for path in joining.join(parts, home)]
    assert folder not in joined
    assert len(joined) == 2
    assert (home / folder / "card.json").read_bytes() == kept
    assert not (home / folder / UNFINISHED).exists()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"has no \[\[job\]\] entry"),
        ("[[job]\n", "is not TOML"),
        ("job = 3", r"a table of its own, \[\[job\]\]"),
        ("[[jobs]]\nrecipe = 'dense'", "Unknown table 'jobs'. Did you mean 'job'"),
        ("[[job]]\nsteps = 3", "job 1: job needs .*'recipe'"),
        ("[[job]]\nrecipe = 'dense'", "job 1: needs either minutes or steps"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\nsteps = 2", "job 1: needs either minutes or steps, and not both"),
        ("[[job]]\nrecipe = 'densse'\nminutes = 1", "job 1: Unknown recipe 'densse'. Did you mean 'dense'"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\nsize = 'large'", "Unknown size 'large'"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\ntokens = 'pears'", "Unknown tokenization 'pears'"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\noptimizer = 'sgd'", "Unknown optimizer 'sgd'"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 0", "minutes must be greater than 0, got 0"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 'nine'", "minutes must be a number, got 'nine'"),
        ("[[job]]\nrecipe = 'dense'\nsteps = true", "steps must be a whole number, got True"),
        ("[[job]]\nrecipe = 'dense'\nsteps = -1", "steps must be greater than 0"),
        ("[[job]]\nrecipe = 'dense'\nminuets = 1", "Unknown key 'minuets'. Did you mean 'minutes'"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\n" * 2, "job 2 .* is the same training as job 1"),
        ("[[job]]\nrecipe = 'dense'\nminutes = 1\n[[waiting]]\nwhat = 'x'", "waiting 1: waiting needs .*'why'"),
    ],
)
def test_a_list_that_is_not_right_says_where(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "list.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence) as caught:
        jobs.read(path)
    assert str(path) in str(caught.value)


def test_bad_input_ends_before_anything_is_started(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(runner.Runner, "launch", lambda *_: pytest.fail("started"))
    listing = write_list(tmp_path / "l.toml", {"steps": 9})
    queue = tmp_path / "q"
    with pytest.raises(InputError, match="minutes must be greater than 0"):
        slices.run(0, listing, queue)
    with pytest.raises(InputError, match="--jobs must be auto or a number from 1 on, got 0"):
        slices.run(1, listing, queue, "0")
    with pytest.raises(InputError, match="Unknown device 'tpu'"):
        slices.run(1, listing, queue, device="tpu")
    with pytest.raises(InputError, match="Cannot read the list"):
        slices.run(1, tmp_path / "none.toml", queue)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Cannot write into the folder"):
        slices.run(1, listing, tmp_path / "file")
    with pytest.raises(InputError, match="There is no folder"):
        packing.pack(tmp_path / "out", listing, tmp_path / "nowhere")
    with pytest.raises(InputError, match="wait must be 0 or more"):
        status.status(listing, queue, -1)


def test_two_runners_do_not_fight(tmp_path: Path) -> None:
    listing = write_list(tmp_path / "l.toml", {"steps": 9})
    lock = Lock(tmp_path / LOCK)
    assert lock.take()
    with pytest.raises(InputError, match=rf"Another runner \(process {os.getpid()}\)"):
        slices.run(1, listing, tmp_path)
    fake = tmp_path / "elsewhere"
    fake.mkdir()
    forge(fake, {"a": b"x"})
    with pytest.raises(InputError, match="join into another folder"):
        joining.join(fake, tmp_path)
    lock.release()
    assert holder(tmp_path / LOCK) is None


def test_a_warm_start_is_checked_before_anything_is_started(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(runner.Runner, "launch", lambda *_: pytest.fail("started"))
    monkeypatch.setitem(sys.modules, "pooch", None)  # a bare machine: not even the user's cache is known
    monkeypatch.setenv("ICL_LAB_CACHE", "")
    missing = write_list(tmp_path / "l.toml", {"steps": 9, "warm_start": "standard/dens"})
    with pytest.raises(InputError, match="Unknown checkpoint 'standard/dens'"):
        slices.run(1, missing, tmp_path / "q")
    other = tmp_path / "other" / fake_run(tmp_path / "other", {"steps": 9})
    shape = write_list(tmp_path / "m.toml", {"steps": 9, "warm_start": str(other), "size": "small"})
    with pytest.raises(InputError, match="cannot start small/dense_d5"):
        slices.run(1, shape, tmp_path / "q")


def test_waiting_for_a_runner_ends_with_it_or_with_the_time(tmp_path: Path, monkeypatch) -> None:
    listing = write_list(tmp_path / "l.toml", {"steps": 9})
    monkeypatch.setattr(status, "APPEAR", 0.0)
    begin = time.monotonic()
    status.status(listing, tmp_path, wait=60)
    assert time.monotonic() - begin < 10, "no runner there"
    lock = Lock(tmp_path / LOCK)
    lock.take()
    threading.Timer(1.0, lock.release).start()
    begin = time.monotonic()
    status.status(listing, tmp_path, wait=60)
    assert 0.9 < time.monotonic() - begin < 10


# ---------------------------------------------------------------- the course's own list


def test_the_first_slice_is_what_the_course_needs_first() -> None:
    entries = jobs.read()
    first = [(job.name, job.minutes, job.training.n_points) for job in entries.jobs[:4]]
    names = ("dense_sparse2", "line_sine", "dense", "sparse2")
    assert first == [(f"standard/{name}", minutes, 41) for name, minutes in zip(names, (9, 4, 4, 4), strict=True)]
    small = [job.name for job in entries.jobs if job.training.model_config().n_embd != 256]
    assert small == [f"small/dense_pool_{2**n}" for n in (4, 8, 12, 16)]  # all others at the research's own size


def test_the_page_shows_the_list_as_it_is() -> None:
    page = (ROOT / "GPU_QUEUE.md").read_text()
    assert status.markdown(jobs.read()) in page, "`python -m icl_lab.queue.status` prints the table anew"
