"""Submissions to grade: the student's notebook with other code in its cells."""

from __future__ import annotations

import json
from pathlib import Path

from icl_lab.exercises import build
from icl_lab.exercises.source import read, sources
from icl_lab.grading import grade, sandbox

EXERCISE = read(next(path for path in sources(build.SOURCES) if path.name.startswith("07")))
LIMITS = sandbox.Limits(cell=2.0, notebook=15.0, cpu=15, memory=700 * 2**20)
FULL = {"07.1": 1.0, "07.2": 3.0, "07.3": 4.0, "07.4": 2.0}


def notebook(replacing: dict[str, str] | None = None, before: str = "", after: str = "") -> dict:
    """The solved notebook, with other code for some questions, and cells before and after all others."""
    made = build.notebook(EXERCISE, solved=True, replacing=replacing)
    extra = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": text} for text in (before, after)]
    made["cells"] = [*([extra[0]] if before else []), *made["cells"], *([extra[1]] if after else [])]
    return made


class Class:
    """A folder of submissions, and what grading them gives."""

    def __init__(self, root: Path) -> None:
        self.folder, self.out, self.secret = root / "submissions", root / "grades", root / "secret"
        self.folder.mkdir()
        self.secret.write_text("a secret of the tests, long enough")

    def hand_in(self, name: str, content: dict | bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def grade(self, path: Path | None = None, **options) -> dict:
        options = {"secret": self.secret, "limits": LIMITS, "progress": False, "jobs": 2, **options}
        graded = grade.grade(path or self.folder, "07", self.out, **options)
        return {one.student: one for one in graded}
