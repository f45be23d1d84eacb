"""Training: what a recipe is, and one visible loop that can be interrupted at any moment.

Fresh prompts at every step, squared error on every prefix, linear warm-up and decay, gradient clipping. With a folder,
the loop leaves a resumable state there every few seconds; what was lost is at most the last interval.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from icl_lab.curriculum import Curriculum, SignsFirst
from icl_lab.errors import InputError, positive
from icl_lab.functions import FunctionClass, Mixture
from icl_lab.journal import Journal
from icl_lab.optimizers import LEARNING_RATES, check_optimizer
from icl_lab.precision import pick_device, pick_precision
from icl_lab.step import Stepper
from icl_lab.transformer import Config, Transformer

log = logging.getLogger("icl_lab")

ONE_THREAD_BELOW = 128  # wide: the matrices of a narrower model are so small that threads only wait for each other


@dataclass(frozen=True)
class Recipe:
    """A training: what is drawn, which model learns it, and how."""

    name: str
    function_class: FunctionClass | Mixture
    n_points: int
    steps: int
    size: str = "small"
    batch_size: int = 64
    optimizer: str = "muon"
    lr: float | None = None  # None: the optimizer's own
    warmup: int = 20  # with Muon a long warm-up only delays the fall from the plateau
    clip: float = 1.0
    tokens: str = "pair"
    input_scale: float = 1.0
    init_std: float | None = None
    curriculum: Curriculum | SignsFirst | None = None
    seed: int = 0
    warm_start: str | None = None  # name or folder of the checkpoint whose weights it began from

    def __post_init__(self) -> None:
        for name in ("n_points", "steps", "batch_size", "warmup", "clip"):
            positive(name, getattr(self, name))
        if self.lr is not None:
            positive("lr", self.lr)
        if not 0 <= self.seed < 2**30:
            raise InputError(f"seed must be from 0 to 2**30 - 1, got {self.seed}.")
        check_optimizer(self.optimizer)
        self.model_config()  # raises for an unknown size or tokenization

    @property
    def learning_rate(self) -> float:
        return LEARNING_RATES[self.optimizer] if self.lr is None else self.lr

    def model_config(self) -> Config:
        return Config.of_size(
            self.size,
            dim=self.function_class.dim,
            n_points=self.n_points,
            tokens=self.tokens,
            input_scale=self.input_scale,
            init_std=self.init_std,
        )

    def config(self) -> dict[str, Any]:
        """The recipe as plain values, for cards and for the run id."""
        return {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @property
    def run_id(self) -> str:
        """Hash of the sorted config: one config, one run."""
        return hashlib.sha256(json.dumps(self.config(), sort_keys=True).encode()).hexdigest()[:12]


def plain(value: Any) -> Any:
    """Dataclasses as dicts that name their class, tuples as lists, the rest as it is."""
    if dataclasses.is_dataclass(value):
        return {
            "class": type(value).__name__,
            **{f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)},
        }
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


@dataclass
class Result:
    """A trained model and how it went. ``finished`` is False after an interruption."""

    model: Transformer
    losses: list[float]
    steps: int
    seconds: float
    finished: bool
    device: str
    precision: str
    probes: list[dict[str, Any]] = field(default_factory=list)


def train(
    recipe: Recipe,
    folder: str | os.PathLike | None = None,
    *,
    device: str | None = None,
    minutes: float | None = None,
    resume: bool = False,
    weights: dict[str, Tensor] | None = None,
    probe: Callable[[Transformer], dict[str, float]] | None = None,
    progress: bool = True,
    **intervals: float,
) -> Result:
    """Train a recipe.

    folder: where the state and the log go (None: nothing is written). resume: go on from the folder's state.
    minutes: replaces recipe.steps by what fits, measured on the first steps. weights: start from these.
    probe: called now and then on the model; its numbers appear in the bar and in the log.
    intervals: ``probe_seconds`` (10) and ``save_seconds`` (30).
    Raises InputError for a folder that cannot be written or a state of another config, and Diverged (naming the step
    and the last good state) for a loss that is not finite. SIGINT and SIGTERM end the loop cleanly after the step.
    """
    if minutes is not None:
        positive("minutes", minutes)
    where = pick_device(device)
    precision = pick_precision(where, recipe.model_config().n_embd)
    log.info("device %s, %s", where, precision.reason)
    model = Transformer(recipe.model_config()).init_weights(recipe.seed).to(where)
    if weights is not None:
        model.load_state_dict(weights)
    stepper = Stepper(recipe, model, where, precision)
    journal = Journal(folder, recipe, stepper, resume=resume, probe=probe, progress=progress, **intervals)
    budget = Budget(minutes, stepper) if minutes is not None and not journal.resumed else None
    if journal.resumed:
        log.info("going on from step %d of %d", journal.step, stepper.total_steps)
    step = journal.step
    narrow = where.type == "cpu" and model.config.n_embd < ONE_THREAD_BELOW
    with stop_signal() as stopped, threads(1 if narrow else torch.get_num_threads()), journal:
        while step < stepper.total_steps and not stopped():
            stepper()
            step += 1
            if budget:
                budget.after(step)
            if journal.due(step):
                journal.look(step)
        journal.look(step, last=True)
    return Result(
        model,
        journal.losses,
        step,
        journal.seconds,
        step >= stepper.total_steps,
        str(where),
        precision.reason,
        journal.probes,
    )


class Budget:
    """Turns minutes into a number of steps: the rate of a few early steps decides, once."""

    WARMUP, TIMED = 5, 30

    def __init__(self, minutes: float, stepper: Stepper) -> None:
        self.end, self.stepper = time.monotonic() + 60 * minutes, stepper
        self.first: int | None = None
        self.timer = 0.0

    def after(self, step: int) -> None:
        if self.first is None:
            self.first = step
        done = step - self.first + 1
        if done == self.WARMUP:
            int(self.stepper.t)  # waits for the device
            self.timer = time.monotonic()
        elif done == self.WARMUP + self.TIMED:
            int(self.stepper.t)
            rate = self.TIMED / (time.monotonic() - self.timer)
            total = step + max(0, int(0.97 * rate * (self.end - time.monotonic())))
            log.info("%.1f steps a second: %d steps fit into the time", rate, total)
            self.stepper.set_total(total)


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """So many threads of torch within it."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def stop_signal() -> Iterator[Callable[[], bool]]:
    """Within it SIGINT and SIGTERM only raise a flag. Outside the main thread signals stay as they are."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    previous = {s: signal.signal(s, lambda number, _: caught.append(number)) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if caught:
            log.info("stopped by %s", signal.Signals(caught[0]).name)
