"""The teacher's guide says what the tests do."""

from __future__ import annotations

import re

from table import GUIDE, table, with_table

from icl_lab.cli import app
from icl_lab.grading import sandbox, store


def test_the_table_of_attacks_is_the_tests():
    text = GUIDE.read_text(encoding="utf-8")
    assert table() in text
    assert with_table(text) == text, "run: python tests/grading/table.py"
    assert table().count("\n") > 70


def test_files_options_and_limits_of_the_guide_exist():
    from typer.main import get_command

    text = GUIDE.read_text(encoding="utf-8")
    options = {name for one in get_command(app).commands["grade"].params for name in one.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text.split("<!--")[0])) <= options
    named = set(re.findall(r"^\| `([\w.]+)/?` ", text, re.MULTILINE))
    assert named == set(store.WRITTEN) - {store.STATE}
    limits = sandbox.Limits()
    assert f"{limits.cell:g} seconds for a cell or a call, {limits.notebook:g} for a notebook" in text
