import re

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.language.reasoning import least_to_most, solve
from icl_lab.language.worlds import Reasoning
from icl_lab.language.worlds import reasoning as grammar

WORLD = Reasoning()


class Oracle:
    """Writes the right answer to whatever sum stands last, in the style of the first demonstration."""

    def __init__(self, wrong_after=99):
        self.calls, self.wrong_after = [], wrong_after

    def generate_until(self, contexts, until, max_gen_toks):
        self.calls.append(list(contexts))
        out = []
        for text in contexts:
            numbers = [int(n) for n in text.split(" . ")[-1].removesuffix(" =").split(" + ")]
            value = "?" if len(self.calls) > self.wrong_after else sum(numbers) % 10
            out.append(f" first so {value} " if "first" in text else f" {value} ")
        return out


def check_answer(numbers, words):
    """Read an answer by the written grammar alone."""
    if words[0] != "first":
        assert words == [str(sum(numbers) % 10)]
        return
    steps = " ".join(words[1:-2]).split(" then ")
    total = numbers[0]
    for step, term in zip(steps, numbers[1:], strict=True):
        a, plus, b, equals, c = step.split()
        assert (int(a), plus, int(b), equals) == (total, "+", term, "=")
        total = int(c)
        assert total == (int(a) + int(b)) % 10
    assert words[-2:] == ["so", str(sum(numbers) % 10)]


def test_documents_follow_the_grammar_and_every_sum_is_right():
    styles, told, lengths = [], 0, []
    known = set(WORLD.vocabulary())
    for index in range(300):
        text = WORLD.document(0, index)
        assert set(text.split()) <= known
        told += ":" in text
        head, _, body = text.rpartition(": ")
        examples = body.removesuffix(" .").split(" . ")
        assert len(examples) == WORLD.questions
        for example in examples:
            left, _, right = example.partition(" = ")
            numbers = [int(n) for n in left.split(" + ")]
            lengths.append(len(numbers))
            check_answer(numbers, right.split())
        styles.append("first" in body)
        if head:
            assert head == ("step by step " if styles[-1] else "at once ")
    assert np.mean(styles) == pytest.approx(0.5, abs=0.09)
    assert told / 300 == pytest.approx(1 / 3, abs=0.085)
    assert [lengths.count(n) / len(lengths) for n in WORLD.terms] == pytest.approx([1 / 4] * 4, abs=0.04)
    assert WORLD.document(5, 7) == Reasoning().document(5, 7) != WORLD.document(6, 7)
    assert WORLD.batch(5, 2, 3) == [WORLD.document(5, i) for i in (6, 7, 8)]


def test_only_what_comes_after_a_sum_counts_as_an_answer():
    text = "at once : 1 + 2 = 3 . 4 + 5 + 6 = first 4 + 5 = 9 then 9 + 6 = 5 so 5 ."
    counted = [word for word, mark in zip(text.split(), WORLD.answers(text), strict=True) if mark]
    assert " ".join(counted) == "3 . first 4 + 5 = 9 then 9 + 6 = 5 so 5 ."


def test_questions_are_the_same_in_every_style_and_answers_are_read_from_the_end():
    direct, steps = (WORLD.sums(10, 5, style, k=3, seed=2) for style in grammar.STYLES)
    assert [one.terms for one in direct] == [one.terms for one in steps]
    assert all(len(one.terms) == 5 and one.result == str(sum(one.terms) % 10) for one in direct)
    assert all("first" in d.y for one in steps for d in one.prompt.demonstrations)
    assert not any("first" in d.y for one in direct for d in one.prompt.demonstrations)
    assert grammar.answer((3, 4, 5), "steps") == "first 3 + 4 = 7 then 7 + 5 = 2 so 2"
    assert [grammar.result(text) for text in ("2", " first 1 + 1 = 2 so 2 ", "so 2")] == ["2"] * 3
    assert [grammar.result(text) for text in ("", "so", "12 x")] == [None] * 3
    told = WORLD.sums(1, 3, "steps", k=0, instruction=True)[0]
    assert told.prompt.input_first("")[0] == f"step by step : {grammar.question(told.terms)} = "


def test_solving_and_least_to_most_find_what_the_oracle_knows():
    for style in grammar.STYLES:
        sums = [*WORLD.sums(4, 6, style, seed=1), *WORLD.sums(3, 2, style, seed=1)]
        expected = [one.result for one in sums]
        oracle = Oracle()
        assert solve(oracle, sums) == expected
        assert len(oracle.calls) == 1
        oracle = Oracle()
        assert least_to_most(oracle, sums) == expected
        assert [len(call) for call in oracle.calls] == [7, 4, 4, 4, 4]  # one question per step, short sums are done
        assert all(text.split(" . ")[-1].count("+") == 1 for call in oracle.calls for text in call)
        # a step without an answer ends the sum
        assert least_to_most(Oracle(wrong_after=1), sums) == [None] * 4 + expected[4:]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Reasoning(terms=(1, 2)), "terms must be a list of numbers from 2 up, got [1, 2]"),
        (lambda: Reasoning(questions=0), "questions must be greater than 0"),
        (lambda: WORLD.sums(3, 3, "cot"), "Unknown style 'cot'"),
        (lambda: grammar.answer((1, 2), "step"), "Did you mean 'steps'"),
        (lambda: WORLD.sums(3, 1, "direct"), "A sum needs 2 terms or more and k >= 0, got 1 terms"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
