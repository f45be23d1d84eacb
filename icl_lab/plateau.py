"""The plateau of sparse classes, and what a training's log says of it.

A transformer that learns sparse linear functions first learns least squares, and may stay there for tens of thousands
of steps. It has left when its error on sparse prompts at k = d/2 is below 90 % of least squares' on the same prompts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from icl_lab.functions import Mixture, SparseLinear
from icl_lab.predictors import LeastSquares
from icl_lab.transformer import Transformer

log = logging.getLogger("icl_lab")

LEFT_BELOW = 0.9
WATCH_SEED = 424243
HISTORY = 60  # entries of a card's history


def sparse_part(function_class: Any) -> SparseLinear | None:
    """The first sparse class in a law, if there is one."""
    parts = function_class.components if isinstance(function_class, Mixture) else (function_class,)
    return next((part for part in parts if isinstance(part, SparseLinear)), None)


class Watch:
    """A probe: the error on sparse prompts at k = d/2 (``sparse``) and what part of least squares' that is (``of_ls``).

    Says once in the log that the plateau is left. Empty for laws without a sparse class.
    """

    def __init__(self, function_class: Any, n_points: int, n_prompts: int = 1024) -> None:
        self.part = sparse_part(function_class)
        self.said = False
        if self.part is None:
            return
        self.k = min(self.part.dim // 2, n_points - 1)
        self.prompts = self.part.sample(n_prompts, self.k + 1, WATCH_SEED)
        self.least_squares = self.error(LeastSquares()(self.prompts.xs, self.prompts.ys))

    def error(self, yhat: torch.Tensor) -> float:
        return float(((yhat - self.prompts.ys)[:, self.k] ** 2).mean()) / self.part.second_moment

    @torch.no_grad()
    def __call__(self, model: Transformer) -> dict[str, float]:
        if self.part is None:
            return {}
        device = next(model.parameters()).device
        error = self.error(model(self.prompts.xs.to(device), self.prompts.ys.to(device)).float().cpu())
        ratio = error / self.least_squares
        if ratio < LEFT_BELOW and not self.said:
            self.said = True
            log.info("the plateau is left: error %.3f on sparse prompts at k=%d, %.0f %% of least squares'",
                     error, self.k, 100 * ratio)  # fmt: skip
        return {"sparse": error, "of_ls": ratio}


def together(*probes: Callable[[Transformer], dict[str, float]]) -> Callable[[Transformer], dict[str, float]]:
    """Several probes as one."""
    return lambda model: {name: value for probe in probes for name, value in probe(model).items()}


def left_at(entries: Iterable[dict[str, Any]]) -> dict[str, float] | None:
    """Step and seconds of the first log entry from which on a training stays off the plateau, or None."""
    left = None
    for entry in entries:
        if "of_ls" not in entry:
            return None
        if entry["of_ls"] >= LEFT_BELOW:
            left = None
        elif left is None:
            left = {"step": entry["step"], "seconds": entry["seconds"]}
    return left


def thinned(entries: Sequence[dict[str, Any]], most: int = HISTORY) -> list[dict[str, Any]]:
    """At most so many entries, evenly spread over the training, the last one among them; numbers to four digits."""
    n = len(entries)
    chosen = sorted({round(i * (n - 1) / (most - 1)) for i in range(most)}) if n > most else range(n)
    return [{key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in entries[i].items()} for i in chosen]


def training_of(card: dict[str, Any]) -> dict[str, Any]:
    """One training as its card tells it: its length, its curriculum, its history and when it left the plateau."""
    kept = {key: card.get(key) for key in ("steps", "seconds", "left_plateau", "history")}
    return kept | {"curriculum": card["recipe"].get("curriculum")}


def trainings(card: dict[str, Any]) -> list[dict[str, Any]]:
    """All trainings behind a checkpoint, those it was started from first, each as `training_of` gives it."""
    found, origin = [training_of(card)], card.get("started_from")
    while origin and "training" in origin:
        found.insert(0, origin["training"])
        origin = origin["started_from"]
    return found


def joined(card: dict[str, Any]) -> list[dict[str, Any]]:
    """The histories of all trainings behind a checkpoint as one, steps and seconds counted from the first."""
    entries, steps, seconds = [], 0, 0.0
    for training in trainings(card):
        entries += [e | {"step": e["step"] + steps, "seconds": e["seconds"] + seconds} for e in training["history"]]
        steps, seconds = steps + training["steps"], seconds + training["seconds"]
    return entries


def first_left(card: dict[str, Any]) -> dict[str, float] | None:
    """When the first of these trainings left the plateau, counted from the first step of all; None if none did."""
    steps, seconds = 0, 0.0
    for training in trainings(card):
        if training["left_plateau"]:
            left = training["left_plateau"]
            return {"step": left["step"] + steps, "seconds": round(left["seconds"] + seconds, 1)}
        steps, seconds = steps + training["steps"], seconds + training["seconds"]
    return None
