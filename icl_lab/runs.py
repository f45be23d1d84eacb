"""From a recipe to a checkpoint with a measured card: train, evaluate, choose the storage, write.

One config, one folder: ``<out>/<size>-<recipe>-<run id>`` (and ``-<minutes>min`` where minutes replaced the steps). A
finished run is not repeated unless asked.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from icl_lab import checkpoints, plateau, recipes
from icl_lab.checkpoints import Pretrained
from icl_lab.errors import InputError, positive
from icl_lab.evaluation import EVALUATION_SEED, icl_curve
from icl_lab.files import read_json, writable_folder, write_json
from icl_lab.functions import Mixture
from icl_lab.journal import LOG, STATE
from icl_lab.precision import pick_device
from icl_lab.predictors import bayes
from icl_lab.training import Recipe, Result, train
from icl_lab.transformer import Transformer

log = logging.getLogger("icl_lab")

PROBE_SEED = 424242
ORIGIN = "origin.json"  # in a run folder: what a warm start began from
STORAGE_TOLERANCE = 1e-3  # what storing weights in fewer bits may change in any reported error: such a part of it,
SMALL_ERROR = 0.1  # or of this where it is smaller
STORAGE_OF_SIZE = {"tiny": ("float16", "float32"), "small": ("float16", "float32"), "standard": ("int8", "float16")}


def classes_of(function_class: Any) -> dict[str, Any]:
    """The classes whose errors a card reports: the class itself, or each component of a mixture."""
    parts = function_class.components if isinstance(function_class, Mixture) else (function_class,)
    return {type(part).__name__: part for part in parts}


def milestones(dim: int, n_points: int) -> list[int]:
    """The three k at which a model is summed up: d/2, d, and the last."""
    middle = min(max(dim, 4), n_points // 2)
    return sorted({middle // 2, middle, n_points - 1})


@dataclass
class Probe:
    """Error on fixed prompts at three k, each beside the optimum's if it is known: what the progress bar shows."""

    recipe: Recipe
    n_prompts: int = 128

    def __post_init__(self) -> None:
        fc, n = self.recipe.function_class, self.recipe.n_points
        self.ks = milestones(fc.dim, n)
        self.prompts = fc.sample(self.n_prompts, n, PROBE_SEED)
        best = optimal(fc)
        self.optimum = None if best is None else self._errors(best(self.prompts.xs, self.prompts.ys))

    def _errors(self, yhat: Tensor) -> Tensor:
        return ((yhat - self.prompts.ys) ** 2).mean(0) / self.recipe.function_class.second_moment

    @torch.no_grad()
    def __call__(self, model: Transformer) -> dict[str, float]:
        device = next(model.parameters()).device
        errors = self._errors(model(self.prompts.xs.to(device), self.prompts.ys.to(device)).float().cpu())
        seen = {f"k{k}": float(errors[k]) for k in self.ks}
        if self.optimum is not None:
            seen |= {f"best{k}": float(self.optimum[k]) for k in self.ks}
        return seen


def probe_of(recipe: Recipe) -> Callable[[Transformer], dict[str, float]]:
    """What a training reports of itself: three errors, and of a sparse class whether its plateau is left."""
    return plateau.together(Probe(recipe), plateau.Watch(recipe.function_class, recipe.n_points))


def curves(predictor: Callable, function_class: Any, n_points: int, n_prompts: int) -> dict[str, Any]:
    """Learning curves on every class, beside the optimum's (None where no optimum is known), as plain lists."""
    measured = {}
    for name, fc in classes_of(function_class).items():
        curve = icl_curve(predictor, fc, n_prompts, n_points)
        measured[name] = {key: np.round(value, 6).tolist() for key, value in asdict(curve).items()}
        measured[name]["optimum"] = optimum(function_class, fc, n_points, n_prompts)
    return measured


def optimal(function_class: Any) -> Callable | None:
    """The exact Bayes predictor, or None for a law that has none, or none that can be computed."""
    try:
        return bayes(function_class)
    except InputError:
        return None


@functools.cache  # it takes longer than the transformer's own curve, and every storage that is tried asks for it
def optimum(function_class: Any, tested_on: Any, n_points: int, n_prompts: int) -> list[float] | None:
    """Mean errors of the exact Bayes predictor of one class or mixture on another."""
    best = optimal(function_class)
    return None if best is None else np.round(icl_curve(best, tested_on, n_prompts, n_points).mean, 6).tolist()


def largest_difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The largest change of a mean error between two sets of curves, as a part of it (of SMALL_ERROR if smaller)."""
    changes = [
        np.abs(np.subtract(a[name]["mean"], b[name]["mean"])) / np.maximum(a[name]["mean"], SMALL_ERROR) for name in a
    ]
    return max(float(change.max()) for change in changes)


def commit() -> str | None:
    """The commit of the clone that this code runs from, if it is one."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def name_of(recipe: Recipe) -> str:
    """``<size>/<recipe>``; trainings from another seed than the recipe's own get ``_s<seed>``."""
    known = recipes.ALL.get(recipe.name)
    seed = "" if known is None or recipe.seed == known.seed else f"_s{recipe.seed}"
    return f"{recipe.size}/{recipe.name}{seed}"


