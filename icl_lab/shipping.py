"""What goes into ``checkpoints/`` and into the package's index of what can be downloaded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from icl_lab import checkpoints
from icl_lab.errors import InputError
from icl_lab.files import sha256, write_atomic

INDEX = Path(__file__).with_name("shipped.json")


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
    write_index()
    return folder
