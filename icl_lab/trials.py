"""The short trials by which optimizer, batch, tokens and init of the recipes were chosen: ``load()`` reads them.

``python -m benchmarks.trials`` makes them: trainings of one recipe that differ in one choice and get the same CPU time.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load() -> dict[str, Any]:
    """What was trained, on which machine, and one row per trial with errors and 90 % intervals at ``k``."""
    return json.loads(resources.files("icl_lab").joinpath("trials.json").read_text())


def table(trials: dict[str, Any] | None = None) -> str:
    """The trials as the table that stands in the docstring of ``icl_lab.recipes``."""
    trials = load() if trials is None else trials
    lines = ["trial                             steps  " + "".join(f"error at k={k:<4}" for k in trials["k"])]
    for row in trials["rows"]:
        errors = "".join(f"{error:<15.3f}" for error in row["errors"])
        lines.append(f"{row['name']:<33} {row['steps']:>5}  {errors}")
    return "\n".join(line.rstrip() for line in lines)
