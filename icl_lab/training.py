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
from collections import deque
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
    minutes: replaces recipe.steps by what fits, measured while it runs. weights: start from these.
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
    """Turns minutes into a number of steps, and corrects it as the machine becomes slower or faster.

    A few early steps give the first plan. From then on the plan is checked again and again, the more often the nearer
    the end: probes and saves take their time, and trainings beside this one come and go. The learning rate follows the
    plan, so whatever happens it reaches zero at the last step.
    """

    WARMUP, TIMED = 5, 30  # steps before the clock starts, and how many it times at most until there is a plan
    RESERVE = 0.02  # of the minutes: for the last save, and for what the last check could not foresee
    CHECK, WINDOW = 0.05, 0.25  # of the time left: how long until the next check, and over how long the rate is taken
    LEAST_CHECK, LEAST_WINDOW = 0.005, 0.05  # of the minutes
    TOLERANCE = 0.02  # of the steps left: a plan that is off by less is kept

    def __init__(self, minutes: float, stepper: Stepper) -> None:
        self.seconds, self.stepper = 60 * minutes, stepper
        self.goal = time.monotonic() + (1 - self.RESERVE) * self.seconds
        self.marks: deque[tuple[float, int]] = deque()  # (seconds, step), times at which the device was waited for
        self.due = self.goal
        self.done = 0
        self.planned = False

    def after(self, step: int) -> None:
        """Call it after every step; now and then it waits for the device and sets the stepper's total."""
        self.done += 1
        counted = not self.planned and self.done in (self.WARMUP, self.WARMUP + self.TIMED)
        if not counted and time.monotonic() < self.due:
            return
        int(self.stepper.t)  # waits for the device
        now = time.monotonic()
        self.marks.append((now, step))
        if len(self.marks) > 1 or now >= self.goal:
            self.plan(now, step)
        left = self.goal - now
        self.due = now + max(self.CHECK * left, self.LEAST_CHECK * self.seconds)

    def plan(self, now: float, step: int) -> None:
        """As many steps as fit at the rate of the last marks; none if the time is over."""
        left = max(0.0, self.goal - now)
        window = max(self.WINDOW * left, self.LEAST_WINDOW * self.seconds)
        while len(self.marks) > 2 and self.marks[1][0] <= now - window:
            self.marks.popleft()
        begin, first = self.marks[0]
        rate = (step - first) / max(now - begin, 1e-9)
        before, total = self.stepper.total_steps, step + int(rate * left)
        if self.planned and abs(total - before) <= self.TOLERANCE * (before - step):
            return
        news = not self.planned or abs(total - before) > 0.1 * before
        log.log(logging.INFO if news else logging.DEBUG, "%.1f steps a second: %d steps fit in all", rate, total)
        self.stepper.set_total(total)
        self.planned = True


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
