"""Writing files so that a crash, a kill or a full disk leaves the previous version whole."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from icl_lab.errors import InputError


def write_atomic(path: Path, data: bytes) -> None:
    """Write to a temporary name, flush to the disk, then rename. Raises InputError naming the path on failure."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kept = "the previous file is whole" if path.exists() else "nothing was written"
        raise InputError(f"Could not write {path} ({error.strerror}); {kept}.") from error


def write_json(path: Path, value: Any) -> None:
    """``write_atomic`` of the value as readable JSON."""
    write_atomic(path, (json.dumps(value, indent=1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in the file, or nothing if there is no file yet or it is no object."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file. Raises InputError naming the path on failure."""
    try:
        with open(path, "a") as file:
            file.write(line + "\n")
    except OSError as error:
        raise InputError(f"Could not write {path} ({error.strerror}).") from error


def writable_folder(folder: str | os.PathLike) -> Path:
    """The folder, made if missing. Raises InputError when files cannot be written there: before work, not after."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise InputError(f"Cannot write into the folder {path} ({error.strerror}).") from error
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
