"""The book's contents agree with each other: chapters on disk, table of contents, front page, references."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from icl_lab.address import ROOT
from icl_lab.book import notebooks

INTRO = (ROOT / "chapters/intro.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", INTRO.split("## A syllabus")[0], re.MULTILINE)


def toc_files() -> list[str]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def test_every_chapter_is_in_the_table_of_contents_and_every_entry_has_a_file() -> None:
    for folder in ("chapters", "chapters/exercises"):
        names = [Path(name).name for name in toc_files() if str(Path(name).parent) == folder]
        on_disk = sorted(path.stem for path in (ROOT / folder).glob("*.ipynb"))
        assert [name for name in names if name[:2].isdigit()] == on_disk
    assert [path.stem for path in notebooks.chapters()] == sorted(p.stem for p in (ROOT / "chapters").glob("*.ipynb"))
    for name in toc_files():
        assert [suffix for suffix in (".md", ".ipynb") if (ROOT / f"{name}{suffix}").is_file()], name


def test_the_front_page_lists_eighteen_chapters_and_links_those_that_exist() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 19))
    files = {int(path.stem[:2]): path.name for path in notebooks.chapters()}
    for number, title, question in ROWS:
        if int(number) in files:
            assert f"]({files[int(number)]})" in title, f"chapter {number} exists: link it on the front page"
        else:
            assert "*(planned)*" in title
        assert question.strip()


def test_the_syllabus_reaches_every_chapter_once() -> None:
    syllabus = INTRO.split("## A syllabus by weeks")[1].split("\n## ")[0]
    rows = re.findall(r"^\| \d+ \| ([\d, ]+) \|", syllabus, re.MULTILINE)
    assert [int(number) for row in rows for number in row.split(",")] == list(range(1, 19))


def test_every_reference_has_an_address_and_every_cited_key_exists() -> None:
    entries = re.findall(r"@\w+\{(\w+),(.*?)\n\}", (ROOT / "chapters/references.bib").read_text(), re.DOTALL)
    keys = [key for key, _ in entries]
    assert len(keys) == len(set(keys)) >= 30
    for key, body in entries:
        assert re.search(r"url\s*= \{https://(arxiv.org/abs/\d{4}\.\d{5}|neurips.cc/virtual/\d{4}/\d+)\}", body), key
    for page in (ROOT / "chapters").glob("*.md"):
        for cited in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", page.read_text(encoding="utf-8")):
            assert set(cited.replace(" ", "").split(",")) <= set(keys), page.name
