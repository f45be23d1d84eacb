"""Divides the time of a slice among the jobs of a list: first things first, and a clean end.

The runner trains nothing itself. It starts one worker process per training, adopts workers that outlived an earlier
runner, asks all to stop in time to write and measure what they have, and may itself be killed at any moment.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from icl_lab.checkpoints import CARD
from icl_lab.files import read_json, writable_folder, write_json
from icl_lab.journal import STATE
from icl_lab.queue.jobs import Job
from icl_lab.queue.locks import LOCK, ORDER, PHASE, WORKER_LOG, holder
from icl_lab.queue.speed import environment
from icl_lab.queue.worker import BUSY

log = logging.getLogger("icl_lab.queue")

POLL = 0.5  # seconds between two looks at the workers
EARLY = 30.0  # on a GPU the next training starts so long before the present one ends: it compiles meanwhile
SHORTEST = {"cuda": 45.0, "cpu": 5.0}  # with less time left a training is not even started
STARTS = 3  # a worker that is killed is started again so often
PATIENCE = 20.0  # seconds that workers have for writing their state when the runner itself is told to stop


@dataclass
class Work:
    """A worker process that runs now: our own child, or one that outlived an earlier runner."""

    job: Job
    run: Path
    process: subprocess.Popen | None
    ends: float | None = None  # time.time() at which its training should be over, if that is known

    def alive(self) -> bool:
        if self.process is not None and self.process.poll() is None:
            return True
        return holder(self.run / LOCK) is not None

    @property
    def phase(self) -> str:
        return read_json(self.run / PHASE).get("phase", "starting")

    def signal(self, number: int) -> None:
        pid = holder(self.run / LOCK) or (self.process.pid if self.process else 0)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@dataclass
class Runner:
    """One slice. ``train_end`` and ``end`` are time.time() values: when trainings stop, when everything stops."""

    jobs: tuple[Job, ...]
    folder: Path
    device: str | None
    cuda: bool
    train_end: float
    end: float
    slots: int = 1
    gain: float = 1.0
    n_prompts: int = 1280
    save_seconds: float = 30.0
    works: list[Work] = field(default_factory=list)
    starts: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def run_of(self, job: Job) -> Path:
        return self.folder / job.folder

    def pending(self) -> list[Job]:
        """Jobs that may still be started, in the order of the list."""
        busy = {work.job.folder for work in self.works} | self.failed
        return [job for job in self.jobs if not is_done(job, self.folder) and job.folder not in busy]

    def adopt(self) -> None:
        """Workers that outlived an earlier runner go on as if they were ours."""
        for job in self.pending():
            pid = holder(self.run_of(job) / LOCK)
            if pid is not None:
                until = read_json(self.run_of(job) / ORDER).get("until")
                self.works.append(Work(job, self.run_of(job), None, until))
                log.info("%s is still being trained by process %d of an earlier runner", job.name, pid)

    def loop(self, stopped: list[int]) -> None:
        """Until the time for training is over, nothing is left to do, or a signal came."""
        while not stopped and time.time() < self.train_end:
            self.reap()
            self.start()
            if not self.works:
                return
            time.sleep(POLL)

    def start(self) -> None:
        """Fill the free places with the first jobs that get enough of their minutes."""
        for job in self.pending():
            if self.occupied() >= self.slots:
                return
            seconds = self.share(job)
            if seconds is not None:
                self.launch(job, seconds)

    def occupied(self) -> int:
        """Places taken: trainings, unless they are about to end. Measuring happens beside the next training."""
        about = time.time() + (EARLY if self.cuda else 0.0)
        training = [work for work in self.works if work.phase in ("starting", "training")]
        ending = [work for work in training if work.ends is not None and work.ends < about]
        return len(training) - min(len(ending), 1)  # one newcomer at a time

    def share(self, job: Job) -> float | None:
        """Seconds for this job from now, or None if what is left is not worth a start.

        A fresh job of so many minutes gets them, or what is left if that is at least half. One that goes on, or that
        has a fixed number of steps, takes what there is: its state stays here.
        """
        left = self.train_end - time.time()
        if left < SHORTEST["cuda" if self.cuda else "cpu"]:
            return None
        if job.minutes is None or (self.run_of(job) / STATE).exists():
            return left
        wanted = 60 * job.minutes * self.slots / self.gain
        return min(wanted, left) if left >= wanted / 2 else None

    def launch(self, job: Job, seconds: float) -> None:
        run = writable_folder(self.run_of(job))
        until = time.time() + seconds
        order = {
            "job": asdict(job),
            "device": self.device,
            "until": until,
            "n_prompts": self.n_prompts,
            "save_seconds": self.save_seconds,
        }
        write_json(run / ORDER, order)
        write_json(run / PHASE, {"phase": "starting"})
        self.starts[job.folder] = self.starts.get(job.folder, 0) + 1
        command = [sys.executable, "-m", "icl_lab.queue.worker", str(run)]
        threads = max(1, (os.cpu_count() or 1) // (self.slots + self.cuda))
        with open(run / WORKER_LOG, "a") as out:
            process = subprocess.Popen(
                command,
                env=environment(threads),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        planned = job.minutes is not None and not (run / STATE).exists()
        self.works.append(Work(job, run, process, until if planned else None))
        verb = "goes on" if (run / STATE).exists() else f"starts, {seconds / 60:.1f} minutes at most"
        log.info("%s %s (process %d)", job.name, verb, process.pid)

    def reap(self) -> None:
        """Take note of workers that have ended."""
        for work in [work for work in self.works if not work.alive()]:
            self.works.remove(work)
            job, phase = work.job, work.phase
            code = work.process.returncode if work.process else None
            if is_done(job, self.folder):
                log.info("%s is done", job.name)
            elif phase == "unfinished":
                log.info("%s was stopped before its planned end", job.name)
            elif phase == "failed":
                self.failed.add(job.folder)
                log.error("%s failed: %s", job.name, read_json(work.run / PHASE).get("error"))
            elif code != BUSY and self.starts.get(job.folder, 0) >= STARTS:
                self.failed.add(job.folder)
                log.error("%s ended %d times without a word; see %s", job.name, STARTS, work.run / WORKER_LOG)
            elif code != BUSY:
                log.warning("the worker of %s was killed", job.name)
        self.adopt()  # whoever was BUSY found a worker that has the run

    def finish(self, stopped: list[int]) -> None:
        """Trainings write their state and are measured as far as the time goes; then everybody ends."""
        last = time.time() + PATIENCE if stopped else self.end
        for work in self.works:
            log.info("%s: time to stop (%s)", work.job.name, work.phase)
            work.signal(signal.SIGTERM)
        while self.works and time.time() < last:
            self.reap_at_end()
            if stopped and all(work.phase == "evaluating" for work in self.works):
                break
            time.sleep(POLL / 5)
        for work in self.works:
            log.info("%s: ended while %s; its state is on the disk", work.job.name, work.phase)
            work.signal(signal.SIGKILL)
            if work.process:
                work.process.wait()

    def reap_at_end(self) -> None:
        """As reap, but nobody is adopted any more; a worker that has said its last word counts as ended."""
        for work in self.works[:]:
            if work.alive() and work.phase not in ("done", "unfinished", "failed"):
                continue
            if work.process:
                work.process.wait()
            self.works.remove(work)
            log.info("%s: %s", work.job.name, "done" if is_done(work.job, self.folder) else work.phase)


def is_done(job: Job, folder: Path) -> bool:
    """Whether the list says so, or the run folder has a finished checkpoint."""
    return bool(job.done) or (folder / job.folder / CARD).exists()
