"""``icl-lab grade``: every submission through the sandbox and the judge, then what teachers and students get.

Jobs are independent (bytes in, JSON out) and go through a ``concurrent.futures`` executor, so that a cluster can take
the place of the threads here. Every result is on disk as soon as it is there; ``--resume`` does the rest.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from icl_lab.errors import InputError, positive, unknown
from icl_lab.exercises.build import MANIFEST, SOURCES
from icl_lab.exercises.source import Exercise, read, sources
from icl_lab.grading import judge, sandbox, similarity, store, submissions, unsafe
from icl_lab.grading.store import Graded
from icl_lab.grading.submissions import Submission

SECRET = "course-secret"  # beside the sources, ignored by git


def find(number: str, folder: Path = SOURCES) -> Exercise:
    """The exercise of that number. Raises InputError for an unknown one."""
    known = {path.name[:2]: path for path in sources(folder)}
    if number not in known:
        raise unknown("exercise", number, known)
    return read(known[number])


def course_secret(path: str | Path | None, folder: Path = SOURCES) -> bytes:
    """The course's secret: whoever has it knows every student's inputs.

    The one beside the sources is made when it is missing. Raises InputError for another that is not there, and
    for one that holds too little.
    """
    chosen = Path(path) if path else folder / SECRET
    if not chosen.exists():
        if path:
            raise InputError(f"There is no secret in {chosen}: make one with `openssl rand -hex 32 > {chosen}`.")
        with open(os.open(chosen, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
    try:
        secret = chosen.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The secret in {chosen} cannot be read: {error}.") from None
    if len(secret) < 16:
        raise InputError(f"The secret in {chosen} is too short: 16 characters or more are needed.")
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

    ``verbose``: one student, who is graded anew, while ``out`` stays as it is. ``executor``: who runs the jobs; its
    workers call `run_one`, which needs bubblewrap where they are. Raises InputError for an unknown exercise, no
    submissions, a folder ``out`` that is not empty (unless ``resume`` or ``force``), an unknown student, and where
    bubblewrap is missing or does not work.
    """
    from icl_lab.grading import outputs

    positive("jobs", jobs)
    exercise = find(number, folder)
    if not unsafe_no_sandbox:
        sandbox.available()
    found = submissions.collect(path, roster)
    key = course_secret(secret, folder)
    if verbose is not None:
        found = [one for one in found if one.student == verbose] or _no_student(verbose, found)
    else:
        out = store.ready(Path(out), exercise, resume, force)
    versions, reference, stamp = known_versions(exercise), exercise.reference(), store.stamp(exercise, key)
    marks = {one.student: store.mark_of(stamp, one) for one in found}
    results = {} if verbose is not None else _known(Path(out), marks)

    def finish(one: Submission, made: Graded) -> None:
        results[one.student] = made if verbose is not None else store.save(Path(out), marks[one.student], made)

    with sandbox.course() as course:
        if not unsafe_no_sandbox:
            sandbox.tried(course)
        work = partial(run_one, course=str(course), limits=limits, unsafe_no_sandbox=unsafe_no_sandbox)
        with tqdm(total=len(found), initial=len(results), disable=not progress, unit="submission") as bar:

            def jobs_to_do() -> Iterator[tuple[tuple[Submission, str], bytes]]:
                for one in [one for one in found if one.student not in results]:
                    cells = [] if one.problem else submissions.parse(one, exercise.number, versions)
                    one.data = b""
                    if one.problem:
                        finish(one, _nothing(exercise, one))
                        bar.update()
                    else:
                        job = judge.job_of(exercise, cells, key, one.student)
                        yield (one, "\n\n".join(cells)), json.dumps(job).encode()

            for (one, code), future in finished(executor, jobs, work, jobs_to_do()):
                finish(one, judged(exercise, reference, one, code, key, future))
                bar.update()
    graded = [results[one.student] for one in found]
    if verbose is None:
        outputs.write(Path(out), exercise, graded, similarity.pairs(exercise, graded))
    return graded


def _known(out: Path, marks: Mapping[str, str]) -> dict[str, Graded]:
    """What an earlier run left that still holds."""
    known = {student: store.load(out, student, mark) for student, mark in marks.items()}
    return {student: made for student, made in known.items() if made is not None}


def finished(executor: Executor | None, jobs: int, work: Callable, todo: Iterator) -> Iterator[tuple[Any, Future]]:
    """Results as they come. No more jobs than are needed to keep the executor busy are in memory at once."""
    pool = executor or ThreadPoolExecutor(jobs)
    running: dict[Future, Any] = {}
    try:
        while True:
            while len(running) < 2 * jobs and (job := next(todo, None)):
                running[pool.submit(work, job[1])] = job[0]
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future
    except BaseException:  # an interruption does not wait for what runs
        for future in running:
            future.cancel()
        sandbox.end_all()
        raise
    finally:
        if executor is None:  # whoever made another one ends it
            pool.shutdown()


def _no_student(name: str, found: list[Submission]) -> list[Submission]:
    raise unknown("student", name, [one.student for one in found])


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
    exercise: Exercise, reference: Mapping[str, Any], one: Submission, code: str, key: bytes, future: Any
) -> Graded:
    """What a finished job is worth; whatever went wrong is a reason, never the end of the run."""
    made, data = Graded(one.student, one.file, notes=list(one.notes), code=code), {"answers": {}, "cells": {}}
    try:
        ended = json.loads(future.result())
        made.seconds, made.memory, made.problem = ended["seconds"], ended["memory"], judge.clean(ended["problem"], 300)
        data = data if made.problem else judge.strict(ended["text"].encode())
    except InputError as error:
        made.problem = str(error)
    except Exception as error:  # a worker of the executor that died
        made.problem = f"it could not be run ({type(error).__name__})"
    failed = [(number, error) for number, error in data["cells"].items() if error]
    made.cells = {judge.clean(number, 20): judge.clean(error, 300) for number, error in failed[:100]}
    cpu = data.get("cpu")
    made.cpu = float(cpu) if isinstance(cpu, int | float) and 0 <= cpu < 1e6 else 0.0
    ended = data.get("ended")
    made.ended = [[judge.clean(word, 80) for word in pair] for pair in ended[:10]] if _pairs(ended) else []
    made.questions = judge.judge(exercise, reference, data["answers"], key, one.student)
    return made


def _pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value[:10])


def _nothing(exercise: Exercise, one: Submission) -> Graded:
    """A row of zeros, with its reason."""
    questions = {
        question.id: {"points": 0.0, "of": 0.0 if question.kind == "text" else question.points, "parts": [],
                      "by hand": question.manual}
        for question in exercise.questions.values()
    }  # fmt: skip
    return Graded(one.student, one.file, one.problem, list(one.notes), questions)
