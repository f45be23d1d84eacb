"""Exercises: their sources, what is made from them, and what must never reach a student."""

from __future__ import annotations

import json
import re
import subprocess

import nbformat
import numpy as np
import pytest

from icl_lab.errors import InputError
from icl_lab.exercises import build
from icl_lab.exercises.source import BEGIN, END, read, replaced, sources
from icl_lab.exercises.values import difference

ALL = sources(build.SOURCES)
SOURCE = """\
# %% [markdown]
# # A title
# %%
import numpy as np
# %% question 07.1 kind=function name=double points=2 minutes=5
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
# %% probes 07.1
def probe_one(rng):
    \"\"\"twice the number\"\"\"
    return {"x": 1.0}
def probe_many(rng):
    \"\"\"twice the numbers\"\"\"
    return {"x": rng.normal(size=3)}
def case_two(rng):
    \"\"\"twice the number\"\"\"
    return {"x": 2.0}
# %% wrong 07.1 loses=probe_many: adds one
def double(x):
    return x + 1
# %% wrong 07.1 loses=probe_one,probe_many: squares
def double(x):
    return x * x + 2
# %% wrong 07.1 loses=probe_one,probe_many: says nothing
def double(x):
    return None
"""


def written(tmp_path, text=SOURCE, name="07_try.py"):
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_what_students_get_holds_no_solution_no_probe_and_no_output(path):
    exercise = read(path)
    text = json.dumps(build.notebook(exercise)) + json.dumps(build.checks(exercise))
    assert BEGIN not in text
    assert END not in text
    assert "probe_" not in text
    source = path.read_text()
    for solution in re.findall(rf"{BEGIN}\n(.*?){END}", source, re.DOTALL):
        for line in filter(None, map(str.strip, solution.split("\n"))):
            if len(line) > 12:  # shorter ones, such as a letter, may stand anywhere
                assert line not in text.encode().decode("unicode_escape")
    for question in exercise.questions.values():
        assert question.rubric == "" or question.rubric[:40] not in text
        assert not any(wrong.what in text for wrong in question.wrong)
    notebook = nbformat.from_dict(build.notebook(exercise))
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert f"version {exercise.version}" in "".join(notebook.cells[1].source)
    assert [f"question-{id}" in json.dumps(notebook) for id in exercise.questions] == [True] * len(exercise.questions)


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_every_wrong_solution_loses_exactly_what_it_should_and_the_reference_nothing(path):
    """Outside the sandbox, on inputs of three seeds: the sources are ours."""
    exercise = read(path)
    reference = exercise.reference()
    for question in exercise.questions.values():
        solutions = [(question.solution, ()), *((wrong.code, wrong.loses) for wrong in question.wrong)]
        for code, loses in solutions:
            for seed in range(3):
                assert lost(question, code, reference, seed) == set(loses), (question.id, code, seed)
        with pytest.raises(NotImplementedError) if question.kind == "function" else pytest.raises(AssertionError):
            assert not lost(question, question.stub, reference, 0, catch=())


def lost(question, code, reference, seed, catch=(Exception,)):
    """The parts of a question that some code loses."""
    names = {"np": np}
    exec(code, names)
    if question.kind == "text":
        assert str(names[question.name]).strip(" .\n")
        return set()
    if question.kind != "function":
        given = names[question.name]
        return {"value"} if difference(given, reference[question.name], question.tolerance) else set()
    gone = set()
    for number, probe in enumerate(question.probes):
        inputs, own = (probe.inputs(np.random.default_rng([seed, number])) for _ in range(2))
        try:
            given = names[question.name](**own)
        except catch:
            given = None
        if difference(given, reference[question.name](**inputs), question.tolerance):
            gone.add(probe.name)
    return gone


def test_what_lies_in_the_repository_is_what_the_sources_say():
    for path, text in build.written().items():
        if path.parent != build.TEACHER:  # not tracked
            assert path.read_text(encoding="utf-8") == text, f"{path} is old: run icl-lab exercises build"


def test_a_source_is_read_and_its_version_changes_with_what_students_see(tmp_path):
    exercise = read(written(tmp_path))
    (question,) = exercise.questions.values()
    assert (question.points, question.minutes, question.parts) == (2.0, 5, ("probe_one", "probe_many"))
    assert question.stub == "def double(x):\n    # your code\n    raise NotImplementedError"
    assert question.solution == "def double(x):\n    return 2 * x"
    assert [wrong.loses for wrong in question.wrong] == [("probe_many",)] + [("probe_one", "probe_many")] * 2
    assert exercise.points == 2
    assert exercise.reference()["double"](4) == 8
    hidden = read(written(tmp_path, SOURCE.replace("return 2 * x", "return x + x"))).version
    seen = read(written(tmp_path, SOURCE.replace("A title", "Another"))).version
    assert hidden == exercise.version != seen
    assert replaced(f"a = (\n    {BEGIN}\n    1\n    {END}\n)", "...") == "a = (\n    ...\n)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("# %% question 07.1", "# %% question 08.1"), "must have an id of its own that begins with 07."),
        (("kind=function", "kind=essay"), "question 07.1 needs kind (function, number, choice, text), name"),
        (("points=2 ", ""), "question 07.1 needs kind"),
        (("    ### END SOLUTION\n", ""), "needs ### BEGIN SOLUTION and ### END SOLUTION"),
        (("# %% probes 07.1", "# %% probes 07.3"), "'07.3' is no question above this cell"),
        (("case_two", "two"), "needs probe_ and case_ functions"),
        (("loses=probe_many:", "loses=probe_three:"), "loses ['probe_three'], which it does not have"),
        (("# %% wrong 07.1 loses=probe_one,probe_many: says", "# %% hint"), "a cell is called 'hint'"),
        (("loses=probe_many: adds one", "loses"), "a wrong solution says 'wrong ID loses=a,b: what is wrong'"),
        (
            ("# %% wrong 07.1 loses=probe_many: adds one\ndef double(x):\n    return x + 1\n", ""),
            "at least three wrong",
        ),
    ],
)
def test_a_bad_source_is_one_sentence_with_its_file(tmp_path, change, message):
    assert change[0] in SOURCE
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        read(written(tmp_path, SOURCE.replace(*change, 1)))
    assert str(raised.value).startswith("07_try.py: ")


def test_bad_names_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match=r"named NN_slug.py"):
        read(written(tmp_path, name="seven.py"))
    with pytest.raises(InputError, match="There is no exercise"):
        build.written(tmp_path / "nothing")


def test_the_public_tree_has_no_sources_and_everything_else(tmp_path):
    clone = tmp_path / "clone"
    for name in (
        "exercises/07_x.py",
        "tests/exercises/test_a.py",
        "tests/grading/test_b.py",
        "icl_lab/a.py",
        "chapters/exercises/07_x.ipynb",
    ):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(name)
    (clone / "untracked.txt").write_text("mine")
    for command in (["init", "-q"], ["add", "exercises", "icl_lab", "chapters", "tests"]):
        subprocess.run(["git", "-C", str(clone), *command], check=True)
    out = build.publish(tmp_path / "public", clone)
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == [
        "chapters/exercises/07_x.ipynb",
        "icl_lab/a.py",
    ]
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        build.publish(out, clone)
    with pytest.raises(InputError, match="is not a git clone"):
        build.publish(tmp_path / "other", tmp_path / "public")
