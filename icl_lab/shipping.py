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
from icl_lab.files import sha256, write_atomic

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


def cards() -> dict[str, dict[str, Any]]:
    """Name -> card of every shipped transformer (language models have a table of their own in their chapters)."""
    found = {path.parent.relative_to(checkpoints.CLONE).as_posix(): path for path in _card_files()}
    return {name: json.loads(path.read_text()) for name, path in sorted(found.items())}


def _card_files() -> list[Path]:
    files = checkpoints.CLONE.glob(f"*/*/{checkpoints.CARD}")
    return [path for path in files if path.parts[-3] != "language"]


def family(card: dict[str, Any]) -> tuple[str, str]:
    """Size and recipe: trainings of one family differ in their seed alone."""
    return card["recipe"]["size"], card["recipe"]["name"]


def count_trainings() -> None:
    """Write into every card how many seeds of its training are shipped."""
    counts = Counter(family(card) for card in cards().values())
    for path in _card_files():
        card = json.loads(path.read_text())
        if card["trainings"] != counts[family(card)]:
            card["trainings"] = counts[family(card)]
            write_atomic(path, (json.dumps(card, indent=1) + "\n").encode())


def errors(card: dict[str, Any]) -> str:
    """Errors at d/2, d and the last k of every class, the optimum's in brackets."""
    parts = []
    for name, curve in card["curves"].items():
        last = len(curve["k"]) - 1
        middle = min(max(card["model"]["dim"], 4), last // 2)
        numbers = [
            f"{curve['mean'][k]:.3f}" + (f" ({curve['optimum'][k]:.3f})" if curve.get("optimum") else "") + f" at {k}"
            for k in sorted({middle // 2, middle, last})
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
    write_atomic(INDEX, (json.dumps(make_index(), indent=1) + "\n").encode())


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
