import re
from collections import Counter
from itertools import pairwise, permutations
from math import exp

import numpy as np
import pytest
from test_noisy_evidence import labels_of

from icl_lab.errors import InputError
from icl_lab.language.worlds import Drift, reorder

WORLD = Drift()


def test_labels_run_alternate_or_are_shuffled_in_the_shares_that_are_written_down():
    kinds, firsts = Counter(), 0
    world = Drift(words_per_sentence=4, sentences=13)  # what the parser reads
    for index in range(600):
        ys, _, first = labels_of(world.document(0, index))
        firsts += first
        changes = sum(a != b for a, b in pairwise(ys))
        kinds["runs" if changes <= 2 else "alternates" if changes >= 10 else "shuffled"] += 1
        assert len(ys) == 13
    # 12 steps: of the shuffled sixth, 1.9 % have at most two changes and as many at least ten
    shares = {"runs": 1 / 2, "alternates": 1 / 3, "shuffled": 1 / 6}
    for name, share in shares.items():
        assert kinds[name] / 600 == pytest.approx(share, abs=0.06), name
    assert firsts / 600 == pytest.approx(0.5, abs=0.065)


@pytest.mark.parametrize("order", [(0, 1, 0), (0, 0, 1), (0, 0, 0), (1,), (0, 1, 0, 1), (0, 0, 1, 1)])
def test_the_prior_odds_are_the_label_frequencies_of_documents(order):
    """Among documents that begin with labels in this order: how often is the next one the first label?"""
    first = other = 0
    wanted = tuple(i != order[0] for i in order)
    rng = np.random.default_rng(5)
    for _ in range(30000):  # the grammar by hand, labels alone
        s = WORLD.persistences[rng.integers(len(WORLD.persistences))]
        ys = [False]
        for _ in range(len(order)):
            ys.append(ys[-1] if rng.random() < s else not ys[-1])
        if tuple(ys[:-1]) == wanted:
            first, other = first + (not ys[-1]), other + ys[-1]
    candidates = 1 if len(set(order)) == 2 else 3  # the other topic, where it is known
    odds = exp(WORLD.prior_log_odds(order))  # of label 0 against label 1
    odds = (1 / odds if order[0] else odds) / candidates
    assert first / (first + other) == pytest.approx(odds / (1 + odds), abs=0.03)


def test_an_order_that_promises_much_costs_a_bayes_reader_much():
    best = sum(WORLD.optimal_accuracy()) / 2
    by_order = {order: sum(WORLD.optimal_accuracy(order)) / 2 for order in permutations((0, 0, 1, 1))}
    assert max(by_order.values()) <= best + 1e-12
    assert np.std([by_order[o] for o in permutations((0, 0, 1, 1))]) > 0.02
    # the labels' names do not matter
    for order, value in by_order.items():
        assert value == pytest.approx(by_order[tuple(1 - i for i in order)])
    assert by_order[0, 1, 0, 1] < by_order[0, 0, 1, 1] - 0.1
    assert WORLD.prior_log_odds(()) == 0


def test_orders_are_permutations_of_one_set_and_queries_are_balanced():
    a, b = (WORLD.cases(20, order, seed=3, demonstrations=7) for order in ((0, 0, 1, 1), (1, 0, 1, 0)))
    assert {case.prompt.demonstrations for case in a} == {a[0].prompt.demonstrations}
    assert a[0].prompt.demonstrations != b[0].prompt.demonstrations
    assert set(a[0].prompt.demonstrations) == set(b[0].prompt.demonstrations)
    assert [case.prompt.query for case in a] == [case.prompt.query for case in b]
    assert [d.y for d in b[0].prompt.demonstrations] == [b[0].labels[i] for i in (1, 0, 1, 0)]
    assert sum(case.answer for case in a) == 10
    assert len({case.prompt.demonstrations for case in WORLD.cases(20, seed=3)}) == 20
    assert WORLD.cases(20, seed=3)[:5] == WORLD.cases(5, seed=3) != WORLD.cases(5, seed=4)
    swapped = reorder(a[0], (3, 0, 1, 2))
    assert swapped.prompt.demonstrations == tuple(a[0].prompt.demonstrations[i] for i in (3, 0, 1, 2))
    assert (swapped.prompt.query, swapped.labels, swapped.answer) == (a[0].prompt.query, a[0].labels, a[0].answer)


def test_queries_are_as_hard_as_the_optimum_says():
    cases = WORLD.cases(3000, (0, 1), seed=4)
    right = [(WORLD.words.log_evidence(c.prompt.query, c.labels), c.answer) for c in cases]
    accuracy = np.mean([0.5 if abs(e) < 1e-9 else (e > 0) == (a == 0) for e, a in right])
    assert accuracy == pytest.approx(WORLD.optimal_accuracy()[0], abs=0.025)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"persistences": ()}, "persistences must be strictly between 0 and 1, got []"),
        ({"persistences": (0.5, 1.0)}, "strictly between 0 and 1"),
        ({"q": 2}, "q is a probability"),
    ],
)
def test_settings_that_make_no_world_are_refused(settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Drift(**settings)
    with pytest.raises(InputError, match=r"order must hold the numbers 0 and 1, got \(0, 2\)"):
        WORLD.cases(1, (0, 2))
