"""Run the stale chapters, several at once, and keep what they produced."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from icl_lab.address import ROOT
from icl_lab.book import cache, notebooks
from icl_lab.book.progress import Progress
from icl_lab.book.worker import REPORT
from icl_lab.errors import InputError, positive, unknown

PROFILES = ("full", "fast")
TIMEOUT = 900  # seconds for a whole chapter, unless its metadata says otherwise
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Chapter:
    """One notebook of the book, as it is now on disk, and where its executed copy belongs."""

    path: Path
    profile: str
    entry: cache.Entry
    source: str
    parameters: dict
    cells: int
    timeout: float
    runs: bool
    key: dict = field(repr=False)

    @property
    def name(self) -> str:
        return self.path.stem

    def why_stale(self) -> str | None:
        return cache.why_stale(self.entry, self.key)


@dataclass(frozen=True)
class Failure:
    """A chapter that did not run to its end, and why."""

    chapter: Chapter
    message: str


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def load(path: Path, root: Path, profile: str) -> Chapter:
    """Read one chapter. Raises InputError when the file is no notebook or its fast values do not fit."""
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} cannot be read: {error}.") from None
    notebook = notebooks.parse(source, path.name)
    values = notebooks.fast_values(notebook, path.name) if profile == "fast" else {}
    timeout = notebooks.settings(notebook).get("timeout", TIMEOUT)
    positive(f"{path.name}: icl_lab.timeout", timeout)
    runs = notebooks.settings(notebook).get("run", True)
    entry = cache.Entry(root / ".book" / profile, path.stem)
    key = cache.asked(source, values)
    return Chapter(path, profile, entry, source, values, len(notebook.cells), timeout, runs, key)


def select(paths: Sequence[Path], only: Sequence[str]) -> list[Path]:
    """The notebooks whose names begin with one of ``only`` (all, when it is empty)."""
    for part in only:
        if not any(path.name.startswith(part) for path in paths):
            raise unknown("chapter", part, [path.stem for path in paths])
    return [path for path in paths if not only or path.name.startswith(tuple(only))]


def run_all(chapters: Sequence[Chapter], jobs: int | None = None, progress: Progress | None = None) -> list[Failure]:
    """Run every chapter, ``jobs`` at a time (default: one per core). One that fails does not stop the others."""
    jobs = cores() if jobs is None else jobs
    positive("jobs", jobs)
    progress = progress or Progress()
    running = Running()
    with ThreadPoolExecutor(max_workers=max(1, min(jobs, len(chapters)))) as pool:
        try:
            futures = [pool.submit(run, chapter, progress, running) for chapter in chapters]
            return [failure for future in futures if (failure := future.result())]
        except BaseException:  # Ctrl-C: leave no kernel behind
            pool.shutdown(wait=False, cancel_futures=True)
            running.kill_all()
            raise


def run(chapter: Chapter, progress: Progress, running: Running) -> Failure | None:
    """Run one chapter in a scratch folder. The executed copy and its record appear together, or not at all."""
    entry = chapter.entry
    entry.failed.parent.mkdir(parents=True, exist_ok=True)
    for old in (entry.record, entry.notebook, entry.failed):
        old.unlink(missing_ok=True)
    started, clock = time.time(), time.monotonic()
    progress.start(chapter.name, chapter.cells)
    with tempfile.TemporaryDirectory(prefix="icl_book_", ignore_cleanup_errors=True) as scratch:
        place = Path(scratch)
        end = supervise(chapter, place, lambda cell: progress.cell(chapter.name, cell), running)
        seconds = time.monotonic() - clock
        output = place / "executed.ipynb"
        if end.get("done"):
            record = json.loads((place / "record.json").read_text(encoding="utf-8"))
            os.replace(_beside(output, entry.notebook), entry.notebook)
            cache.save(entry, chapter.key, cache.dependencies(record, started), seconds)
            progress.end(chapter.name, f"{seconds:.1f} s")
            return None
        if output.exists():
            os.replace(_beside(output, entry.failed), entry.failed)
    progress.end(chapter.name, f"failed after {seconds:.1f} s")
    return Failure(chapter, explain(chapter, end))


def _beside(output: Path, target: Path) -> Path:
    """Copy ``output`` next to ``target`` (the scratch folder may be on another disk), ready to be renamed."""
    partial = target.with_suffix(".partial")
    partial.write_bytes(output.read_bytes())
    return partial


def supervise(chapter: Chapter, place: Path, on_cell: object, running: Running, kernel: str | None = None) -> dict:
    """Start the worker, follow its reports, end it when the chapter's time is over. Returns the last report."""
    (place / "work").mkdir()
    (place / "source.ipynb").write_text(chapter.source, encoding="utf-8")
    job = {
        "source": str(place / "source.ipynb"),
        "output": str(place / "executed.ipynb"),
        "parameters": chapter.parameters,
        "cwd": str(place / "work"),
        "kernel": kernel,
    }
    with open(place / "worker.log", "w+", encoding="utf-8") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "icl_lab.book.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            env=environment(place),
        )
        late = threading.Event()
        timer = threading.Timer(chapter.timeout, lambda: (late.set(), running.kill(worker)))
        running.add(worker)
        timer.start()
        last: dict = {}
        try:
            with suppress(BrokenPipeError):
                worker.stdin.write(json.dumps(job))
                worker.stdin.close()
            for line in worker.stdout:
                last = _follow(line, last, on_cell, worker, running)
            worker.wait()
        finally:
            timer.cancel()
            running.kill(worker)
            worker.stdout.close()
        if late.is_set():
            return {"late": True, "cell": last.get("cell", 0)}
        if not last.get("done") and "failed" not in last:
            log.seek(0)
            return {"failed": last.get("cell", 0), "error": "the process that ran it ended", "traceback": log.read()}
        return last


