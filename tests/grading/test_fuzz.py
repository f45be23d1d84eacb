"""The judge reads whatever a sandbox says: never an exception, never a mark more than earned."""

from __future__ import annotations

import json
import random
from concurrent.futures import Executor, Future

import numpy as np
import pytest
from classroom import EXERCISE, FULL, notebook

from icl_lab.grading import grade, judge, outputs
from icl_lab.grading.submissions import Submission

KEY = b"a secret of the tests"
NEST: list = []
for _ in range(600):
    NEST = [NEST]
ODD = (
    None, True, 5, -1, 1e300, 10**4000, "", "\ud800", "a\x00b", "<script>", "=1+1", "nan", [], {}, [[]], NEST,
    list(range(3000)), [[1], [1, 2]], [1, "x", None], {"number": "nan"}, {"number": "inf"}, {"number": 3},
    {"array": [1, 2], "shape": [2]}, {"array": [], "shape": [0]}, {"array": [], "shape": [0] * 50},
    {"array": [1], "shape": [1] * 40}, {"array": [10**400], "shape": [1]}, {"array": [], "shape": [10**4000, 0]},
    {"array": "ab", "shape": [2]}, {"array": [1], "shape": "1"}, {"array": [None], "shape": [1]},
    {"value": {"array": [{"number": "nan"}], "shape": [1]}}, {"missing": NEST}, {"missing": {}}, {"error": None},
    {"error": ["\ud800"]}, {"error": "\ud800" * 10_000}, {"value": NEST}, {"value": {"value": 1}},
    {"value": "y" * 10**5},
)  # fmt: skip


def run(cells: list[str]) -> dict:
    """What a sandbox truly says about these cells."""
    from icl_lab.grading import sandbox

    job = judge.job_of(EXERCISE, cells, KEY, "ada")
    with sandbox.course() as course:
        return json.loads(sandbox.run(job, course).text)


@pytest.fixture(scope="module")
def honest() -> dict:
    return run(["".join(cell["source"]) for cell in notebook()["cells"] if cell["cell_type"] == "code"])


class Said(Executor):
    """A sandbox that says what it is told to."""

    def __init__(self, text: str | bytes) -> None:
        self.text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text

    def submit(self, fn, *args, **kwargs) -> Future:
        future = Future()
        future.set_result(json.dumps({"problem": "", "seconds": 1.0, "memory": 1, "text": self.text}).encode())
        return future


REFERENCE = EXERCISE.reference()


def graded(text: str | bytes):
    future = Said(text).submit(None)
    return grade.judged(EXERCISE, REFERENCE, Submission("ada", "ada.ipynb"), "", KEY, future)


def places(value, path=()):
    """Every place in some JSON."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in children:
        if len(path) < 5:
            yield from places(one, (*path, key))


def put(value, path, new):
    """The same JSON with something else in one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


def earned(one) -> dict[str, float]:
    return {id: one.questions[id]["points"] for id in FULL}


def test_what_an_honest_sandbox_says_gets_everything(honest):
    assert earned(graded(json.dumps(honest))) == FULL


def test_bytes_of_any_kind_are_judged(honest, tmp_path):
    text, rng, results = json.dumps(honest).encode(), random.Random(0), []
    for _ in range(300):
        data = bytearray(text)
        for _ in range(rng.choice((1, 3, 30))):
            at = rng.randrange(len(data))
            how = rng.randrange(4)
            if how == 0:
                data[at] = rng.randrange(256)
            elif how == 1:
                del data[at : at + rng.randrange(1, 50)]
            elif how == 2:
                data[at:at] = data[: rng.randrange(60)]
            else:
                data[at:at] = rng.choice((b"\x00", b"\xff\xfe", b"[" * 2000, b"1e999", b"-Infinity", b"9" * 5000, b'"'))
        results.append(graded(bytes(data)))
    for special in (b"", b"null", b"[]", b"{}", b"\xef\xbb\xbf{}", b"[" * 10**6, b"NaN", text * 2, text[:-1]):
        results.append(graded(special))
        assert results[-1].points == 0
    for one in results:
        assert all(own <= FULL[id] for id, own in earned(one).items())
        assert one.problem or one.questions
    written(tmp_path, results)


def test_json_of_any_form_is_judged_and_only_what_is_right_counts(honest, tmp_path):
    """One place changed: the questions that it does not belong to keep their marks, its own gains nothing."""
    rng, results = random.Random(1), []
    everywhere = list(places(honest))
    chosen = [path for path in everywhere if len(path) <= 3] + rng.sample(everywhere, 60)
    for path in chosen:
        for odd in rng.sample(ODD, 6):
            one = graded(json.dumps(put(honest, path, odd)))
            results.append(one)
            own = earned(one)
            for id in FULL:
                assert own[id] <= FULL[id]
                if not one.problem and len(path) > 1 and not str(path[1]).startswith(id):
                    assert own[id] == FULL[id], (path, odd)
    written(tmp_path, results)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_odd_values_in_every_answer_earn_nothing(honest, number):
    for form in (lambda odd: odd, lambda odd: {"value": odd}, lambda odd: {"value": [odd]}):
        said = {"cells": {"0": ODD[number]}, "ended": ODD[number]}
        said["answers"] = {name: form(ODD[number]) for name in honest["answers"]}
        assert graded(json.dumps(said)).points == 0


def written(folder, results) -> None:
    """All of it can be written, and is clean."""
    for number, one in enumerate(results):
        one.student = f"student {number}"
    outputs.write(folder, EXERCISE, results)
    for path in (*folder.glob("*.csv"), *folder.glob("*.html"), *folder.glob("feedback/*")):
        text = path.read_text(encoding="utf-8")
        assert "\x00" not in text
        assert "<script" not in text
    for one in results:
        json.loads(json.dumps(one.__dict__))
        outputs.told(one).encode()


def test_the_judge_is_quick_with_what_is_made_to_be_slow():
    import time

    numbers = ",".join(["9" * 4000] * 900)
    started = time.process_time()
    for value in ('{"array": [], "shape": [' + numbers + "]}", "[" + "[]," * 10**6 + "[]]", "[" + numbers + "]"):
        answers = ", ".join(f'"{name}": {{"value": {value}}}' for name in ("07.4", "07.3 probe_wide"))
        assert graded(f'{{"cells": {{}}, "answers": {{{answers}}}}}').points == 0
    assert time.process_time() - started < 20


def test_the_probes_of_the_fuzz_are_not_answers():
    assert not any(odd == np.asarray(REFERENCE["k_for_averaging"]) for odd in ODD if type(odd) in (int, float))
