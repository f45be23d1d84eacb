"""From the source of an exercise: the student's notebook, the teacher's, the cases of `check`, and a manifest.

Nothing that students or readers get holds a solution, a probe, or a wrong solution.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icl_lab.address import ROOT
from icl_lab.book.notebooks import cell_0
from icl_lab.errors import InputError
from icl_lab.exercises import CHECKS
from icl_lab.exercises.source import Exercise, Question, read, sources
from icl_lab.exercises.values import encode

SOURCES = ROOT / "exercises"
STUDENT = ROOT / "chapters" / "exercises"
TEACHER = ROOT / "exercises" / "solutions"
MANIFEST = ROOT / "exercises" / "manifest.json"
CASE_SEED = 20080  # of the formative cases; graded inputs are seeded by a secret
HINTS = {
    "number": "it is a number; whether it is the right one is for the grader to say",
    "choice": "it is one of the letters; whether it is the right one is for the grader to say",
    "text": "there is a text; a person will read it",
}
PRIVATE = ("exercises/", "tests/exercises/", "tests/grading/")  # what `publish` leaves out: these hold answers


def notebook(exercise: Exercise, solved: bool = False, replacing: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The notebook of an exercise, without outputs: stubs for students, solutions for teachers.

    ``replacing``: other code than the solution's for some questions, by id.
    """
    shown = exercise.solved(replacing) if solved else [(cell.kind, exercise.shown(cell)) for cell in exercise.cells]
    cells = [_cell("setup", "code", cell_0(), ["setup", "remove-cell"])]
    for index, ((kind, text), cell) in enumerate(zip(shown, exercise.cells, strict=True)):
        if index == 0:  # in the text, where Colab keeps it
            text += f"\n\n<!-- icl-lab exercise {exercise.number} version {exercise.version} -->"
        tags = [f"question-{cell.kind}"] if cell.kind in exercise.questions else []
        cells.append(_cell(f"cell-{index}", "markdown" if kind == "markdown" else "code", text, tags))
        if index == 0:
            cells.append(_cell("tools", "code", "from icl_lab.exercises import check", []))
        if cell.kind in exercise.questions:
            tried = f'check("{cell.kind}", {exercise.questions[cell.kind].name})'
            cells.append(_cell(f"check-{index}", "code", tried, []))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "icl_lab": {"run": False}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _cell(id: str, kind: str, text: str, tags: Sequence[str]) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": id, "metadata": {"tags": list(tags)} if tags else {}}
    cell["source"] = text.splitlines(keepends=True)
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def checks(exercise: Exercise) -> dict[str, Any]:
    """What `check` needs of every question: kind, and for functions inputs and outputs of its formative cases."""
    names, entries = exercise.reference(), {}
    for id, question in exercise.questions.items():
        entries[id] = {"kind": question.kind}
        if question.kind == "function":
            cases = [_case(question, number, names[question.name]) for number in range(len(question.cases))]
            entries[id] |= {"tolerance": question.tolerance, "cases": cases}
        else:
            entries[id]["hint"] = HINTS[question.kind]
        if question.kind == "choice":
            entries[id]["choices"] = list(question.choices)
    return entries


def _case(question: Question, number: int, reference: Any) -> dict[str, Any]:
    case = question.cases[number]
    inputs = case.inputs(np.random.default_rng([CASE_SEED, number]))
    return {
        "name": case.name.removeprefix("case_").replace("_", " "),
        "expects": case.expects,
        "inputs": {name: encode(value) for name, value in inputs.items()},
        "answer": encode(reference(**inputs)),
    }


def manifest(exercises: Sequence[Exercise], before: dict[str, Any] | None = None) -> dict[str, Any]:
    """Questions, points and versions of every exercise, and the hash of each student notebook. Old versions stay."""
    entries = {}
    for exercise in exercises:
        known = (before or {}).get(exercise.number, {}).get("versions", [])
        versions = known if exercise.version in known else [*known, exercise.version]
        text = dumps(notebook(exercise))
        entries[exercise.number] = {
            "title": exercise.slug,
            "version": exercise.version,
            "versions": versions,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "points": exercise.points,
            "questions": {
                id: {
                    "kind": question.kind,
                    "name": question.name,
                    "points": question.points,
                    "by hand": question.manual,
                    "minutes": question.minutes,
                    "parts": list(question.parts),
                }
                for id, question in exercise.questions.items()
            },
        }
    return entries


INDEX = """\
# Exercises

One notebook a chapter, made by `icl-lab exercises build`; do not edit. Open one in Colab (the rocket at the top of its
page) or in Jupyter, and work in the cells that are marked. `check("07.2", f)` tries an answer at once, on cases of its
own, and says what is wrong with it, but not the answer. The course's grader calls your functions on other inputs, drawn
for you alone. What a person must read is marked by hand.

| Exercise | Questions | Points | Minutes |
|:--|--:|--:|--:|
"""


def index(exercises: Sequence[Exercise]) -> str:
    """The page that lists them."""
    lines = []
    for exercise in exercises:
        title = exercise.cells[0].text.split("\n")[0].removeprefix("# Exercises to ").strip()
        minutes = sum(question.minutes for question in exercise.questions.values())
        link = f"[{title[:1].upper() + title[1:]}]({exercise.number}_{exercise.slug}.ipynb)"
        lines.append(f"| {link} | {len(exercise.questions)} | {exercise.points:g} | {minutes} |\n")
    return INDEX + "".join(lines)


def dumps(value: Any) -> str:
    """JSON as it lies in the repository."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def written(folder: Path = SOURCES) -> dict[Path, str]:
    """Every file that `build` makes, with its text. Raises InputError where there is no source, or a bad one."""
    found = [read(path) for path in sources(folder)]
    if not found:
        raise InputError(f"There is no exercise (NN_slug.py) in {folder}: this is not the teachers' clone.")
    before = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else None
    files = {}
    for exercise in found:
        name = f"{exercise.number}_{exercise.slug}.ipynb"
        files[STUDENT / name] = dumps(notebook(exercise))
        files[TEACHER / name] = dumps(notebook(exercise, solved=True))
        files[CHECKS / f"{exercise.number}.json"] = dumps(checks(exercise))
    files[STUDENT / "index.md"] = index(found)
    files[MANIFEST] = dumps(manifest(found, before))
    return files


def build(folder: Path = SOURCES) -> list[Path]:
    """Write what follows from the sources; returns the files that changed."""
    changed = []
    for path, text in written(folder).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def publish(out: str | Path, root: Path = ROOT) -> Path:
    """Write a public tree: what git tracks, without the sources, solutions and probes, and the tests that hold some.

    Raises InputError for a folder that is not empty, and outside a git clone.
    """
    import subprocess

    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} must be a new or an empty folder.")
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode:
        raise InputError(f"{root} is not a git clone, so what is public is not known.")
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(PRIVATE) or not (root / name).is_file():
            continue
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, out / name)
    return out
