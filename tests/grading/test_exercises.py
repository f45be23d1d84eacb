"""Every exercise in the sandbox itself: references get full marks, stubs none, wrong solutions lose theirs."""

from __future__ import annotations

import json

import pytest

from icl_lab.exercises import build
from icl_lab.exercises.source import read, sources
from icl_lab.grading import grade


def notebook(exercise, replacing=None, solved=True):
    return json.dumps(build.notebook(exercise, solved, replacing))


@pytest.mark.parametrize("path", sources(build.SOURCES), ids=lambda path: path.stem)
def test_marks_are_earned_and_lost_as_the_source_says(path, tmp_path):
    exercise = read(path)
    folder, secret = tmp_path / "in", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("the secret of this test")
    rounds = max(len(question.wrong) for question in exercise.questions.values())
    expected = {"reference": {}, "stub": {id: set(q.parts) for id, q in exercise.questions.items()}}
    (folder / "reference.ipynb").write_text(notebook(exercise))
    (folder / "stub.ipynb").write_text(notebook(exercise, solved=False))
    for number in range(rounds):  # the wrong solutions of all questions side by side
        wrong = {id: q.wrong[number] for id, q in exercise.questions.items() if number < len(q.wrong)}
        (folder / f"wrong{number}.ipynb").write_text(notebook(exercise, {id: one.code for id, one in wrong.items()}))
        expected[f"wrong{number}"] = {id: set(one.loses) for id, one in wrong.items()}
    graded = {
        one.student: one
        for one in grade.grade(folder, exercise.number, tmp_path / "out", secret=secret, progress=False)
    }
    assert set(graded) == set(expected)
    for name, one in graded.items():
        assert not one.problem, (name, one.problem)
        for id, question in exercise.questions.items():
            lost = {part["name"] for part in one.questions[id]["parts"] if not part["ok"]}
            assert lost == expected[name].get(id, set()), (name, id, one.questions[id])
            if question.kind != "text" and not lost:
                assert one.questions[id]["points"] == pytest.approx(question.points, abs=1e-3)
            if name == "stub":
                assert one.questions[id]["points"] == 0
    assert graded["reference"].waits  # a person reads the text
    assert not graded["stub"].waits
