"""How many trainings side by side? Measured once, in about 20 seconds, on the real thing, and remembered.

Three processes get ready together; then one trains, then two, then all three, each for a window of the same length.
The steps are captured as in training but not compiled, which would take longer than the measurement. A process more
must bring a fifth, or it is left out: what comes first in the list should be finished first, and trainings that share
a machine plan their steps less exactly.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from icl_lab.files import read_json, write_json
from icl_lab.queue.jobs import Job
from icl_lab.queue.locks import SPEED

log = logging.getLogger("icl_lab.queue")

MOST = 3
WINDOW, GAP = 3.0, 0.3  # seconds
WORTH = 1.2
READY_SECONDS = 90.0


def side_by_side(job: Job, device: str, folder: Path, window: float = WINDOW) -> tuple[int, float]:
    """(processes, throughput against one process); from the folder if it was measured there for this kind of job."""
    training = job.training
    kind = f"{training.size}, {training.tokens}, batch {training.batch_size}, {device}"
    known = read_json(folder / SPEED)
    if known.get("kind") != kind:
        rates = measure(job, device, window)
        count, gain = decide(rates)
        known = {"kind": kind, "steps_per_second": rates, "processes": count, "gain": gain}
        write_json(folder / SPEED, known)
        log.info("steps a second of 1, 2, 3 processes (%s): %s; taking %d", kind, rates, count)
    return known["processes"], known["gain"]


def decide(rates: list[float]) -> tuple[int, float]:
    """The number of processes, and how many times the throughput of one they have. One if nothing was measured."""
    best = 1
    for count in range(2, len(rates) + 1):
        if rates[count - 1] > WORTH * rates[best - 1]:
            best = count
    return best, round(rates[best - 1] / rates[0], 3) if rates and rates[0] > 0 else 1.0


def measure(job: Job, device: str, window: float = WINDOW) -> list[float]:
    """Total steps a second of 1, 2 and 3 processes; empty if they could not be brought to run."""
    order = json.dumps({"job": asdict(job), "device": device})
    command = [sys.executable, "-m", "icl_lab.queue.speed"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with contextlib.ExitStack() as stack:
        children = []
        for index in range(MOST):
            child = stack.enter_context(subprocess.Popen([*command, str(index), order], env=environment(), **pipes))
            stack.callback(child.kill)  # runs before the child is waited for
            children.append(child)
        ready = [answer(child, READY_SECONDS) for child in children]
        if None in ready:
            log.warning("one training at a time: not all of %d side by side got ready", MOST)
            return []
        window = max(window, 4 * max(each["step_seconds"] for each in ready))
        start = time.time() + 0.2
        for child in children:
            child.stdin.write(json.dumps({"start": start, "window": window}) + "\n")
            child.stdin.flush()
        answers = [answer(child, (MOST + 1) * (2 * window + GAP)) for child in children]
        if None in answers:
            log.warning("one training at a time: not all of %d side by side came to their end", MOST)
            return []
    return [round(sum(each["rates"][w] for each in answers), 2) for w in range(MOST)]


def answer(child: subprocess.Popen, seconds: float) -> dict[str, Any] | None:
    """The next line that a child says, as JSON; None if it ends or says nothing for so long."""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        line = child.stdout.readline() if selector.select(seconds) else ""
    return json.loads(line) if line else None


def environment(threads: int | None = None) -> dict[str, str]:
    """For child processes: this package importable, this many threads unless the user has said how many."""
    root = str(Path(__file__).resolve().parents[2])
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    if threads is not None:
        variables.setdefault("OMP_NUM_THREADS", str(threads))
    return variables


# ---------------------------------------------------------------- in the child


def child(index: int, order: dict[str, Any]) -> None:
    """Get ready, say so, then train in the windows that are ours and say how fast."""
    import torch

    from icl_lab.precision import pick_device, pick_precision
    from icl_lab.step import Stepper
    from icl_lab.transformer import Transformer

    recipe, device = Job(**order["job"]).training, pick_device(order["device"])
    model = Transformer(recipe.model_config()).init_weights(index).to(device)
    stepper = Stepper(recipe, model, device, pick_precision(device, recipe.model_config().n_embd), compiled=False)
    cuda = device.type == "cuda"
    wait = torch.cuda.synchronize if cuda else lambda: None
    for _ in range(6 if cuda else 1):  # past the capture
        stepper()
    wait()
    begin = time.time()
    stepper()
    wait()
    say({"step_seconds": time.time() - begin})
    plan = json.loads(sys.stdin.readline())
    rates = []
    for count in range(1, MOST + 1):
        begin = plan["start"] + (count - 1) * (plan["window"] + GAP)
        time.sleep(max(0.0, begin - time.time()))
        if not cuda and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
        rates.append(rate(stepper, begin + plan["window"], wait, 4 if cuda else 1) if index < count else 0.0)
    say({"rates": rates})


def rate(stepper: Any, end: float, wait: Any, between: int) -> float:
    """Steps a second until the end of the window, waiting for the device after every few."""
    begin, steps = time.time(), 0
    while time.time() < end:
        for _ in range(between):
            stepper()
        wait()
        steps += between
    return steps / (time.time() - begin)


def say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    child(int(sys.argv[1]), json.loads(sys.argv[2]))
