"""Files by which runner, workers and onlookers find each other; light, so that a lock is taken before slow imports.

A lock dies with its process: however that ends, ``kill -9`` included, the next one can take over. The operating system
holds it (flock), so there is no stale one; the number in the file only says who has it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from icl_lab.errors import InputError

FOLDER = "runs/queue"
LOCK = "lock"  # in the queue's folder: the runner's; in a run folder: its worker's
ORDER = "order.json"  # what the runner asks of a worker
PHASE = "phase.json"  # how far the worker is: starting, training, evaluating, done, unfinished, failed
WORKER_LOG = "worker.log"
SLICE = "slice.json"  # the present or last slice: when it began, how long, whether it ended by itself
QUEUE_LOG = "queue.log"
SPEED = "speed.json"


class Lock:
    """Held from ``take`` until ``release`` or until the process ends."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self.file: int | None = None

    def take(self) -> bool:
        """Whether we have it now. Raises InputError where the operating system has no such locks."""
        try:
            import fcntl
        except ImportError as error:  # Windows
            raise InputError(
                "The queue needs file locks of Linux or macOS; here only `icl-lab train` works."
            ) from error
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        for _ in range(10):  # somebody who only looks (``holder``) is gone in an instant
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
                continue
            os.ftruncate(file, 0)
            os.write(file, str(os.getpid()).encode())
            self.file = file
            return True
        os.close(file)
        return False

    def release(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


def holder(path: str | os.PathLike) -> int | None:
    """The number of the process that holds the lock (0: it has not written it yet), or None."""
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number = os.read(file, 20).decode()
        return int(number) if number.isdigit() else 0
    finally:
        os.close(file)
    return None
