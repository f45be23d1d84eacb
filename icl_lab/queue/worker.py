"""One training of the queue in a process of its own: ``python3 -m icl_lab.queue.worker RUN_FOLDER``.

The runner has written there what to do. SIGTERM while training: the state is written and the unfinished model is
measured. ``kill -9`` at any moment: the state on the disk is the truth, and the next worker goes on from it.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from icl_lab.errors import InputError
from icl_lab.files import read_json, write_json
from icl_lab.queue.locks import LOCK, ORDER, PHASE, Lock

BUSY = 3  # exit status: another worker has this run


def main(folder: str) -> int:
    """Take the run's lock before the slow imports, then work; leave a phase that says how it went."""
    run = Path(folder)
    lock = Lock(run / LOCK)
    if not lock.take():
        return BUSY

    def announce(phase: str, **more: Any) -> None:
        write_json(run / PHASE, read_json(run / PHASE) | {"phase": phase, **more})

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    write_json(run / PHASE, {"phase": "starting"})
    try:
        work(run, announce)
    except Exception as error:  # whatever it was, the other trainings go on, and this one says why it does not
        announce("failed", error=str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")
        raise
    return 0


def work(run: Path, announce: Callable[..., None]) -> None:
    """Train as ordered, going on from a state if there is one; then measure and store."""
    from icl_lab import runs
    from icl_lab.precision import pick_device, pick_precision
    from icl_lab.queue import results
    from icl_lab.queue.jobs import Job
    from icl_lab.training import train

    order = read_json(run / ORDER)
    job = Job(**order["job"])
    recipe = job.training
    device = pick_device(order["device"])
    announce(
        "training",
        device=str(device),
        device_name=results.device_name(str(device)),
        precision=pick_precision(device, recipe.model_config().n_embd).reason,
    )
    results.forget_unplanned(job, run)
    fresh = results.read_state(run, weights=False) is None
    result = train(
        recipe,
        run,
        device=order["device"],
        minutes=max(0.01, (order["until"] - time.time()) / 60) if job.minutes else None,
        resume=not fresh,
        weights=results.warm_start(job, run) if recipe.warm_start and fresh else None,
        probe=runs.probe_of(recipe),
        progress=False,
        save_seconds=order["save_seconds"],
    )
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from here on only the end of the slice ends us
    planned = results.read_state(run, weights=False).total
    announce("evaluating", steps=result.steps, planned=planned)
    results.settle(job, result, planned, run, order["n_prompts"])
    announce("done" if result.finished else "unfinished")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
