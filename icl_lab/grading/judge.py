"""Stage 2: read what a sandbox gave back, strictly, and compare it with the reference within the declared tolerance.

Points of a function are shared equally among its probes; a value has all or nothing; what a person must read is left
open and said to be.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from icl_lab.errors import InputError
from icl_lab.exercises.source import Exercise, Question
from icl_lab.exercises.values import decode, difference, encode

LONGEST_TEXT = 20_000  # characters of a free text


def seed_of(secret: bytes, *names: str) -> int:
    """The seed of one student's inputs to one probe: nobody without the secret can know it."""
    message = "\x00".join(names).encode()
    return int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest()[:16], "big")


def inputs_of(question: Question, secret: bytes, student: str) -> dict[str, Any]:
    """The inputs of every probe of a question for one student, by the probe's name, as JSON."""
    made = {}
    for probe in question.probes:
        rng = np.random.default_rng(seed_of(secret, question.id, probe.name, student))
        made[probe.name] = {name: encode(value) for name, value in probe.inputs(rng).items()}
    return made


def job_of(exercise: Exercise, cells: list[str], secret: bytes, student: str) -> dict[str, Any]:
    """What goes into the sandbox: the student's cells, names to look for, inputs. No answer, no tolerance, no test."""
    asked: list[dict[str, Any]] = []
    for question in exercise.questions.values():
        entry: dict[str, Any] = {"id": question.id, "name": question.name}
        if question.kind == "function":
            inputs = inputs_of(question, secret, student)
            entry["probes"] = [{"name": name, "inputs": given} for name, given in inputs.items()]
        asked.append(entry)
        if question.reason:
            asked.append({"id": question.id + " reason", "name": reason_name(question)})
    return {"cells": cells, "questions": asked}


def reason_name(question: Question) -> str:
    """The name of a choice's reason: ``reason_1`` beside ``answer_1``."""
    return question.name.replace("answer", "reason", 1)


def strict(text: bytes) -> dict[str, Any]:
    """The object that a sandbox wrote. Raises InputError for anything that is not exactly of its form."""
    try:
        data = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InputError("the answers are not valid JSON") from None
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("answers"), dict)
        or not isinstance(data.get("cells"), dict)
    ):
        raise InputError("the answers do not have the form that the sandbox writes")
    return data


def _refuse(name: str) -> None:
    raise ValueError(name)


def judge(
    exercise: Exercise, reference: Mapping[str, Any], answers: Mapping[str, Any], secret: bytes, student: str
) -> dict[str, Any]:
    """Points and reasons of every question: ``{"07.1": {"points": .., "of": .., "parts": [..], "manual": ..}}``."""
    graded = {}
    for question in exercise.questions.values():
        if question.kind == "function":
            parts = _function(question, reference[question.name], answers, secret, student)
        elif question.kind == "text":
            parts = []
        else:
            wrong = compared(answers.get(question.id), reference[question.name], question.tolerance)
            parts = [{"name": "value", "ok": wrong is None, "why": wrong or ""}]
        own = 0.0 if question.kind == "text" else question.points
        share = sum(part["ok"] for part in parts) / len(parts) if parts else 0.0
        graded[question.id] = {"points": round(own * share, 4), "of": own, "parts": parts, "by hand": question.manual}
        if question.manual:
            key = question.id if question.kind == "text" else question.id + " reason"
            text, _ = answer(answers.get(key))
            graded[question.id]["text"] = clean(text, LONGEST_TEXT, "\n") if isinstance(text, str) else ""
    return graded


def _function(
    question: Question, reference: Any, answers: Mapping[str, Any], secret: bytes, student: str
) -> list[dict[str, Any]]:
    made, parts = inputs_of(question, secret, student), []
    for probe in question.probes:
        said = answers.get(f"{question.id} {probe.name}", answers.get(question.id))
        expected = decode(encode(reference(**{name: decode(value) for name, value in made[probe.name].items()})))
        wrong = compared(said, expected, question.tolerance)
        parts.append({"name": probe.name, "ok": wrong is None, "why": f"{wrong}; {probe.expects}" if wrong else ""})
    return parts


def compared(said: Any, expected: Any, tolerance: float) -> str | None:
    """Why an answer is not the expected one; None if it is. Whatever the sandbox said, it never raises."""
    given, wrong = answer(said)
    if wrong:
        return wrong
    try:
        return difference(given, expected, tolerance)
    except Exception as error:  # what was said may be of any shape and size
        return f"the answer cannot be compared ({type(error).__name__})"


def answer(said: Any) -> tuple[Any, str | None]:
    """(the value, None), or (None, why there is none)."""
    if not isinstance(said, dict):
        return None, "no answer came"
    if "missing" in said:
        return None, f"the notebook does not define {clean(said['missing'], 60)}"
    if "error" in said:
        return None, clean(said["error"], 300) or "it raised an error"
    try:
        return decode(said.get("value")), None
    except Exception:  # of a form that `encode` does not write
        return None, "the answer is not what the sandbox writes"


def clean(text: Any, longest: int, keep: str = "") -> str:
    """A text from the sandbox as it may stand in a file: no control characters, no halves of characters, not long."""
    if not isinstance(text, str):
        return type(text).__name__
    return "".join(c if c.isprintable() or c in keep else "?" if c not in "\t\r\n" else " " for c in text[:longest])
