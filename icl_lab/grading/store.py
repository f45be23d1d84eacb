"""Results on disk: one file per student, written whole or not at all, so that an interrupted grading can go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icl_lab.errors import InputError
from icl_lab.exercises.source import Exercise
from icl_lab.files import write_json
from icl_lab.grading import judge
from icl_lab.grading.submissions import Submission

STATE = "state"
MARKER = "exercise.txt"  # in the folder of the state: that it is one, and of which exercise
WRITTEN = ("state", "feedback", "gradescope", "grades.csv", "canvas.csv", "moodle.csv", "needs_manual.csv",
           "report.html")  # fmt: skip


@dataclass
class Graded:
    """One student's result, as it lies on disk."""

    student: str
    file: str = ""
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    questions: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)
    ended: list[list[str]] = field(default_factory=list)
    code: str = ""
    seconds: float = 0.0
    memory: int = 0
    cpu: float = 0.0

    @property
    def points(self) -> float:
        return round(sum(question["points"] for question in self.questions.values()), 4)

    @property
    def waits(self) -> bool:
        """Is there something that a person must mark?"""
        return any(
            question["by hand"] and question.get("text", "").strip(" .\n") for question in self.questions.values()
        )


def ready(out: Path, exercise: Exercise, resume: bool, force: bool) -> Path:
    """The folder of the grades. Raises InputError when it is not empty and nothing was said about that.

    ``force`` removes what a grading wrote and nothing else; a folder without the marker of a grading is left alone.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder for the grades is expected.")
    marker = out / STATE / MARKER
    if out.is_dir() and any(out.iterdir()):
        if not (resume or force):
            raise InputError(f"{out} is not empty: --resume goes on there, --force grades everything anew.")
        if not marker.is_file():
            raise InputError(f"{out} holds something else than grades, and is not touched.")
        number = marker.read_text(encoding="utf-8").strip()
        if number != exercise.number:
            raise InputError(f"{out} holds the grades of exercise {number}, not {exercise.number}.")
        if force:
            remove(out, WRITTEN)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(exercise.number + "\n", encoding="utf-8")
    return out


def remove(out: Path, names: tuple[str, ...]) -> None:
    """Remove these files and folders of ``out``; of a link the link."""
    for path in (out / name for name in names):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def stamp(exercise: Exercise, key: bytes) -> str:
    """Changes when the secret, a question, a probe or its inputs do."""
    about: list[Any] = [(cell.kind, cell.text) for cell in exercise.cells]
    for q in exercise.questions.values():
        probes = [(probe.name, probe.expects) for probe in q.probes]
        about.append((q.id, q.kind, q.name, q.points, q.reason, q.tolerance, probes, judge.inputs_of(q, key, "")))
    return hashlib.sha256(repr(about).encode("utf-8", "replace") + key).hexdigest()


def mark_of(stamp: str, one: Submission) -> str:
    """Changes when the stamp or the submission does."""
    return hashlib.sha256(f"{stamp} {one.problem}\x00".encode() + one.data).hexdigest()


def place(out: Path, student: str) -> Path:
    """A student's file among the results: no name of a student is trusted to be a file's name."""
    return out / STATE / (hashlib.sha256(student.encode()).hexdigest()[:24] + ".json")


def save(out: Path, mark: str, made: Graded) -> Graded:
    """Put a result on disk, whole or not at all."""
    write_json(place(out, made.student), {"mark": mark, **made.__dict__})
    return made


def load(out: Path, student: str, mark: str | None = None) -> Graded | None:
    """The result of an earlier run, if there is one, and if it has this mark."""
    try:
        data = json.loads(place(out, student).read_text(encoding="utf-8"))
        return Graded(**data) if data.pop("mark") == mark or mark is None else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
