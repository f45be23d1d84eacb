"""Make a shipped language model again: ``python -m icl_lab.language.make noisy_evidence``.

It trains with the settings below, measures on questions that training never saw, and writes model and card into
checkpoints/language/. About half a minute on one core.
"""

from __future__ import annotations

import sys
from functools import partial

import torch

from icl_lab.errors import InputError, unknown
from icl_lab.language.evaluation import accuracy, correct
from icl_lab.language.models import train_lm
from icl_lab.language.scoring import channel, direct, perplexity
from icl_lab.language.store import SHIPPED, save_lm
from icl_lab.language.worlds import NoisyEvidence

MODELS = {
    "noisy_evidence": {"world": NoisyEvidence(), "steps": 600, "seed": 0},
    "noisy_evidence_s2": {"world": NoisyEvidence(), "steps": 600, "seed": 2},  # another training, for chapter 2
}
SCORES = {
    "direct": direct,
    "perplexity": perplexity,
    "perplexity, label first": partial(perplexity, label_first=True),
    "channel": channel,
}


def measure(lm, world: NoisyEvidence, n: int = 1000, seed: int = 0) -> dict:
    """Accuracy of each score on ``n`` balanced queries at four imbalances, over all and over the minority class."""
    table: dict = {"queries": n, "seed": seed, "optimum": round(sum(world.optimal_accuracy()) / 2, 4)}
    for counts in ((4, 4), (6, 2), (7, 1), (8, 0)):
        cases = world.cases(n, counts, seed=seed)
        row = {}
        for name, score in SCORES.items():
            right = correct(score, lm, cases)
            row[name] = {"all": round(accuracy(right).mean, 4), "minority": round(accuracy(right[1::2]).mean, 4)}
        table[f"{counts[0]}:{counts[1]}"] = row
    return table


def make(name: str) -> dict:
    """Train the named model, write it and its card, and return the card. Raises InputError for an unknown name."""
    if name not in MODELS:
        raise unknown("language model", name, MODELS)
    torch.set_num_threads(1)
    lm = train_lm(**MODELS[name])
    return save_lm(lm, SHIPPED / name, measure(lm, MODELS[name]["world"]))


if __name__ == "__main__":
    try:
        print(make(*sys.argv[1:])["measured"])
    except (InputError, TypeError) as error:
        sys.exit(f"python -m icl_lab.language.make NAME: {error}")
