"""Exercises: ``check("07.1", answer)`` says at once what is wrong with an answer, in any kernel, and never the answer.

The cases of `check` lie in the package, as inputs and outputs; those that count are others, drawn anew for every
student by whoever grades (``icl-lab grade``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_lab.errors import InputError, unknown
from icl_lab.exercises.values import decode, difference, encode

CHECKS = Path(__file__).parent / "checks"


@dataclass(frozen=True)
class Report:
    """What `check` found: one line per case, and whether all of them passed."""

    question: str
    lines: tuple[str, ...]
    passed: bool
    good: str = "all cases pass"

    @property
    def title(self) -> str:
        return f"{self.question}: {self.good if self.passed else 'not yet'}"

    def __str__(self) -> str:
        return "\n".join([self.title, *self.lines])

    def _repr_markdown_(self) -> str:
        return "\n".join([f"**{self.title}**", "", *self.lines])


def check(question: str, answer: Any) -> Report:
    """Try an answer on the question's own cases: a function for those of kind function, else the value.

    Returns a `Report`, which a notebook shows. For a number it says only whether it is possible, for a choice whether
    it is one of the letters, for a text whether there is one: whether they are right is for the grader to say.
    Raises InputError for a question that does not exist.
    """
    entry = _entry(question)
    if entry["kind"] != "function":
        problem = _possible(entry, answer)
        line = f"- {problem}" if problem else f"- {entry['hint']}"
        return Report(question, (line,), problem is None, "an answer is there")
    if not callable(answer):
        return Report(question, (f"- the function itself is expected, got {type(answer).__name__}",), False)
    lines, passed = [], True
    for case in entry["cases"]:
        problem = _tried(answer, case, entry["tolerance"])
        passed = passed and problem is None
        lines.append(f"- {case['name']}: " + ("passes" if problem is None else problem))
    return Report(question, tuple(lines), passed)


def _entry(question: str) -> dict[str, Any]:
    """What the package knows of a question."""
    number = question.partition(".")[0] if isinstance(question, str) else ""
    files = {path.stem: path for path in sorted(CHECKS.glob("*.json"))}
    if number not in files:
        raise unknown("exercise", str(question), [f"{name}.1" for name in files])
    entries = json.loads(files[number].read_text(encoding="utf-8"))
    if question not in entries:
        raise unknown("question", question, entries)
    return entries[question]


def _tried(function: Any, case: dict[str, Any], tolerance: float) -> str | None:
    """What is wrong with one case, with its input; None if it passes."""
    inputs = {name: decode(value) for name, value in case["inputs"].items()}
    asked = "with " + ", ".join(f"{name} = {_short(value)}" for name, value in inputs.items())
    try:
        given = function(**inputs)
    except Exception as error:  # whatever a learner's code raises is an answer to show
        return f"{asked}: it raised {type(error).__name__}: {error}"
    try:
        given = decode(encode(given))
    except InputError as error:
        return f"{asked}: {error}"
    problem = difference(given, decode(case["answer"]), tolerance)
    return None if problem is None else f"{asked}: {problem}. Expected: {case['expects']}"


def _short(value: Any) -> str:
    """An input as a line: small ones whole, large ones by their shape."""
    if hasattr(value, "shape") and value.size > 12:
        return f"an array of shape {value.shape}"
    return " ".join(
        str(value.round(4).tolist() if hasattr(value, "round") and hasattr(value, "shape") else value).split()
    )


def _possible(entry: dict[str, Any], answer: Any) -> str | None:
    """Why an answer that is no function cannot be one; None if it could."""
    if answer is ... or answer is None:
        return "there is no answer yet"
    if entry["kind"] == "number":
        if isinstance(answer, bool) or (not isinstance(answer, int | float) and not hasattr(answer, "__float__")):
            return f"a number is expected, got {type(answer).__name__}"
        return None
    if not isinstance(answer, str):
        return f"text is expected, got {type(answer).__name__}"
    if entry["kind"] == "choice" and answer not in entry["choices"]:
        return f"one of {', '.join(entry['choices'])} is expected, got {answer[:20]!r}"
    return None if answer.strip(" .\n") else "there is no answer yet"
