"""What goes into ``checkpoints/`` and into the package's index of what can be downloaded."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.files import sha256, write_atomic, write_json
from icl_lab.runs import milestones

INDEX = Path(__file__).with_name("shipped.json")
HEAD = """# Trained models

Every model that ships with the course, from its own card: this page is written by `icl-lab ship`, do not edit it.
`icl_lab.checkpoints.load("tiny/dense_d5")` loads one; a name without a size takes the largest there is.
Errors are squared errors over E f(x)^2 on fresh prompts (how many, and their 90 % intervals, is in the cards), with the
error of the exact Bayes predictor in brackets where there is one. "Trainings" counts the seeds that ship. Models of
another seed than the recipe's own end in `_s` and the seed.
"""


def make_index(root: Path | None = None) -> dict[str, dict[str, str]]:
    """Name -> file -> sha256, of every checkpoint folder below root (the clone's), language models included."""
    root = root or checkpoints.CLONE
    folders = sorted(card.parent for card in root.glob(f"*/*/{checkpoints.CARD}"))
    return {
        folder.relative_to(root).as_posix(): {
            file.name: sha256(file.read_bytes()) for file in sorted(folder.iterdir()) if file.is_file()
        }
        for folder in folders
    }


def card_files() -> dict[Path, dict[str, Any]]:
    """Path -> card of every shipped transformer (language models have a table of their own in their chapters)."""
    files = sorted(checkpoints.CLONE.glob(f"*/*/{checkpoints.CARD}"))
    return {path: json.loads(path.read_text()) for path in files if path.parts[-3] != "language"}


def cards() -> dict[str, dict[str, Any]]:
    """Name -> card of every shipped transformer."""
    return {path.parent.relative_to(checkpoints.CLONE).as_posix(): card for path, card in card_files().items()}


def family(card: dict[str, Any]) -> tuple[str, str]:
    """Size and recipe: trainings of one family differ in their seed alone."""
    return card["recipe"]["size"], card["recipe"]["name"]


def count_trainings() -> None:
    """Write into every card how many seeds of its training are shipped."""
    found = card_files()
    counts = Counter(family(card) for card in found.values())
    for path, card in found.items():
        if card["trainings"] != counts[family(card)]:
            write_json(path, card | {"trainings": counts[family(card)]})


def errors(card: dict[str, Any]) -> str:
    """Errors at d/2, d and the last k of every class, the optimum's in brackets."""
    parts = []
    for name, curve in card["curves"].items():
        numbers = [
            f"{curve['mean'][k]:.3f}" + (f" ({curve['optimum'][k]:.3f})" if curve.get("optimum") else "") + f" at {k}"
            for k in milestones(card["model"]["dim"], len(curve["k"]))
        ]
        parts.append(f"{name}: " + ", ".join(numbers))
    return "<br>".join(parts)


def readme() -> str:
    """``checkpoints/README.md``: a table of all shipped models, made from their cards."""
    rows = ["| Model | Parameters | Trained | Trainings | Error at k |", "|---|---|---|---|---|"]
    for name, card in cards().items():
        minutes = card.get("total_seconds", card["seconds"]) / 60
        steps, device = card.get("total_steps", card["steps"]), card.get("device_name", card["device"])
        how = f"{steps:,} steps, {minutes:.0f} min, {device}"
        rows.append(f"| `{name}` | {card['parameters']:,} | {how} | {card['trainings']} | {errors(card)} |")
    return HEAD + "\n" + "\n".join(rows) + "\n"


def write_readme() -> None:
    write_atomic(checkpoints.CLONE / "README.md", readme().encode())


def write_index() -> None:
    write_json(INDEX, make_index())


def ship(run: str | os.PathLike) -> Path:
    """Copy a finished run to checkpoints/<size>/<recipe>, after checking that it loads, and renew the index.

    Raises InputError for a run that is not finished: its learning rate had not come down.
    """
    predictor = checkpoints.load(run)
    if not predictor.card.get("finished", True):
        raise InputError(
            f"{run} is not finished ({predictor.card['steps']} steps done); only finished runs are shipped."
        )
    folder = checkpoints.CLONE / predictor.card["name"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in (checkpoints.WEIGHTS, checkpoints.CARD):
        shutil.copyfile(Path(run) / file, folder / file)
    count_trainings()
    write_index()
    write_readme()
    return folder
