"""What comes out of a grading: tables, feedback for every student, a report for the teacher.

Nothing that a student wrote reaches a page or a table as it is: HTML is escaped, and a cell that a spreadsheet would
take for a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from icl_lab.exercises.source import Exercise
from icl_lab.grading import store
from icl_lab.grading.store import Graded

CANVAS = re.compile(r"[^_]+_(?:LATE_)?(\d+)_\d+_")  # name, number of the student, number of the file
MOODLE = re.compile(r"_(\d+)_assignsubmission_file")
FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and what some keyboards write for them
MOST_PAIRS = 100

STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border:1px solid #ccc;padding:.3rem .6rem;"
    "text-align:left;vertical-align:top}.ok{color:#006b4a}.no{color:#b03a00}pre{background:#f4f4f4;padding:.6rem;"
    "overflow-x:auto;white-space:pre-wrap}.bar{background:#0072b2;height:1rem}"
)


def write(out: Path, exercise: Exercise, graded: Sequence[Graded], alike: Sequence[tuple] = ()) -> None:
    """All files of a grading, into ``out``; those of an earlier one go."""
    store.remove(out, tuple(name for name in store.WRITTEN if name != store.STATE))
    header = ["student", *exercise.questions, "points", "of", "by hand", "file", "reason"]
    table(out / "grades.csv", [header, *(row(exercise, one) for one in graded)])
    table(out / "canvas.csv", canvas(exercise, graded))
    table(out / "moodle.csv", moodle(exercise, graded))
    table(out / "needs_manual.csv", manual(graded))
    for folder in ("feedback", "gradescope"):
        (out / folder).mkdir()
    for one in graded:
        slug = slug_of(one.student)
        (out / "feedback" / f"{slug}.html").write_text(feedback(exercise, one), encoding="utf-8")
        (out / "gradescope" / slug).mkdir()
        results = json.dumps(gradescope(exercise, one), indent=1)
        (out / "gradescope" / slug / "results.json").write_text(results, encoding="utf-8")
    (out / "report.html").write_text(report(exercise, graded, alike), encoding="utf-8")


def canvas(exercise: Exercise, graded: Sequence[Graded]) -> list[list[str]]:
    """Canvas' gradebook import: the columns that it wants, then the assignment, which is made if there is none.

    Canvas finds a student by the number that it put into the file's name, else by login or name. It takes any line
    whose first cell holds "Points Possible" for the points of the assignment.
    """
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", f"Exercise {exercise.number}"]]
    lines.append(["Points Possible", "", "", "", "", f"{automatic(exercise):g}"])
    for one in graded:
        found = CANVAS.match(PurePosixPath(one.file).name)
        name = one.student.replace("Points Possible", "points possible")
        lines.append([name, found[1] if found else "", "", one.student, "", f"{one.points:g}"])
    return lines


def moodle(exercise: Exercise, graded: Sequence[Graded]) -> list[list[str]]:
    """Moodle's grading worksheet of an assignment, and its grade import, which asks what the columns are.

    The worksheet knows a student by the number that Moodle put into the folder's name. Comments are HTML there.
    """
    lines = [["Identifier", "Full name", "ID number", "Email address", "Grade", "Maximum Grade",
              "Last modified (grade)", "Feedback comments"]]  # fmt: skip
    for one in graded:
        found = MOODLE.search(one.file)
        mail = one.student if re.fullmatch(r"[\w.+-]+@[\w.-]+", one.student) else ""
        lines.append([f"Participant {found[1]}" if found else "", one.student, one.student, mail, f"{one.points:g}",
                      f"{automatic(exercise):g}", "", html.escape(reason(one))])  # fmt: skip
    return lines


def manual(graded: Sequence[Graded]) -> list[list[str]]:
    """What a person must read; the points go into the last column."""
    lines = [["student", "question", "points possible", "text", "points given"]]
    for one in graded:
        for id, question in one.questions.items():
            if question["by hand"] and question.get("text", "").strip(" .\n"):
                lines.append([one.student, id, f"{question['by hand']:g}", question["text"], ""])
    return lines


def automatic(exercise: Exercise) -> float:
    """Points that need no person."""
    return sum(question.points for question in exercise.questions.values() if question.kind != "text")


def slug_of(student: str) -> str:
    """A name for files: letters and digits, and a hash that keeps two students apart."""
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", student).strip("-")[:40] or "student"
    return f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:6]}"


def safe(cell: Any) -> str:
    """A cell of a table that no spreadsheet takes for a formula, on one line, and for one cell wherever ; separates."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(cell)).split()).replace(";", ",")
    return "'" + text if text.startswith(FORMULAS) and not _number(text) else text


def _number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) is not None


