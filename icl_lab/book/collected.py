"""Every claim of the book, read from the executed chapters: a page that lists them and a sentence that counts them.

``icl_lab.claims.show`` puts its rows, as JSON, into the output of a chapter's cell, beside the table that is seen.
A Markdown page that holds one of the two placeholders gets the text in its place when the book is built.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from icl_lab.book.pages import text_of
from icl_lab.claims import FAILS, HOLDS, MIME, NOT_MEASURED, UNDECIDED, VERDICTS, quoted
from icl_lab.errors import InputError

PAGE_HERE = "<!-- every claim of the book -->"  # on chapters/claims.md
COUNT_HERE = "<!-- how many claims hold -->"  # on the front page
EVERY_PLACEHOLDER = PAGE_HERE + COUNT_HERE
COLUMNS = ("sentence", "verdict", "value", "interval", "threshold", "trainings", "source", "model")
HEADER = ("claim", "verdict", "value", "interval", "threshold", "trainings", "source", "model")
FAST = "The numbers below are those of the fast profile: small values, for checking that the chapters run."
TEXTS = (*(name for name in COLUMNS if name != "trainings"), "committed", "why")


@dataclass(frozen=True)
class Chapter:
    """The claims of one chapter. ``name``: its path from the root of the book, without suffix.

    ``ran`` False: the chapter was left out of this build, and nothing is known of its claims. ``broken``: it shows
    claims that cannot be collected.
    """

    name: str
    title: str
    ran: bool
    rows: tuple[dict, ...] = ()
    broken: bool = False

    @property
    def link(self) -> str:
        return f"[{self.title}](/{self.name}.ipynb)"


def title_of(text: str) -> str:
    """The first heading of a notebook (JSON)."""
    for cell in json.loads(text)["cells"]:
        found = re.match(r"\s*# (.+)", text_of(cell["source"])) if cell["cell_type"] == "markdown" else None
        if found:
            return found[1].strip()
    return "A chapter without a title"


def rows_of(text: str) -> tuple[tuple[dict, ...], list[str]]:
    """The rows in an executed notebook (JSON), in order, and a sentence for each output that is not as it should be."""
    found: list[dict] = []
    problems = []
    for index, cell in enumerate(json.loads(text)["cells"]):
        for output in cell.get("outputs", []):
            if MIME not in output.get("data", {}):
                continue
            try:
                found.extend(_checked(output["data"][MIME]))
            except InputError as error:
                problems.append(f"cell {index} shows claims that cannot be collected: {error}")
    return tuple(found), problems


def _checked(rows: object) -> list[dict]:
    """The rows of one table. Raises InputError unless they are what ``claims.rows`` makes."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"their JSON must be a list of objects, got {json.dumps(rows)[:60]}.")
    for row in rows:
        missing = [key for key in (*TEXTS, "trainings") if key not in row]
        if missing:
            raise InputError(f"claim {row.get('id', '?')} lacks {', '.join(missing)}.")
        odd = [key for key in TEXTS if not isinstance(row[key], str)]
        if odd:
            raise InputError(f"claim {row.get('id', '?')} has no text as its {', '.join(odd)}.")
        if row["verdict"] not in VERDICTS:
            raise InputError(f"claim {row.get('id', '?')} has the unknown verdict {json.dumps(row['verdict'])}.")
    return rows


def fill(text: str, chapters: Sequence[Chapter], fast: bool = False) -> str:
    """A Markdown page with the placeholders replaced; without one it stays as it is."""
    for place, made in ((PAGE_HERE, page), (COUNT_HERE, sentence)):
        if place in text:
            text = text.replace(place, made(chapters, fast))
    return text


def sentence(chapters: Sequence[Chapter], fast: bool = False) -> str:
    """For the front page: how many claims there are and what became of them."""
    shown = [chapter for chapter in chapters if chapter.rows]
    rows = [row for chapter in shown for row in chapter.rows]
    left = _left_out(chapters)
    if not rows:
        return f"{left}No claim was measured in this build; [one page](claims.md) is where they will be."
    told = f"Of {_number(len(rows), 'claim')} in {_number(len(shown), 'chapter')}, {_fates(rows)}; "
    note = " These are the numbers of the fast profile, not the course's." if fast else ""
    return f"{left}{told}every one is on [one page](claims.md).{note}"


def page(chapters: Sequence[Chapter], fast: bool = False) -> str:
    """The body of the page: counts, then a table for each chapter."""
    rows = [row for chapter in chapters for row in chapter.rows]
    parts = [f":::{{note}}\n{FAST} They are not the course's numbers.\n:::"] if fast else []
    parts += ["## How many hold", _boxed("claims-summary", _summary(chapters)), *_by_time(rows)]
    for chapter in chapters:
        parts += [f"## {chapter.title}", *_of_chapter(chapter)]
    return "\n\n".join(part for part in parts if part)


