"""What a run folder holds, whoever left it there: a finished checkpoint, an unfinished one, or only a state.

A finished training is ``card.json`` and ``weights.safetensors`` in the run folder itself; one that the end of a slice
cut short is the same two files in ``unfinished/``, and its card says how many of the planned steps were done.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from icl_lab import checkpoints, runs
from icl_lab.checkpoints import CARD, WEIGHTS
from icl_lab.errors import InputError
from icl_lab.files import read_json, write_json
from icl_lab.journal import LOG, STATE
from icl_lab.queue.jobs import Job
from icl_lab.queue.locks import PHASE
from icl_lab.training import Budget, Result
from icl_lab.transformer import Transformer

UNFINISHED = "unfinished"


@dataclass
class State:
    """What the queue needs from a training's resumable state."""

    step: int
    total: int  # the planned number of steps
    seconds: float
    weights: dict[str, Tensor]


def read_state(run: Path, weights: bool = True) -> State | None:
    """The state in the run folder, without its weights if they are not wanted; None if there is no readable one."""
    try:
        with safe_open(run / STATE, "pt") as file:
            names = [name for name in file.keys() if name.startswith("model.") and weights]  # noqa: SIM118 (no dict)
            return State(
                int(file.get_tensor("step")),
                int(file.get_tensor("total")),
                float(file.metadata()["seconds"]),
                {name.removeprefix("model."): file.get_tensor(name) for name in names},
            )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None


def last_note(run: Path) -> dict[str, Any]:
    """The last whole line of the training's log: step, loss, steps a second, errors beside the optimum's."""
    try:
        lines = (run / LOG).read_text().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            return json.loads(line)
        except ValueError:  # cut by a kill
            continue
    return {}


def warm_start(job: Job, run: Path) -> dict[str, Tensor]:
    """The weights to begin from; leaves in the run folder what had been spent on them, their own warm start included.

    Raises InputError for an unknown checkpoint and for one of another shape.
    """
    weights, origin = runs.warm_start(job.training)
    write_json(run / runs.ORIGIN, origin)
    return weights


def remarks(job: Job, run: Path, steps: int, planned: int, seconds: float) -> dict[str, Any]:
    """What the queue adds to a card: whether the plan was finished, and everything spent, warm starts included."""
    before = read_json(run / runs.ORIGIN) if job.warm_start else None
    return {
        "finished": steps >= planned,
        "planned_steps": planned,
        "minutes_in_list": job.minutes,
    } | runs.spent(steps, seconds, before)


def settle(job: Job, result: Result, planned: int, run: Path, n_prompts: int) -> Path:
    """Measure a trained model and put it into its place in the run folder: both files whole, or not at all."""
    target = run if result.finished else run / UNFINISHED
    measuring = run / "measuring"
    shutil.rmtree(measuring, ignore_errors=True)
    runs.export(job.training, result, measuring, n_prompts, runs.read_log(run))
    card = read_json(measuring / CARD) | remarks(job, run, result.steps, planned, result.seconds)
    card |= {"measured": True, "device_name": device_name(result.device)}
    write_json(measuring / CARD, card)
    target.mkdir(exist_ok=True)
    for name in (WEIGHTS, CARD):  # the card last: without it there is no checkpoint
        os.replace(measuring / name, target / name)
    measuring.rmdir()
    if result.finished:
        shutil.rmtree(run / UNFINISHED, ignore_errors=True)
        (run / STATE).unlink(missing_ok=True)
    return target


def unmeasured(job: Job, state: State, run: Path) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """Card, weights and storage of a training that only left a state: nothing measured, and the card says so."""
    model = Transformer(job.training.model_config())
    model.load_state_dict(state.weights)
    phase = read_json(run / PHASE)
    result = Result(
        model,
        [],
        state.step,
        state.seconds,
        state.step >= state.total,
        phase.get("device", "unknown"),
        phase.get("precision", "unknown"),
    )
    card = runs.make_card(job.training, result, {}, 0, runs.read_log(run)) | remarks(
        job, run, state.step, state.total, state.seconds
    )
    card |= {"measured": False, "device_name": phase.get("device_name", "unknown")}
    return card, state.weights, runs.STORAGE_OF_SIZE[job.training.size][0]


def whole(folder: Path) -> dict[str, Any] | None:
    """The card of a checkpoint whose weights are the ones it names, else None."""
    try:
        card = checkpoints.read_card(folder)
        checkpoints.read_weights(folder, card)
    except InputError:
        return None
    return card


def device_name(device: str) -> str:
    """The accelerator's own name, or cpu."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def forget_unplanned(job: Job, run: Path) -> None:
    """Drop a state that is older than the plan: it would train the recipe's nominal steps, and holds next to nothing.

    How many steps fit into a job's minutes is known after its first few dozen.
    """
    state = read_state(run, weights=False)
    if state and job.minutes and state.total == job.training.steps and state.step < Budget.WARMUP + Budget.TIMED:
        (run / STATE).unlink()
