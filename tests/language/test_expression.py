"""The expression world against a reader of each notation that is written here again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language.worlds import Expression
from icl_lab.language.worlds import expression as grammar

WORLD = Expression()
VALUES = {word: value for value, word in enumerate(grammar.NUMBERS)}
APPLY = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}
SIGNS = {"plus": "+", "minus": "-", "times": "*"}


def test_the_words_are_the_numbers():
    assert [VALUES[word] for word in ("zero", "three", "seven", "nine")] == [0, 3, 7, 9]


def value_of_words(text):
    """From left to right, without precedence."""
    words = text.split()
    total = VALUES[words[0]]
    for name, word in zip(words[1::2], words[2::2], strict=True):
        total = APPLY[SIGNS[name]](total, VALUES[word])
    return total


def postfix(tokens):
    stack = []
    for token in tokens:
        if token in APPLY:
            b, a = stack.pop(), stack.pop()
            stack.append(APPLY[token](a, b))
        else:
            stack.append(int(token))
    assert len(stack) == 1
    return stack[0]


def prefix(tokens):
    """A prefix expression is read by a stack from its right end, with the operands the other way round."""
    stack = []
    for token in reversed(tokens):
        stack.append(APPLY[token](stack.pop(), stack.pop()) if token in APPLY else int(token))
    assert len(stack) == 1
    return stack[0]


def infix(tokens):
    total = int(tokens[0])
    for sign, digit in zip(tokens[1::2], tokens[2::2], strict=True):
        total = APPLY[sign](total, int(digit))
    return total


READ = {"infix": infix, "prefix": prefix, "postfix": postfix}


def style_of(tokens):
    return "prefix" if tokens[0] in APPLY else "postfix" if tokens[-1] in APPLY else "infix"


def test_every_line_has_the_value_of_its_words_and_a_document_has_one_style():
    styles, lengths = [], []
    known = set(WORLD.vocabulary())
    for index in range(300):
        text = WORLD.document(0, index)
        assert set(text.split()) <= known
        lines = [line.split(" : ") for line in text.removesuffix(" .").split(" . ")]
        assert len(lines) == WORLD.lines
        mine = {style_of(right.split()) for _, right in lines}
        assert len(mine) == 1
        styles += mine
        for left, right in lines:
            assert READ[styles[-1]](right.split()) == value_of_words(left)
            lengths.append((len(left.split()) + 1) // 2)
    assert [styles.count(s) / 300 for s in READ] == pytest.approx([1 / 3] * 3, abs=0.08)
    assert [lengths.count(n) / len(lengths) for n in WORLD.terms] == pytest.approx([1 / 3] * 3, abs=0.04)
    assert WORLD.document(5, 7) == Expression().document(5, 7) != WORLD.document(6, 7)
    assert WORLD.batch(5, 2, 3) == [WORLD.document(5, i) for i in (6, 7, 8)]


def test_only_the_expressions_count_as_answers():
    text = "one plus two : + 1 2 . nine : 9 ."
    counted = [word for word, mark in zip(text.split(), WORLD.answers(text), strict=True) if mark]
    assert " ".join(counted) == "+ 1 2 . 9 ."


def test_questions_show_their_style_and_are_the_same_at_every_k():
    for terms in (2, 5):
        asked = {k: WORLD.calculations(30, terms, k, seed=3) for k in (0, 1, 4)}
        for none, one, four in zip(*asked.values(), strict=True):
            assert none.prompt.query == one.prompt.query == four.prompt.query
            assert none.wanted == one.wanted == four.wanted
            assert len(four.prompt.demonstrations) == 4
            assert READ[four.style](four.wanted.split()) == value_of_words(four.prompt.query)
            assert {style_of(d.y.split()) for d in four.prompt.demonstrations} == {four.style}
        assert np.bincount([list(READ).index(one.style) for one in asked[1]]).tolist() == [10, 10, 10]
    assert WORLD.calculations(1, 3, 1)[0].prompt.input_first("")[0].endswith(" : ")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Expression(terms=(1,)), "terms must be a list of numbers from 2 up, got [1]"),
        (lambda: Expression(lines=0), "lines must be greater than 0"),
        (lambda: WORLD.calculations(3, 1), "A calculation needs 2 terms or more and k >= 0, got 1 terms"),
        (lambda: grammar.expression((1, 2), ("+",), "polish"), "Unknown style 'polish'"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