def table(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """A CSV, every cell made safe."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([safe(cell) for cell in row] for row in rows)


def row(exercise: Exercise, one: Graded) -> list[Any]:
    """A line of grades.csv."""
    points = [f"{one.questions[id]['points']:g}" for id in exercise.questions]
    waits = "to mark" if one.waits else ""
    return [one.student, *points, f"{one.points:g}", f"{automatic(exercise):g}", waits, one.file, reason(one)]


def reason(one: Graded) -> str:
    """Everything that a teacher should know about a run, in one line."""
    slow = [f"cell {number}: {why}" for number, why in one.cells.items() if why.startswith("it took longer")]
    ended = [f"{where or 'the start'}: {why}" for where, why in one.ended]
    return "; ".join([*([one.problem] if one.problem else []), *one.notes, *slow, *ended])


def count(points: float) -> str:
    """``1 point``, ``3 points``."""
    return f"{points:g} point" + ("" if points == 1 else "s")


def told(one: Graded) -> str:
    """Everything about one student, for an appeal: plain text."""
    lines = [f"{one.student}: {one.points:g} points ({one.file or 'no file'})", *filter(None, [reason(one)])]
    for id, question in one.questions.items():
        lines.append(f"{id}: {question['points']:g} of {question['of']:g}")
        lines += [f"    {part['name']}: {'passes' if part['ok'] else part['why']}" for part in question["parts"]]
    lines += [f"cell {number}: {error}" for number, error in one.cells.items()]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def appeal(out: str | Path, one: Graded) -> str:
    """Everything about one student who was graded anew, and whether it is what the grades say."""
    before = store.load(Path(out), one.student)
    if before is None:
        return f"{told(one)}\nThere is no earlier result in {out}."
    same = before.questions == one.questions
    return f"{told(one)}\nThe result in {out} is " + ("the same." if same else f"another: {before.points:g} points.")


def gradescope(exercise: Exercise, one: Graded) -> dict[str, Any]:
    """Results in the form of Gradescope's autograder."""
    tests = []
    for id, question in one.questions.items():
        share = question["of"] / max(1, len(question["parts"]))
        for part in question["parts"]:
            score = round(share if part["ok"] else 0.0, 4)
            tests.append({"name": f"{id} {part['name']}", "score": score, "max_score": round(share, 4),
                          "output": part["why"] or "passes", "output_format": "text"})  # fmt: skip
    return {"score": one.points, "output": reason(one), "execution_time": round(one.seconds, 2), "tests": tests,
            "visibility": "visible", "output_format": "text", "stdout_visibility": "hidden"}  # fmt: skip


def page(title: str, body: str) -> str:
    """A page that loads nothing from anywhere and runs no script."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )


def rows_html(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table whose cells are escaped."""
    lines = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in header) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in line) + "</tr>" for line in rows]
    return "<table>" + "".join(lines) + "</table>"


def feedback(exercise: Exercise, one: Graded) -> str:
    """A student's page: points, what failed and what was expected, never the answer."""
    parts = [f"<p><b>{one.points:g} of {automatic(exercise):g} points</b>, before what a person marks.</p>"]
    if told := reason(one):
        parts.append(f'<p class="no">{html.escape(told)}</p>')
    for id, question in one.questions.items():
        marks = f"{question['points']:g} of {question['of']:g}" if question["of"] else "marked by a person"
        parts.append(f"<h2>{html.escape(id)}: {marks}</h2>")
        lines = [
            (part["name"].removeprefix("probe_").replace("_", " "), "passes" if part["ok"] else "fails", part["why"])
            for part in question["parts"]
        ]
        parts.append(rows_html(("case", "", "why"), lines) if lines else "")
        if question["by hand"]:
            parts.append(f"<p>Up to {count(question['by hand'])} are given by a person.</p>")
    if one.cells:
        parts.append("<h2>Cells that failed</h2>" + rows_html(("cell", "error"), one.cells.items()))
    return page(f"Exercise {exercise.number}, {one.student}", "".join(parts))


def report(exercise: Exercise, graded: Sequence[Graded], alike: Sequence[tuple[float, str, str]]) -> str:
    """The teacher's page: how it went, by question and by probe, and what a person should look at."""
    failed = Counter(
        f"{id} {part['name']}"
        for one in graded
        for id, question in one.questions.items()
        for part in question["parts"]
        if not part["ok"]
    )
    memory, seconds = max(one.memory for one in graded) / 2**20, max(one.seconds for one in graded)
    body = [
        f"<p>{len(graded)} students, {sum(bool(one.problem) for one in graded)} of them without a result. "
        f"Most memory of a run: {memory:.0f} MiB. Longest run: {seconds:.0f} s.</p>"
    ]
    for id, question in exercise.questions.items():
        if question.kind == "text":
            continue
        counts = Counter(one.questions[id]["points"] for one in graded)
        body.append(f"<h2>{html.escape(id)}, {count(question.points)}</h2>")
        for points in sorted(counts):
            width = round(60 * counts[points] / len(graded), 2)
            body.append(f'<div>{points:g}: {counts[points]}<div class="bar" style="width:{width}%"></div></div>')
    body.append("<h2>Probes that failed most</h2>" + rows_html(("probe", "students"), failed.most_common(15)))
    stopped = [[one.student, told_so] for one in graded if (told_so := reason(one))]
    body.append("<h2>Runs that hit a limit, and other remarks</h2>" + rows_html(("student", "what"), stopped))
    near = [[a, b, f"{share:.0%}"] for share, a, b in alike[:MOST_PAIRS]]
    body.append(f"<h2>Code that is much alike: {len(alike)} pairs</h2><p>A hint, not a proof.</p>")
    body.append(rows_html(("student", "student", "shared"), near))
    return page(f"Exercise {exercise.number}: report", "".join(body))
