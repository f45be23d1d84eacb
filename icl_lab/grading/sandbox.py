"""The sandbox: one bubblewrap per submission, bytes in, JSON out.

No network, no home, a read-only system, namespaces of its own (user, process, network, and the rest), limits on address
space, data, CPU, files, processes and wall time. Inside lie the interpreter, its libraries, and a reduced ``icl_lab``:
function classes and `check`, no predictor, no score, no mechanism that would answer a question.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from icl_lab.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
REDUCED = ("__init__.py", "errors.py", "functions", "exercises/__init__.py", "exercises/values.py", "exercises/checks")
INSTALL = "apt install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora)"
LARGEST_ANSWER = 16 * 2**20  # bytes that are read from a sandbox
ENVIRONMENT = {
    "HOME": "/tmp",
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "PYTHONPATH": "/course:/libraries",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "IPYTHONDIR": "/tmp/ipython",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp/matplotlib",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Limits:
    """Seconds of wall time for a cell or a call and for a notebook, CPU seconds; bytes of address space, of data, of
    the largest file and of all files; processes and threads; bytes that all processes together may occupy."""

    cell: float = 10.0
    notebook: float = 120.0
    cpu: int = 100
    address: int = 4 * 2**30
    data: int = 1200 * 2**20
    file: int = 16 * 2**20
    disk: int = 64 * 2**20
    processes: int = 48
    memory: int = 1200 * 2**20


def available() -> str:
    """The path of bubblewrap. Raises InputError with the line that installs it."""
    path = shutil.which("bwrap")
    if path is None:
        raise InputError(
            f"Grading needs bubblewrap, which keeps submissions from doing harm: {INSTALL}. "
            "With --unsafe-no-sandbox their code runs as you, with your files."
        )
    return path


@contextlib.contextmanager
def course() -> Iterator[Path]:
    """A folder with the reduced package, for the time of a grading."""
    with tempfile.TemporaryDirectory(prefix="icl_grade_") as folder:
        root = Path(folder)
        os.chmod(root, 0o755)
        for name in REDUCED:
            source, target = PACKAGE / name, root / "icl_lab" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        for name in ("inside.py", "confine.py"):
            shutil.copy(Path(__file__).with_name(name), root / name)
        yield root


def command(folder: Path, limits: Limits) -> list[str]:
    """The command line of one sandbox."""
    prefix, libraries = Path(sys.base_prefix), Path(sysconfig.get_paths()["purelib"])
    options = ["--die-with-parent", "--new-session", "--clearenv"]
    if os.geteuid() == 0:
        # root mounts what nobody could not reach, and `inside` leaves root for good before any of the student's code
        options += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        options += ["--unshare-all", "--unshare-user", "--disable-userns"]
    options += ["--hostname", "sandbox"]
    for name, value in ENVIRONMENT.items():
        options += ["--setenv", name, value]
    options += ["--size", str(limits.disk), "--perms", "1777", "--tmpfs", "/tmp"]
    options += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "lib", "lib64", "sbin"):
        path = Path("/", name)
        if path.is_symlink():
            options += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            options += ["--ro-bind", str(path), str(path)]
    options += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    if not prefix.is_relative_to("/usr"):
        for parent in reversed(prefix.parents[:-1]):
            options += ["--perms", "0755", "--dir", str(parent)]
        options += ["--ro-bind", str(prefix), str(prefix)]
    options += ["--perms", "0755", "--dir", "/libraries", "--ro-bind", str(libraries), "/libraries"]
    for path in hidden({Path("/usr"): Path("/usr"), prefix: prefix, libraries: Path("/libraries")}):
        options += ["--size", "4096", "--perms", "0555", "--tmpfs", str(path)]
    options += ["--ro-bind", str(folder), "/course", "--proc", "/proc", "--dev", "/dev"]
    options += ["--dev-bind", "/dev/null", "/dev/zero"]  # mapped, it is memory that no process shows
    options += ["--size", str(limits.disk // 4), "--perms", "1777", "--tmpfs", "/dev/shm"]
    options += ["--chdir", "/tmp", "--remount-ro", "/dev", "--remount-ro", "/"]
    executable = prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [available(), *options, "--", str(executable), "-B", "-s", "/course/inside.py"]


def hidden(bound: Mapping[Path, Path], package: Path = PACKAGE) -> list[Path]:
    """Where the whole package, or the clone with its solutions, would show inside; ``bound``: source -> target."""
    private = package.parent if (package.parent / "pyproject.toml").is_file() else package
    places = {
        target / private.relative_to(source) for source, target in bound.items() if private.is_relative_to(source)
    }
    return sorted(places)


def tried(folder: Path) -> None:
    """Run an empty job: no submission may lose its marks to a machine on which bubblewrap does not work.

    Raises InputError with what it says.
    """
    ended = run({"cells": [], "questions": []}, folder)
    if not ended.text:
        raise InputError(f"Bubblewrap does not work on this machine: {ended.problem}.")


@dataclass(frozen=True)
class Outcome:
    """What came out of a sandbox: the JSON text, or why there is none; seconds; the most bytes that it occupied."""

    text: bytes
    problem: str
    seconds: float
    memory: int = 0


def run(job: Mapping[str, Any], folder: Path, limits: Limits | None = None) -> Outcome:
    """Run one job (cells and questions) in a sandbox of its own and wait until nothing of it is left."""
    limits = limits or Limits()
    data = json.dumps({**job, "limits": asdict(limits)}).encode()
    return execute(command(folder, limits), data, limits)


def execute(line: list[str], data: bytes, limits: Limits, **options: Any) -> Outcome:
    """A process that reads ``data`` and writes JSON, under the wall limit, the memory limit and the size limit."""
    started = time.monotonic()
    process = subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
    )
    watcher = _Watcher(process, limits)
    _RUNNING.add(watcher)
    watcher.start()
    pieces, size, errors = [], 0, b""
    try:
        threading.Thread(target=_feed, args=(process, data), daemon=True).start()
        while piece := process.stdout.read(65536):
            size += len(piece)
            if size > LARGEST_ANSWER:
                watcher.end("its answers are too large")
                break
            pieces.append(piece)
        errors = process.stderr.read(2000)
    finally:
        watcher.finish()
        _RUNNING.discard(watcher)
    problem = watcher.problem
    if not problem and not pieces:
        problem = "the sandbox ended without an answer" + (
            f" ({errors.decode(errors='replace').strip()[:200]})" if errors else ""
        )
    return Outcome(b"".join(pieces), problem, time.monotonic() - started, watcher.most)


def end_all() -> None:
    """End every sandbox of this process: whoever grades was interrupted."""
    for watcher in list(_RUNNING):
        watcher.end("it was interrupted")


def _feed(process: subprocess.Popen, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, OSError, ValueError):
        process.stdin.write(data)
        process.stdin.close()


class _Watcher(threading.Thread):
    """Ends a sandbox that takes too long or too much memory, and everything that it started."""

    def __init__(self, process: subprocess.Popen, limits: Limits) -> None:
        super().__init__(daemon=True)
        self.process, self.limits = process, limits
        self.problem, self.most, self.over = "", 0, threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + self.limits.notebook + 15
        while not self.over.wait(0.05):
            self.most = max(self.most, occupied(self.process.pid))
            if self.most > self.limits.memory:
                self.end("it took more memory than allowed")
            elif time.monotonic() > deadline:
                self.end("it took longer than the notebook may take")

    def end(self, problem: str) -> None:
        self.problem = self.problem or problem
        self.kill()

    def kill(self) -> None:
        """The first process of the namespace goes, and with it everything inside; bubblewrap, its parent, reaps it."""
        for pid in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)

    def finish(self) -> None:
        """Returns when nothing of the sandbox is left."""
        self.over.set()
        if not self.process.stdout.closed:
            self.process.stdout.close()
        for last in (False, True):
            try:
                self.process.wait(2)
                break
            except subprocess.TimeoutExpired:
                self.kill()
                if last:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stderr):
            with contextlib.suppress(OSError, BrokenPipeError):
                stream.close()


_RUNNING: set[_Watcher] = set()


def children(pid: int) -> list[int]:
    """Processes that a process started (Linux)."""
    found = []
    with contextlib.suppress(OSError, ValueError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def occupied(pid: int) -> int:
    """Bytes of memory of a process and all that descend from it, shared pages counted once each process (Linux)."""
    page, total, waiting = os.sysconf("SC_PAGE_SIZE"), 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * page
            waiting += children(one)
        except (OSError, ValueError, IndexError):
            continue
    return total
