"""What comes out: the forms that Canvas, Moodle and Gradescope take, and nothing of a student's that runs anywhere."""

from __future__ import annotations

import csv
import html.parser
import json

import pytest
from classroom import EXERCISE

from icl_lab.grading import outputs, similarity, store
from icl_lab.grading.store import Graded

SCRIPT = '<script>alert(1)</script><img src=x onerror="alert(2)">&"\''
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "x;=1", "=cmd|' /C calc'!A0")


def graded(student: str, points=(1.0, 3.0, 4.0, 2.0), **about) -> Graded:
    """A result with these points, as the judge would have made it."""
    questions = {}
    for question, own in zip(EXERCISE.questions.values(), (*points, 0.0), strict=True):
        parts = [{"name": part, "ok": own > 0, "why": "" if own else "it is off"} for part in question.parts]
        of = 0.0 if question.kind == "text" else question.points
        questions[question.id] = {"points": own, "of": of, "parts": parts, "by hand": question.manual}
    return Graded(student, about.pop("file", f"{student}.ipynb"), questions=questions, **about)


def rows(path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class Tags(html.parser.HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


HARMLESS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "table", "tr", "th", "td", "div"}


def write(tmp_path, *results: Graded, alike=()):
    outputs.write(tmp_path, EXERCISE, results, alike)
    return tmp_path


# ---------------------------------------------------------------- tables


def test_the_grade_book_has_a_column_a_question(tmp_path):
    late = graded("bob", (0.0, 1.0, 0.0, 0.0), notes=["two files"], ended=[["cell 3", "cell time"]])
    header, ada, bob = rows(write(tmp_path, graded("ada"), late) / "grades.csv")
    assert header == ["student", *EXERCISE.questions, "points", "of", "by hand", "file", "reason"]
    assert ada == ["ada", "1", "3", "4", "2", "0", "10", "10", "", "ada.ipynb", ""]
    assert bob == ["bob", "0", "1", "0", "0", "0", "1", "10", "", "bob.ipynb", "two files, cell 3: cell time"]


def test_canvas_takes_the_columns_and_finds_the_student(tmp_path):
    """As Canvas' own importer reads them (lib/gradebook_importer.rb of canvas-lms)."""
    late = graded("bob", file="bob_LATE_4321_99_07.ipynb")
    folder = write(tmp_path, graded("ada", file="ada_1234_567_07.ipynb"), late, graded("Points Possible"))
    header, possible, ada, bob, joker = rows(folder / "canvas.csv")
    assert "Student" in header[0]
    assert "ID" in header[1]
    assert header[2:5] == ["SIS User ID", "SIS Login ID", "Section"]
    assert header[5:] == ["Exercise 07"]
    assert "Points Possible" in possible[0]
    assert possible[5] == "10"
    assert ada == ["ada", "1234", "", "ada", "", "10"]
    assert bob[1] == "4321"
    assert "Points Possible" not in joker[0]  # or his points would become those of the assignment


def test_moodle_takes_the_columns_and_finds_the_student(tmp_path):
    """As the importer of the grading worksheet reads them (mod/assign/feedback/offline of moodle)."""
    ada = graded("Ada Byron", file="Ada Byron_123_assignsubmission_file/07.ipynb", notes=[SCRIPT])
    header, one, two = rows(write(tmp_path, ada, graded("bob@example.org")) / "moodle.csv")
    assert {"Identifier", "Grade", "Last modified (grade)", "Feedback comments"} < set(header)
    one, two = dict(zip(header, one, strict=True)), dict(zip(header, two, strict=True))
    assert (one["Identifier"], one["Full name"], one["Grade"]) == ("Participant 123", "Ada Byron", "10")
    assert (two["Identifier"], two["Email address"], two["ID number"]) == ("", "bob@example.org", "bob@example.org")
    assert "<" not in one["Feedback comments"]  # Moodle takes it for HTML


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_any_table_is_a_formula(tmp_path, text):
    one = graded(text, file=text, problem=text, notes=[text])
    one.questions["07.5"]["text"] = text
    write(tmp_path, one)
    for path in tmp_path.glob("*.csv"):
        raw = path.read_text(encoding="utf-8")
        assert ";" not in raw.replace("&lt;", "")
        for line in rows(path):
            for cell in line:
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d")), (path.name, line)


@pytest.mark.parametrize(
    ("cell", "kept"), [("-1.5", "-1.5"), (3, "3"), ("a-b", "a-b"), ("-", "'-"), ("-1\u0660", None)]
)
def test_numbers_and_names_stay_what_they_are(cell, kept):
    assert outputs.safe(cell) == (kept if kept is not None else "'" + cell)


def test_what_a_person_must_mark_is_listed_and_empty_answers_are_not(tmp_path):
    one, two = graded("ada"), graded("bob")
    one.questions["07.5"]["text"] = "first line\nsecond line"
    one.questions["07.1"]["text"] = "because"
    two.questions["07.5"]["text"] = " ...\n"
    header, *listed = rows(write(tmp_path, one, two) / "needs_manual.csv")
    assert header == ["student", "question", "points possible", "text", "points given"]
    assert listed == [["ada", "07.1", "1", "because", ""], ["ada", "07.5", "4", "first line second line", ""]]
    assert [line[-3] for line in rows(tmp_path / "grades.csv")[1:]] == ["to mark", ""]


def test_gradescope_gets_its_results(tmp_path):
    """The form of gradescope-autograders.readthedocs.io/en/latest/specs."""
    write(tmp_path, graded("ada", (0.0, 3.0, 4.0, 2.0), notes=[SCRIPT], seconds=1.234))
    (path,) = tmp_path.glob("gradescope/*/results.json")
    found = json.loads(path.read_text())
    assert found["score"] == pytest.approx(sum(test["score"] for test in found["tests"])) == 9
    assert sum(test["max_score"] for test in found["tests"]) == pytest.approx(10, abs=1e-3)
    assert found["execution_time"] == 1.23
    assert found["visibility"] == "visible"
    assert {test["output_format"] for test in found["tests"]} == {found["output_format"]} == {"text"}
    assert found["tests"][0] == {
        "name": "07.1 value", "score": 0.0, "max_score": 1.0, "output": "it is off", "output_format": "text"
    }  # fmt: skip


# ---------------------------------------------------------------- pages


def test_nothing_that_a_student_wrote_is_markup_on_any_page(tmp_path):
    one = graded(SCRIPT, file=SCRIPT, problem=SCRIPT, notes=[SCRIPT], ended=[[SCRIPT, SCRIPT]], cells={SCRIPT: SCRIPT})
    for question in one.questions.values():
        question["text"] = SCRIPT
        for part in question["parts"]:
            part["why"] = SCRIPT
    write(tmp_path, one, alike=[(1.0, SCRIPT, SCRIPT)])
    pages = [*tmp_path.glob("feedback/*.html"), tmp_path / "report.html"]
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = Tags(text)
        assert found.tags <= HARMLESS, page.name
        assert found.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "style"}
        assert "default-src 'none'" in text
        assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/passwd", "..", "con", "a" * 300, "\u00e9\u00e8", "x\u202ey", "CON.html", "~"]
)
def test_names_of_students_are_no_paths(tmp_path, name):
    out = tmp_path / "deep" / "grades"
    out.mkdir(parents=True)
    write(out, graded(name))
    store.ready(out / "more", EXERCISE, False, False)
    assert store.save(out / "more", "m", graded(name)).student == name
    assert store.load(out / "more", name, "m").student == name
    assert {p.name for p in tmp_path.iterdir()} == {"deep"}
    (page,) = (out / "feedback").iterdir()
    assert len(page.name) < 60
    assert page.name.isascii()


