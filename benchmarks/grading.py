"""The grader beside nbgrader and otter-grader on the same 20 ordinary submissions; and 1,000 mixed ones in one run.

The peers need an environment of their own, since they ask for other versions than the course does:

    python -m venv PEERS && PEERS/bin/pip install nbgrader otter-grader ipykernel
    ICL_LAB_PEERS=PEERS python -m benchmarks.run grading
    python -m benchmarks.grading --copies 1000

All grade exercise 07 by the same probes: ours and otter two submissions at a time, nbgrader one after the other, as it
does. Rows are CPU seconds of a submission, children included; wall time and load are written beside them. Without the
peers only ours is measured, and that is said. Nothing of the peers is safe from what it grades: see the guide.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.timing import Row
from icl_lab.exercises import build
from icl_lab.exercises.source import Exercise
from icl_lab.exercises.values import encode
from icl_lab.grading import grade, judge, sandbox

COUNT, JOBS = 20, 2
KEY = b"a secret of the benchmarks"
FOUND: dict[str, Any] = {}  # what `more` adds to the rows
TEST = """
import json, numpy as np
from icl_lab.exercises.values import decode, difference, encode
for given, expected in json.loads(CASES):
    assert difference(decode(encode({name}(**decode(given)))), decode(expected), {tolerance}) is None
"""


def solved(exercise: Exercise, number: int | None = None) -> dict[str, Any]:
    """An ordinary submission: the solutions, four of five with a question left as it was handed out."""
    left = [q for q in exercise.questions.values() if number is not None and number % 5 == int(q.id[-1])]
    made = build.notebook(exercise, solved=True, replacing={question.id: question.stub for question in left})
    for cell in made["cells"]:
        cell["source"] = "".join(cell["source"])
    return made


def test_code(exercise: Exercise, id: str) -> str:
    """The probes of a question as a test cell, as the peers want it: expected values and all."""
    question, reference = exercise.questions[id], exercise.reference()
    if question.kind != "function":
        return f"assert {question.name} == {reference[question.name]!r}"
    inputs = judge.inputs_of(question, KEY, "all")
    function = reference[question.name]
    cases = [[given, encode(function(**judge.decode(given)))] for given in inputs.values()]
    test = TEST.replace("CASES", repr(json.dumps(cases)))
    return test.replace("{name}", question.name).replace("{tolerance}", repr(question.tolerance))


@contextmanager
def workplace() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="icl_bench_") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def measured(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds (this process and its children) and wall seconds."""
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)

    def cpu() -> float:
        return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in users)

    started, before = time.monotonic(), cpu()
    work()
    return cpu() - before, time.monotonic() - started


def ours(root: Path, exercise: Exercise, count: int) -> Callable[[], Any]:
    folder = root / "ours"
    folder.mkdir()
    for number in range(count):
        (folder / f"student{number:04d}.ipynb").write_text(json.dumps(solved(exercise, number)))
    (root / "secret").write_bytes(KEY)
    options = {"secret": root / "secret", "jobs": JOBS, "progress": False}
    return lambda: grade.grade(folder, exercise.number, root / "grades", **options)


def environment(root: Path, peers: Path, course: Path) -> dict[str, str]:
    return {**os.environ, "PATH": f"{peers / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(course),
            "HOME": str(root), "OMP_NUM_THREADS": "1"}  # fmt: skip