def read_log(folder: str | os.PathLike) -> list[dict[str, Any]]:
    """All entries of a training's log, those of earlier processes included."""
    path = Path(folder) / LOG
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def make_card(
    recipe: Recipe,
    result: Result,
    measured: dict[str, Any],
    n_prompts: int,
    entries: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Everything a reader needs to know about a checkpoint, as plain values. entries: the training's log."""
    return {
        "name": name_of(recipe),
        "recipe": recipe.config(),
        "run_id": recipe.run_id,
        "model": asdict(result.model.config),
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
        "device": result.device,
        "precision": result.precision,
        "seed": recipe.seed,
        "trainings": 1,
        "warm_start": recipe.warm_start,
        "commit": commit(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "safetensors": safetensors.__version__,
        },
        "evaluation": {"n_prompts": n_prompts, "seed": EVALUATION_SEED, "errors": "squared error / E f(x)^2"},
        "curves": measured,
        "left_plateau": plateau.left_at(entries),
        "history": plateau.thinned(entries),
    }


def export(
    recipe: Recipe,
    result: Result,
    folder: str | os.PathLike,
    n_prompts: int = 1280,
    entries: Sequence[dict[str, Any]] | None = None,
    before: dict[str, Any] | None = None,
) -> Path:
    """Measure a trained model and write it as a checkpoint, in the smallest storage that changes no error."""
    weights = {name: w.detach().cpu() for name, w in result.model.state_dict().items()}
    fc, n = recipe.function_class, recipe.n_points

    def measure(state: dict[str, Tensor]) -> dict[str, Any]:
        model = Transformer(recipe.model_config())
        model.load_state_dict(state)
        return curves(Pretrained(model.eval(), {"name": recipe.name}), fc, n, n_prompts)

    exact = measure(weights)
    for storage in STORAGE_OF_SIZE[recipe.size]:
        stored = exact if storage == "float32" else measure(checkpoints.decode(checkpoints.encode(weights, storage)))
        change = largest_difference(exact, stored)
        if change <= STORAGE_TOLERANCE:
            break
    entries = result.probes if entries is None else entries
    card = make_card(recipe, result, stored, n_prompts, entries) | {"storage_changes_errors_by": change}
    card |= spent(result.steps, result.seconds, before)
    return checkpoints.save(folder, weights, card, storage)


def run(
    recipe: Recipe,
    out: str | os.PathLike = "runs",
    *,
    device: str | None = None,
    minutes: float | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool = True,
    n_prompts: int = 1280,
) -> Path:
    """Train a recipe into its folder below ``out`` and export it; returns the folder.

    Raises InputError for a folder that cannot be written, and for an unfinished run unless ``resume`` or ``force``.
    """
    pick_device(device)
    if minutes is not None:
        positive("minutes", minutes)
    weights, before = warm_start(recipe) if recipe.warm_start else (None, None)
    length = "" if minutes is None else f"-{minutes:g}min"  # not the run that the recipe's own steps would be
    folder = writable_folder(Path(out) / f"{recipe.size}-{recipe.name}-{recipe.run_id}{length}")
    unfinished = (folder / STATE).exists()
    if (folder / checkpoints.CARD).exists() and not unfinished and not force:
        log.info("%s is finished; --force trains it again", folder)
        return folder
    if unfinished and not (resume or force):
        raise InputError(f"{folder} holds an unfinished run: --resume goes on with it, --force starts anew.")
    if unfinished and not force and (folder / ORIGIN).exists():  # what it began from may have been replaced since
        before = read_json(folder / ORIGIN)
    elif before:
        write_json(folder / ORIGIN, before)
    result = train(
        recipe,
        folder,
        device=device,
        minutes=minutes,
        resume=resume and not force,
        weights=weights,
        probe=probe_of(recipe),
        progress=progress,
    )
    if result.finished:
        export(recipe, result, folder, n_prompts, read_log(folder), before)
        (folder / STATE).unlink()
    else:
        log.info("stopped at step %d; --resume goes on", result.steps)
    return folder


def warm_start(recipe: Recipe) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of recipe.warm_start, and where they come from: which file, and what had been spent on it.

    Raises InputError for an unknown checkpoint and when that model has another shape.
    """
    source = checkpoints.load(recipe.warm_start)
    if source.model.config != recipe.model_config():
        raise InputError(
            f"{recipe.warm_start} cannot start {recipe.size}/{recipe.name}: its model is {source.model.config}, "
            f"expected {recipe.model_config()}."
        )
    return source.model.state_dict(), origin_of(recipe.warm_start, source.card)


def origin_of(checkpoint: str, card: dict[str, Any]) -> dict[str, Any]:
    """What a card says of the checkpoint that its training began from; that one's own origin stays inside."""
    return {
        "checkpoint": checkpoint,
        "name": card["name"],
        "sha256": card["sha256"],
        "steps": card.get("total_steps", card.get("steps", 0)),
        "seconds": card.get("total_seconds", card.get("seconds", 0.0)),
        "training": plateau.training_of(card),
        "started_from": card.get("started_from"),
    }


def spent(steps: int, seconds: float, before: dict[str, Any] | None) -> dict[str, Any]:
    """What a card says of everything that went into a model, warm starts included."""
    return {
        "started_from": before,
        "total_steps": steps + (before["steps"] if before else 0),
        "total_seconds": round(seconds + (before["seconds"] if before else 0), 1),
    }


def configure(name: str, plain: bool = False, **changes: Any) -> Recipe:
    """The recipe of that name with the changes that are not None; plain: without its curriculum."""
    recipe = replace(recipes.get(name), **{key: value for key, value in changes.items() if value is not None})
    return replace(recipe, curriculum=None) if plain else recipe
