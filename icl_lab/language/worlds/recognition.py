"""The recognition world: every sentence can be asked ten questions, and a document asks one of them all the time.

It was designed until its effect showed, and then fixed: a language model that learns this world knows the ten tasks by
heart, and the prompt has only to tell it which one is meant. Pan et al. 2023 (arXiv 2305.09731) call this task
recognition. Nothing in these documents ever contradicts a task, so what the demonstrations say about the mapping from
inputs to labels need not be read. The design is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens, [p] is a probability)::

    document   ->  task [uniform], format [uniform in the 40 training formats], [1/3] instruction(task),
                   then `sentences` times:  example
    task       ->  attribute (who | what | where | when | how), verbalizer (first | second)
    instruction->  label "or" label ["or" label "or" label] "?"     the task's label words, in any order
    example    ->  prefix sentence mark label(task, class) end
    sentence   ->  one of six frames, each with a word for every attribute, [1/4] "says" name
    word       ->  class of the attribute [uniform], then one of its words [uniform]
    format     ->  prefix, mark, end from the lists PREFIXES, MARKS, ENDS

An attribute has two or four classes, and each of its two verbalizers a label word for every class, so that there are
24 label words and no word serves two tasks. Ten of the fifty formats never occur in training, though all their parts
do. The six names never stand in a label's place.

Known optimum: with the task known, 1. Without demonstrations and instruction 1/10: each task is as likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from icl_lab.errors import InputError, check_count, unknown
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING, Case

# attribute -> class -> words; the classes are numbered in this order
WORDS = {
    "who": [
        "teacher nurse baker pilot judge farmer singer doctor",
        "dog cat fox owl horse goat mouse raven",
    ],
    "what": [
        "soup bread cheese apple rice salad honey butter",
        "song piano drum violin choir melody guitar trumpet",
        "goal race ball tennis medal stadium coach team",
        "coat hat scarf shirt shoe glove belt dress",
    ],
    "where": [
        "oslo bergen turku reykjavik narvik umea tampere stockholm",
        "cairo lagos nairobi lima quito manila bogota jakarta",
    ],
    "when": [
        "november december january february",
        "may june july august",
    ],
    "how": [
        "lovely superb brilliant wonderful charming splendid delightful perfect",
        "awful dreadful terrible horrible nasty dismal lousy miserable",
    ],
}
# attribute -> two verbalizers, each with a word for every class
LABELS = {
    "who": (("human", "animal"), ("person", "beast")),
    "what": (("food", "music", "sport", "clothes"), ("kitchen", "concert", "match", "wardrobe")),
    "where": (("north", "south"), ("polar", "tropical")),
    "when": (("winter", "summer"), ("cold", "warm")),
    "how": (("positive", "negative"), ("good", "bad")),
}
FRAMES = (
    "the {who} had {how} {what} in {where} in {when}",
    "in {when} the {who} had {how} {what} in {where}",
    "in {where} the {who} had {how} {what} in {when}",
    "{how} {what} for the {who} in {where} in {when}",
    "{how} {what} in {where} in {when} for the {who}",
    "in {where} in {when} {how} {what} for the {who}",
)
PREFIXES = ("", "text", "input", "case", "note")
MARKS = (":", "->", "=", "so", "label")
ENDS = (".", ";")
FORMATS = tuple(product(PREFIXES, MARKS, ENDS))
HELD_OUT = tuple(f for i, f in enumerate(FORMATS) if i % 5 == (i // 10) % 5)  # two of every ten
TRAINED = tuple(f for f in FORMATS if f not in HELD_OUT)
TASKS = tuple((attribute, which) for attribute in WORDS for which in (0, 1))
NAMES = ("dax", "wug", "blick", "toma", "fep", "zorp")


def template(prefix: str, mark: str, end: str) -> Template:
    """The format as a `Template`."""
    front = f"{prefix} " if prefix else ""
    return Template(f"{front}{{x}} {mark} {{y}}", f"{{y}} {mark} {front}{{x}}", f" {end} ")


@dataclass(frozen=True)
class Recognition:
    """The world's settings: ``sentences``, the examples in one training document. InputError unless it is >= 1."""

    sentences: int = 8

    def __post_init__(self) -> None:
        check_count("sentences", self.sentences)

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        frames = [word for frame in FRAMES for word in frame.split() if not word.startswith("{")]
        words = [word for classes in WORDS.values() for line in classes for word in line.split()]
        parts = [part for part in (*PREFIXES, *MARKS, *ENDS, "or", "?", "says") if part]
        return list(dict.fromkeys([*parts, *self.labels(), *frames, *words, *NAMES]))

    def labels(self) -> tuple[str, ...]:
        """The label words of all tasks: the candidates of every question."""
        return tuple(word for verbalizers in LABELS.values() for words in verbalizers for word in words)

    def verbalizers(self) -> list[tuple[str, ...]]:
        """The label words of each task, in the order of TASKS."""
        return [LABELS[attribute][which] for attribute, which in TASKS]

    def sentence(self, rng: np.random.Generator, classes: dict[str, int] | None = None) -> tuple[str, dict[str, int]]:
        """A random sentence and the class of each attribute; ``classes`` fixes some of them."""
        drawn, words = {}, {}
        for attribute, lines in WORDS.items():
            drawn[attribute] = int(rng.integers(len(lines)))
            if classes and attribute in classes:
                drawn[attribute] = classes[attribute]
            options = lines[drawn[attribute]].split()
            words[attribute] = options[rng.integers(len(options))]
        text = FRAMES[rng.integers(len(FRAMES))].format(**words)
        if rng.random() < 0.25:
            text += f" says {NAMES[rng.integers(len(NAMES))]}"
        return text, drawn

    def instruction(self, task: tuple[str, int], rng: np.random.Generator) -> str:
        """The task's label words with "or" between them, in random order, and a question mark."""
        words = LABELS[task[0]][task[1]]
        return " or ".join(words[i] for i in rng.permutation(len(words))) + " ?"

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        attribute, which = task = TASKS[rng.integers(len(TASKS))]
        style = template(*TRAINED[rng.integers(len(TRAINED))])
        head = self.instruction(task, rng) + style.head if rng.random() < 1 / 3 else ""
        examples = []
        for _ in range(self.sentences):
            text, classes = self.sentence(rng)
            examples.append(style.fill(style.direct, text, LABELS[attribute][which][classes[attribute]]))
        return (head + "".join(example + style.separator for example in examples)).strip()

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def cases(
        self,
        n: int,
        k: int = 1,
        seed: int = 0,
        task: tuple[str, int] | None = None,
        instruction: bool = False,
        formats: tuple[tuple[str, str, str], ...] = TRAINED,
    ) -> list[Case]:
        """``n`` questions with ``k`` demonstrations each, a pure function of (seed, number); all labels are candidates.

        ``task``: one of TASKS; None: they take turns. ``instruction``: put the task's instruction in front.
        ``formats``: TRAINED, HELD_OUT or a list of (prefix, mark, end) to draw from. The query and its demonstrations
        are the same whatever the task, format and instruction, and the demonstrations of a small k are the last ones
        of a large k. Raises InputError for an unknown task, no format and negative k.
        """
        check_count("n", n)
        if task is not None and tuple(task) not in TASKS:
            raise unknown("task", task, map(str, TASKS))
        if k < 0 or not formats:
            raise InputError(f"A question needs k >= 0 and a format, got k = {k} and {len(formats)} formats.")
        return [self._case(seed, i, k, task, instruction, formats) for i in range(n)]

    def _case(self, seed, index, k, task, instruction, formats) -> Case:
        rng = np.random.default_rng([EVALUATION, seed, index])
        attribute, which = task = TASKS[index % len(TASKS)] if task is None else tuple(task)
        style = template(*formats[rng.integers(len(formats))])
        head = self.instruction(task, np.random.default_rng([EVALUATION, seed, index, 1])) if instruction else ""
        query, classes = self.sentence(rng)
        words = LABELS[attribute][which]
        shots = [self.sentence(rng) for _ in range(k)]
        demonstrations = tuple(Demonstration(text, words[drawn[attribute]]) for text, drawn in reversed(shots))
        answer = self.labels().index(words[classes[attribute]])
        return Case(Prompt(query, demonstrations, style, head), self.labels(), answer)