def call(line: list[str], folder: Path, variables: dict[str, str]) -> None:
    """A peer's command. Raises RuntimeError with what it said when it fails."""
    ended = subprocess.run(line, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{line[0]} {line[1]} failed: {ended.stderr[-2000:] or ended.stdout[-2000:]}")


def nbgrader(root: Path, exercise: Exercise, peers: Path, course: Path) -> Callable[[], Any]:
    """A course folder with one assignment and ``COUNT`` submissions; the call grades them."""
    variables = environment(root, peers, course)
    for place, number in [("source", None), *((f"submitted/student{n:04d}", n) for n in range(COUNT))]:
        made = solved(exercise, number)
        cells = []
        for cell in made["cells"]:
            cells.append(cell)
            id = next((t[9:] for t in cell["metadata"].get("tags", []) if t.startswith("question-")), None)
            if id is None or exercise.questions[id].kind == "text":
                continue
            about = {"schema_version": 3, "task": False, "points": exercise.questions[id].points}
            cell["metadata"]["nbgrader"] = {**about, "grade": False, "locked": False, "solution": True}
            cell["metadata"]["nbgrader"].pop("points")
            cell["metadata"]["nbgrader"]["grade_id"] = f"answer-{id[-1]}"
            test = {**cell, "id": f"test-{id[-1]}", "source": test_code(exercise, id), "metadata": {}}
            test["metadata"]["nbgrader"] = {**about, "grade": True, "locked": True, "solution": False}
            test["metadata"]["nbgrader"]["grade_id"] = f"test-{id[-1]}"
            cells.append(test)
        path = root / "nbgrader" / place / "ex" / "ex.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**made, "cells": cells}))
    call(["nbgrader", "generate_assignment", "ex", "--force"], root / "nbgrader", variables)
    return lambda: call(["nbgrader", "autograde", "ex"], root / "nbgrader", variables)


def otter(root: Path, exercise: Exercise, peers: Path, course: Path) -> Callable[[], Any]:
    """An autograder made by ``otter assign``; the call grades ``COUNT`` submissions, ``JOBS`` at a time."""
    variables, cells = environment(root, peers, course), []

    def raw(text: str) -> None:
        cells.append({"cell_type": "raw", "metadata": {}, "source": text})

    def code(text: str) -> None:
        cells.append({"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": text})

    raw("# ASSIGNMENT CONFIG\ninit_cell: false\nexport_cell: false\nrun_tests: false\ngenerate: true")
    for cell in solved(exercise)["cells"]:
        id = next((t[9:] for t in cell["metadata"].get("tags", []) if t.startswith("question-")), None)
        if cell["cell_type"] != "code" or (id and exercise.questions[id].kind == "text"):
            continue
        if id is None:
            code(cell["source"])
            continue
        raw(f"# BEGIN QUESTION\nname: q{id[-1]}\npoints: {exercise.questions[id].points:g}")
        raw("# BEGIN SOLUTION")
        code(cell["source"])
        raw("# END SOLUTION")
        raw("# BEGIN TESTS")
        code(test_code(exercise, id).strip())
        raw("# END TESTS")
        raw("# END QUESTION")
    folder = root / "otter"
    folder.mkdir()
    made = {**solved(exercise), "cells": cells}
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    (folder / "ex.ipynb").write_text(json.dumps(made))
    call(["otter", "assign", "ex.ipynb", "dist", "--no-run-tests", "--no-pdfs"], folder, variables)
    (archive,) = (folder / "dist" / "autograder").glob("*.zip")
    for number in range(COUNT):
        (folder / f"student{number:04d}.ipynb").write_text(json.dumps(solved(exercise, number)))

    def one(number: int) -> None:
        out = folder / f"out{number}"
        out.mkdir()
        call(["otter", "run", "-a", str(archive), "-o", str(out), f"student{number:04d}.ipynb"], folder, variables)

    def all_of_them() -> None:
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(one, range(COUNT)))

    return all_of_them


def rows() -> list[Row]:
    """CPU seconds of a submission: ours, and each peer's."""
    exercise, found = grade.find("07"), []
    peers = Path(os.environ.get("ICL_LAB_PEERS", "none")).resolve()
    with workplace() as root, sandbox.course() as course:
        graded: list[Any] = []
        work = ours(root, exercise, COUNT)
        own, wall = measured(lambda: graded.extend(work()))
        own += sum(one.cpu for one in graded)  # bubblewrap does not wait for what it started, so it is not in there
        noted("ours", own, wall)
        for name, prepare in (("nbgrader", nbgrader), ("otter", otter)):
            if shutil.which(name, path=str(peers / "bin")) is None:
                FOUND[name] = "not measured: ICL_LAB_PEERS names no environment that has it"
                continue
            cpu, wall = measured(prepare(root, exercise, peers, course))
            noted(name, cpu, wall)
            found.append(Row(f"grading, one of {COUNT} submissions", name, own / COUNT, cpu / COUNT, cpu / own, None))
    return found


def noted(who: str, cpu: float, wall: float) -> None:
    FOUND[f"{who}: CPU seconds a submission"] = cpu / COUNT
    FOUND[f"{who}: submissions a minute"] = 60 * COUNT / wall
    FOUND["load of the machine"] = os.getloadavg()[0]


def more() -> dict[str, Any]:
    for name, value in FOUND.items():
        print(f"{name}: {value if isinstance(value, str) else round(value, 3)}")
    print("at least 60 submissions a minute wanted of ours on two idle cores")
    return dict(FOUND)


def copies(count: int) -> dict[str, Any]:
    """Many submissions in one run, every tenth of them broken or hostile: rows, rate, memory, and what is left."""
    import psutil

    exercise = grade.find("07")
    odd = ["while True: pass", "import os\nos._exit(0)", "x = [bytearray(10**7) for _ in range(10**4)]", "1 / 0", None]
    with workplace() as root:
        work = ours(root, exercise, count)
        for number in range(0, count, 10):
            path, code = root / "ours" / f"student{number:04d}.ipynb", odd[number // 10 % len(odd)]
            made = solved(exercise, number)
            made["cells"].insert(0, {"cell_type": "code", "metadata": {}, "outputs": [], "source": code or ""})
            path.write_text("{" if code is None else json.dumps(made))
        temporary = root / "temporary"
        temporary.mkdir(mode=0o755)
        tempfile.tempdir = str(temporary)
        graded: list[Any] = []
        _, wall = measured(lambda: graded.extend(work()))
        tempfile.tempdir = None
        lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        return {
            "submissions": count,
            "rows": len((root / "grades" / "grades.csv").read_text().splitlines()) - 1,
            "submissions a minute": 60 * count / wall,
            "most memory of a run, MiB": max(one.memory for one in graded) / 2**20,
            "median memory of a run, MiB": sorted(one.memory for one in graded)[count // 2] / 2**20,
            "memory of the grader, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
            "processes left": sum(any(str(root) in word for word in line) for line in lines),
            "files left": len(list(temporary.iterdir())),
            "ended by a limit": sum(bool(one.problem or one.ended) for one in graded),
            "load of the machine": os.getloadavg()[0],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=1000)
    for name, value in copies(parser.parse_args().copies).items():
        print(f"{name}: {value:.5g}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
