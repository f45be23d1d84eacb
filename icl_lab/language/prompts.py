"""Prompts: demonstrations, a query, and the template that turns them into text.

A template has two patterns because a demonstration can be written in two orders. ``direct`` puts the input before
the label, ``channel`` the label before the input. Which of the two a score needs is told in ``scoring``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from icl_lab.errors import InputError


@dataclass(frozen=True)
class Demonstration:
    """One in-context example: an input text x and its label word y."""

    x: str
    y: str


@dataclass(frozen=True)
class Template:
    """How one demonstration is written, in both orders, and what stands between two of them.

    ``direct`` must contain ``{x}`` before ``{y}`` and end with it; ``channel`` the reverse. What follows a
    demonstration belongs to ``separator``, so that the last thing a prompt says is the thing that is scored.
    Raises InputError if a pattern breaks these rules.
    """

    direct: str = "{x} : {y}"
    channel: str = "{y} : {x}"
    separator: str = " . "

    def __post_init__(self) -> None:
        for name, first, last in (("direct", "{x}", "{y}"), ("channel", "{y}", "{x}")):
            pattern = getattr(self, name)
            once = pattern.count(first) == 1 and pattern.count(last) == 1
            if not (once and pattern.index(first) < pattern.index(last) and pattern.endswith(last)):
                raise InputError(
                    f"The {name} pattern must hold {first} once, then {last} once at its end, got {pattern!r}."
                )

    def fill(self, pattern: str, x: str, y: str) -> str:
        """One demonstration as text. The parts are joined, never formatted: braces in x or y stay as they are."""
        before, between, _ = _split(pattern)
        first, last = (x, y) if pattern == self.direct else (y, x)
        return before + first + between + last


def _split(pattern: str) -> tuple[str, str, str]:
    """What stands before, between and after the two places of a pattern."""
    first, last = sorted(("{x}", "{y}"), key=pattern.index)
    before, rest = pattern.split(first)
    between, after = rest.split(last)
    return before, between, after


@dataclass(frozen=True)
class Prompt:
    """Demonstrations and a query. A candidate label completes it to a text, in one of two orders.

    Both methods return (context, continuation): the part of the text that every candidate shares or is conditioned
    on, and the part that is scored.
    """

    query: str
    demonstrations: Sequence[Demonstration] = ()
    template: Template = field(default_factory=Template)

    def input_first(self, label: str) -> tuple[str, str]:
        """(demonstrations, the query), label: the continuation is the label."""
        before, between, _ = _split(self.template.direct)
        return self._shots(self.template.direct) + before + self.query + between, label

    def label_first(self, label: str) -> tuple[str, str]:
        """(demonstrations, label), the query: the continuation is the query."""
        before, between, _ = _split(self.template.channel)
        return self._shots(self.template.channel) + before + label + between, self.query

    def label_first_whole(self, label: str) -> tuple[str, str]:
        """(demonstrations), label and query: the same text as `label_first`, cut before the label."""
        before, between, _ = _split(self.template.channel)
        return self._shots(self.template.channel) + before, label + between + self.query

    def _shots(self, pattern: str) -> str:
        shots = [self.template.fill(pattern, d.x, d.y) for d in self.demonstrations]
        return "".join(shot + self.template.separator for shot in shots)
