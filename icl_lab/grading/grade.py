"""``icl-lab grade``: every submission through the sandbox and the judge, then what teachers and students get.

Jobs are independent (bytes in, JSON out) and go through a ``concurrent.futures`` executor, so that a cluster can take
the place of the threads here. Every result is on disk as soon as it is there; ``--resume`` does the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from icl_lab.errors import InputError, positive, unknown
from icl_lab.exercises.build import MANIFEST, SOURCES
from icl_lab.exercises.source import Exercise, read, sources
from icl_lab.grading import judge, sandbox, similarity, submissions, unsafe
from icl_lab.grading.submissions import Submission

DONE = "state"
SECRET = "course-secret"  # beside the sources, ignored by git


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

    @property
    def points(self) -> float:
        return round(sum(question["points"] for question in self.questions.values()), 4)

    @property
    def waits(self) -> bool:
        """Is there something that a person must mark?"""
        return any(
            question["by hand"] and question.get("text", "").strip(" .\n") for question in self.questions.values()
        )


def find(number: str, folder: Path = SOURCES) -> Exercise:
    """The exercise of that number. Raises InputError for an unknown one."""
    known = {path.name[:2]: path for path in sources(folder)}
    if number not in known:
        raise unknown("exercise", number, known)
    return read(known[number])


def course_secret(path: Path) -> bytes:
    """The course's secret: made once, kept beside the sources; whoever has it knows every student's inputs."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < 16:
        raise InputError(f"The secret in {path} is too short: 16 characters or more are needed.")
    return secret.encode()


def grade(
    path: str | Path,
    number: str,
    out: str | Path,
    *,
    roster: str | Path | None = None,
    secret: str | Path | None = None,
    jobs: int = 2,
    resume: bool = False,
    force: bool = False,
    verbose: str | None = None,
    unsafe_no_sandbox: bool = False,
    limits: sandbox.Limits | None = None,
    executor: Executor | None = None,
    folder: Path = SOURCES,
    progress: bool = True,
) -> list[Graded]:
    """Grade all submissions in ``path`` (folder or zip) and write grades, feedback and reports into ``out``.

    ``verbose``: the one student to grade, and to say everything about. ``executor``: who runs the jobs; its workers
    call `run_one`, which needs bubblewrap where they are. Raises InputError for an unknown exercise, no submissions, a
    folder ``out`` that is not empty (unless ``resume`` or ``force``), an unknown student, and without bubblewrap.
    """
    from icl_lab.grading import outputs

    positive("jobs", jobs)
    exercise = find(number, folder)
    if not unsafe_no_sandbox:
        sandbox.available()
    found = submissions.collect(path, roster)
    if verbose is not None:
        found = [one for one in found if one.student == verbose] or _no_student(verbose, found)
    out = ready(Path(out), resume, force)
    key = course_secret(Path(secret) if secret else folder / SECRET)
    versions = known_versions(exercise)
    reference = exercise.reference()
    results = {one.student: old for one in found if (old := stored(out, exercise, one))}
    waiting = [one for one in found if one.student not in results]
    with sandbox.course() as course:
        work = partial(run_one, course=str(course), limits=limits, unsafe_no_sandbox=unsafe_no_sandbox)
        with ThreadPoolExecutor(jobs) if executor is None else _given(executor) as pool:
            futures = {}
            for one in waiting:
                cells = [] if one.problem else submissions.parse(one, exercise.number, versions)
                if one.problem:
                    results[one.student] = finish(out, exercise, one, _nothing(exercise, one))
                    continue
                job = judge.job_of(exercise, cells, key, one.student)
                futures[pool.submit(work, json.dumps(job).encode())] = one, cells
            for future in tqdm(as_completed(futures), total=len(futures), disable=not progress, unit="submission"):
                one, cells = futures[future]
                made = judged(exercise, reference, one, cells, key, future)
                results[one.student] = finish(out, exercise, one, made)
    graded = [results[one.student] for one in found]
    outputs.write(out, exercise, graded, similarity.pairs(exercise, graded))
    return graded


def _given(executor: Executor) -> Any:
    from contextlib import nullcontext

    return nullcontext(executor)  # whoever made it ends it


def _no_student(name: str, found: list[Submission]) -> list[Submission]:
    raise unknown("student", name, [one.student for one in found])


