"""What is tracked: small, without pickles, and without traces of the machines it was made on."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 60 * 2**20  # bytes of all tracked files together
PICKLES = {".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt", ".npy", ".npz", ".joblib"}
HOME = re.compile(rb"(?<![\w.~-])/(?:root|home/\w+|Users/\w+|work|tmp/\w+)/")
EXAMPLES = {b"/home/someone/"}  # made up on purpose


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def test_all_tracked_files_are_small_together(tracked):
    assert sum(path.stat().st_size for path in tracked) < LIMIT


def test_weights_are_safetensors_only(tracked):
    assert [path for path in tracked if path.suffix in PICKLES] == []


def test_no_path_of_a_machine_is_tracked(tracked):
    found = {}
    for path in tracked:
        if path.suffix == ".safetensors" or path == Path(__file__).resolve():
            continue
        hits = set(HOME.findall(path.read_bytes())) - EXAMPLES
        if hits:
            found[path.name] = hits
    assert found == {}


def test_what_a_training_or_a_build_leaves_is_ignored(tracked):
    relative = {path.relative_to(ROOT).parts[0] for path in tracked}
    assert relative.isdisjoint({"runs", "_build", ".book", ".venv", "icl_lab.egg-info"})
