"""The expression world: a calculation in words, to be written with digits and signs in the style that the prompt shows.

It was designed until its effect showed, and then fixed. The words of the numbers are in the weights; in which of three
notations to write is told by the demonstrations alone (task recognition). The design is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens)::

    document    ->  style [uniform in STYLES], then `lines` times:  words ":" expression "."
    words       ->  number (operation number) * (terms - 1)    terms uniform in `terms`, the rest uniform
    number      ->  "zero" | ... | "nine"                      operation  ->  "plus" | "minus" | "times"
    expression  ->  the same calculation, worked off from left to right, in the style:
                    infix    3 + 4 - 2      prefix    - + 3 4 2      postfix    3 4 + 2 -

Known optimum: 1/3 without a demonstration, 1 after one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from icl_lab.errors import InputError, check_count, unknown
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING

STYLES = ("infix", "prefix", "postfix")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OPERATIONS = {"plus": "+", "minus": "-", "times": "*"}
TEMPLATE = Template("{x} : {y}", "{y} : {x}", " . ")


@dataclass(frozen=True)
class Calculation:
    """One question: a prompt that ends after the words, the style that it shows, and the right expression."""

    prompt: Prompt
    style: str
    wanted: str


def in_words(digits: tuple[int, ...], signs: tuple[str, ...]) -> str:
    """``three plus four minus two``."""
    names = {sign: word for word, sign in OPERATIONS.items()}
    rest = (f"{names[sign]} {NUMBERS[digit]}" for sign, digit in zip(signs, digits[1:], strict=True))
    return " ".join([NUMBERS[digits[0]], *rest])


def expression(digits: tuple[int, ...], signs: tuple[str, ...], style: str) -> str:
    """The calculation from left to right in a style; one sign fewer than digits. InputError: another style."""
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    written = str(digits[0])
    for sign, digit in zip(signs, digits[1:], strict=True):
        parts = {"infix": (written, sign, digit), "prefix": (sign, written, digit), "postfix": (written, digit, sign)}
        written = " ".join(map(str, parts[style]))
    return written


@dataclass(frozen=True)
class Expression:
    """The world's settings: ``terms``, the numbers of terms in training, each at least 2; ``lines`` of a document.

    Raises InputError for values outside these ranges.
    """

    terms: tuple[int, ...] = (2, 3, 4)
    lines: int = 6

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))  # a card gives lists back
        if not self.terms or min(self.terms) < 2:
            raise InputError(f"terms must be a list of numbers from 2 up, got {list(self.terms)}.")
        check_count("lines", self.lines)

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        return [*NUMBERS, *OPERATIONS, *map(str, range(10)), *OPERATIONS.values(), ":", "."]

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        style = STYLES[rng.integers(len(STYLES))]
        drawn = [_draw(rng, int(rng.choice(self.terms))) for _ in range(self.lines)]
        lines = [TEMPLATE.fill(TEMPLATE.direct, in_words(*one), expression(*one, style)) for one in drawn]
        return "".join(line + TEMPLATE.separator for line in lines).strip()

    def answers(self, document: str) -> list[bool]:
        """Which words of a document count where only answers are learned: those after a ":", to the "."."""
        marks, inside = [], False
        for word in document.split():
            marks.append(inside)
            inside = (inside and word != ".") or word == ":"
        return marks

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def calculations(self, n: int, terms: int = 3, k: int = 1, seed: int = 0) -> list[Calculation]:
        """``n`` questions with ``terms`` terms after ``k`` demonstrations; styles in turn, the same at every k.

        Raises InputError for fewer than two terms and negative k.
        """
        check_count("n", n)
        if terms < 2 or k < 0:
            raise InputError(f"A calculation needs 2 terms or more and k >= 0, got {terms} terms and k = {k}.")
        made = []
        for index in range(n):
            rng = np.random.default_rng([EVALUATION, seed, index])
            style, asked = STYLES[index % len(STYLES)], _draw(rng, terms)
            shots = [_draw(rng, int(rng.choice(self.terms))) for _ in range(k)]
            shown = tuple(Demonstration(in_words(*one), expression(*one, style)) for one in shots)
            made.append(Calculation(Prompt(in_words(*asked), shown, TEMPLATE), style, expression(*asked, style)))
        return made


def _draw(rng: np.random.Generator, terms: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    signs = tuple(OPERATIONS.values())
    digits = tuple(rng.integers(10, size=terms).tolist())
    return digits, tuple(signs[i] for i in rng.integers(len(signs), size=terms - 1))
