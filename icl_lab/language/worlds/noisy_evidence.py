"""The noisy-evidence world: short sentences that hint at a topic, and the topic's name as their label.

It is designed so that one effect shows: a language model that learns this world must also learn that documents
differ in how common each label is. A prompt full of one label then pulls its answers toward that label, and the
scores of ``icl_lab.language.scoring`` differ in whether they follow. The design is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens, [p] is a probability)::

    document   ->  format [1/2 each], ordered pair of different topics (A, B) [uniform], prior p [uniform in priors],
                   then `sentences` times:  example "."
    topic      ->  A [p] | B [1 - p]                               drawn for each example
    example    ->  words ":" label(topic)                          in an input-first document
                |  label(topic) ":" words                          in a label-first document
    words      ->  word * words_per_sentence
    word       ->  a word of the topic [q]  |  a word of a random topic, this one included [1 - q]     all uniform

A word belongs to one topic. Labels are one word ("food") or two ("sea life"): the two-word labels are there for
the question what a score does with candidates of different lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import comb, log

import numpy as np

from icl_lab.errors import InputError, positive, unknown
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING, Case

TOPICS = {
    "food": "bread soup rice apple cheese salad butter honey",
    "music": "song piano drum violin choir melody guitar trumpet",
    "sport": "goal race team ball coach tennis stadium medal",
    "weather": "rain snow storm wind cloud frost thunder fog",
    "sea life": "whale coral crab seal shark squid tuna kelp",
    "outer space": "planet comet star moon rocket orbit galaxy meteor",
}
WORDS_PER_TOPIC = 8


@dataclass(frozen=True)
class NoisyEvidence:
    """The world's settings.

    ``q``: probability that a word is drawn from its sentence's topic (0 to 1); 0.35 leaves room for doubt.
    ``topics``: names from TOPICS, two at least. ``priors``: the list from which a document draws the probability of
    its first class. ``sentences``: examples in one training document.
    Raises InputError for values outside these ranges.
    """

    q: float = 0.35
    topics: tuple[str, ...] = tuple(TOPICS)
    words_per_sentence: int = 4
    sentences: int = 13
    priors: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def __post_init__(self) -> None:
        object.__setattr__(self, "topics", tuple(self.topics))  # a card gives lists back
        object.__setattr__(self, "priors", tuple(self.priors))
        if not 0 <= self.q <= 1:
            raise InputError(f"q is a probability between 0 and 1, got {self.q}.")
        for topic in self.topics:
            if topic not in TOPICS:
                raise unknown("topic", topic, TOPICS)
        if len(set(self.topics)) != len(self.topics) or len(self.topics) < 2:
            raise InputError(f"topics must be at least two different names, got {list(self.topics)}.")
        positive("words_per_sentence", self.words_per_sentence)
        positive("sentences", self.sentences)
        if not self.priors or not all(0 < p < 1 for p in self.priors):
            raise InputError(f"priors must be probabilities strictly between 0 and 1, got {list(self.priors)}.")

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        labels = [word for topic in self.topics for word in topic.split()]
        return [":", ".", *labels, *(word for topic in self.topics for word in TOPICS[topic].split())]

    def sentences_about(self, topics: Sequence[int], rng: np.random.Generator) -> list[str]:
        """One sentence for each topic number: every word from that topic with probability q, else from any topic."""
        shape = (len(topics), self.words_per_sentence)
        on_topic = rng.random(shape) < self.q
        owners = np.where(on_topic, np.asarray(topics)[:, None], rng.integers(len(self.topics), size=shape))
        places = rng.integers(WORDS_PER_TOPIC, size=shape)
        words = [TOPICS[topic].split() for topic in self.topics]
        rows = zip(owners.tolist(), places.tolist(), strict=True)
        return [" ".join(words[o][i] for o, i in zip(*row, strict=True)) for row in rows]

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        label_first = rng.random() < 0.5
        pair = rng.choice(len(self.topics), size=2, replace=False)
        prior = self.priors[rng.integers(len(self.priors))]
        topics = np.where(rng.random(self.sentences) < prior, *pair)
        template = Template()
        pattern = template.channel if label_first else template.direct
        sentences = zip(self.sentences_about(topics, rng), topics, strict=True)
        examples = [template.fill(pattern, x, self.topics[topic]) for x, topic in sentences]
        return "".join(example + template.separator for example in examples).strip()

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def pairs(self, words: int | None = 1) -> list[tuple[str, str]]:
        """Ordered pairs of topics; by default those whose labels are one word each (None: all pairs)."""
        names = [t for t in self.topics if words is None or len(t.split()) == words]
        return list(permutations(names, 2))

    def cases(
        self,
        n: int,
        counts: tuple[int, int] = (4, 4),
        seed: int = 0,
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> list[Case]:
        """``n`` questions with balanced queries, each a pure function of (seed, its number).

        ``counts``: demonstrations of the majority and of the minority label, in random order. Every second query
        belongs to the minority label. ``pairs``: (majority, minority) topics to draw from; default `pairs()`.
        """
        positive("n", n)
        if len(counts) != 2 or counts[0] < counts[1] or counts[1] < 0:
            raise InputError(f"counts must be (majority, minority) with majority >= minority >= 0, got {counts}.")
        pairs = list(self.pairs() if pairs is None else pairs)
        if not pairs:
            raise InputError("This world has no pair of topics of the kind asked for.")
        return [self._case(seed, i, counts, pairs) for i in range(n)]

    def _case(self, seed: int, index: int, counts: tuple[int, int], pairs: Sequence[tuple[str, str]]) -> Case:
        # The counts are no part of the seed: at every imbalance the queries and the pairs are the same.
        rng = np.random.default_rng([EVALUATION, seed, index])
        labels = tuple(pairs[rng.integers(len(pairs))])
        answer = index % 2
        numbers = [self.topics.index(label) for label in labels]
        query = self.sentences_about([numbers[answer]], rng)[0]
        order = rng.permutation([0] * counts[0] + [1] * counts[1])
        inputs = self.sentences_about([numbers[i] for i in order], rng)
        shots = tuple(Demonstration(x, labels[i]) for x, i in zip(inputs, order, strict=True))
        return Case(Prompt(query, shots), labels, answer)

    # what the best possible answer is

    def log_evidence(self, sentence: str, labels: tuple[str, str]) -> float:
        """log p(sentence | first label) - log p(sentence | second label), in nats, exactly.

        A word of the first topic counts log(own / other), one of the second as much against it, any other nothing;
        own = q + (1 - q)/m and other = (1 - q)/m are a topic's share in its own and in another topic's sentences,
        m topics. Raises InputError for an unknown label.
        """
        for label in labels:
            if label not in self.topics:
                raise unknown("topic", label, self.topics)
        words = sentence.split()
        counts = [sum(word in TOPICS[label].split() for word in words) for label in labels]
        return (counts[0] - counts[1]) * self._word_evidence() if counts[0] != counts[1] else 0.0

    def _word_evidence(self) -> float:
        own, other = self._shares()
        return log(own / other) if other > 0 else float("inf")

    def _shares(self) -> tuple[float, float]:
        m = len(self.topics)
        return self.q + (1 - self.q) / m, (1 - self.q) / m

    def optimal_accuracy(self, log_odds: float = 0.0) -> tuple[float, float]:
        """Accuracy of exact Bayes on (first class, second class), given a query's words and two candidate classes.

        ``log_odds``: log p(first) / p(second) that the predictor believes before it reads the words; 0 is the
        uniform prior, which is right for balanced queries. Enumeration over a words of the first topic and b of the
        second, whose evidence is that of `log_evidence`. Ties are broken by a fair coin.
        """
        n, ratio = self.words_per_sentence, self._word_evidence()
        own, other = self._shares()
        rest = 1 - own - other
        accuracy = [0.0, 0.0]
        for a in range(n + 1):
            for b in range(n + 1 - a):
                ways = comb(n, a) * comb(n - a, b) * max(rest, 0.0) ** (n - a - b)
                evidence = log_odds + ((a - b) * ratio if a != b else 0.0)
                first = 0.5 if abs(evidence) < 1e-12 else float(evidence > 0)
                accuracy[0] += ways * own**a * other**b * first
                accuracy[1] += ways * other**a * own**b * (1 - first)
        return accuracy[0], accuracy[1]

    def prior_log_odds(self, counts: tuple[int, int]) -> float:
        """log p(majority label) / p(minority label) for the next example, after demonstrations with these counts.

        This is what a perfect model of the *training documents* believes before it reads the query: the unknown
        prior p is averaged over its posterior given the labels seen. If the minority label has not been seen, it is
        one of m - 1 topics that could be the document's other class; if neither has, the odds are even.
        """
        majority, minority = counts
        if majority == minority:
            return 0.0
        p = np.array(self.priors)
        p = np.concatenate([p, 1 - p])  # the pair is ordered at random: the majority may be the first or the second
        posterior = p**majority * (1 - p) ** minority
        p_majority = float((posterior * p).sum() / posterior.sum())
        p_minority = (1 - p_majority) / (1 if minority else len(self.topics) - 1)
        return log(p_majority / p_minority)
