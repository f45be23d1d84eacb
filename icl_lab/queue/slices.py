"""One slice of borrowed time, from the checks before anything is started to the last word in the log."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from icl_lab import runs
from icl_lab.errors import InputError, positive
from icl_lab.files import writable_folder, write_json
from icl_lab.journal import STATE
from icl_lab.precision import pick_device
from icl_lab.queue import jobs as joblist
from icl_lab.queue.locks import FOLDER, LOCK, QUEUE_LOG, SLICE, Lock, holder
from icl_lab.queue.runner import Runner, is_done
from icl_lab.queue.speed import side_by_side

log = logging.getLogger("icl_lab.queue")

RESERVE, RESERVE_SHARE = 90.0, 0.08  # seconds at the end for stopping and measuring; a share of short slices
MEASURE_FROM = 5.0  # minutes: in a shorter slice, measuring the speed side by side would cost too much


def run(
    minutes: float,
    list_file: str | os.PathLike | None = None,
    folder: str | os.PathLike = FOLDER,
    jobs: str = "auto",
    device: str | None = None,
    n_prompts: int = 1280,
    save_seconds: float = 30.0,
) -> int:
    """Work on the list for so many minutes, everything included; returns 1 if a job failed, else 0.

    Raises InputError before anything is started: a list that is not right, minutes or jobs that are not positive, an
    unknown device, a folder that cannot be written, a warm start that is missing or of another shape, and a folder in
    which another runner works.
    """
    begin = time.time()
    positive("minutes", minutes)
    slots = check_jobs(jobs)
    cuda = pick_device(device).type == "cuda"
    entries = joblist.read(list_file).jobs
    folder = writable_folder(folder)
    without_downloads(folder)
    end = begin + 60 * minutes
    train_end = end - min(RESERVE, RESERVE_SHARE * 60 * minutes)
    runner = Runner(entries, folder, device, cuda, train_end, end, n_prompts=n_prompts, save_seconds=save_seconds)
    with only_runner(folder):
        for job in runner.pending():
            if job.warm_start and not (folder / job.folder / STATE).exists():
                runs.warm_start(job.training)
        about = {"began": begin, "minutes": minutes, "pid": os.getpid(), "ended": None}
        write_json(folder / SLICE, about)
        with log_file(folder / QUEUE_LOG), signals() as stopped:
            work_off(runner, minutes, slots, stopped)
        write_json(folder / SLICE, about | {"ended": time.time()})
    return 1 if runner.failed else 0


def work_off(runner: Runner, minutes: float, slots: int | None, stopped: list[int]) -> None:
    """The slice itself; slots: trainings side by side, None where a measurement is to decide."""
    todo = runner.pending()
    log.info("slice of %g minutes: %d of %d jobs to do", minutes, len(todo), len(runner.jobs))
    runner.adopt()
    if slots:
        runner.slots = runner.gain = slots  # minutes by the clock, as nothing better is known
    elif len(todo) > 1 and minutes >= MEASURE_FROM and not runner.works:
        runner.slots, runner.gain = side_by_side(todo[0], "cuda" if runner.cuda else "cpu", runner.folder)
    runner.loop(stopped)
    runner.finish(stopped)
    left = [job.name for job in runner.jobs if not is_done(job, runner.folder)]
    log.info("the slice is over; %s", f"not done: {'; '.join(left)}" if left else "every job is done")


@contextlib.contextmanager
def only_runner(folder: Path) -> Iterator[None]:
    """Within it no other runner can work in the folder."""
    lock = Lock(folder / LOCK)
    if not lock.take():
        raise InputError(
            f"Another runner (process {holder(folder / LOCK)}) works in {folder}; wait for it, stop it by SIGTERM, "
            f"or take another --folder."
        )
    try:
        yield
    finally:
        lock.release()


def check_jobs(jobs: str) -> int | None:
    """The number of processes side by side, None for auto."""
    if str(jobs) == "auto":
        return None
    if not str(jobs).isdigit() or int(jobs) < 1:
        raise InputError(f"--jobs must be auto or a number from 1 on, got {jobs}.")
    return int(jobs)


def without_downloads(folder: Path) -> None:
    """A bare machine lacks the library that knows the user's cache, and can download nothing: name a cache for it."""
    if find_spec("pooch") is None and not os.environ.get("ICL_LAB_CACHE"):
        os.environ["ICL_LAB_CACHE"] = str(folder / "cache")


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Within it everything the queue says also goes into the file, with the time of day."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
        handler.close()


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
    """Within it SIGINT and SIGTERM only leave their number in the list."""
    caught: list[int] = []
    previous = {s: signal.signal(s, lambda number, _: caught.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
