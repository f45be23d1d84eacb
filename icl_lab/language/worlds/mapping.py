"""The mapping world: which label word belongs to which kind of thing is drawn afresh for every document.

It was designed until its effect showed, and then fixed. Nothing about a label can be known before the demonstrations
are read, so a language model that learns this world must learn to read the mapping off the prompt: task learning, in
the words of Pan et al. 2023 (arXiv 2305.09731). What it may know by heart is which words are of one kind. The design
is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens, [p] is a probability)::

    document   ->  mapping [1 - copies]  |  copy [copies]
    mapping    ->  2, 3 or 4 kinds [uniform], as many label words, drawn from the training ones without replacement,
                   narrow [1/2] | wide [1/2], then `items` times:  example
    example    ->  input label(kind)                            kind uniform
    input      ->  word * (1 .. longest, uniform)
    word       ->  one of two words of the kind, fixed for the document, in a narrow one
                |  any word of the kind in a wide one           all uniform
    copy       ->  3 to 16 different label words in random order, again and again, 2 * `items` words in all

There are 16 kinds of 12 words each. Label words are made up ("dabo"). Some of them are **held out**: they occur in the
copies, so that the model knows them as words, and never as a label.

Known optimum: a kind that has been shown is known for sure, so with every kind among the demonstrations it is 1.
Guessing among the labels of the prompt is right in 1/2 with two kinds, in 1/4 with four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from icl_lab.errors import InputError, check_count, unknown
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING, Case

KINDS = {
    "food": "bread soup rice apple cheese salad butter honey pasta sugar onion lemon",
    "music": "song piano drum violin choir melody guitar trumpet flute opera harp chord",
    "sport": "goal race team ball coach tennis stadium medal hockey sprint match boxing",
    "weather": "rain snow storm wind cloud frost thunder fog hail breeze sleet drizzle",
    "sea": "whale coral crab seal shark squid tuna kelp shrimp oyster eel lobster",
    "space": "planet comet star moon rocket orbit galaxy meteor nebula eclipse asteroid crater",
    "clothes": "coat hat scarf shirt shoe glove belt dress sock skirt jacket boot",
    "tools": "hammer saw drill wrench pliers chisel screw nail file axe shovel ladder",
    "plants": "oak pine rose fern tulip moss cactus ivy maple daisy willow clover",
    "body": "arm leg knee elbow shoulder finger ankle wrist neck chin thumb heel",
    "vehicles": "car bus train truck bicycle tram ship plane canoe taxi tractor ferry",
    "furniture": "table chair sofa shelf desk bed cupboard stool bench lamp drawer carpet",
    "jobs": "teacher nurse baker pilot judge farmer singer doctor plumber lawyer tailor miner",
    "metals": "iron copper silver gold zinc nickel lead chrome brass steel bronze titanium",
    "colors": "red blue green yellow purple orange pink brown gray black white violet",
    "buildings": "house church castle tower barn school hotel museum temple prison library palace",
}
WORDS_PER_KIND = 12
SYLLABLES = [a + b + c + d for a, b, c, d in product("bdfgklmnprstvz", "ao", "bdkmnt", "iu")]
LABELS = tuple(np.random.default_rng(0).permutation(SYLLABLES)[:160].tolist())
LABEL_SET = frozenset(LABELS)
TRAINED, HELD_OUT = LABELS[:128], LABELS[128:]
TEMPLATE = Template("{x} {y}", "{y} {x}", " ")


@dataclass(frozen=True)
class Mapping:
    """The world's settings.

    ``labels``: how many of the TRAINED label words are used. ``longest``: words in the longest input. ``items``:
    examples in one document. ``copies``: share of the documents that are copies. The vocabulary is the same for all.
    Raises InputError for values outside these ranges.
    """

    labels: int = 128
    longest: int = 4
    items: int = 24
    copies: float = 0.3

    def __post_init__(self) -> None:
        for name in ("labels", "longest", "items"):
            check_count(name, getattr(self, name))
        if not 4 <= self.labels <= len(TRAINED):
            raise InputError(f"labels must be between 4 and {len(TRAINED)}, got {self.labels}.")
        if not 0 <= self.copies < 1:
            raise InputError(f"copies must be a share in 0 <= c < 1, got {self.copies}.")

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        return [*(word for words in KINDS.values() for word in words.split()), *LABELS]

    def answers(self, document: str) -> list[bool]:
        """Which words of a document count where only labels are learned: the label words, those of copies too."""
        return [word in LABEL_SET for word in document.split()]

    def pool(self, held_out: bool = False) -> tuple[str, ...]:
        """The label words of training, or the ones held out."""
        return HELD_OUT if held_out else TRAINED[: self.labels]

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        if rng.random() < self.copies:
            chosen = rng.permutation(len(LABELS))[: rng.integers(3, 17)].tolist()
            return " ".join(LABELS[chosen[i % len(chosen)]] for i in range(2 * self.items))
        n = int(rng.integers(2, 5))
        kinds = rng.permutation(len(KINDS))[:n].tolist()
        names = rng.permutation(self.labels)[:n].tolist()
        choice = 2 if rng.random() < 0.5 else WORDS_PER_KIND
        orders = [rng.permutation(WORDS_PER_KIND).tolist() for _ in range(n)]
        which = rng.integers(n, size=self.items).tolist()
        lengths = rng.integers(1, self.longest + 1, size=self.items).tolist()
        places = rng.integers(choice, size=(self.items, self.longest)).tolist()
        words = [line.split() for line in KINDS.values()]
        out = []
        for i, length, row in zip(which, lengths, places, strict=True):
            out += [words[kinds[i]][orders[i][place]] for place in row[:length]]
            out.append(TRAINED[names[i]])
        return " ".join(out)

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def cases(
        self,
        n: int,
        kinds: int = 2,
        k: int = 8,
        words: int = 1,
        seed: int = 0,
        held_out: bool = False,
        repeated: bool = False,
        labels: Sequence[str] | None = None,
    ) -> list[Case]:
        """``n`` questions, each a pure function of (seed, number); the candidates are the labels of the prompt.

        ``kinds``: classes in a prompt. ``k``: demonstrations, as evenly spread over the kinds as can be, in random
        order. ``words``: in every input. ``held_out``: take label words that were never labels in training.
        ``repeated``: the query is also one of the demonstrations, a fact to be looked up; otherwise none of its words
        is in the prompt. ``labels``: take these label words instead. The queries take turns over the kinds.
        Raises InputError for numbers of kinds, words or demonstrations that do not fit.
        """
        check_count("n", n)
        pool = list(self.pool(held_out) if labels is None else labels)
        if not 2 <= kinds <= min(len(KINDS), len(pool)):
            raise InputError(f"kinds must be between 2 and {min(len(KINDS), len(pool))}, got {kinds}.")
        if not 1 <= words <= self.longest or k < 0:
            raise InputError(f"words must be between 1 and {self.longest} and k >= 0, got {words} and {k}.")
        if repeated and k < kinds:
            raise InputError(f"A query can only be repeated if every kind is shown, got k = {k} for {kinds} kinds.")
        known = set(self.vocabulary())
        for word in pool:
            if word not in known:
                raise unknown("label word", word, known)
        return [self._case(seed, i, kinds, k, words, pool, repeated) for i in range(n)]

    def _case(self, seed, index, n_kinds, k, n_words, pool, repeated) -> Case:
        rng = np.random.default_rng([EVALUATION, seed, index])
        answer = index % n_kinds
        kinds = rng.permutation(len(KINDS))[:n_kinds].tolist()
        labels = tuple(pool[i] for i in rng.permutation(len(pool))[:n_kinds])
        words = [rng.permutation(line.split()).tolist() for line in KINDS.values()]
        query = words[kinds[answer]][:n_words]
        shots = []
        for i in rng.permutation(np.arange(k) % n_kinds).tolist():
            stock = words[kinds[i]][n_words:]  # what is left when the query's words are kept back
            shots.append(Demonstration(" ".join(rng.choice(stock, size=n_words)), labels[i]))
        if repeated:
            same = [i for i, shot in enumerate(shots) if shot.y == labels[answer]]
            shots[same[rng.integers(len(same))]] = Demonstration(" ".join(query), labels[answer])
        return Case(Prompt(" ".join(query), tuple(shots), TEMPLATE), labels, answer)
