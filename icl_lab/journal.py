"""What a training leaves behind while it runs: losses, a JSON-lines log, a progress bar, a resumable state.

The state is one safetensors file, replaced as a whole, with the config and the losses' bookkeeping in its header.
It is only written after the losses up to its step and the weights have been seen to be finite, so the last state is
always a good one.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from tqdm import tqdm

from icl_lab.errors import InputError
from icl_lab.files import append_line, writable_folder, write_atomic
from icl_lab.step import RING, Stepper

STATE = "state.safetensors"
LOG = "log.jsonl"
LOOK_SECONDS = 0.5  # between two looks at the losses on a CPU, where looking is free


class Diverged(InputError):
    """The loss became infinite or not a number."""


class Journal:
    """Use as a context; ``due`` and ``look`` after steps, the last look with ``last=True``."""

    def __init__(
        self,
        folder: str | os.PathLike | None,
        recipe: Any,
        stepper: Stepper,
        resume: bool = False,
        probe: Callable[[torch.nn.Module], dict[str, float]] | None = None,
        progress: bool = True,
        probe_seconds: float = 10.0,
        save_seconds: float = 30.0,
    ) -> None:
        self.recipe, self.stepper, self.probe = recipe, stepper, probe
        self.probe_seconds, self.save_seconds = probe_seconds, save_seconds
        self.folder = None if folder is None else writable_folder(folder)
        self.losses: list[float] = []  # one per step since the start of this process
        self.probes: list[dict[str, Any]] = []
        self.before = 0.0  # seconds that earlier processes of this training took
        self.step = 0
        self.saved = self.noted = 0
        self.resumed = resume and self.folder is not None and (self.folder / STATE).exists()
        if self.resumed:
            self.read_state()
        if self.folder is not None:
            self.trim_log()
        self.progress = progress

    def __enter__(self) -> Journal:
        self.clock = time.monotonic()
        self.next_look, self.next_probe = self.clock + LOOK_SECONDS, self.clock
        self.next_save = self.clock + self.save_seconds
        self.bar = tqdm(
            total=self.stepper.total_steps,
            initial=self.step,
            desc=f"{self.recipe.size}/{self.recipe.name}",
            unit="step",
            disable=not self.progress,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training, earlier processes included."""
        return self.before + time.monotonic() - self.clock

    def due(self, step: int) -> bool:
        """Whether to look now. On a GPU looking waits for the device, so it is only done when the ring is half full."""
        if step - self.step >= RING // 2:
            return True
        return self.stepper.device.type == "cpu" and time.monotonic() > self.next_look

    def look(self, step: int, last: bool = False) -> None:
        """Read the losses since the last look; raise Diverged; probe, log and save when it is time."""
        new = self.stepper.losses(self.step)
        for i, loss in enumerate(new):
            if not math.isfinite(loss):
                raise self.diverged(f"The loss of {self.recipe.name} was {loss} at step {self.step + i}")
        self.losses += new
        self.step = step
        self.bar.total = self.stepper.total_steps
        self.bar.update(len(new))
        now = time.monotonic()
        self.next_look = now + LOOK_SECONDS
        if self.step > self.noted and (last or now >= self.next_probe):
            self.note()
            self.next_probe = time.monotonic() + self.probe_seconds
        if last or now >= self.next_save:
            self.check_weights()
            if self.folder is not None:
                self.save()
            self.next_save = time.monotonic() + self.save_seconds

    def check_weights(self) -> None:
        """The last update may have ruined the weights before a loss could show it."""
        if not all(bool(p.isfinite().all()) for p in self.stepper.parameters):
            raise self.diverged(f"The weights of {self.recipe.name} are not finite after step {self.step - 1}")

    def diverged(self, what: str) -> Diverged:
        kept = (
            f"the last good state is {self.folder / STATE}, step {self.saved}" if self.saved else "no state was saved"
        )
        return Diverged(f"{what}; {kept}.")

    def note(self) -> None:
        """One line of the log and of the bar."""
        recent = self.losses[-50:]
        numbers = self.probe(self.stepper.model) if self.probe else {}
        entry = {
            "step": self.step,
            "seconds": round(self.seconds, 2),
            "loss": sum(recent) / len(recent),
            "steps_per_second": round(len(self.losses) / max(time.monotonic() - self.clock, 1e-9), 2),
            **numbers,
        }
        self.probes.append(entry)
        self.noted = self.step
        self.bar.set_postfix(
            {"loss": f"{entry['loss']:.4f}", **{k: f"{v:.3f}" for k, v in numbers.items()}}, refresh=False
        )
        if self.folder is not None:
            append_line(self.folder / LOG, json.dumps(entry))

    def save(self) -> None:
        header = {
            "config": json.dumps(self.recipe.config(), sort_keys=True),
            "seconds": repr(self.seconds),
        }
        tensors = {name: t.contiguous().cpu() for name, t in self.stepper.state().items()}
        write_atomic(self.folder / STATE, save(tensors, header))
        self.saved = self.step

    def read_state(self) -> None:
        path = self.folder / STATE
        try:
            with safe_open(path, "pt") as file:
                header = file.metadata()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is not a readable training state ({error}); start anew without it.") from error
        if header["config"] != json.dumps(self.recipe.config(), sort_keys=True):
            raise InputError(f"{path} belongs to another configuration than {self.recipe.name}'s; take another folder.")
        self.stepper.load(state)
        self.before = float(header["seconds"])
        self.step = self.saved = self.noted = int(state["step"])

    def trim_log(self) -> None:
        """Keep the lines up to the step we start from: what came after it will come again."""
        path = self.folder / LOG
        lines = path.read_text().splitlines() if path.exists() and self.resumed else []
        whole = [line for line in lines if line.endswith("}")]  # a kill may have cut the last one
        kept = [line for line in whole if json.loads(line)["step"] <= self.step]
        write_atomic(path, "".join(f"{line}\n" for line in kept).encode())
