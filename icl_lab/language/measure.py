"""What the card of a shipped language model says: accuracies on questions that training never saw.

One function per world, each (lm, world, n, seed) -> a dictionary of numbers for JSON. ``n``: questions in each cell.
"""

from __future__ import annotations

from functools import partial
from itertools import permutations

import numpy as np

from icl_lab.language.evaluation import accuracy, correct
from icl_lab.language.generation import exact_match, free_answers
from icl_lab.language.reasoning import least_to_most, solve
from icl_lab.language.scoring import channel, direct, perplexity
from icl_lab.language.worlds import Drift, Expression, Mapping, NoisyEvidence, Reasoning, Recognition, reorder
from icl_lab.language.worlds.recognition import HELD_OUT

SCORES = {
    "direct": direct,
    "perplexity": perplexity,
    "perplexity, label first": partial(perplexity, label_first=True),
    "channel": channel,
}
SEED = 1000  # the worlds were designed on smaller ones


def noisy_evidence(lm, world: NoisyEvidence, n: int = 1000, seed: int = 0) -> dict:
    """Accuracy of each score on balanced queries at four imbalances, over all and over the minority class."""
    table: dict = {"queries": n, "seed": seed, "optimum": round(sum(world.optimal_accuracy()) / 2, 4)}
    for counts in ((4, 4), (6, 2), (7, 1), (8, 0)):
        cases = world.cases(n, counts, seed=seed)
        row = {}
        for name, score in SCORES.items():
            right = correct(score, lm, cases)
            row[name] = {"all": round(accuracy(right).mean, 4), "minority": round(accuracy(right[1::2]).mean, 4)}
        table[f"{counts[0]}:{counts[1]}"] = row
    return table


def recognition(lm, world: Recognition, n: int = 400, seed: int = SEED) -> dict:
    """Accuracy of the direct score against k, all label words being candidates; over all ten tasks."""
    table: dict = {"queries": n, "seed": seed, "candidates": len(world.labels())}
    for name, settings in (
        ("no instruction", {}),
        ("instruction", {"instruction": True}),
        ("held-out formats", {"formats": HELD_OUT}),
    ):
        table[name] = {k: _share(direct, lm, world.cases(n, k, seed=seed, **settings)) for k in (0, 1, 2, 4, 8)}
    return table


def mapping(lm, world: Mapping, n: int = 300, seed: int = SEED) -> dict:
    """Accuracy of the direct score by classes, demonstrations, words in the input and label words."""
    table: dict = {"queries": n, "seed": seed}
    for held_out in (False, True):
        for kinds, k in ((2, 0), (2, 2), (2, 4), (2, 8), (2, 16), (4, 8), (4, 16)):
            row = {
                words: _share(direct, lm, world.cases(n, kinds, k, words, seed, held_out))
                for words in range(1, world.longest + 1)
            }
            table[f"{'held-out' if held_out else 'trained'} labels, {kinds} kinds, k = {k}, by words"] = row
    return table


def drift(lm, world: Drift, n: int = 300, seed: int = SEED, sets: int = 5) -> dict:
    """Accuracy of direct and channel by the order of the labels, with exact Bayes; and over orders of fixed sets."""
    table: dict = {"queries": n, "seed": seed, "optimum": round(sum(world.optimal_accuracy()) / 2, 4)}
    for order in ((0, 0, 1, 1), (0, 1, 1, 0), (0, 1, 0, 1)):
        cases = world.cases(n, order, seed)
        row = {name: _share(SCORES[name], lm, cases) for name in ("direct", "channel")}
        bayes = round(sum(world.optimal_accuracy(order)) / 2, 4)
        table["".join("AB"[i] for i in order)] = row | {"exact Bayes": bayes}
    spread = [over_orders(lm, world, n, seed, one) for one in range(sets)]
    table["24 orders of 4 demonstrations, direct"] = {
        "sets": sets,
        "standard deviation": [round(float(a.std()), 4) for a in spread],
        "worst": [round(float(a.min()), 4) for a in spread],
        "best": [round(float(a.max()), 4) for a in spread],
    }
    return table


def over_orders(lm, world: Drift, n: int, seed: int, number: int) -> np.ndarray:
    """Accuracy of the direct score for each of the 24 orders of set ``number`` of four demonstrations, 2 a label."""
    cases = world.cases(n, (0, 0, 1, 1), seed, demonstrations=number)
    return np.array([_share(direct, lm, [reorder(case, order) for case in cases]) for order in permutations(range(4))])


def reasoning(lm, world: Reasoning, n: int = 300, seed: int = SEED) -> dict:
    """Share of right results by number of terms, in each way; after two demonstrations, or an instruction alone."""
    table: dict = {"questions": n, "seed": seed}
    ways = (("direct", "direct", solve), ("steps", "steps", solve), ("least to most", "direct", least_to_most))
    for name, style, way in ways:
        for front, k, told in ((name, 2, False), (f"{name}, instruction alone", 0, True)):
            table[front] = {}
            for terms in range(2, 8):
                sums = world.sums(n, terms, style, k, seed, instruction=told)
                right = [answer == one.result for answer, one in zip(way(lm, sums), sums, strict=True)]
                table[front][terms] = round(float(np.mean(right)), 4)
    return table


def expression(lm, world: Expression, n: int = 300, seed: int = SEED) -> dict:
    """Share of expressions written without an error, by number of terms and of demonstrations."""
    table: dict = {"questions": n, "seed": seed}
    for k in (0, 1, 4):
        table[f"k = {k}, by terms"] = {}
        for terms in range(2, 7):
            asked = world.calculations(n, terms, k, seed)
            told = free_answers(lm, [one.prompt for one in asked], 2 * terms)
            right = exact_match(told, [one.wanted for one in asked])
            table[f"k = {k}, by terms"][terms] = round(float(right.mean()), 4)
    return table


def _share(score, lm, cases) -> float:
    return round(float(correct(score, lm, cases).mean()), 4)
