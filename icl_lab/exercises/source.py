"""The source of an exercise: one Python file in cells, from which everything else is made.

A cell begins with a line ``# %%``. What follows on that line says what the cell is:

- ``# %% [markdown]``: text of the notebook, every line a comment.
- ``# %%``: code that the notebook shows as it is, such as imports.
- ``# %% question 07.1 kind=function name=fit points=4 minutes=15 tolerance=1e-6``: the cell in which the student works.
  Lines between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` are the reference and are replaced by a stub. Kinds:
  ``function``, ``number``, ``choice``, ``text``; ``name`` is what the student's notebook must define. ``reason=2`` adds
  points for a reason, marked by hand; ``choices=a,b,c`` lists the letters of a choice.
- ``# %% probes 07.1``: hidden. Functions ``probe_*(rng)`` return the keyword arguments of one graded call,
  ``case_*(rng)`` those of one formative call that students see; docstrings say what is expected, never the answer.
- ``# %% rubric 07.4``: hidden; how free text, or a reason, is marked by hand.
- ``# %% wrong 07.1 loses=probe_a,probe_b: forgets the intercept``: hidden; a solution that is wrong on purpose, and
  the probes that it must lose.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icl_lab.errors import InputError

KINDS = ("function", "number", "choice", "text")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HEADER = re.compile(r"^# %%[ \t]*(.*)$", re.MULTILINE)
ANSWER = "# your answer\n..."
STUBS = {"function": "# your code\nraise NotImplementedError", "number": ANSWER, "choice": ANSWER, "text": "..."}


@dataclass(frozen=True)
class Probe:
    """One call of a student's function: ``inputs(rng)`` gives its keyword arguments, ``expects`` says what is asked."""

    name: str
    inputs: Callable[[np.random.Generator], dict[str, Any]]
    expects: str


