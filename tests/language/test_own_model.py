"""Chapter 2's section on a model of the reader's own, run on a random GPT-2 that is made here and saved to a folder."""

import re

import nbformat
import numpy as np
import pytest

from icl_lab.address import ROOT
from icl_lab.errors import InputError

CHAPTER = ROOT / "chapters" / "02_scoring_functions.ipynb"


def run_section(**parameters):
    """Run the chapter's parameters, its first cells of code and the section's own; what it displays, and its names."""
    cells = [cell for cell in nbformat.read(CHAPTER, as_version=4).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    at = next(i for i, names in enumerate(tags) if "parameters" in names)
    percent = next(re.search(r"def percent.*?\n\n", c.source, re.DOTALL)[0] for c in cells if "def percent" in c.source)
    names, shown = {}, []
    exec(cells[at].source, names)
    names.update(parameters)
    exec(cells[at + 1].source + "\n" + percent, names)
    names["display"] = lambda one: shown.append(one.data)
    section = [cell for cell, names_of in zip(cells, tags, strict=True) if "own-model" in names_of]
    assert len(section) == 2
    for cell in section:
        exec(cell.source, names)
    return shown, names


def test_every_score_of_the_chapter_runs_on_a_model_of_the_hub_kind(own_model):
    shown, names = run_section(model=str(own_model), n_own=4, n_inputs=2)
    rows = names["own_rows"]
    assert list(rows) == [(4, 4), (7, 1)]
    assert len(rows[4, 4]) == 9
    for accuracy in (*rows[4, 4].values(), *rows[7, 1].values()):
        assert 0 <= accuracy.low <= accuracy.mean <= accuracy.high <= 1
    assert "direct, per token" in shown[0]
    assert np.isclose(rows[4, 4]["free answer"].mean, 0)  # random weights do not write an English word
    assert "Not measured here" not in "".join(shown)


def test_without_a_model_nothing_is_measured_and_the_page_says_so():
    shown, names = run_section(n_own=4, n_inputs=2)
    assert names["own_rows"] == {}
    assert "Not measured here" in shown[0]


def test_a_model_that_cannot_read_english_is_refused_in_one_sentence():
    with pytest.raises(InputError, match="holds a word that this model's vocabulary does not have"):
        run_section(model="noisy_evidence", n_own=4, n_inputs=2)
