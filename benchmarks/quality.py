"""When a training was good enough: seconds until the probe's error at k=20 first fell below .02.

    python3 -m benchmarks.quality RUN_FOLDER ...

Garg et al. (arXiv 2208.01066) report an error of .02 at k=20 after a whole training at d=20, 7 hours on a 3090; when
it first fell there they do not say. Our probe has 128 prompts and comes every ten seconds: a first fall below may be
luck, so the seconds of the last time it was above stand beside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from icl_lab.checkpoints import CARD
from icl_lab.errors import InputError
from icl_lab.files import read_json
from icl_lab.journal import LOG
from icl_lab.runs import ORIGIN

K, ERROR = 20, 0.02
PEERS_HOURS = 7.0


def read_log(run: Path) -> list[dict[str, Any]]:
    """The whole lines of a training's log; ``run`` is its folder, or the log itself. Raises InputError."""
    path = run / LOG if run.is_dir() else run
    try:
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the log {path} ({error}).") from error


def first_below(run: Path, k: int = K, error: float = ERROR) -> tuple[float | None, float | None]:
    """(seconds at which the probe's error at k first was below ``error``, seconds from which on it stayed below).

    None for what never happened. Seconds are those of the training, waiting for the compiler included, and those that
    a warm start had cost before. Raises InputError for a log that cannot be read or has no error at k.
    """
    lines = [line for line in read_log(run) if f"k{k}" in line]
    if not lines:
        raise InputError(f"The log of {run} has no error at k={k}.")
    folder = run if run.is_dir() else run.parent
    origin = read_json(folder / ORIGIN) or read_json(folder / CARD).get("started_from") or {}  # a warm start's
    before = origin.get("seconds", 0.0)
    below = [line[f"k{k}"] < error for line in lines]
    first = below.index(True) if any(below) else len(lines)
    stays = len(lines) - (below[::-1].index(False) if not all(below) else len(lines))
    return tuple(before + lines[i]["seconds"] if i < len(lines) else None for i in (first, stays))


def main(runs: list[str]) -> int:
    try:
        for run in map(Path, runs):
            first, stays = first_below(run)
            if first is None:
                print(f"{run}: the error at k={K} never fell below {ERROR:g}")
                continue
            rest = "not to stay there" if stays is None else f"for good after {stays:.0f} s"
            print(
                f"{run}: error at k={K} below {ERROR:g} after {first:.0f} s, {rest}; {PEERS_HOURS:g} hours of Garg et "
                f"al.'s training are {3600 * PEERS_HOURS / first:.0f} times as long"
            )
    except InputError as error:
        print(f"benchmarks.quality: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
