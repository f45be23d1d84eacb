"""The benchmark's submissions and tests are what they are taken for, by the peers too."""

from __future__ import annotations

import functools

import pytest
from classroom import EXERCISE, FULL

from benchmarks import grading
from icl_lab.grading import grade, sandbox


def cells(number: int | None) -> str:
    made = grading.solved(EXERCISE, number)["cells"]
    return "\n".join(c["source"] for c in made if c["cell_type"] == "code" and "check" not in c["source"])


@pytest.mark.parametrize("id", FULL)
def test_the_peers_test_passes_the_solution_and_fails_the_stub(id):
    test, names = grading.test_code(EXERCISE, id), {}
    exec(cells(None), names)
    exec(test, names)
    blank = {}
    exec(cells(int(id[-1])), blank)
    with pytest.raises((AssertionError, NotImplementedError)):
        exec(test, blank)


def test_many_copies_leave_nothing_behind(monkeypatch):
    """As the option of 1,000 copies, with ten."""
    fast = sandbox.Limits(cell=1.0, notebook=10.0)
    monkeypatch.setattr(grade, "grade", functools.partial(grade.grade, limits=fast))
    found = grading.copies(11)
    assert (found["submissions"], found["rows"], found["processes left"], found["files left"]) == (11, 11, 0, 0)
    assert 0 < found["most memory of a run, MiB"] < 1.2 * 1024
