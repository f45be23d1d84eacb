"""check(): says what is wrong, with which input, and never the answer."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.exercises import CHECKS, check
from icl_lab.exercises.values import decode, difference, encode


def right(yhat, f, second_moment):
    return np.mean((yhat - f) ** 2, axis=0) / second_moment


def test_a_right_function_passes_and_a_wrong_one_is_told_where_and_not_what():
    report = check("07.2", right)
    assert report.passed
    assert str(report).startswith("07.2: all cases pass")
    wrong = check("07.2", lambda yhat, f, second_moment: right(yhat, f, 1.0))
    assert not wrong.passed
    assert "two prompts: passes" in str(wrong)
    assert "many: with yhat = an array of shape (5, 7)" in str(wrong)
    assert "7 of 7 numbers are off by more than the tolerance" in str(wrong)
    assert "Expected: shape (7,), divided by the second moment" in str(wrong)
    answers = [decode(case["answer"]) for case in json.loads((CHECKS / "07.json").read_text())["07.2"]["cases"]]
    for number in np.concatenate([np.ravel(answer) for answer in answers]):
        assert number in (0, 1, 2) or f"{number:.4f}" not in str(wrong)
    assert wrong._repr_markdown_().startswith("**07.2: not yet**")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda yhat, f, second_moment: 1 / 0, "it raised ZeroDivisionError"),
        (lambda yhat: 0, "it raised TypeError"),
        (lambda yhat, f, second_moment: np.zeros(3), "numbers of shape (2,) are expected, got shape (3,)"),
        (lambda yhat, f, second_moment: None, "got nothing"),
        (lambda yhat, f, second_moment: "1", "got str"),
        (lambda yhat, f, second_moment: np.full(2, np.nan), "2 of 2 numbers are not finite"),
        (lambda yhat, f, second_moment: np.zeros(2) * 1j, "An answer must be numbers, text, lists or arrays"),
        (lambda yhat, f, second_moment: np.zeros(10**6), "at most 100,000 numbers"),
        (3.0, "the function itself is expected, got float"),
    ],
)
def test_whatever_a_function_does_is_a_line_and_no_traceback(answer, said):
    report = check("07.2", answer)
    assert not report.passed
    assert said in str(report)


@pytest.mark.parametrize(
    ("question", "answer", "passed", "said"),
    [
        ("07.1", "a", True, "for the grader to say"),
        ("07.1", "e", False, "one of a, b, c, d is expected, got 'e'"),
        ("07.1", ..., False, "there is no answer yet"),
        ("07.4", 7, True, "for the grader to say"),
        ("07.4", np.float64(7), True, "for the grader to say"),
        ("07.4", "seven", False, "a number is expected, got str"),
        ("07.4", True, False, "a number is expected, got bool"),
        ("07.5", "\n...\n", False, "there is no answer yet"),
        ("07.5", "I predict", True, "a person will read it"),
    ],
)
def test_other_answers_are_only_said_to_be_possible(question, answer, passed, said):
    report = check(question, answer)
    assert report.passed is passed
    assert said in str(report)


def test_unknown_questions_are_one_sentence():
    for question, message in (("7.1", "Unknown exercise '7.1'"), ("07.9", "Unknown question '07.9'"), (7, "Unknown")):
        with pytest.raises(InputError, match=message):
            check(question, right)


def test_check_needs_neither_torch_nor_a_network():
    code = "import sys; from icl_lab.exercises import check; print(check('07.4', 3)); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


def test_values_survive_json_and_tensors_are_arrays():
    import torch

    value = {"a": np.arange(6.0).reshape(2, 3), "b": [1, 2.5, None, "x", True], "c": float("nan"), "d": -np.inf}
    back = decode(json.loads(json.dumps(encode(value), allow_nan=False)))
    np.testing.assert_array_equal(back["a"], value["a"])
    assert back["b"] == value["b"]
    assert np.isnan(back["c"])
    assert back["d"] == -np.inf
    np.testing.assert_array_equal(decode(encode(torch.ones(2, 1, requires_grad=True))), np.ones((2, 1)))
    assert decode(encode(np.zeros((0, 3)))).shape == (0, 3)


@pytest.mark.parametrize(
    "forged",
    [
        {"array": [1, 2], "shape": [3]},
        {"array": [1], "shape": [True]},
        {"array": [1], "shape": [-1]},
        {"array": ["x"], "shape": [1]},
        {"array": [[1]], "shape": [1]},
        {"array": [10**400], "shape": [1]},
        {"array": 3, "shape": []},
    ],
)
def test_forged_arrays_are_refused(forged):
    with pytest.raises(InputError, match="An array"):
        decode(forged)


def test_differences_are_measured_absolutely_or_as_a_part_whichever_is_more():
    assert difference(1.0000001, 1.0, 1e-6) is None
    assert difference(100.00001, 100.0, 1e-6) is None
    assert difference(100.001, 100.0, 1e-6) is not None
    assert difference(1e-7, 0.0, 1e-6) is None
    assert difference([[1.0]], 1.0, 1e-6) == "one number is expected, got shape (1, 1)"
    assert difference(True, 1.0, 1e-6) is not None
    assert difference("b", "b", 0) is None
    assert difference("B", "b", 0) is not None
    assert difference({"p": 1.0}, {"p": 1.0, "q": 2.0}, 1e-6) == "a dictionary with the keys ['p', 'q'] is expected"
    assert difference(10**400, 1.0, 1e-6) == "one number is expected, got something else"