def test_two_students_whose_names_differ_in_case_keep_their_files_apart(tmp_path):
    write(tmp_path, graded("Ada"), graded("ada"))
    assert len({path.name.lower() for path in (tmp_path / "feedback").iterdir()}) == 2


def test_files_of_an_earlier_grading_go(tmp_path):
    write(tmp_path, graded("ada"), graded("bob"))
    write(tmp_path, graded("ada"))
    assert len(list((tmp_path / "feedback").iterdir())) == len(list((tmp_path / "gradescope").iterdir())) == 1


def test_the_report_shows_how_it_went(tmp_path):
    results = [graded(f"s{i}") for i in range(3)]
    results += [graded("bob", (1.0, 0.0, 0.0, 2.0), ended=[["07.3 probe_wide", "cell time"]], memory=300 * 2**20)]
    results += [graded("eve", (1.0, 0.0, 4.0, 2.0), problem="it took more memory than allowed", seconds=33.0)]
    text = (write(tmp_path, *results, alike=[(0.93, "bob", "eve")]) / "report.html").read_text()
    assert "5 students, 1 of them without a result. Most memory of a run: 300 MiB. Longest run: 33 s." in text
    histogram = text[text.index("<h2>07.2") : text.index("<h2>07.3")]
    assert "0: 2<" in histogram
    assert "3: 3<" in histogram
    assert "width:36.0%" in histogram
    failed = text[text.index("Probes that failed most") :]
    assert "<td>07.2 probe_usual</td><td>2</td>" in failed
    assert failed.index("07.2 probe_usual") < failed.index("07.3 probe_wide")
    assert "07.3 probe_wide: cell time" in text
    assert "it took more memory than allowed" in text
    assert "1 pairs" in text
    assert "<td>bob</td><td>eve</td><td>93%</td>" in text


