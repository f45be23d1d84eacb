"""What the worlds share: a question with its candidate answers, and the two streams of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from icl_lab.language.prompts import Prompt

TRAINING, EVALUATION = 0, 1  # first word of every seed: the two streams cannot meet


@dataclass(frozen=True)
class Case:
    """One question: a prompt, its candidate labels, and the number of the right one.

    Where one label is more common among the demonstrations than the other, it stands first.
    """

    prompt: Prompt
    labels: tuple[str, ...]
    answer: int

    @property
    def minority(self) -> bool:
        """Is the right answer the label that is rarer among the demonstrations? (two labels, the common one first)"""
        return self.answer == 1


class World(Protocol):
    """What training asks of a world."""

    def vocabulary(self) -> list[str]:
        """Every word that a text of this world can hold, in a fixed order."""
        ...

    def batch(self, seed: int, step: int, size: int) -> Sequence[str]:
        """The documents of one training step: a pure function of (seed, step, size)."""
        ...


def reorder(case: Case, order: Sequence[int]) -> Case:
    """The same question with its demonstrations in another order: number order[0] first."""
    shots = case.prompt.demonstrations
    return replace(case, prompt=replace(case.prompt, demonstrations=tuple(shots[i] for i in order)))
