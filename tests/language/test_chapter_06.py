"""Chapter 6's section on a model of the reader's own, run on a random GPT-2 that is made here and saved to a folder."""

import re

import nbformat
import pytest

from icl_lab.address import ROOT
from icl_lab.errors import InputError

CHAPTER = ROOT / "chapters" / "06_strengths_and_limits.ipynb"


def run_section(**parameters):
    """Run the parameters, the first cell of code and the section's own cell; what it displays, and its names."""
    cells = [cell for cell in nbformat.read(CHAPTER, as_version=4).cells if cell.cell_type == "code"]
    tags = [cell.metadata.get("tags", []) for cell in cells]
    at = next(i for i, names in enumerate(tags) if "parameters" in names)
    remedies = next(
        re.search(r"def remedies.*?\n    }\n", c.source, re.DOTALL) for c in cells if "def remedies" in c.source
    )
    names, shown = {}, []
    exec(cells[at].source, names)
    names.update(parameters)
    exec(cells[at + 1].source + "\n" + remedies[0], names)
    names["display"] = lambda one: shown.append(one.data)
    (section,) = [cell for cell, mine in zip(cells, tags, strict=True) if "own-model" in mine]
    exec(section.source, names)
    return "\n".join(shown), names


def test_orders_formats_and_remedies_are_asked_of_a_model_of_the_hub_kind(own_model):
    shown, names = run_section(model=str(own_model), n_own=4)
    rows = names["own_rows"]
    orders = [row.removeprefix("order ") for row in rows if row.startswith("order ")]
    assert len(orders) == 6  # every pattern of two labels, each twice
    assert all(sorted(order.split()) == ["N", "N", "P", "P"] for order in orders)
    assert len(set(orders)) == len(orders)
    assert sum(row.startswith("format: ") for row in rows) == 3
    assert sum(row.startswith("2:2, ") for row in rows) == sum(row.startswith("4:0, ") for row in rows) == 5
    for accuracy in rows.values():
        assert 0 <= accuracy.low <= accuracy.mean <= accuracy.high <= 1
    assert str(own_model) in shown
    assert "Not measured here" not in shown


def test_without_a_model_nothing_is_measured_and_the_page_says_so():
    shown, names = run_section()
    assert names["own_rows"] == {}
    assert "Not measured here" in shown


def test_an_unknown_model_is_one_sentence_with_the_known_ones():
    with pytest.raises(InputError, match="Unknown language model 'gpt-2'"):
        run_section(model="gpt-2")
