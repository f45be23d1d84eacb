"""The command line: bad input is one sentence and exit status 2; a signal is a checkpoint and exit status 0."""

import signal
import subprocess
import sys
import time

import pytest

from icl_lab import checkpoints, cli
from icl_lab.journal import STATE


def call(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of one command line, within this process."""
    monkeypatch.setattr(sys, "argv", ["icl-lab", *arguments])
    with pytest.raises(SystemExit) as error:
        cli.main()
    out, err = capsys.readouterr()
    return error.value.code or 0, out, err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dens_d5"], "Unknown recipe 'dens_d5'. Did you mean 'dense_d5'"),
        (["dense_d5", "--size", "huge"], "Unknown size 'huge'. Known: small, standard, tiny."),
        (["dense_d5", "--device", "gpu"], "Unknown device 'gpu'."),
        (["dense_d5", "--optimizer", "adamm"], "Did you mean 'adam'"),
        (["dense_d5", "--tokens", "pairs"], "Did you mean 'pair'"),
        (["dense_d5", "--steps", "0"], "steps must be greater than 0, got 0."),
        (["dense_d5", "--batch-size", "-3"], "batch_size must be greater than 0, got -3."),
        (["dense_d5", "--minutes", "0"], "minutes must be greater than 0, got 0.0."),
        (["dense_d5", "--lr", "nan"], "lr must be greater than 0, got nan."),
        (["dense_d5", "--seed", "-1"], "seed must be from 0"),
        (["dense_d5", "--out", "/proc/nowhere"], "Cannot write into the folder"),
        (
            ["dense_d5", "--warm-start", "tiny/dense_d6"],
            "Did you mean 'tiny/dense_d5'",
        ),
        (["dense_d5", "--warm-start", "tiny/sine"], "tiny/sine cannot start tiny/dense_d5: its model is Config(dim=1,"),
    ],
)
def test_bad_input_is_one_sentence(monkeypatch, capsys, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(monkeypatch, capsys, "train", *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("icl-lab: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # nothing was begun


def test_ship_of_something_else(monkeypatch, capsys, tmp_path):
    status, _, err = call(monkeypatch, capsys, "ship", str(tmp_path))
    assert status == 2
    assert "There is no card.json" in err
    assert err.count("\n") == 1


def test_help_names_the_commands(monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, "--help")
    assert status == 0
    assert all(command in out for command in ("train", "ship", "report-card", "book"))


COMMAND = [
    sys.executable,
    "-m",
    "icl_lab",
    "train",
    "dense_d5",
    "--batch-size",
    "2",
    "--steps",
    "5000",
    "--device",
    "cpu",
]


def test_bad_input_leaves_no_traceback():
    done = subprocess.run([*COMMAND[:3], "train", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("icl-lab: Unknown recipe 'nothing'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_checkpoint_and_status_0(tmp_path, number):
    command = [*COMMAND, "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        end = time.monotonic() + 120
        while not any(log.stat().st_size for log in tmp_path.glob("*/log.jsonl")):
            assert child.poll() is None, child.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.02)
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    (folder,) = tmp_path.iterdir()
    assert out.strip() == str(folder)
    assert (folder / STATE).exists()
    assert not (folder / checkpoints.CARD).exists()
    assert f"stopped by {number.name}" in err
    assert "--resume goes on" in err
