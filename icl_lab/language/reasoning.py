"""Sums that a model works out in writing: at once, in steps in one go, or with one question per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from icl_lab.language.generation import free_answers
from icl_lab.language.lm import LM
from icl_lab.language.worlds.reasoning import Sum, result

LONGEST = 60  # tokens of an answer in steps: 9 terms


def solve(lm: LM, sums: Sequence[Sum]) -> list[str | None]:
    """The digit at the end of what the model writes after each question; None where there is none.

    Whether it answers at once or in steps is up to the demonstrations and the instruction of the question.
    """
    return [result(text) for text in free_answers(lm, [one.prompt for one in sums], LONGEST)]


def least_to_most(lm: LM, sums: Sequence[Sum]) -> list[str | None]:
    """The model's results with one question per step: the total so far plus the next term (Zhou et al. 2022).

    Every sub-question comes after the demonstrations and the instruction of its sum. A step that is not answered by a
    digit ends the sum with None.
    """
    totals: list[str | None] = [str(one.terms[0]) for one in sums]
    for step in range(1, max(len(one.terms) for one in sums)):
        open_sums = [i for i, one in enumerate(sums) if totals[i] is not None and step < len(one.terms)]
        prompts = [replace(sums[i].prompt, query=f"{totals[i]} + {sums[i].terms[step]}") for i in open_sums]
        for i, text in zip(open_sums, free_answers(lm, prompts, LONGEST), strict=True):
            totals[i] = result(text)
    return totals
