"""The whole build, from chapters to pages, on a clone in miniature."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from pathlib import Path

from miniature import ONE, TWO, Miniature

from icl_lab.book import pages


def test_a_book_from_nothing_then_edits_then_a_failure(mini: Miniature) -> None:
    """One scenario, because each step needs the state that the step before left."""
    # From nothing: both chapters run, with their own values and with no kernel installed under the name they give.
    first = mini.build(strict=True)
    assert first.status == 0, first.text
    assert first.ran == ["01_one", "02_two"]
    page = mini.page("01_one")
    assert "first n = 12" in page
    assert [alt for alt in re.findall(r'<img alt="([^"]*)"', page) if "square" in alt] == [
        "An empty square of height 1.",
        "An empty square of height 2.",
    ]
    assert "ICL_LAB_SOURCE" not in page  # cell 0 is for Colab, not for the page
    assert "colab.research.google.com/github/icl-measured/icl-measured/blob/main/chapters/01_one.ipynb" in page
    assert "colab.research.google.com/github" not in mini.page("intro")
    assert first.text.count("still the placeholder") == 1
    assert "value 42" in mini.page("02_two")

    # Unchanged: nothing runs, nothing is read again.
    before = os.times()
    again = mini.build()
    assert again.status == 0
    assert again.ran == []
    assert "no targets are out of date" in again.text
    after = os.times()  # of the processor, since the machine may be busy
    assert after.children_user + after.children_system - before.children_user - before.children_system < 10

    # A module that the second chapter imports through another one.
    mini.write("icl_lab/toy/inner.py", "VALUE = 99\n")
    module = mini.build()
    assert module.ran == ["02_two"]
    assert "value 100" in mini.page("02_two")

    # One fails, the other finishes; the old page of the one that failed is gone.
    mini.chapter("01_one", [*ONE[:3], "print('before')\nnumber = 1 / 0"])
    mini.chapter("02_two", [*TWO, "print('other', 'one')"])
    failed = mini.build()
    assert failed.status == 1
    assert "01_one.ipynb, cell 4: ZeroDivisionError: division by zero" in failed.text
    assert "Traceback (most recent call last):\n  File" not in failed.text  # one report, not the build tool's own stack
    kept = mini.root / ".book/full/failed/01_one.ipynb"
    assert str(kept) in failed.text
    assert "first n = 12" in kept.read_text()
    assert not (mini.root / "_build/html/chapters/01_one.html").exists()
    assert "other one" in (mini.root / ".book/full/02_two.ipynb").read_text()

    # Mended: only the one that failed runs again, and both pages are there.
    mini.chapter("01_one", [*ONE[:3], "print('a line', 'more')"])
    mended = mini.build()
    assert mended.status == 0
    assert mended.ran == ["01_one"]
    assert "other one" in mini.page("02_two")
    assert "a line more" in mini.page("01_one")


def test_fast_profile_runs_small_values_and_says_so(mini: Miniature) -> None:
    mini.chapter("01_one", ONE[:3], fast={"n": 3})
    built = mini.build(profile="fast", strict=True, only="01")
    assert built.status == 0, built.text
    assert built.ran == ["01_one"]
    page = mini.page("01_one")
    assert "first n = 3" in page
    assert "fast profile" in page
    assert page.count('<span class="n">n</span> <span class="o">=</span>') == 1  # the injected cell is not shown
    assert "was not run" in mini.page("02_two")
    assert "value 42" not in mini.page("02_two")


def test_a_figure_without_alt_text_is_a_problem() -> None:
    png = base64.b64encode(b"picture").decode()
    kinds = [{"image/png": {"alt": "What is seen."}}, {}, {"image/png": {"alt": " "}}]
    outputs = [{"output_type": "display_data", "data": {"image/png": png}, "metadata": kind} for kind in kinds]
    cells = [{"cell_type": "code", "outputs": [output]} for output in outputs]
    found, problems = pages.alternatives(json.dumps({"cells": cells}))
    assert found == {hashlib.sha256(b"picture").hexdigest(): "What is seen."}
    assert [problem.split(" shows")[0] for problem in problems] == ["cell 1", "cell 2"]


def test_bad_books_end_in_one_sentence(mini: Miniature) -> None:
    mini.write("chapters/01_one.ipynb", "{ this is no JSON")
    built = mini.build()
    assert built.status == 1
    assert "01_one.ipynb is not a notebook: it is not valid JSON" in built.text
    assert "Traceback" not in built.text
    (mini.root / "chapters/01_one.ipynb").unlink()
    built = mini.build()
    assert built.status == 1
    assert "_toc.yml names 'chapters/01_one', but there is no such file" in built.text
    assert "Traceback" not in built.text


def test_broken_links_and_bare_figures_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/a.html#here">1</a> <a href="https://example.org/x">2</a> <a href="#top">3</a><p id="top">'
    )
    (tmp_path / "sub" / "a.html").write_text('<h1 id="here">A</h1><img src="../_images/f.png" alt="A falling curve.">')
    assert pages.broken(tmp_path) == ["sub/a.html points to ../_images/f.png, which does not exist."]
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "f.png").touch()
    (tmp_path / "sub" / "a.html").write_text(
        '<h1 id="there">A</h1><a href="b.html">b</a><img src="../_images/f.png" alt="../_images/f.png">'
    )
    assert pages.broken(tmp_path) == [
        "index.html points to sub/a.html#here, but that page has no such place.",
        "sub/a.html points to b.html, which does not exist.",
        "sub/a.html shows ../_images/f.png without an alt text.",
    ]


def test_progress_bars_show_their_last_state_only() -> None:
    stream = [
        {"output_type": "stream", "name": "stderr", "text": ["  0%|\r 50%|"]},
        {"output_type": "stream", "name": "stderr", "text": "\r100%|\nended\n"},
    ]
    cell = {"cell_type": "code", "metadata": {"papermill": {"duration": 1}}, "source": "", "outputs": stream}
    ready = json.loads(pages.prepare(json.dumps({"metadata": {"papermill": {}}, "cells": [cell]})))
    assert ready["cells"][0]["outputs"] == [{"output_type": "stream", "name": "stderr", "text": "100%|\nended\n"}]
    assert ready["metadata"] == {}
    assert ready["cells"][0]["metadata"] == {}


def test_a_notebook_that_is_not_to_run_is_shown_as_it_is(mini: Miniature) -> None:
    mini.chapter("03_three", ["# Three", "n = 1 # parameters", "raise NotImplementedError('your code')"], run=False)
    mini.write("_toc.yml", (mini.root / "_toc.yml").read_text() + "      - file: chapters/03_three\n")
    built = mini.build(profile="fast", strict=True, only="01,03")
    assert built.status == 0, built.text
    assert built.ran == ["01_one"]
    page = mini.page("03_three")
    assert "NotImplementedError" in page
    assert "was left out of this build" not in page
    assert "ICL_LAB_SOURCE" not in page
