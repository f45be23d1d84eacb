"""A small set of English questions, so that a model of your own has something to answer.

Forty-eight one-line reviews, written for this course: half of them glad, half not. They show how the scores are
called on real words. They are too few and too easy to judge a model by.
"""

from __future__ import annotations

import numpy as np

from icl_lab.errors import InputError, check_count
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds import Case

LABELS = ("positive", "negative")
TEMPLATE = Template("Review: {x}\nSentiment: {y}", "Sentiment: {y}\nReview: {x}", "\n\n")
REVIEWS = {
    "positive": (
        "I smiled from the first scene to the last.",
        "The soup was warm, rich and full of flavor.",
        "Our room was spotless and the view was lovely.",
        "A clever story, told with a light hand.",
        "The staff went out of their way to help us.",
        "This lamp is sturdy and gives a soft light.",
        "I have read it twice and would gladly read it again.",
        "The singer's voice filled the hall with joy.",
        "Fresh bread, fair prices, friendly people.",
        "It arrived early and works like a charm.",
        "The best afternoon we have had all summer.",
        "My children laughed so hard that they cried.",
        "Beautiful photographs on every page.",
        "The repair was quick and cost less than I feared.",
        "A quiet garden and an excellent cup of coffee.",
        "The ending moved me deeply.",
        "These shoes are light and fit perfectly.",
        "The guide knew everything and made us curious.",
        "A delight for the eyes and the ears.",
        "Everything was cooked just right.",
        "The teacher is patient and explains clearly.",
        "I would stay here again without a second thought.",
        "The battery lasts for days, which is wonderful.",
        "A brave film with superb actors.",
    ),
    "negative": (
        "I fell asleep before the second act.",
        "The soup was cold and tasted of nothing.",
        "Our room smelled of smoke and the sheets were dirty.",
        "A dull story with no idea of its own.",
        "The staff ignored us for an hour.",
        "This lamp broke on the first evening.",
        "I gave up after thirty pages and want my money back.",
        "The singer was out of tune all night.",
        "Stale bread, high prices, rude people.",
        "It arrived late and never worked.",
        "The worst afternoon we have had all summer.",
        "My children were bored and asked to go home.",
        "Blurred photographs on every page.",
        "The repair took weeks and made things worse.",
        "A noisy yard and a terrible cup of coffee.",
        "The ending made no sense at all.",
        "These shoes are heavy and hurt my feet.",
        "The guide knew nothing and hurried us along.",
        "A pain for the eyes and the ears.",
        "Everything was burnt or raw.",
        "The teacher is impatient and explains nothing.",
        "I would not stay here again if they paid me.",
        "The battery dies within an hour, which is awful.",
        "A cowardly film with wooden actors.",
    ),
}


def cases(n: int, counts: tuple[int, int] = (4, 4), seed: int = 0) -> list[Case]:
    """``n`` questions, each a pure function of (seed, its number): demonstrations, then one more review.

    ``counts``: demonstrations of the majority and of the minority label, in random order; which label is the majority
    alternates, and half of the queries belong to either. Raises InputError for counts that the reviews cannot fill.
    """
    check_count("n", n)
    most = len(REVIEWS["positive"]) - 1  # one is left for the query
    if len(counts) != 2 or not most >= counts[0] >= counts[1] >= 0:
        raise InputError(f"counts must be (majority, minority) with {most} >= majority >= minority >= 0, got {counts}.")
    return [_case(seed, number, counts) for number in range(n)]


def _case(seed: int, number: int, counts: tuple[int, int]) -> Case:
    rng = np.random.default_rng([seed, number])
    labels = LABELS if number // 2 % 2 == 0 else LABELS[::-1]  # majority first
    answer = number % 2
    drawn = [rng.permutation(REVIEWS[label]).tolist() for label in labels]
    query = drawn[answer].pop()
    shots = [Demonstration(x, labels[i]) for i, count in enumerate(counts) for x in drawn[i][:count]]
    shots = tuple(shots[i] for i in rng.permutation(len(shots)))
    return Case(Prompt(query, shots, TEMPLATE), labels, answer)


def reviews() -> list[str]:
    """All reviews without their labels: the domain's words, for domain-context calibration."""
    return [text for texts in REVIEWS.values() for text in texts]
