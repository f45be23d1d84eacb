from collections import Counter

import pytest

from icl_lab.errors import InputError
from icl_lab.language import english


def test_questions_are_balanced_and_their_answer_is_not_among_the_demonstrations():
    cases = english.cases(80, (6, 2), seed=3)
    label_of = {text: label for label, texts in english.REVIEWS.items() for text in texts}
    assert len(label_of) == 48
    seen = Counter()
    for case in cases:
        shots = case.prompt.demonstrations
        assert all(label_of[d.x] == d.y for d in shots)
        assert Counter(d.y for d in shots) == {case.labels[0]: 6, case.labels[1]: 2}
        assert case.prompt.query not in {d.x for d in shots}
        assert case.labels[case.answer] == label_of[case.prompt.query]
        seen[case.labels, case.minority] += 1
    assert set(seen.values()) == {20}  # majority and answer are crossed
    assert english.cases(80, (6, 2), seed=3)[40:] == cases[40:] != english.cases(80, (6, 2), seed=4)[40:]
    assert len({case.prompt.query for case in cases}) > 30


def test_counts_that_the_reviews_cannot_fill_are_refused():
    assert len(english.cases(1, (23, 0))[0].prompt.demonstrations) == 23
    for counts in ((24, 0), (2, 6), (4, -1)):
        with pytest.raises(InputError, match="23 >= majority >= minority >= 0"):
            english.cases(1, counts)