def _follow(line: str, last: dict, on_cell: object, worker: subprocess.Popen, running: Running) -> dict:
    if not line.startswith(REPORT):  # a kernel's own print that went past IPython
        return last
    said = json.loads(line.removeprefix(REPORT))
    if "kernel" in said:
        running.add(worker, said["kernel"])
    if "cell" in said:
        on_cell(said["cell"])
    return {**last, **said}


class Running:
    """The processes that are alive now: each worker and the kernel that it started (in a session of its own)."""

    def __init__(self) -> None:
        self.kernels: dict[subprocess.Popen, int | None] = {}
        self.lock = threading.Lock()

    def add(self, worker: subprocess.Popen, kernel: int | None = None) -> None:
        with self.lock:
            self.kernels[worker] = kernel

    def kill(self, worker: subprocess.Popen) -> None:
        """End a worker with its kernel and whatever the kernel started."""
        with self.lock:
            kernel = self.kernels.pop(worker, None)
        alive = worker.poll() is None
        if alive:
            worker.kill()
            worker.wait()
        if kernel and alive and hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(kernel, signal.SIGKILL)

    def kill_all(self) -> None:
        for worker in list(self.kernels):
            self.kill(worker)


def environment(place: Path) -> dict[str, str]:
    """The environment of a kernel: this package, nothing of the user's IPython, one thread per chapter.

    Tiny models are faster on one thread, and a chapter's numbers then do not depend on how many run beside it.
    """
    fixed = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "IPYTHONDIR": str(place / "ipython"),
        "ICL_LAB_RECORD": str(place / "record.json"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**threads, "TQDM_MININTERVAL": "1", **os.environ, **fixed}


def explain(chapter: Chapter, end: dict) -> str:
    """What went wrong, for the person who must mend it: chapter, cell, error, where the partly executed copy is."""
    kept = chapter.entry.failed
    where = f"\n  Partly executed: {kept}" if kept.exists() else ""
    if end.get("late"):
        return (
            f"{chapter.path.name} took longer than its {chapter.timeout:g} seconds and was stopped in cell "
            f"{end['cell']}; make it smaller, or raise icl_lab.timeout in its metadata.{where}"
        )
    trace = ANSI.sub("", end.get("traceback", "")).strip().splitlines()[-12:]
    indented = "".join(f"\n    {line}" for line in trace)
    return f"{chapter.path.name}, cell {end['failed']}: {ANSI.sub('', end['error'])}{where}{indented}"