# ---------------------------------------------------------------- alike

OWN = """
def learning_curve(yhat, f, second_moment):
    errors = []
    for k in range(yhat.shape[1]):
        total = 0.0
        for b in range(len(yhat)):
            total += (yhat[b, k] - f[b, k]) ** 2
        errors.append(total / len(yhat) / second_moment)
    return np.array(errors)

def prefix_least_squares(xs, ys):
    guess = np.zeros(len(ys))
    for n in range(1, len(ys)):
        weights = np.linalg.pinv(xs[:n]) @ ys[:n]
        guess[n] = weights @ xs[n]
    return guess
"""
RENAMED = "# my own work\n" + OWN.replace("errors", "results").replace("guess", "out").replace("weights", "w").replace(
    "total", "acc"
).replace("    for n", "\n    # loop over prefixes\n    for n")
OTHER = """
def learning_curve(yhat, f, second_moment):
    return np.mean(np.square(np.subtract(yhat, f)), axis=0) / second_moment

def prefix_least_squares(xs, ys):
    P, d = xs.shape
    answers = [0.0]
    while len(answers) < P:
        m = len(answers)
        U, S, V = np.linalg.svd(xs[:m], full_matrices=False)
        keep = S > 1e-10 * S.max()
        inverse = V[keep].T @ np.diag(1 / S[keep]) @ U[:, keep].T
        answers += [float(xs[m] @ inverse @ ys[:m])]
    return np.asarray(answers)
"""


def test_renamed_copies_are_found_and_independent_work_is_not():
    given = "\n\n".join(EXERCISE.shown(cell) for cell in EXERCISE.cells if cell.kind != "markdown")
    results = [graded(name, code=f"{given}\n\n{code}") for name, code in (("a", OWN), ("b", RENAMED), ("c", OTHER))]
    results += [graded("empty", code=given), graded("stub", code=given)]
    assert [(a, b) for _, a, b in similarity.pairs(EXERCISE, results)] == [("a", "b")]


@pytest.mark.parametrize("code", ["(" * 5000, "'\ud800'", "x = '''", "\x00", "  a\n b", "\ud800 = 1", "f'{" * 200])
def test_code_of_any_kind_can_be_compared(code):
    similarity.shingles(code)
    similarity.pairs(EXERCISE, [graded("a", code=code * 100), graded("b", code=code * 100)])


def test_a_cell_that_took_too_long_is_a_reason_and_an_ordinary_error_is_not():
    slow = graded("slow", cells={"5": "it took longer than 10 seconds", "7": "NameError: name 'x' is not defined"})
    plain = graded("plain", cells={"7": "NameError: name 'x' is not defined"})
    assert outputs.reason(slow) == "cell 5: it took longer than 10 seconds"
    assert outputs.reason(plain) == ""
    report = outputs.report(EXERCISE, [slow, plain], [])
    assert "<td>slow</td><td>cell 5: it took longer than 10 seconds</td>" in report
    assert "<td>plain</td>" not in report
    assert "07.1, 1 point<" in report
    page = outputs.feedback(EXERCISE, plain)
    assert "07.5: marked by a person" in page
    assert "NameError" in page
