"""The rules that chapters keep, on good and bad notebooks, and on the real chapters."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from miniature import ONE, Miniature

from icl_lab import address
from icl_lab.book import notebooks
from icl_lab.errors import InputError

CHAPTERS = notebooks.chapters()


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_the_real_chapters_keep_the_rules(path: Path) -> None:
    assert list(notebooks.problems(path)) == []


def test_a_good_chapter_has_no_problems(mini: Miniature) -> None:
    good = [*ONE, "# Dollars\n\n$x_{1}$ and `{a}` and {b: 1}\n\n```python\n# {cite}`x` in an example is fine\n```"]
    assert list(notebooks.problems(mini.chapter("01_one", good, fast={"n": 2}))) == []


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("# See {cite}`garg2022`", "a role"),
        ("# Note\n\n:::{note}\nhere\n:::", "a ::: directive"),
        ("# Note\n\n```{figure} a.png\n```", "a ```{directive}"),
        ("# Note\n\n(target)=\n## Part", "a (target)= line"),
        ("from tqdm.auto import tqdm", "plain tqdm"),
        ("from tqdm.notebook import tqdm", "plain tqdm"),
        ("!pip install numpy", "shell command"),
        ("%%bash\nls", "shell command"),
        ("figures.show(fig)", "needs an alt text"),
        ("show(fig)", "needs an alt text"),
        ("plt.show()", "without an alt text"),
        ("n = 3 # parameters", "expected exactly one code cell with the tag parameters, found 2"),
        ("this is no python", "does not parse"),
    ],
)
def test_each_broken_rule_is_named(mini: Miniature, cell: str, complaint: str) -> None:
    found = list(notebooks.problems(mini.chapter("01_one", [*ONE[:3], cell])))
    assert len(found) == 1, found
    assert complaint in found[0]


def test_fast_values_and_cell_0_and_outputs(mini: Miniature) -> None:
    path = mini.chapter("01_one", ONE, fast={"m": 2})
    assert "sets 'm'" in "".join(notebooks.problems(path))
    path = mini.chapter("01_one", ONE)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# my own first cell"
    notebook.cells[3].outputs = [nbformat.v4.new_output("stream", text="left over")]
    notebook.cells[3].execution_count = 7
    nbformat.write(notebook, path)
    found = " ".join(notebooks.problems(path))
    assert "cell 0 is not the common one" in found
    assert "cell 3: it holds outputs" in found
    assert notebooks.sync(path)
    assert list(notebooks.problems(path)) == []
    assert not notebooks.sync(path)  # nothing left to change
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = notebook.cells[1:]  # a chapter that never had the cell
    nbformat.write(notebook, path)
    assert notebooks.sync(path)
    assert len(nbformat.read(path, as_version=4).cells) == len(ONE) + 1


def test_the_address_is_written_once(mini: Miniature) -> None:
    """Change it in pyproject.toml, and cell 0, the Colab link and the check of the chapters follow."""
    other = "https://github.com/someone/course"
    pyproject = mini.root / "pyproject.toml"
    old = address.repository_url()
    pyproject.write_text(pyproject.read_text().replace(old, other + "/"))
    assert address.repository_url(mini.root) == other
    assert f'"git+{other}"' in notebooks.cell_0(mini.root)
    assert "/github/someone/course/blob/main/c/a.ipynb" in address.colab_url("c/a.ipynb", mini.root)
    path = mini.root / "chapters/01_one.ipynb"
    assert "cell 0 is not the common one" in " ".join(notebooks.problems(path, mini.root))
    notebooks.sync(path, mini.root)
    assert list(notebooks.problems(path, mini.root)) == []


def test_only_one_file_of_the_repository_holds_the_address() -> None:
    """Cell 0 of the chapters is a verified copy; nothing else may repeat it."""
    allowed = {"pyproject.toml", "icl_lab/address.py", "README.md", "CITATION.cff", "CHANGELOG.md"}
    root = address.ROOT
    patterns = ["*.*", "chapters/*.md", "icl_lab/**/*.py", ".ci/*", "Makefile"]
    files = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    holders = {path.relative_to(root).as_posix() for path in files if b"github.com/icl-measured" in path.read_bytes()}
    assert holders <= allowed


def test_cell_0_does_nothing_outside_colab_and_one_install_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("subprocess.run", lambda command, check: calls.append(command))
    monkeypatch.delenv("ICL_LAB_SOURCE", raising=False)
    code = compile(notebooks.cell_0(), "cell 0", "exec")
    exec(code, {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(code, {})
    assert calls == []  # not in Colab: never, even without the package
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    exec(code, {})
    assert calls == [
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"git+{address.repository_url()}"]
    ]
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    monkeypatch.setattr("subprocess.run", lambda command, check: calls.append(command))
    exec(code, {})  # in Colab, and the package is there already
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object with nbformat 4"),
        ('{"nbformat": 3, "worksheets": []}', "not a notebook of format 4"),
        (
            '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "poem"}]}',
            "not a valid notebook",
        ),
    ],
)
def test_what_is_no_notebook_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "01_bad.ipynb"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(complaint)) as caught:
        notebooks.read(path)
    assert "\n" not in str(caught.value).strip()
    assert list(notebooks.problems(path)) == [str(caught.value)]
    assert notebooks.main([str(path)]) == 1
