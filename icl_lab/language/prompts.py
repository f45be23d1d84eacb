"""Prompts: an instruction, demonstrations, a query, and the template that turns them into text.

A template has two patterns because a demonstration can be written in two orders. ``direct`` puts the input before
the label, ``channel`` the label before the input. Which of the two a score needs is told in ``scoring``. A verbalizer
says which word stands for which class; `shorten` and `check_length` keep a prompt within what a model can read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from icl_lab.errors import InputError, unknown


@dataclass(frozen=True)
class Demonstration:
    """One in-context example: an input text x and its label word y."""

    x: str
    y: str


@dataclass(frozen=True)
class Verbalizer:
    """Which word (or words) stands for which class: ``Verbalizer({"pos": "great", "neg": "terrible"})``.

    Raises InputError for fewer than two classes, an empty word, and two classes with one word.
    """

    words: Mapping[str, str]

    def __post_init__(self) -> None:
        words = [word.strip() for word in self.words.values()]
        if len(words) < 2 or not all(words):
            raise InputError(f"A verbalizer needs a word for each of two or more classes, got {dict(self.words)}.")
        if len(set(words)) != len(words):
            raise InputError(f"Two classes of the verbalizer have the same word: {dict(self.words)}.")

    @property
    def labels(self) -> tuple[str, ...]:
        """The label words, in the order of the classes: the candidates of a score."""
        return tuple(self.words.values())

    def word(self, name: str) -> str:
        """The label word of a class. Raises InputError for an unknown class."""
        if name not in self.words:
            raise unknown("class", name, self.words)
        return self.words[name]

    def demonstrations(self, examples: Iterable[tuple[str, str]]) -> tuple[Demonstration, ...]:
        """Demonstrations from (input, class) pairs."""
        return tuple(Demonstration(x, self.word(name)) for x, name in examples)


@dataclass(frozen=True)
class Template:
    """How one demonstration is written, in both orders, and what stands between two of them.

    ``direct`` must contain ``{x}`` before ``{y}`` and end with it; ``channel`` the reverse. What follows a
    demonstration belongs to ``separator``, so that the last thing a prompt says is the thing that is scored.
    ``head`` stands between an instruction and what follows it.
    Raises InputError if a pattern breaks these rules.
    """

    direct: str = "{x} : {y}"
    channel: str = "{y} : {x}"
    separator: str = " . "
    head: str = " "

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
    """An instruction (may be empty), demonstrations and a query. A candidate label completes it to a text, in one of
    two orders.

    The methods return (context, continuation): the part of the text that every candidate shares or is conditioned
    on, and the part that is scored.
    """

    query: str
    demonstrations: Sequence[Demonstration] = ()
    template: Template = field(default_factory=Template)
    instruction: str = ""

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
        head = self.instruction + self.template.head if self.instruction else ""
        shots = [self.template.fill(pattern, d.x, d.y) for d in self.demonstrations]
        return head + "".join(shot + self.template.separator for shot in shots)


def n_tokens(lm, prompt: Prompt, labels: Sequence[str]) -> int:
    """Tokens of the prompt with its longest candidate, in the longer of its two orders, beginning of text included."""
    requests = (prompt.input_first, prompt.label_first)
    encoded = lm.encode_all("".join(request(label)) for request in requests for label in labels)
    return max(map(len, encoded.values())) + int(lm.add_bos)


def check_length(lm, prompt: Prompt, labels: Sequence[str]) -> int:
    """`n_tokens`, or InputError that names the count and the limit where the model cannot read so much.

    A score predicts the last token without reading it, so the limit is one more than the model's context.
    """
    count, limit = n_tokens(lm, prompt, labels), lm.max_length + 1
    if count > limit:
        raise InputError(
            f"The prompt with its {len(prompt.demonstrations)} demonstrations and a label has {count} tokens, and this "
            f"model can score at most {limit}: leave out demonstrations or write them shorter."
        )
    return count


def shorten(lm, prompt: Prompt, labels: Sequence[str]) -> tuple[Prompt, int]:
    """(the prompt without its first demonstrations, as many as must go for the model to read it; how many went).

    The instruction and the query stay, and so do the demonstrations nearest to the query. Raises InputError, naming
    the count, if the prompt is too long without any demonstration.
    """
    for dropped in range(len(prompt.demonstrations)):
        shorter = replace(prompt, demonstrations=tuple(prompt.demonstrations)[dropped:])
        if n_tokens(lm, shorter, labels) <= lm.max_length + 1:
            return shorter, dropped
    shorter = replace(prompt, demonstrations=())
    check_length(lm, shorter, labels)
    return shorter, len(prompt.demonstrations)
