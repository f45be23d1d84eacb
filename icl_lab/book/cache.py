"""What an executed chapter depended on, and whether that still stands.

Beside each executed notebook lies a record: the source, the injected values, the versions that compute, and a hash of
every file that the chapter imported or opened. A page is fresh only while all of them are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from icl_lab.address import PACKAGE

FORMAT = 1  # raise it when executed notebooks of an older build must not be used any more
COMPUTES = ("torch", "numpy", "matplotlib", "transformers", "tokenizers", "scikit-learn", "safetensors", "ipywidgets")


@dataclass(frozen=True)
class Entry:
    """Where one chapter's executed notebook and its record lie for one profile."""

    folder: Path  # .book/<profile>
    name: str  # the chapter's file name without suffix

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.name}.ipynb"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def failed(self) -> Path:
        return self.folder / "failed" / f"{self.name}.ipynb"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def versions() -> dict[str, str | None]:
    """Versions of Python and of the libraries whose numbers a chapter shows."""
    found: dict[str, str | None] = {"python": platform.python_version(), "format": str(FORMAT)}
    for name in COMPUTES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def asked(source: str, parameters: dict) -> dict:
    """The part of the key that is known before a chapter runs."""
    return {
        "source": digest(source.encode()),
        "parameters": json.dumps(parameters, sort_keys=True),
        "versions": versions(),
    }


def state(path: Path) -> str:
    """A short text that changes when the file's contents, or the names in the folder, change."""
    try:
        if path.is_dir():
            return "folder " + digest("\n".join(sorted(child.name for child in path.iterdir())).encode())
        return digest(path.read_bytes())
    except OSError:
        return "absent"


def dependencies(record: dict, started: float) -> dict[str, str]:
    """Every path that the kernel recorded, with its state now.

    A checkpoint is one thing: whoever opens one file of its folder depends on all of them (weights are read by a
    library whose reads cannot be seen). Whoever imports a module that names the folder ``checkpoints`` depends on which
    checkpoints there are: to look whether one is there leaves no trace. A file that changed while the chapter ran
    counts as changed, since no one knows which version was read.
    """
    paths = {Path(name) for kind in ("modules", "files", "folders") for name in record[kind]}
    shelf = PACKAGE.parent / "checkpoints"
    if any(_names_checkpoints(Path(name)) for name in record["modules"]):
        paths.update([shelf, *(child for child in shelf.glob("*/") if child.is_dir())])
    for path in list(paths):
        if path.name == "card.json" or path.suffix == ".safetensors":
            paths.update([path.parent, *(child for child in path.parent.glob("*") if child.is_file())])
    return {str(path): "changed" if _changed_since(path, started) else state(path) for path in sorted(paths)}


def _names_checkpoints(module: Path) -> bool:
    text = module.read_bytes() if module.is_file() else b""
    return b'"checkpoints"' in text or b"'checkpoints'" in text


def _changed_since(path: Path, started: float) -> bool:
    try:
        return path.is_file() and started < path.stat().st_mtime <= time.time()
    except OSError:
        return False


def save(entry: Entry, key: dict, depends: dict[str, str], seconds: float) -> None:
    """Write the record of a finished run; the executed notebook must be in place."""
    record = {**key, "depends": depends, "executed": digest(entry.notebook.read_bytes()), "seconds": round(seconds, 1)}
    entry.record.write_text(json.dumps(record, indent=1), encoding="utf-8")


def why_stale(entry: Entry, key: dict) -> str | None:
    """Why the chapter must run again, in a few words; None when everything it depended on is unchanged."""
    try:
        record = json.loads(entry.record.read_text(encoding="utf-8"))
        executed = digest(entry.notebook.read_bytes())
    except (OSError, ValueError):
        return "not run yet"
    if executed != record.get("executed"):
        return "its executed copy was damaged"
    for part in ("source", "parameters", "versions"):
        if record.get(part) != key[part]:
            return {"source": "the chapter was edited"}.get(part, f"the {part} changed")
    for name, before in record.get("depends", {}).items():
        if state(Path(name)) != before:
            return f"{Path(name).name} changed"
    return None
