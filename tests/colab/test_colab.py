"""The chapters in Colab's environment: installed by their first cell, alone in an empty folder.

The tests that make environments run only when asked for, since they download a few hundred megabytes once:
``ICL_LAB_COLAB=one`` runs one chapter, ``ICL_LAB_COLAB=all`` every chapter.
"""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from packaging.requirements import Requirement

from icl_lab.address import ROOT
from icl_lab.book import notebooks

sys.path.insert(0, str(Path(__file__).parent))

import runtime as colab

ASKED = os.environ.get("ICL_LAB_COLAB", "")
asked_for = pytest.mark.skipif(ASKED not in ("one", "all"), reason="set ICL_LAB_COLAB=one or all: it downloads much")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHERS = [version for version in ("3.12", "3.13") if version != OWN]
IMPORT_ALL = """\
import importlib, pkgutil
import icl_lab
lacking = set()
for module in pkgutil.walk_packages(icl_lab.__path__, "icl_lab.", onerror=lambda name: None):
    if module.name.startswith(("icl_lab.book", "icl_lab.grading", "icl_lab.__main__")):
        continue  # these never run in Colab
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        lacking.add(error.name)
print("lacking:", sorted(lacking))"""


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_every_dependency_is_in_colab_at_a_version_we_accept(version: str) -> None:
    """So that ``--no-deps`` is right: nothing is missing, and nothing need be replaced."""
    there = colab.pins(version)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["text"]]
    for requirement in map(Requirement, needed):
        assert requirement.name in there, f"{requirement.name} is not in Colab"
        assert requirement.specifier.contains(there[requirement.name]), (
            f"Colab has {there[requirement.name]}: {requirement}"
        )


def environment(version: str) -> colab.Runtime:
    python = colab.find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine (name one in ICL_LAB_PYTHON_{version.replace('.', '_')})")
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    return colab.make(python, version)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colab.snapshot(tmp_path_factory.mktemp("snapshot"))


def assert_one_line_more(before: list[str], after: list[str]) -> None:
    """The package came, alone; Colab's own packages are as they were."""
    assert set(before) <= set(after)
    added = sorted(set(after) - set(before))
    assert len(added) == 1
    assert added[0].startswith("icl-lab @ git+file://")


@asked_for
@pytest.mark.parametrize("version", OTHERS)
def test_cell_0_and_all_imports(version: str, source: Path, tmp_path: Path) -> None:
    """On Colab's Pythons, with its pins: the package installs, and every module imports but for torch itself."""
    runtime = environment(version)
    before = runtime.freeze()
    notebook = new_notebook(cells=[new_code_cell(notebooks.cell_0()), new_code_cell(IMPORT_ALL)])
    end = colab.run(runtime, notebook, source, tmp_path, {})
    assert end.get("done"), end
    executed = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    assert executed.cells[1].outputs[0].text.strip() in ("lacking: []", "lacking: ['torch']")
    assert_one_line_more(before, runtime.freeze())


@asked_for
def test_chapters_run_alone(source: Path, tmp_path: Path) -> None:
    """The whole chapter, torch included, beside Colab's other pins (torch is the one of the book's environment)."""
    one = "07_"  # it trains, it downloads checkpoints, it draws
    chapters = [path for path in notebooks.chapters() if ASKED == "all" or path.name.startswith(one)]
    assert chapters
    for path in chapters:
        runtime = environment(OWN)
        before = runtime.freeze()
        place = tmp_path / path.stem
        place.mkdir()
        notebook = notebooks.read(path)
        end = colab.run(runtime, notebook, source, place, notebooks.fast_values(notebook, path.name))
        assert end.get("done"), f"{path.name}: {end}"
        assert_one_line_more(before, runtime.freeze())