@dataclass(frozen=True)
class Wrong:
    """A solution that is wrong on purpose: its code, the probes that it must lose, and what is wrong with it."""

    code: str
    loses: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class Question:
    """One question. ``code`` is the whole cell with its solution; points are shared equally among the probes."""

    id: str
    kind: str
    name: str
    points: float
    minutes: int
    code: str
    tolerance: float = 1e-6
    reason: float = 0.0
    choices: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    cases: tuple[Probe, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    rubric: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What a grade is made of: the probes of a function, "value" of a number or choice, nothing of a text."""
        if self.kind == "function":
            return tuple(probe.name for probe in self.probes)
        return () if self.kind == "text" else ("value",)

    @property
    def manual(self) -> float:
        """Points that a person gives."""
        return self.points if self.kind == "text" else self.reason

    @property
    def stub(self) -> str:
        """The cell as the student gets it."""
        return replaced(self.code, STUBS[self.kind])

    @property
    def solution(self) -> str:
        """The cell with its solution, without the marks."""
        return "\n".join(line for line in self.code.split("\n") if line.strip() not in (BEGIN, END))


@dataclass(frozen=True)
class Cell:
    """A cell of the notebook: "markdown", "code", or the id of a question."""

    kind: str
    text: str


@dataclass(frozen=True)
class Exercise:
    """An exercise: number of its chapter, cells in order, questions by id."""

    number: str
    slug: str
    cells: tuple[Cell, ...]
    questions: Mapping[str, Question] = field(default_factory=dict)

    @property
    def points(self) -> float:
        return sum(question.points + question.reason for question in self.questions.values())

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change when what the student sees changes."""
        seen = [(cell.kind, self.shown(cell)) for cell in self.cells]
        return hashlib.sha256(repr(seen).encode()).hexdigest()[:12]

    def shown(self, cell: Cell) -> str:
        """The text of a cell in the student's notebook."""
        return self.questions[cell.kind].stub if cell.kind in self.questions else cell.text

    def solved(self, replacing: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
        """(kind, text) of every cell with its solution; ``replacing``: other code for some questions."""
        replacing = replacing or {}
        cells = []
        for cell in self.cells:
            question = self.questions.get(cell.kind)
            text = cell.text if question is None else replacing.get(question.id, question.solution)
            cells.append(("markdown" if cell.kind == "markdown" else "code", text))
        return cells

    def reference(self) -> dict[str, Any]:
        """The names that the solutions define, from running them here: the source is ours."""
        names: dict[str, Any] = {}
        for kind, text in self.solved():
            if kind == "code":
                exec(compile(text, f"exercise {self.number}", "exec"), names)
        return names


def replaced(code: str, stub: str) -> str:
    """The code with every solution replaced by the stub, at the solution's indentation."""
    pattern = re.compile(rf"^([ \t]*){re.escape(BEGIN)}\n.*?^[ \t]*{re.escape(END)}$", re.MULTILINE | re.DOTALL)
    return pattern.sub(lambda found: "\n".join(found[1] + line for line in stub.split("\n")), code)


def uncommented(body: str) -> str:
    """The text of a cell in which every line is a comment."""
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.split("\n"))


def read(path: Path) -> Exercise:
    """Read a source. Raises InputError, one sentence with the file and the cell, for whatever breaks the format."""
    match = re.fullmatch(r"(\d\d)_(\w+)\.py", path.name)
    if not match:
        raise InputError(f"An exercise is named NN_slug.py after its chapter, got {path.name}.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}.") from None
    pieces = HEADER.split(text)[1:]  # header, body, header, body, ...
    reader = _Reader(path.name, match[1])
    for header, body in zip(pieces[::2], pieces[1::2], strict=True):
        reader.take(header.strip(), body.strip("\n").rstrip())
    return reader.finish(match[1], match[2])


class _Reader:
    """Collects the cells of one source."""

    def __init__(self, file: str, number: str) -> None:
        self.file, self.number = file, number
        self.cells: list[Cell] = []
        self.heads: dict[str, dict[str, Any]] = {}
        self.hidden: dict[str, dict[str, Any]] = {}

    def error(self, what: str) -> InputError:
        return InputError(f"{self.file}: {what}")

    def take(self, header: str, body: str) -> None:
        if header == "[markdown]":
            self.cells.append(Cell("markdown", uncommented(body)))
        elif not header:
            self.cells.append(Cell("code", body))
        else:
            word, _, rest = header.partition(" ")
            handlers = {"question": self.question, "probes": self.probes, "wrong": self.wrong, "rubric": self.rubric}
            if word not in handlers:
                raise self.error(f"a cell is called '{word}'; expected [markdown], {', '.join(handlers)}, or nothing.")
            handlers[word](rest, body)

    def question(self, rest: str, body: str) -> None:
        id, *pairs = rest.split()
        options = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        if not re.fullmatch(rf"{self.number}\.\d", id) or id in self.heads:
            raise self.error(f"question '{id}' must have an id of its own that begins with {self.number}.")
        missing = {"kind", "name", "points", "minutes"} - set(options)
        if missing or len(options) != len(pairs) or options["kind"] not in KINDS:
            raise self.error(f"question {id} needs kind ({', '.join(KINDS)}), name, points and minutes, got '{rest}'.")
        if body.count(BEGIN) < 1 or body.count(BEGIN) != body.count(END):
            raise self.error(f"question {id} needs {BEGIN} and {END} around its solution.")
        numbers = {key: float(options.pop(key)) for key in ("points", "tolerance", "reason") if key in options}
        choices = tuple(options.pop("choices", "").split(",")) if "choices" in options else ()
        options["minutes"] = int(options["minutes"])
        self.heads[id] = {"id": id, "code": body, "choices": choices, **numbers, **options}
        self.hidden[id] = {"probes": (), "cases": (), "wrong": [], "rubric": ""}
        self.cells.append(Cell(id, body))

    def _of(self, id: str) -> dict[str, Any]:
        if id not in self.hidden:
            raise self.error(f"'{id}' is no question above this cell.")
        return self.hidden[id]

    def probes(self, rest: str, body: str) -> None:
        into, names = self._of(rest), {"np": np}
        exec(compile(body, f"probes {rest}", "exec"), names)
        for kind, prefix in (("probes", "probe_"), ("cases", "case_")):
            found = [value for name, value in names.items() if name.startswith(prefix)]
            into[kind] = tuple(Probe(f.__name__, f, textwrap.dedent(f.__doc__ or "").strip()) for f in found)

    def wrong(self, rest: str, body: str) -> None:
        match = re.fullmatch(r"(\S+) loses=(\S+): (.+)", rest)
        if not match:
            raise self.error(f"a wrong solution says 'wrong ID loses=a,b: what is wrong', got '{rest}'.")
        self._of(match[1])["wrong"].append(Wrong(body, tuple(match[2].split(",")), match[3]))

    def rubric(self, rest: str, body: str) -> None:
        self._of(rest)["rubric"] = uncommented(body)

    def finish(self, number: str, slug: str) -> Exercise:
        questions = {}
        for id, head in self.heads.items():
            hidden = self.hidden[id]
            questions[id] = question = Question(**head, **{**hidden, "wrong": tuple(hidden["wrong"])})
            self.check(question)
        if not questions:
            raise self.error("there is no question in it.")
        return Exercise(number, slug, tuple(self.cells), questions)

    def check(self, question: Question) -> None:
        """What every question must have before anybody is graded by it."""
        id = question.id
        if question.kind == "function" and not (question.probes and question.cases):
            raise self.error(f"question {id} needs probe_ and case_ functions.")
        if question.manual and not question.rubric:
            raise self.error(f"question {id} is marked by hand in part and needs a rubric.")
        if question.kind == "choice" and not question.choices:
            raise self.error(f"question {id} needs choices=a,b,...")
        if question.kind != "text" and len(question.wrong) < 3:
            raise self.error(f"question {id} needs at least three wrong solutions, got {len(question.wrong)}.")
        for wrong in question.wrong:
            unknown = set(wrong.loses) - set(question.parts)
            if unknown:
                raise self.error(f"a wrong solution of {id} loses {sorted(unknown)}, which it does not have.")


def sources(folder: Path) -> Sequence[Path]:
    """The exercises in a folder, in order."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))
