import re
from collections import Counter

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language.worlds import Mapping
from icl_lab.language.worlds.mapping import HELD_OUT, KINDS, LABELS, TRAINED

WORLD = Mapping()
KIND_OF = {word: kind for kind, line in KINDS.items() for word in line.split()}


def read(text):
    """[(input words, label)] of a mapping document, by the written grammar."""
    examples, words = [], []
    for word in text.split():
        if word in KIND_OF:
            words.append(word)
        else:
            examples.append((tuple(words), word))
            words = []
    assert not words
    return examples


def test_words_have_one_role_and_label_words_are_kept_apart():
    assert len(KIND_OF) == 16 * 12
    assert all(len(line.split()) == 12 for line in KINDS.values())
    assert (len(LABELS), len(set(LABELS)), len(TRAINED), len(HELD_OUT)) == (160, 160, 128, 32)
    assert not set(LABELS) & set(KIND_OF)
    assert not set(TRAINED) & set(HELD_OUT)
    assert sorted(WORLD.vocabulary()) == sorted([*KIND_OF, *LABELS])
    assert Mapping(labels=8).vocabulary() == WORLD.vocabulary()


@pytest.mark.parametrize("world", [WORLD, Mapping(labels=8, longest=1, copies=0.0)])
def test_documents_draw_a_mapping_afresh_and_keep_to_it(world):
    copies, narrow, kinds_n, lengths, seen = 0, 0, Counter(), Counter(), []
    for index in range(500):
        text = world.document(0, index)
        words = text.split()
        if not set(words) & set(KIND_OF):
            copies += 1
            period = len(set(words))
            assert words[period:] == words[:-period]
            assert 3 <= period <= 16
            assert len(words) == 2 * world.items
            continue
        examples = read(text)
        assert len(examples) == world.items
        mapping, used = {}, {}
        for inputs, label in examples:
            kind = {KIND_OF[w] for w in inputs}
            assert len(kind) == 1
            kind = kind.pop()
            assert mapping.setdefault(kind, label) == label
            used.setdefault(kind, set()).update(inputs)
            lengths[len(inputs)] += 1
        assert len(set(mapping.values())) == len(mapping)
        seen += mapping.values()
        kinds_n[len(mapping)] += 1
        narrow += max(map(len, used.values())) <= 2
    assert set(seen) <= set(TRAINED[: world.labels])
    n = 500 - copies
    assert copies / 500 == pytest.approx(world.copies, abs=0.065)
    assert narrow / n == pytest.approx(0.5, abs=0.09)
    assert [kinds_n[i] / n for i in (2, 3, 4)] == pytest.approx([1 / 3] * 3, abs=0.085)
    total = lengths.total()
    assert [lengths[i] / total for i in range(1, world.longest + 1)] == pytest.approx(
        [1 / world.longest] * world.longest, abs=0.03
    )
    assert len(set(seen)) == world.labels if world.labels == 8 else len(set(seen)) > 120


def test_labels_count_as_answers_and_inputs_do_not():
    assert WORLD.answers(f"soup bread {TRAINED[0]} oak {HELD_OUT[0]}") == [False, False, True, False, True]


def test_held_out_words_are_copied_and_never_label_anything():
    copied = set()
    for index in range(600):
        words = WORLD.document(3, index).split()
        if set(words) & set(KIND_OF):
            assert not set(words) & set(HELD_OUT)
        else:
            copied |= set(words)
    assert copied == set(LABELS)


@pytest.mark.parametrize(("kinds", "k", "words"), [(2, 8, 1), (4, 16, 4), (3, 7, 2), (2, 0, 1)])
def test_questions_show_every_kind_and_no_word_of_the_query(kinds, k, words):
    cases = WORLD.cases(60, kinds, k, words, seed=2, held_out=True)
    for number, case in enumerate(cases):
        shots = case.prompt.demonstrations
        assert case.answer == number % kinds
        assert len(shots) == k
        assert set(case.labels) <= set(HELD_OUT)
        assert not set(case.prompt.query.split()) & {w for d in shots for w in d.x.split()}
        assert all(len(x.split()) == words for x in [case.prompt.query, *(d.x for d in shots)])
        kind_of_label = {}
        for text, label in [(d.x, d.y) for d in shots] + [(case.prompt.query, case.labels[case.answer])]:
            (kind,) = {KIND_OF[w] for w in text.split()}
            assert kind_of_label.setdefault(label, kind) == kind
        counts = Counter(d.y for d in shots)
        if k:
            assert set(counts) == set(case.labels)
            assert max(counts.values()) - min(counts.values()) <= 1
    assert WORLD.cases(60, kinds, k, words, seed=3) != cases
    assert WORLD.cases(10, kinds, k, words, seed=2, held_out=True) == cases[:10]


def test_a_repeated_query_is_one_of_the_demonstrations_with_its_label():
    for case in WORLD.cases(40, 4, 8, 2, seed=1, repeated=True):
        facts = [d.y for d in case.prompt.demonstrations if d.x == case.prompt.query]
        assert facts == [case.labels[case.answer]]
        assert Counter(d.y for d in case.prompt.demonstrations) == dict.fromkeys(case.labels, 2)
    own = WORLD.cases(20, 2, labels=["bread", "soup"])
    assert {frozenset(c.labels) for c in own} == {frozenset(("bread", "soup"))}
    assert len({np.argmax([label == "bread" for label in c.labels]) for c in own}) == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Mapping(labels=129), "labels must be between 4 and 128, got 129"),
        (lambda: Mapping(longest=0), "longest must be greater than 0"),
        (lambda: Mapping(copies=1.0), "copies must be a share in 0 <= c < 1, got 1.0"),
        (lambda: WORLD.cases(1, kinds=17), "kinds must be between 2 and 16, got 17"),
        (lambda: WORLD.cases(1, words=5), "words must be between 1 and 4"),
        (lambda: WORLD.cases(1, kinds=4, k=3, repeated=True), "every kind is shown, got k = 3 for 4 kinds"),
        (lambda: WORLD.cases(1, labels=["dax", "bread"]), "Unknown label word 'dax'"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
