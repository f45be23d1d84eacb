"""Results into a few small files with flat names, for machines from which only such files come home.

The payload is one uncompressed tar, cut into parts below 15 MB; ``queue-manifest.json`` names every part and every file
with its sha256. A training travels whole (card, weights, log) or waits for the next pack.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
import time
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from icl_lab import checkpoints
from icl_lab.checkpoints import CARD, WEIGHTS
from icl_lab.errors import InputError
from icl_lab.files import read_json, sha256, writable_folder, write_atomic, write_json
from icl_lab.journal import LOG
from icl_lab.queue import jobs as joblist
from icl_lab.queue.jobs import Job
from icl_lab.queue.locks import FOLDER, ORDER, PHASE, QUEUE_LOG, SLICE, SPEED, WORKER_LOG
from icl_lab.queue.results import UNFINISHED, read_state, unmeasured, whole

log = logging.getLogger("icl_lab.queue")

MANIFEST = "queue-manifest.json"
PART_BYTES, MOST_PARTS = 14_900_000, 4
BLOCK = 512  # of a tar: a header per file, and sizes rounded up
TRAILER = 22 * BLOCK  # its end: two blocks, then up to a multiple of twenty
LOG_BYTES = 200_000  # of a worker's own words, the last ones
PACKED = "packed.json"

Files = dict[str, bytes]


def pack(
    out: str | os.PathLike,
    list_file: str | os.PathLike | None = None,
    folder: str | os.PathLike = FOLDER,
    part_bytes: int = PART_BYTES,
) -> list[Path]:
    """Write the parts and their manifest into ``out``; returns their paths.

    What was never packed goes first, in the order of the list, then what an earlier pack already had. What does not fit
    is named and waits. It may be called while a runner works: trainings under way come with their last state's weights.
    Raises InputError when ``folder`` is not a queue's folder or ``out`` cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; `icl-lab queue run` makes it.")
    order = [job.folder for job in joblist.read(list_file).jobs]
    out = writable_folder(out)
    known = read_json(folder / PACKED)
    units = {run.name: collect(run) for run in run_folders(folder, order)}
    chosen, waiting = fit(common(folder), units, known, part_bytes * MOST_PARTS)
    paths = write(out, chosen, waiting, part_bytes)
    packed = {name: mark(files) for name, files in units.items() if name not in waiting}
    write_json(folder / PACKED, known | packed)
    for name in waiting:
        log.warning("%s did not fit and waits for the next pack", name)
    return paths


def run_folders(folder: Path, order: list[str]) -> list[Path]:
    """Run folders with something in them: those of the list in its order, then others."""
    found = sorted(run for run in folder.iterdir() if (run / ORDER).exists() or (run / CARD).exists())
    rank = {name: i for i, name in enumerate(order)}
    return sorted(found, key=lambda run: rank.get(run.name, len(rank)))


def common(folder: Path) -> Files:
    """What tells about the slice as a whole; it always fits."""
    return {name: (folder / name).read_bytes() for name in (QUEUE_LOG, SLICE, SPEED) if (folder / name).exists()}


def collect(run: Path) -> Files:
    """The files of one training: the best checkpoint there is, its log, and what its worker said."""
    files = logs(run)
    state = read_state(run)
    if whole(run):
        files |= {f"{run.name}/{name}": (run / name).read_bytes() for name in (CARD, WEIGHTS)}
        return files
    card = whole(run / UNFINISHED)
    if card and (state is None or card["steps"] >= state.step):
        place = run / UNFINISHED
        return files | {f"{run.name}/{UNFINISHED}/{name}": (place / name).read_bytes() for name in (CARD, WEIGHTS)}
    return files | from_state(run, state)


def from_state(run: Path, state: Any) -> Files:
    """A checkpoint made of a training's last state; nothing if there is none or the recipe has changed since."""
    entry = read_json(run / ORDER).get("job")
    if state is None or entry is None:
        return {}
    try:
        job = Job(**entry)
        if job.folder != run.name:
            raise InputError("its recipe has changed since")
        card, weights, storage = unmeasured(job, state, run)
    except (InputError, TypeError, RuntimeError) as error:
        log.warning("%s: only the log is packed (%s)", run.name, error)
        return {}
    data = save_tensors({name: w.contiguous() for name, w in checkpoints.encode(weights, storage).items()})
    card |= {"storage": storage, "sha256": sha256(data)}
    place = f"{run.name}/{UNFINISHED}"
    return {f"{place}/{CARD}": (json.dumps(card, indent=1) + "\n").encode(), f"{place}/{WEIGHTS}": data}


def logs(run: Path) -> Files:
    """Log, order and phase whole; of the worker's own words the end."""
    files = {}
    for name in (LOG, ORDER, PHASE, WORKER_LOG):
        path = run / name
        if path.exists():
            data = path.read_bytes()
            files[f"{run.name}/{name}"] = data[-LOG_BYTES:] if name == WORKER_LOG else data
    return files


def fit(always: Files, units: dict[str, Files], known: dict[str, Any], room: int) -> tuple[Files, list[str]]:
    """The files that go now, and the names of the trainings that wait. New ones first, each whole or not at all."""
    chosen = dict(always)
    used = TRAILER + size(chosen)
    waiting = []
    for name in sorted(units, key=lambda name: known.get(name) == mark(units[name])):  # stable: False first
        if used + size(units[name]) <= room:
            chosen |= units[name]
            used += size(units[name])
        else:
            waiting.append(name)
    return chosen, waiting


def size(files: Files) -> int:
    """Bytes of these files within a tar, when their names are short enough for one header block."""
    return sum(BLOCK + -(-len(data) // BLOCK) * BLOCK for data in files.values())


def mark(files: Files) -> str:
    """What tells one version of a training from the next: its weights, or nothing but logs."""
    return next((sha256(data)[:16] for name, data in files.items() if name.endswith(WEIGHTS)), "")


def write(out: Path, files: Files, waiting: list[str], part_bytes: int) -> list[Path]:
    """Parts first, the manifest last, so that a manifest always finds its parts; then older parts go."""
    payload = tar(files)
    stamp = sha256(payload)[:8]
    pieces = [payload[i : i + part_bytes] for i in range(0, len(payload), part_bytes)]
    names = [f"queue-{stamp}.part{i}of{len(pieces)}" for i in range(1, len(pieces) + 1)]
    for name, piece in zip(names, pieces, strict=True):
        write_atomic(out / name, piece)
    manifest = {
        "format": 1,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "parts": [{"name": n, "bytes": len(p), "sha256": sha256(p)} for n, p in zip(names, pieces, strict=True)],
        "files": [{"path": n, "bytes": len(d), "sha256": sha256(d)} for n, d in files.items()],
        "waiting": waiting,
    }
    write_json(out / MANIFEST, manifest)
    for old in out.glob("queue-*.part*of*"):
        if old.name not in names:
            old.unlink()
    return [out / name for name in [*names, MANIFEST]]


def tar(files: Files) -> bytes:
    """The same files always give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return buffer.getvalue()
