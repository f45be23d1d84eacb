"""The ordered list of trainings: read, checked as a whole, each entry turned into a recipe.

The list is TOML (``list.toml`` beside this file is the course's own). ``[[job]]`` entries can run; ``[[waiting]]``
entries say what else is wanted and why it cannot run yet.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from icl_lab import runs
from icl_lab.errors import InputError, positive, unknown
from icl_lab.training import Recipe

LIST = Path(__file__).with_name("list.toml")
TYPES = {"str": (str, "a text"), "int": (int, "a whole number"), "float": ((int, float), "a number")}


@dataclass(frozen=True)
class Job:
    """One training of the list: a recipe, what is changed in it, and its minutes or its steps."""

    recipe: str
    minutes: float | None = None  # of a machine of its own; the number of steps is measured at the start
    steps: int | None = None
    size: str | None = None  # None, here and below: the recipe's own
    seed: int | None = None
    tokens: str | None = None
    optimizer: str | None = None
    lr: float | None = None
    batch_size: int | None = None
    warm_start: str | None = None  # name or folder of the checkpoint to begin from
    done: str | None = None  # where its result is; a job that is done is not started again
    note: str | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise InputError("needs either minutes or steps, and not both.")
        if self.minutes is not None:
            positive("minutes", self.minutes)
        self.training  # noqa: B018  raises for anything the recipe does not allow

    @cached_property
    def training(self) -> Recipe:
        changes = ("steps", "size", "seed", "tokens", "optimizer", "lr", "batch_size", "warm_start")
        return runs.configure(self.recipe, **{name: getattr(self, name) for name in changes})

    @property
    def name(self) -> str:
        """``standard/dense``, then what differs from the usual."""
        training = self.training
        extras = [] if training.tokens == "pair" else [training.tokens]
        extras += [f"{self.optimizer}"] if self.optimizer else []
        extras += [f"lr {self.lr:g}"] if self.lr else []
        extras += [f"seed {training.seed}"] if training.seed else []
        extras += ["warm start"] if self.warm_start else []
        return ", ".join([f"{training.size}/{training.name}", *extras])

    @property
    def length(self) -> str:
        return f"{self.minutes:g} min" if self.minutes else f"{self.steps:,} steps"

    @property
    def folder(self) -> str:
        """The run's folder below the queue's, named as ``icl-lab train`` names it: one config, one folder."""
        length = f"-{self.minutes:g}min" if self.minutes else ""
        return f"{self.training.size}-{self.training.name}-{self.training.run_id}{length}"


@dataclass(frozen=True)
class Waiting:
    """Something wanted that cannot run yet."""

    what: str
    why: str
    minutes: float | None = None


@dataclass(frozen=True)
class JobList:
    """What ``read`` returns: jobs in their order, then what waits."""

    jobs: tuple[Job, ...]
    waiting: tuple[Waiting, ...]


def read(path: str | os.PathLike | None = None) -> JobList:
    """The list in the file (None: the course's own).

    Raises InputError naming the file and the entry: unreadable, not TOML, an unknown key, size, recipe or optimizer,
    a count that is not positive, the same training twice.
    """
    path = Path(path or LIST)
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"Cannot read the list {path} ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The list {path} is not TOML ({error}).") from error
    for key in tables:
        if key not in ("job", "waiting"):
            raise InputError(f"The list {path}: {unknown('table', key, ('job', 'waiting'))}")
    jobs = tuple(_entry(path, Job, "job", i, e) for i, e in enumerate(_entries(path, tables, "job"), 1))
    waiting = tuple(_entry(path, Waiting, "waiting", i, e) for i, e in enumerate(_entries(path, tables, "waiting"), 1))
    if not jobs:
        raise InputError(f"The list {path} has no [[job]] entry.")
    first: dict[str, int] = {}
    for i, job in enumerate(jobs, 1):
        if first.setdefault(job.folder, i) != i:
            raise InputError(
                f"The list {path}: job {i} ({job.name}) is the same training as job {first[job.folder]}; change its "
                f"seed or give it a warm start."
            )
    return JobList(jobs, waiting)


def _entries(path: Path, tables: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = tables.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"The list {path}: write each entry as a table of its own, [[{key}]].")
    return entries


def _entry(path: Path, kind: type, table: str, number: int, entry: dict[str, Any]) -> Any:
    """One table as a dataclass; an error says which entry it was."""
    known = {f.name: f.type.removesuffix(" | None") for f in dataclasses.fields(kind)}
    where = f"The list {path}, {table} {number}"
    for key, value in entry.items():
        if key not in known:
            raise InputError(f"{where}: {unknown('key', key, known)}")
        accepted, expected = TYPES[known[key]]
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise InputError(f"{where}: {key} must be {expected}, got {value!r}.")
    try:
        return kind(**entry)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except TypeError as error:
        raise InputError(f"{where}: {kind.__name__.lower()} needs {str(error).split(': ')[-1]}.") from error
