"""The drift world: the noisy sentences of ``noisy_evidence``, but their labels come in an order that means something.

It was designed until its effect showed, and then fixed: a language model that learns this world must also learn how
the labels of a document follow one another. The same demonstrations in another order then make another prompt, and
some orders are bad. The design is ours; it is no corpus.

Grammar (one document; | separates choices, "..." are tokens, [p] is a probability)::

    document   ->  format [1/2 each], ordered pair of different topics (A, B) [uniform],
                   persistence s [uniform in persistences], then `sentences` times:  example "."
    topic      ->  A [1/2] | B [1/2]                               for the first example
                |  the topic of the example before [s] | the other one of A and B [1 - s]       for every later one
    example    ->  words ":" label(topic)                          in an input-first document
                |  label(topic) ":" words                          in a label-first document
    words      ->  as in ``noisy_evidence``: each word from its topic [q] or from a random one [1 - q]

In half of the documents labels come in long runs (s = .98), in a third they alternate (.02), in a sixth they are
shuffled (.5). So two demonstrations of each label in the order A B A B promise an A, nearly whatever the query says;
in the order A A B B they promise little. Sentences have two words, so that a word counts more than a weak promise and
less than a strong one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

import numpy as np

from icl_lab.errors import InputError, check_count
from icl_lab.language.prompts import Demonstration, Prompt, Template
from icl_lab.language.worlds.base import EVALUATION, TRAINING, Case
from icl_lab.language.worlds.noisy_evidence import TOPICS, NoisyEvidence


@dataclass(frozen=True)
class Drift:
    """The world's settings.

    ``persistences``: the list from which a document draws the probability that a label is followed by itself (a value
    that stands there twice is twice as common). ``topics``: the four whose labels are one word. The others are those
    of `NoisyEvidence`.
    Raises InputError for values outside these ranges.
    """

    q: float = 0.5
    topics: tuple[str, ...] = tuple(topic for topic in TOPICS if len(topic.split()) == 1)
    words_per_sentence: int = 2
    sentences: int = 16
    persistences: tuple[float, ...] = (0.02, 0.02, 0.5, 0.98, 0.98, 0.98)

    def __post_init__(self) -> None:
        object.__setattr__(self, "topics", tuple(self.topics))  # a card gives lists back
        object.__setattr__(self, "persistences", tuple(self.persistences))
        if not self.persistences or not all(0 < s < 1 for s in self.persistences):
            raise InputError(f"persistences must be strictly between 0 and 1, got {list(self.persistences)}.")
        _ = self.words  # checks the rest

    @property
    def words(self) -> NoisyEvidence:
        """The world that the sentences come from."""
        return NoisyEvidence(self.q, self.topics, self.words_per_sentence, self.sentences)

    # text

    def vocabulary(self) -> list[str]:
        """Every word a document can hold, in a fixed order."""
        return self.words.vocabulary()

    def document(self, seed: int, index: int) -> str:
        """Training document number ``index``: a pure function of (seed, index)."""
        rng = np.random.default_rng([TRAINING, seed, index])
        label_first = rng.random() < 0.5
        pair = rng.choice(len(self.topics), size=2, replace=False)
        s = self.persistences[rng.integers(len(self.persistences))]
        changes = rng.random(self.sentences) >= s
        changes[0] = rng.random() < 0.5
        topics = pair[np.cumsum(changes) % 2]
        template = Template()
        pattern = template.channel if label_first else template.direct
        sentences = zip(self.words.sentences_about(topics, rng), topics, strict=True)
        examples = [template.fill(pattern, x, self.topics[topic]) for x, topic in sentences]
        return "".join(example + template.separator for example in examples).strip()

    def batch(self, seed: int, step: int, size: int) -> list[str]:
        """The ``size`` documents of one training step: a pure function of (seed, step, size)."""
        return [self.document(seed, step * size + i) for i in range(size)]

    # questions

    def cases(
        self,
        n: int,
        order: Sequence[int] = (0, 0, 1, 1),
        seed: int = 0,
        demonstrations: int | None = None,
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> list[Case]:
        """``n`` questions with balanced queries whose demonstrations have their labels in this order.

        ``order``: 0 for the first label, 1 for the second. ``demonstrations``: the number of a set of demonstrations:
        all questions then share that set and its pair of topics, as a probing set does; None: each question has its
        own. Sentence number i of a label is the same in every order, so two orders with the same counts are
        permutations of one set. ``pairs``: of topics to draw from; default: those whose labels are one word each.
        """
        check_count("n", n)
        order = tuple(order)
        if not set(order) <= {0, 1}:
            raise InputError(f"order must hold the numbers 0 and 1, got {order}.")
        pairs = list(self.words.pairs() if pairs is None else pairs)
        if not pairs:
            raise InputError("This world has no pair of topics of the kind asked for.")
        return [self._case(seed, i, order, demonstrations, pairs) for i in range(n)]

    def _case(self, seed, index, order, demonstrations, pairs) -> Case:
        query_rng = np.random.default_rng([EVALUATION, seed, index, 0])
        shared = index if demonstrations is None else demonstrations
        rng = np.random.default_rng([EVALUATION, seed, shared, 1 if demonstrations is None else 2])
        labels = tuple(pairs[rng.integers(len(pairs))])
        numbers = [self.topics.index(label) for label in labels]
        answer = index % 2
        query = self.words.sentences_about([numbers[answer]], query_rng)[0]
        # All first-label sentences, then all second-label ones: what is drawn depends on the counts, not on the order.
        grouped = self.words.sentences_about([numbers[i] for i in sorted(order)], rng)
        stock = {0: iter(grouped[: order.count(0)]), 1: iter(grouped[order.count(0) :])}
        shots = tuple(Demonstration(next(stock[i]), labels[i]) for i in order)
        return Case(Prompt(query, shots), labels, answer)

    # what the best possible answer is

    def prior_log_odds(self, order: Sequence[int]) -> float:
        """log p(first label) / p(second label) for the next example, after demonstrations with labels in this order.

        This is what a perfect model of the *training documents* believes before it reads the query: the unknown
        persistence is averaged over its posterior given the steps from label to label. Before both labels were seen,
        the other one is one of m - 1 topics. 0 without demonstrations.
        """
        order = list(order)
        if not order:
            return 0.0
        stays = sum(a == b for a, b in pairwise(order))
        steps = len(order) - 1
        s = np.array(self.persistences)
        posterior = s**stays * (1 - s) ** (steps - stays)
        stay = float((posterior * s).sum() / posterior.sum())
        other = (1 - stay) / (1 if len(set(order)) == 2 else len(self.topics) - 1)
        return log(stay / other) if order[-1] == 0 else log(other / stay)

    def optimal_accuracy(self, order: Sequence[int] | None = None) -> tuple[float, float]:
        """Accuracy of exact Bayes on (first class, second class), balanced queries.

        None: for a predictor that knows that the queries are balanced. An order: for one who believes that the next
        example follows from the labels in this order, as it would in a training document.
        """
        return self.words.optimal_accuracy(0.0 if order is None else self.prior_log_odds(order))
