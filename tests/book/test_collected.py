"""The page of all claims and the front page's count: from rows in executed notebooks, and through a whole build."""

from __future__ import annotations

import json
import re

import pytest
from miniature import ONE, TOC, TWO, Miniature

from icl_lab import claims
from icl_lab.address import ROOT
from icl_lab.book import collected, pages
from icl_lab.book.collected import Chapter

SHOW = """\
from icl_lab import claims
claims.show([
    claims.Claim("a", "A value $|x|$ is large", "ours", least=0.5),
    claims.Claim("b", "A value is small", "Someone et al. 2020", most=0.1, committed={committed!r}),
    claims.Claim("c", "Nobody looked", "ours", most=0.1),
], {{
    "a": claims.found((0.7, {low}, 0.8), model="tiny/a", trainings=3),
    "b": claims.found((0.35, 0.30, 0.40), why="It is not small."),
}})"""
BROKEN = "from IPython.display import display\ndisplay({%r: %r, 'text/plain': 'a table'}, raw=True)"


def row(wanted: str, **own: object) -> dict:
    """A row as ``claims.rows`` makes it, with the verdict that is wanted."""
    values = {
        claims.HOLDS: (2, 2, 2),
        claims.FAILS: (0, 0, 0),
        claims.UNDECIDED: (1, 0, 2),
        claims.NOT_MEASURED: None,
    }[wanted]
    found = values and claims.found(values, model="m", why="because" if wanted != claims.HOLDS else "")
    (made,) = claims.rows([claims.Claim("i", "It is 1 or more", "ours", least=1)], {"i": found})
    assert made["verdict"] == wanted
    return {**made, **own}


def notebook(*outputs: object) -> str:
    """An executed notebook whose cells hold one table each."""
    cells = [{"cell_type": "markdown", "metadata": {}, "source": ["Text\n"]}]
    cells += [{"cell_type": "markdown", "metadata": {}, "source": ["# 3. Title\n", "more"]}]
    for data in outputs:
        output = {"output_type": "display_data", "data": {claims.MIME: data, "text/markdown": "|"}, "metadata": {}}
        cells.append({"cell_type": "code", "metadata": {}, "source": "", "outputs": [output]})
    return json.dumps({"metadata": {}, "cells": cells})


def cells_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_rows_come_back_in_order_and_the_title_with_them() -> None:
    text = notebook([row(claims.HOLDS, id="a"), row(claims.FAILS, id="b")], [row(claims.UNDECIDED, id="c")])
    rows, problems = collected.rows_of(text)
    assert [one["id"] for one in rows] == ["a", "b", "c"]
    assert problems == []
    assert collected.title_of(text) == "3. Title"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("[{broken", "must be a list of objects"),
        ({"verdict": "holds"}, "must be a list of objects"),
        ([row(claims.HOLDS, verdict="surely")], 'claim i has the unknown verdict "surely"'),
        ([{"id": "x", "sentence": "It is"}], "claim x lacks verdict, value"),
        ([row(claims.HOLDS, verdict=["holds"])], "claim i has no text as its verdict"),
        ([row(claims.HOLDS, model=None)], "claim i has no text as its model"),
        (None, "must be a list of objects"),
    ],
)
def test_bad_rows_are_one_sentence_and_the_good_table_stays(data: object, said: str) -> None:
    rows, problems = collected.rows_of(notebook(data, [row(claims.HOLDS)]))
    assert len(rows) == 1
    assert len(problems) == 1
    assert problems[0].startswith("cell 2 shows claims that cannot be collected: ")
    assert said in problems[0]
    assert "\n" not in problems[0]


