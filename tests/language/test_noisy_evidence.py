import re
from collections import Counter
from math import exp, log

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language.worlds import NoisyEvidence
from icl_lab.language.worlds.noisy_evidence import TOPICS

WORLD = NoisyEvidence()


def labels_of(document):
    """Labels and format of a document, read by a parser that knows only the written grammar."""
    label = "|".join(TOPICS)
    words = r"\w+( \w+){3}"
    for pattern in (rf"(?P<y>{label}) : (?P<x>{words})", rf"(?P<x>{words}) : (?P<y>{label})"):
        examples = [re.fullmatch(pattern, part.strip()) for part in document.removesuffix(".").split(" . ")]
        if all(examples):
            return [e["y"] for e in examples], [e["x"] for e in examples], pattern.startswith("(?P<y>")
    raise AssertionError(f"not in the grammar: {document}")


def test_documents_follow_the_grammar_in_both_formats():
    parsed = [labels_of(WORLD.document(0, i)) for i in range(400)]
    assert all(len(ys) == WORLD.sentences and len(set(ys)) <= 2 for ys, _, _ in parsed)
    assert abs(np.mean([first for _, _, first in parsed]) - 0.5) < 0.08  # 3 standard errors
    shares = Counter()
    for ys, xs, _ in parsed:
        for y, x in zip(ys, xs, strict=True):
            shares.update(word in TOPICS[y].split() for word in x.split())
    own = 0.35 + 0.65 / 6
    assert abs(shares[True] / shares.total() - own) < 0.0104  # 3 standard errors


def test_a_document_is_a_function_of_seed_and_index_and_a_batch_of_its_step():
    assert WORLD.document(5, 7) == NoisyEvidence().document(5, 7)
    assert WORLD.batch(5, 2, 4) == [WORLD.document(5, i) for i in (8, 9, 10, 11)]
    assert WORLD.document(5, 7) != WORLD.document(5, 8)
    assert WORLD.document(5, 7) != WORLD.document(6, 7)


@pytest.mark.parametrize("q", [0.35, 0.55])
@pytest.mark.parametrize("log_odds", [0.0, 0.8, 3.3])
def test_the_optimum_is_what_a_simulated_bayes_predictor_reaches(q, log_odds):
    """Independent: words are drawn by a loop over the definition, the likelihood is multiplied word by word."""
    rng = np.random.default_rng(11)
    n, m = 20000, 6

    def draw(topic):
        return np.where(rng.random((n, 4)) < q, topic, rng.integers(m, size=(n, 4)))

    def likelihood(words, topic):
        return np.prod(q * (words == topic) + (1 - q) / m, axis=1)

    measured = []
    for truth in (0, 1):
        words = draw(truth)
        odds = exp(log_odds) * likelihood(words, 0) / likelihood(words, 1)
        first = np.where(np.isclose(odds, 1), 0.5, odds > 1)
        measured.append(np.mean(first if truth == 0 else 1 - first))
    expected = NoisyEvidence(q=q).optimal_accuracy(log_odds)
    np.testing.assert_allclose(measured, expected, atol=0.011)


def test_log_evidence_is_the_exact_ratio_of_probabilities():
    m, q = 6, 0.35
    sentence = "bread goal soup kelp"
    probability = {
        label: np.prod([(q * (w in TOPICS[label].split()) + (1 - q) / m) / 8 for w in sentence.split()])
        for label in ("food", "sport")
    }
    expected = log(probability["food"] / probability["sport"])
    assert WORLD.log_evidence(sentence, ("food", "sport")) == pytest.approx(expected)


@pytest.mark.parametrize("counts", [(3, 0), (2, 1)])
def test_the_prior_odds_are_the_label_frequencies_of_documents(counts):
    """Among documents whose first three labels have these counts: how often is the fourth the majority's?"""
    majority, other = 0, 0
    for index in range(5000):
        ys, _, _ = labels_of(WORLD.document(1, index)[:200].rsplit(" . ", 1)[0])
        seen = Counter(ys[:3])
        if sorted(seen.values(), reverse=True) == [c for c in counts if c]:
            is_majority = ys[3] == seen.most_common(1)[0][0]
            majority, other = majority + is_majority, other + (not is_majority)
    # Before the minority label was seen, any of five topics could be it.
    candidates = 1 if counts[1] else 5
    odds = exp(WORLD.prior_log_odds(counts)) / candidates
    assert majority / (majority + other) == pytest.approx(odds / (1 + odds), abs=0.03)


def test_cases_are_balanced_and_share_queries_across_imbalances():
    by_counts = {c: WORLD.cases(50, c, seed=2) for c in [(4, 4), (8, 0), (1, 0), (0, 0)]}
    for counts, cases in by_counts.items():
        assert sum(case.minority for case in cases) == 25
        for case in cases:
            seen = Counter(d.y for d in case.prompt.demonstrations)
            assert (seen[case.labels[0]], seen[case.labels[1]]) == counts
            assert seen.total() == sum(counts)
    queries = {tuple((c.prompt.query, c.labels) for c in cases) for cases in by_counts.values()}
    assert len(queries) == 1
    assert WORLD.cases(5, seed=2) == WORLD.cases(50, seed=2)[:5]
    assert WORLD.cases(5, seed=3) != WORLD.cases(5, seed=2)


def test_queries_are_drawn_from_the_class_they_are_said_to_be():
    cases = WORLD.cases(2000, (8, 0), seed=4)
    right = [(WORLD.log_evidence(c.prompt.query, c.labels), c.answer) for c in cases]
    accuracy = np.mean([0.5 if e == 0 else (e > 0) == (a == 0) for e, a in right])
    assert accuracy == pytest.approx(WORLD.optimal_accuracy()[0], abs=0.03)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"q": 1.2}, "q is a probability between 0 and 1, got 1.2."),
        ({"topics": ("food", "musik")}, "Did you mean 'music'?"),
        ({"topics": ("food",)}, "at least two different names"),
        ({"sentences": 0}, "sentences must be greater than 0, got 0."),
        ({"priors": (0.0, 1.0)}, "strictly between 0 and 1"),
    ],
)
def test_settings_that_make_no_world_are_refused_in_one_sentence(settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        NoisyEvidence(**settings)


def test_questions_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="n must be greater than 0"):
        WORLD.cases(0)
    with pytest.raises(InputError, match=r"majority >= minority >= 0, got \(2, 6\)"):
        WORLD.cases(4, (2, 6))
    with pytest.raises(InputError, match="no pair of topics"):
        NoisyEvidence(topics=("food", "sea life")).cases(4)