def _summary(chapters: Sequence[Chapter]) -> str:
    """One line a chapter: how many claims, how many of each verdict; the sum below."""
    lines = []
    for chapter in chapters:
        counted = Counter(row["verdict"] for row in chapter.rows)
        numbers = [len(chapter.rows), *(counted[verdict] for verdict in VERDICTS)]
        lines.append([chapter.link, *(numbers if chapter.ran else ["not run", *[""] * len(VERDICTS)])])
    counted = Counter(row["verdict"] for chapter in chapters for row in chapter.rows)
    sums = [sum(counted.values()), *(counted[verdict] for verdict in VERDICTS)]
    lines.append(["all", *(f"**{number}**" for number in sums)])
    header = ("chapter", "claims", HOLDS, FAILS, UNDECIDED, "not measured")
    return _table(header, lines, numbers_from=1)


def _by_time(rows: Sequence[dict]) -> list[str]:
    """How the claims fared whose thresholds were fixed first, and how those that were written with their chapter."""
    first = [row for row in rows if row["committed"]]
    later = [row for row in rows if not row["committed"]]
    told = []
    if first:
        told.append(
            f"- Thresholds committed **before** the first full run: {_number(len(first), 'claim')}, {_fates(first)}."
        )
    if later:
        told.append(f"- Thresholds written **with** their chapter: {_number(len(later), 'claim')}, {_fates(later)}.")
    return ["\n".join(told)]


def _of_chapter(chapter: Chapter) -> Iterable[str]:
    """A link, then a table for the claims of each commit; those without one stand last."""
    if not chapter.ran:
        yield f"{chapter.link} was not run in this build, so its claims are not here."
        return
    if chapter.broken:
        yield f"{chapter.link} shows claims that could not be read; they are missing here."
    if not chapter.rows:
        if not chapter.broken:
            yield f"{chapter.link} shows no table of claims."
        return
    yield f"To the chapter: {chapter.link}."
    for commit in sorted({row["committed"] for row in chapter.rows}, key=lambda name: (not name, name)):
        rows = [row for row in chapter.rows if row["committed"] == commit]
        yield (
            f"Thresholds committed before the first full run, in `{commit}`:"
            if commit
            else "Thresholds written with the chapter:"
        )
        yield _boxed("claims-table", _table(HEADER, [_line(row) for row in rows]))
    reasons = [f"- *{_flat(row['sentence'])}*: {_flat(row['why'])}" for row in chapter.rows if row["why"]]
    if reasons:
        yield "Likely reasons, where a claim does not hold or is undecided:"
        yield "\n".join(reasons)


def _line(row: dict) -> list[str]:
    """The cells of one claim; the verdict stands second, so that a phone shows it without scrolling."""
    verdict = row["verdict"] if row["verdict"] == HOLDS else f"**{row['verdict']}**"
    threshold = row["threshold"].replace(" ", "\u00a0").replace(",\u00a0", ", ")  # a bound stays on its line
    numbers = [row["value"], row["interval"], threshold, row["trainings"]]
    return [row["sentence"], verdict, *numbers, row["source"], quoted(row["model"])]


def _table(header: Sequence[str], lines: Iterable[Sequence[object]], numbers_from: int | None = None) -> str:
    right = len(header) if numbers_from is None else numbers_from
    rule = [":--" if i < right else "--:" for i in range(len(header))]
    text = [[re.sub(r"(?<!\\)\|", r"\\|", _flat(cell)) for cell in line] for line in (header, *lines)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (text[0], rule, *text[1:]))


def _boxed(name: str, markdown: str) -> str:
    """The table in a box of its own, which ``course.css`` knows by this name."""
    return f":::{{container}} {name}\n{markdown}\n:::"


def _flat(cell: object) -> str:
    return re.sub(r"[ \t\r\n]+", " ", str(cell)).strip()


def _fates(rows: Sequence[dict]) -> str:
    """What became of these claims, in words."""
    n = Counter(row["verdict"] for row in rows)
    return (
        f"{n[HOLDS]} {'holds' if n[HOLDS] == 1 else 'hold'}, {n[FAILS]} {'does' if n[FAILS] == 1 else 'do'} not, "
        f"{n[UNDECIDED]} {'is' if n[UNDECIDED] == 1 else 'are'} undecided, "
        f"{n[NOT_MEASURED]} {'was' if n[NOT_MEASURED] == 1 else 'were'} not measured"
    )


def _left_out(chapters: Sequence[Chapter]) -> str:
    count = sum(not chapter.ran for chapter in chapters)
    return f"{_number(count, 'chapter').capitalize()} {'was' if count == 1 else 'were'} not run in this build. " * bool(
        count
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