def test_counts_agree_with_the_rows() -> None:
    chapters = [
        Chapter("chapters/01_a", "1. A", True, tuple(row(v) for v in (claims.HOLDS, claims.HOLDS, claims.FAILS))),
        Chapter("chapters/02_b", "2. B", False),
        Chapter("chapters/03_c", "3. C", True, (row(claims.NOT_MEASURED, committed="abc1234"),)),
        Chapter("chapters/04_d", "4. D", True),
    ]
    body = collected.page(chapters)
    summary = cells_of(body.split("\n## 1. A")[0])
    assert summary[2:] == [
        ["[1. A](/chapters/01_a.ipynb)", "3", "2", "1", "0", "0"],
        ["[2. B](/chapters/02_b.ipynb)", "not run", "", "", "", ""],
        ["[3. C](/chapters/03_c.ipynb)", "1", "0", "0", "0", "1"],
        ["[4. D](/chapters/04_d.ipynb)", "0", "0", "0", "0", "0"],
        ["all", "**4**", "**2**", "**1**", "**0**", "**1**"],
    ]
    assert "first full run: 1 claim, 0 hold, 0 do not, 0 are undecided, 1 was not measured." in body
    assert "chapter: 3 claims, 2 hold, 1 does not, 0 are undecided, 0 were not measured." in body
    assert "was not run in this build" in body.split("## 2. B")[1].split("## 3. C")[0]
    assert "in `abc1234`" in body.split("## 3. C")[1].split("## 4. D")[0]
    assert "shows no table of claims" in body.split("## 4. D")[1]
    assert collected.sentence(chapters) == (
        "1 chapter was not run in this build. Of 4 claims in 2 chapters, 2 hold, 1 does not, 0 are undecided, "
        "1 was not measured; every one is on [one page](claims.md)."
    )


def test_the_table_has_every_column_and_the_reasons_stand_below() -> None:
    odd = row(claims.FAILS, sentence="A $|x|$\nis | large", why="a | reason", committed="abc1234", trainings=3)
    body = collected.page([Chapter("chapters/01_a", "1. A", True, (row(claims.HOLDS), odd))])
    first, second = re.findall(r"^:{3}\{container\} claims-table\n(.*?)\n:::$", body, re.DOTALL | re.MULTILINE)
    assert cells_of(first)[0] == list(collected.HEADER)
    assert cells_of(first)[2][0] == r"A $\|x\|$ is \| large"  # committed ones stand first
    assert cells_of(first)[2][1:] == ["**does not hold**", "0.000", "", "≥\u00a01", "3", "ours", "`m`"]
    assert cells_of(second)[2][1] == "holds"
    assert "- *A $|x|$ is | large*: a | reason" in body


def test_the_fast_profile_is_named_and_a_page_without_placeholders_is_left_alone() -> None:
    chapters = [Chapter("chapters/01_a", "1. A", True, (row(claims.HOLDS),))]
    for made in (collected.page, collected.sentence):
        assert "fast profile" in made(chapters, fast=True)
        assert "fast profile" not in made(chapters)
    assert collected.fill("# Text\n<!-- another -->", chapters) == "# Text\n<!-- another -->"
    assert "No claim was measured" in collected.sentence([Chapter("chapters/01_a", "1. A", False)])


def test_a_page_shows_the_table_and_not_the_json_beside_it() -> None:
    ready = json.loads(pages.prepare(notebook([row(claims.HOLDS)], [row(claims.HOLDS)])))
    for cell in ready["cells"][2:]:
        assert list(cell["outputs"][0]["data"]) == ["text/markdown"]
        assert cell["metadata"]["tags"] == ["claims"]
    assert "tags" not in ready["cells"][0]["metadata"]


def test_in_jupyter_and_colab_the_table_is_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show the richest type that they know and pass over the JSON, which is no type of theirs."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append((data, raw)))
    claims.show([claims.Claim("i", "It is 1 or more", "ours", least=1)], {"i": claims.found(2)})
    ((data, raw),) = shown
    assert raw
    assert set(data) == {"text/markdown", "text/plain", claims.MIME}
    assert cells_of(data["text/markdown"])[2][0] == "It is 1 or more"
    assert collected.rows_of(notebook(json.loads(json.dumps(data[claims.MIME]))))[1] == []


