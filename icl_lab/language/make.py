"""Make a shipped language model again: ``python -m icl_lab.language.make noisy_evidence``.

It trains with the settings below, measures on questions that training never saw, and writes model and card into
checkpoints/language/. Half a minute on one core for the noisy-evidence model; each card says how long its own took.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from icl_lab.errors import InputError, unknown
from icl_lab.language import measure
from icl_lab.language.models import tiny_lm, train_lm
from icl_lab.language.store import SHIPPED, save_lm
from icl_lab.language.worlds import Drift, Expression, Mapping, NoisyEvidence, Reasoning, Recognition, World


@dataclass(frozen=True)
class Making:
    """How a model is made.

    ``training``: arguments of `train_lm`, ``size``: of `tiny_lm`, ``measure``: what goes on the card.
    ``before``: (world, training) of earlier stages, where a model needs to begin with something easier.
    ``half``: store the weights as float16 (the numbers on the card are of the stored ones).
    """

    world: World
    measure: Callable
    training: dict
    size: dict = field(default_factory=dict)
    before: tuple[tuple[World, dict], ...] = ()
    half: bool = True


MODELS = {
    "noisy_evidence": Making(NoisyEvidence(), measure.noisy_evidence, {"steps": 600, "seed": 0}, half=False),
    # another training, for chapter 2
    "noisy_evidence_s2": Making(NoisyEvidence(), measure.noisy_evidence, {"steps": 600, "seed": 2}, half=False),
    "recognition": Making(
        Recognition(),
        measure.recognition,
        {"steps": 3000, "optimizer": "muon", "seed": 0},
        {"layers": 3, "context": 256},
    ),
    # one-word inputs and eight label words first: matching is learned there sooner, and then carries over
    "mapping": Making(
        Mapping(copies=0.3),
        measure.mapping,
        {"steps": 1200, "batch_size": 64, "optimizer": "muon", "labels_only": True, "seed": 0},
        {"layers": 3, "context": 256, "matching": True},
        before=(
            (
                Mapping(labels=8, longest=1, copies=0.15),
                {"steps": 3000, "batch_size": 64, "optimizer": "muon", "labels_only": True, "seed": 0},
            ),
        ),
    ),
    "drift": Making(Drift(), measure.drift, {"steps": 2000, "optimizer": "muon", "seed": 0}, {"layers": 3}),
    "reasoning": Making(
        Reasoning(),
        measure.reasoning,
        {"steps": 1500, "batch_size": 32, "optimizer": "muon", "labels_only": True, "seed": 0},
        {"layers": 3, "context": 256},
    ),
    "expression": Making(
        Expression(),
        measure.expression,
        {"steps": 1000, "batch_size": 32, "optimizer": "muon", "labels_only": True, "seed": 0},
        {"layers": 3, "context": 256},
    ),
}

# one recipe at several sizes, three trainings each: half the steps of `recognition`, so that there is something to see
SIZES = {32: 2, 64: 3, 96: 3}  # width: layers
MODELS |= {
    f"recognition_w{width}_s{seed}": Making(
        Recognition(),
        measure.recognition,
        {"steps": 1500, "optimizer": "muon", "seed": seed},
        {"width": width, "layers": layers, "context": 256},
    )
    for width, layers in SIZES.items()
    for seed in range(3)
}


def make(name: str) -> dict:
    """Train the named model, write it and its card, and return the card. Raises InputError for an unknown name."""
    if name not in MODELS:
        raise unknown("language model", name, MODELS)
    torch.set_num_threads(1)
    making = MODELS[name]
    lm = tiny_lm(making.world, seed=making.training["seed"], **making.size)
    stages = []
    for world, training in (*making.before, (making.world, making.training)):
        lm = train_lm(world, lm=lm, **training)
        stages.append(lm.training)
    if making.half:
        lm.model.half().float()  # the numbers that a float16 file can hold
    lm.training = {**stages[-1], "before": stages[:-1]} if making.before else stages[-1]
    return save_lm(lm, SHIPPED / name, making.measure(lm, making.world), half=making.half)


if __name__ == "__main__":
    try:
        print(make(*sys.argv[1:])["measured"])
    except (InputError, TypeError) as error:
        sys.exit(f"python -m icl_lab.language.make NAME: {error}")
