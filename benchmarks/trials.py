"""Short trials at equal CPU time: optimizer, learning rate, batch, tokens, init. Writes ``icl_lab/trials.json``.

Every trial trains the same recipe at the same size for so many CPU seconds; its number of steps is what its own step
time allows, measured before, and its learning rate reaches zero at the last. One seed each.

    OMP_NUM_THREADS=1 python -m benchmarks.trials --cpu-seconds 120
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.run import machine
from benchmarks.timing import cpu_time, rounded
from icl_lab import recipes, trials
from icl_lab.checkpoints import Pretrained
from icl_lab.evaluation import icl_curve
from icl_lab.precision import pick_device, pick_precision
from icl_lab.step import Stepper
from icl_lab.training import Recipe, train
from icl_lab.transformer import Transformer

RESULTS = Path(trials.__file__).with_name("trials.json")
OURS = {"optimizer": "muon", "batch_size": 64, "lr": 4e-3, "tokens": "pair", "init_std": None}
TRIALS: dict[str, dict[str, Any]] = {
    "Muon 4e-3, batch 64": {},
    "Muon 4e-3, batch 256": {"batch_size": 256},
    "Muon 1e-2, batch 64": {"lr": 1e-2},
    "Muon 1.5e-3, batch 64": {"lr": 1.5e-3},
    "AdamW 1e-3, batch 64": {"optimizer": "adamw", "lr": 1e-3},
    "AdamW 1e-3, batch 256": {"optimizer": "adamw", "lr": 1e-3, "batch_size": 256},
    "AdamW 3e-3, batch 64": {"optimizer": "adamw", "lr": 3e-3},
    "AdamW 3e-4, batch 64": {"optimizer": "adamw", "lr": 3e-4},
    "Muon 4e-3, interleaved": {"tokens": "interleaved"},
    "Muon 4e-3, init .02": {"init_std": 0.02},
    "Adam 1e-4, init .02, interleaved": {"optimizer": "adam", "lr": 1e-4, "init_std": 0.02, "tokens": "interleaved"},
}


def step_seconds(recipe: Recipe, steps: int = 12) -> float:
    """CPU seconds of a step, the median after three that pay for start-up."""
    device = pick_device("cpu")
    config = recipe.model_config()
    model = Transformer(config).init_weights(recipe.seed)
    stepper = Stepper(recipe, model, device, pick_precision(device, config.n_embd))
    return statistics.median([cpu_time(stepper) for _ in range(steps + 3)][3:])


class Track:
    """A probe that notes CPU seconds and the error at one k: a trial's curve."""

    def __init__(self, recipe: Recipe, k: int, n_prompts: int = 256) -> None:
        self.k, self.points = k, []
        self.prompts = recipe.function_class.sample(n_prompts, k + 1, 99)
        self.start = time.process_time()

    @torch.no_grad()
    def __call__(self, model: Transformer) -> dict[str, float]:
        yhat = model(self.prompts.xs, self.prompts.ys)
        error = float(((yhat - self.prompts.ys)[:, self.k] ** 2).mean())
        self.points.append([time.process_time() - self.start, error])
        return {"error": error}


def trial(name: str, recipe: Recipe, cpu_seconds: float, ks: list[int], n_prompts: int = 1280) -> dict[str, Any]:
    """Train and measure one variant of the recipe."""
    recipe = replace(recipe, **(OURS | TRIALS[name]))
    recipe = replace(recipe, steps=max(2, int(cpu_seconds / step_seconds(recipe))))
    track = Track(recipe, ks[1])
    result = train(recipe, None, device="cpu", probe=track, probe_seconds=cpu_seconds / 30, progress=False)
    learner = Pretrained(result.model.eval(), {"name": name})
    curve = icl_curve(learner, recipe.function_class, n_prompts, recipe.n_points)
    found = {"errors": curve.mean, "low": curve.low, "high": curve.high}
    settings = {key: getattr(recipe, key) for key in OURS}
    return {
        "name": name,
        **settings,
        "steps": recipe.steps,
        **{key: [float(values[k]) for k in ks] for key, values in found.items()},
        "curve": track.points,
    }


def main(arguments: list[str] | None = None) -> None:
    """Run all trials, one after the other; the file is written after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="dense_d8")
    parser.add_argument("--size", default="small")
    parser.add_argument("--cpu-seconds", type=float, default=120.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    recipe = replace(recipes.get(options.recipe), size=options.size)
    dim = recipe.function_class.dim
    ks = [dim // 2, dim, recipe.n_points - 1]
    command = f"python -m benchmarks.trials --recipe {options.recipe} --size {options.size}"
    found: dict[str, Any] = {
        "command": f"{command} --cpu-seconds {options.cpu_seconds:g}",
        "machine": machine(),
        "recipe": options.recipe,
        "size": options.size,
        "cpu_seconds": options.cpu_seconds,
        "k": ks,
        "rows": [],
    }
    for name in TRIALS:
        found["rows"].append(trial(name, recipe, options.cpu_seconds, ks))
        options.out.write_text(json.dumps(rounded(found), indent=1) + "\n")
        print(f"{name}: {found['rows'][-1]['errors']}", flush=True)
    print(trials.table(found))


if __name__ == "__main__":
    main()