def test_a_model_that_the_sentence_names_is_not_named_again() -> None:
    for sentence, model, told in (
        ("`tiny/a` is best", "tiny/a", "`tiny/a` is best"),
        ("`a` − `b`", "tiny/a, tiny/b", "`a` − `b`"),
        ("The mixture, not `b`", "tiny/a, tiny/b", "The mixture, not `b` (`tiny/a`, `tiny/b`)"),
        ("Recognition: it reads labels", "recognition", "Recognition: it reads labels"),
        ("The dense functions", "small/dense", "The dense functions (`small/dense`)"),
        ("Of exact Bayes", "Bayes, mixture", "Of exact Bayes (`Bayes, mixture`)"),
    ):
        made = claims.rows([claims.Claim("i", sentence, "ours", least=1)], {"i": claims.found(2, model)})
        assert cells_of(claims.markdown(made))[2][0] == told


def test_the_books_own_pages_hold_the_placeholders() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "chapters").glob("*.md")}
    assert [name for name, text in files.items() if collected.PAGE_HERE in text] == ["claims.md"]
    assert [name for name, text in files.items() if collected.COUNT_HERE in text] == ["intro.md"]


def read_again(text: str) -> set[str]:
    """The pages that Sphinx read in this build."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "\n")
    return set(re.findall(r"^reading sources\.\.\. \[ *\d+%\] chapters/(\w+)", plain, re.MULTILINE))


def test_a_book_of_claims_then_another_result_then_broken_json(mini: Miniature) -> None:
    mini.write(
        "_toc.yml", TOC.rstrip() + "\n  - caption: For reference\n    chapters:\n      - file: chapters/claims\n"
    )
    mini.write("chapters/claims.md", f"# Claims\n\nText.\n\n{collected.PAGE_HERE}\n")
    mini.write("chapters/intro.md", f"# A small book\n\nSee [the second](02_two.ipynb).\n\n{collected.COUNT_HERE}\n")
    mini.chapter("01_one", [ONE[0], ONE[1], SHOW.format(low=0.6, committed="")])
    mini.chapter("02_two", [*TWO[:3], SHOW.format(low=0.6, committed="abc1234")])
    first = mini.build(strict=True)  # no warning of an unknown kind of output
    assert first.status == 0, first.text
    assert "Of 6 claims in 2 chapters, 2 hold, 2 do not, 0 are undecided, 2 were not measured" in mini.page("intro")
    page = mini.page("claims")
    assert page.count("claims-table") == 3
    assert page.count("<td") == 3 * 6 + 6 * 8  # two chapters and their sum, then eight cells a claim
    assert 'href="02_two.html"' in page
    assert "abc1234" in page
    assert "tag_claims" in mini.page("01_one")
    assert "does not hold" in mini.page("01_one")

    again = mini.build()
    assert "no targets are out of date" in again.text
    assert read_again(again.text) == set()

    mini.chapter("02_two", [*TWO[:3], SHOW.format(low=0.4, committed="abc1234")])
    other = mini.build()
    assert read_again(other.text) == {"02_two", "claims", "intro"}
    assert "1 holds, 2 do not, 1 is undecided, 2 were not measured" in mini.page("intro")

    mini.chapter("02_two", [*TWO[:3], "print('another text')", SHOW.format(low=0.4, committed="abc1234")])
    same = mini.build()
    assert read_again(same.text) == {"02_two"}

    mini.chapter("01_one", [ONE[0], ONE[1], BROKEN % (claims.MIME, "[{broken")])
    broken = mini.build()
    assert broken.status == 0
    assert "Traceback" not in broken.text
    assert broken.text.count("cannot be collected") == 1
    assert "shows claims that could not be read" in mini.page("claims")

    fast = mini.build(profile="fast", only="02")
    assert fast.status == 0, fast.text
    assert "small values, for checking that the chapters run" in mini.page("claims")
    assert "was not run in this build" in mini.page("claims")
    assert "1 chapter was not run in this build. Of 3 claims in 1 chapter" in mini.page("intro")