def ready(out: Path, resume: bool, force: bool) -> Path:
    """The folder of the grades. Raises InputError when it is not empty and nothing was said about that."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a folder for the grades is expected.")
    if out.is_dir() and any(out.iterdir()) and not resume:
        if not force:
            raise InputError(f"{out} is not empty: --resume goes on there, --force grades everything anew.")
        if not (out / DONE).is_dir():
            raise InputError(f"{out} holds something else than grades, and is not emptied.")
        shutil.rmtree(out)
    (out / DONE).mkdir(parents=True, exist_ok=True)
    return out


def known_versions(exercise: Exercise) -> list[str]:
    """The versions of the student notebook, the present one last."""
    listed = json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {}
    before = [version for version in listed.get(exercise.number, {}).get("versions", []) if version != exercise.version]
    return [*before, exercise.version]


def run_one(job: bytes, course: str, limits: sandbox.Limits | None, unsafe_no_sandbox: bool) -> bytes:
    """One job where it can do no harm: bytes in, JSON out. Any machine will do that has the folder ``course``."""
    run: Callable = unsafe.run if unsafe_no_sandbox else sandbox.run
    ended = run(json.loads(job), Path(course), limits)
    said = {"problem": ended.problem, "seconds": ended.seconds, "memory": ended.memory}
    return json.dumps({**said, "text": ended.text.decode("utf-8", "replace")}).encode()


def judged(
    exercise: Exercise, reference: Mapping[str, Any], one: Submission, cells: list[str], key: bytes, future: Any
) -> Graded:
    """What a finished job is worth; whatever went wrong is a reason, never the end of the run."""
    made = Graded(one.student, one.file, notes=list(one.notes), code="\n\n".join(cells))
    try:
        ended = json.loads(future.result())
        made.seconds, made.memory, made.problem = ended["seconds"], ended["memory"], ended["problem"]
        data = {"answers": {}, "cells": {}} if made.problem else judge.strict(ended["text"].encode())
    except InputError as error:
        made.problem, data = str(error), {"answers": {}, "cells": {}}
    except Exception as error:  # a worker of the executor that died
        made.problem, data = f"it could not be run ({type(error).__name__})", {"answers": {}, "cells": {}}
    made.cells = {str(k)[:20]: str(v)[:300] for k, v in data["cells"].items() if v}
    made.ended = [[str(a)[:80], str(b)[:80]] for a, b in _pairs(data.get("ended"))]
    made.questions = judge.judge(exercise, reference, data["answers"], key, one.student)
    return made


def _pairs(value: Any) -> list[list[Any]]:
    return [pair for pair in value if isinstance(pair, list) and len(pair) == 2][:10] if isinstance(value, list) else []


def _nothing(exercise: Exercise, one: Submission) -> Graded:
    """A row of zeros, with its reason."""
    questions = {
        question.id: {"points": 0.0, "of": 0.0 if question.kind == "text" else question.points, "parts": [],
                      "by hand": question.manual}
        for question in exercise.questions.values()
    }  # fmt: skip
    return Graded(one.student, one.file, one.problem, list(one.notes), questions)


def place(out: Path, student: str) -> Path:
    """A student's file among the results: no name of a student is trusted to be a file's name."""
    return out / DONE / (hashlib.sha256(student.encode()).hexdigest()[:24] + ".json")


def mark_of(exercise: Exercise, one: Submission) -> str:
    """Changes when the submission or anything about the exercise does."""
    about = repr([(q.id, q.code, q.points, q.tolerance, q.parts) for q in exercise.questions.values()])
    return hashlib.sha256(about.encode() + b"\x00" + one.data + one.problem.encode()).hexdigest()


def finish(out: Path, exercise: Exercise, one: Submission, made: Graded) -> Graded:
    """Put a result on disk, whole or not at all."""
    path = place(out, one.student)
    partial_path = path.with_suffix(".partial")
    partial_path.write_text(json.dumps({"mark": mark_of(exercise, one), **made.__dict__}), encoding="utf-8")
    os.replace(partial_path, path)
    return made


def stored(out: Path, exercise: Exercise, one: Submission) -> Graded | None:
    """The result of an earlier run, if it is of this very submission to this very exercise."""
    path = place(out, one.student)
    if not path.exists():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    return Graded(**data) if data.pop("mark") == mark_of(exercise, one) else None
