"""The table of attacks in the teacher's guide, made from the tests: ``python tests/grading/table.py`` writes it."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).parents[2] / "chapters" / "teachers_guide.md"
BEGIN, END = "<!-- attacks: begin -->\n", "<!-- attacks: end -->\n"


def table() -> str:
    """A Markdown table with a row for every hostile or broken notebook."""
    from test_hostile import ANSWERS, ATTACKS
    from test_submissions import BROKEN

    rows = [("attack", name, "no mark gained") for name in ATTACKS]
    rows += [("answer", name, "0 for that question") for name in ANSWERS]
    for name, (_, points, told) in BROKEN.items():
        outcome = told.strip(" :") or "graded as any other"
        rows.append(("file", name, outcome if points or not told else f"0; {outcome}"))
    lines = ["| number | kind | what | outcome |", "|---|---|---|---|"]
    lines += [f"| {i} | {kind} | {name} | {outcome} |" for i, (kind, name, outcome) in enumerate(rows, 1)]
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """The guide with the table in its place."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    GUIDE.write_text(with_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
