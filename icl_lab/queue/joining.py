"""The other side of packing: verify every part and every file, then put the trainings into place.

Nothing is unpacked before everything has been verified, and nothing is trusted: names come from the manifest only if
they are plain relative ones, the tar's own idea of paths, links and modes is never used.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from icl_lab import checkpoints
from icl_lab.checkpoints import CARD, WEIGHTS
from icl_lab.errors import InputError
from icl_lab.files import sha256, writable_folder, write_atomic
from icl_lab.queue.locks import FOLDER, LOCK, holder
from icl_lab.queue.packing import MANIFEST, Files
from icl_lab.queue.results import UNFINISHED, whole

log = logging.getLogger("icl_lab.queue")

PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # never begins with a dot, holds no separator
DEEPEST = 3


def join(parts: str | os.PathLike, out: str | os.PathLike = FOLDER) -> list[Path]:
    """Unpack the parts in a folder into ``out``; returns the run folders that were renewed.

    A training that is further in ``out`` than in the parts stays as it is. Raises InputError, with nothing written:
    no manifest or a damaged one; a part missing, truncated, swapped or damaged; a name that leads out of the folder; a
    file or a checkpoint that does not verify; a runner at work in ``out``.
    """
    parts = Path(parts)
    manifest = read_manifest(parts)
    files = unpack(b"".join(read_parts(parts, manifest["parts"])), manifest["files"])
    out = writable_folder(out)
    if holder(out / LOCK) is not None:
        raise InputError(f"A runner (process {holder(out / LOCK)}) works in {out}; join into another folder.")
    stamp = manifest["parts"][0]["sha256"][:8]
    with tempfile.TemporaryDirectory(dir=out, prefix=".joining-") as temporary:
        staged = Path(temporary)
        try:
            stage(staged, files)
        except OSError as error:
            raise InputError(f"Could not write into {out} ({error.strerror}); nothing was joined.") from error
        verify(staged)
        moved = [run for run in sorted(staged.iterdir()) if run.is_dir() and place(run, out / run.name)]
        about = writable_folder(out / "slices" / stamp)
        for path in [p for p in staged.iterdir() if p.is_file()]:
            os.replace(path, about / path.name)
    for name in manifest.get("waiting", []):
        log.warning("%s did not fit into these parts; another pack brings it", name)
    return [out / run.name for run in moved]


def read_manifest(parts: Path) -> dict[str, Any]:
    """The manifest, its form and all its names checked."""
    path = parts / MANIFEST
    if not path.is_file():
        raise InputError(f"There is no {MANIFEST} in {parts}; it comes with the parts that `icl-lab queue pack` makes.")
    try:
        manifest = json.loads(path.read_bytes())
        for entry in manifest["parts"]:
            flat(entry["name"])
        for entry in manifest["files"]:
            inside(entry["path"])
        complete = all(
            isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)
            for entry in manifest["parts"] + manifest["files"]
        )
        if manifest["format"] != 1 or not manifest["parts"] or not complete:
            raise ValueError(f"format {manifest['format']}")
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a manifest of `icl-lab queue pack` ({error!r}).") from error
    return manifest


def flat(name: str) -> None:
    if not isinstance(name, str) or not PLAIN.fullmatch(name):
        raise InputError(f"The manifest names a part {name!r}; part names are letters, digits, '.', '_' and '-'.")


def inside(path: str) -> None:
    pieces = path.split("/") if isinstance(path, str) else []
    if not 1 <= len(pieces) <= DEEPEST or not all(PLAIN.fullmatch(piece) for piece in pieces):
        raise InputError(f"The manifest names a file {path!r}, which is no plain path inside the folder; refused.")


def read_parts(parts: Path, entries: list[dict[str, Any]]) -> list[bytes]:
    """Every part, verified. A part that has another's content is called swapped."""
    owners = {entry["sha256"]: entry["name"] for entry in entries}
    pieces = []
    missing = [entry["name"] for entry in entries if not (parts / entry["name"]).is_file()]
    if missing:
        raise InputError(f"Of {len(entries)} parts {', '.join(missing)} missing in {parts}; fetch again or pack again.")
    for entry in entries:
        data = (parts / entry["name"]).read_bytes()
        digest = sha256(data)
        if digest != entry["sha256"]:
            if digest in owners:
                reason = f"holds the content of {owners[digest]}: the parts were swapped"
            elif len(data) != entry["bytes"]:
                reason = f"has {len(data):,} bytes, expected {entry['bytes']:,}: it was cut short or belongs elsewhere"
            else:
                reason = f"is damaged: its sha256 is {digest[:12]}..., expected {entry['sha256'][:12]}..."
            raise InputError(f"Part {entry['name']} {reason}.")
        pieces.append(data)
    return pieces


def unpack(payload: bytes, entries: list[dict[str, Any]]) -> Files:
    """Path -> content of exactly the files of the manifest."""
    files: Files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(payload)) as archive:
            for member in archive:
                if not member.isreg():
                    raise InputError(f"The parts hold {member.name!r}, which is not a plain file; refused.")
                files[member.name] = archive.extractfile(member).read()
    except tarfile.TarError as error:
        raise InputError(f"The parts do not make up an archive ({error}).") from error
    expected = {entry["path"]: entry["sha256"] for entry in entries}
    if {name: sha256(data) for name, data in files.items()} != expected:
        odd = sorted(set(files) ^ set(expected)) or sorted(n for n in files if sha256(files[n]) != expected[n])
        raise InputError(f"The parts and their manifest do not agree on {', '.join(odd)}.")
    return files


def stage(staged: Path, files: Files) -> None:
    for name, data in files.items():
        path = staged / PurePosixPath(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)


def verify(staged: Path) -> None:
    """Every checkpoint must load before any is put into place."""
    for card in staged.rglob(CARD):
        checkpoints.load(card.parent)


def place(run: Path, target: Path) -> bool:
    """Move one training into its folder unless what is there is further; weights before their card."""
    if standing(target) > standing(run):
        log.info("%s: what is here is further than the parts; kept", target.name)
        return False
    target.mkdir(exist_ok=True)
    for path in sorted(run.rglob("*"), key=lambda path: (path.name == CARD, path.name != WEIGHTS)):
        if path.is_file():
            goal = target / path.relative_to(run)
            goal.parent.mkdir(exist_ok=True)
            os.replace(path, goal)
    if (target / CARD).exists():
        shutil.rmtree(target / UNFINISHED, ignore_errors=True)
    return True


def standing(run: Path) -> tuple[bool, int, bool]:
    """How far a training is: finished, steps, measured."""
    for folder in (run, run / UNFINISHED):
        card = whole(folder)
        if card:
            return folder == run, card["steps"], bool(card.get("curves"))
    return False, -1, False
