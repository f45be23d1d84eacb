"""The reasoning world: sums of digits, the last digit of which is asked for, answered at once or in steps.

It was designed until its effect showed, and then fixed. A language model has a fixed number of layers between reading
a question and writing the next word, so a sum of many terms cannot be had at once; written in steps (chain of thought,
Wei et al. 2022, arXiv 2201.11903) every step is a sum of two. Sums longer than those of training need one question per
step (least-to-most, Zhou et al. 2022, arXiv 2205.10625). The design is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens, [p] is a probability)::

    document   ->  style [uniform in direct, steps], [1/3] instruction(style), then `questions` times:  sum answer "."
    instruction->  "at once :"  |  "step by step :"
    sum        ->  digit ("+" digit) * (terms - 1) "="         terms uniform in `terms`, digits uniform in 0..9
    answer     ->  result                                      in style direct
                |  "first" step ("then" step) * "so" result    in style steps, a step for every "+"
    step       ->  digit "+" digit "=" digit                   the sum so far, the next term, their sum modulo 10
    result     ->  the sum of all terms modulo 10

Known optimum: 1, in every style. Guessing is right in 1/10.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from icl_lab.errors import InputError, check_count, unknown
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING

STYLES = ("direct", "steps")
INSTRUCTIONS = {"direct": "at once :", "steps": "step by step :"}
TEMPLATE = Template("{x} = {y}", "{y} = {x}", " . ")


@dataclass(frozen=True)
class Sum:
    """One question: its terms, and a prompt that ends with "="."""

    terms: tuple[int, ...]
    prompt: Prompt

    @property
    def result(self) -> str:
        """The right answer, one digit."""
        return str(sum(self.terms) % 10)


def question(terms: tuple[int, ...]) -> str:
    """``3 + 4 + 5``."""
    return " + ".join(map(str, terms))


def answer(terms: tuple[int, ...], style: str) -> str:
    """The right answer in a style: ``2``, or ``first 3 + 4 = 7 then 7 + 5 = 2 so 2``. Raises InputError for another."""
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    totals = [total % 10 for total in accumulate(terms)]
    if style == "direct":
        return str(totals[-1])
    steps = zip(totals[:-1], terms[1:], totals[1:], strict=True)
    return "first " + " then ".join(f"{a} + {b} = {c}" for a, b, c in steps) + f" so {totals[-1]}"


def result(text: str) -> str | None:
    """The digit that an answer ends with, whatever its style; None if it does not end with one."""
    last = text.split()[-1:] or [""]
    return last[0] if last[0].isdigit() else None


@dataclass(frozen=True)
class Reasoning:
    """The world's settings.

    ``terms``: the numbers of terms in training, each at least 2. ``questions``: sums in one training document.
    Raises InputError for values outside these ranges.
    """

    terms: tuple[int, ...] = (2, 3, 4, 5)
    questions: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))  # a card gives lists back
        if not self.terms or min(self.terms) < 2:
            raise InputError(f"terms must be a list of numbers from 2 up, got {list(self.terms)}.")
        check_count("questions", self.questions)

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        return [*map(str, range(10)), "+", "=", ".", ":", "first", "then", "so", "at", "once", "step", "by"]

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        style = STYLES[rng.integers(len(STYLES))]
        head = INSTRUCTIONS[style] + TEMPLATE.head if rng.random() < 1 / 3 else ""
        sizes = rng.choice(self.terms, size=self.questions)
        digits = rng.integers(10, size=(self.questions, max(self.terms))).tolist()
        sums = [tuple(row[:size]) for row, size in zip(digits, sizes, strict=True)]
        examples = [TEMPLATE.fill(TEMPLATE.direct, question(terms), answer(terms, style)) for terms in sums]
        return head + "".join(example + TEMPLATE.separator for example in examples).strip()

    def answers(self, document: str) -> list[bool]:
        """Which words of a document count where only answers are learned: those after a sum's first "=", to its "."."""
        marks, asked = [], True
        for word in document.split():
            marks.append(not asked)
            asked = (asked and word != "=") or word == "."
        return marks

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def sums(
        self, n: int, terms: int, style: str, k: int = 2, seed: int = 0, shown: int = 3, instruction: bool = False
    ) -> list[Sum]:
        """``n`` questions with ``terms`` terms, after ``k`` demonstrations of ``shown`` terms in the style.

        The questions are the same in every style. ``instruction``: put the style's instruction in front.
        Raises InputError for an unknown style, fewer than two terms and negative k.
        """
        check_count("n", n)
        if style not in STYLES:
            raise unknown("style", style, STYLES)
        if min(terms, shown) < 2 or k < 0:
            raise InputError(f"A sum needs 2 terms or more and k >= 0, got {terms} terms, {shown} shown, k = {k}.")
        return [self._sum(seed, i, terms, style, k, shown, instruction) for i in range(n)]

    def _sum(self, seed, index, terms, style, k, shown, instruction) -> Sum:
        rng = np.random.default_rng([EVALUATION, seed, index])
        shots = [tuple(row) for row in rng.integers(10, size=(k, shown)).tolist()]
        asked = tuple(rng.integers(10, size=terms).tolist())
        demonstrations = tuple(Demonstration(question(shot), answer(shot, style)) for shot in shots)
        head = INSTRUCTIONS[style] if instruction else ""
        return Sum(asked, Prompt(question(asked), demonstrations, TEMPLATE, head))
