"""What is handed in: broken files each get a row and one clear reason; rosters, secrets, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import Executor, Future, ProcessPoolExecutor

import pytest
from classroom import EXERCISE, FULL, LIMITS, notebook

from icl_lab import cli
from icl_lab.errors import InputError
from icl_lab.exercises import build
from icl_lab.grading import grade, sandbox, store, submissions
from icl_lab.grading.submissions import collect, parse, read_roster, student_of

ALL_POINTS = sum(FULL.values())
V3 = {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": []}]}


def without(*tags: str) -> dict:
    """The solved notebook without the cells of some questions."""
    made = notebook()
    made["cells"] = [c for c in made["cells"] if not set(c["metadata"].get("tags", [])) & set(tags)]
    return made


def doubled() -> dict:
    """Question 07.4 answered wrongly, then again and rightly."""
    made = notebook()
    cell = next(c for c in made["cells"] if "question-07.4" in c["metadata"].get("tags", []))
    made["cells"].insert(0, {**cell, "source": "k_for_averaging = 3"})
    return made


def version(text: str) -> dict:
    return json.loads(json.dumps(notebook()).replace(EXERCISE.version, text))


# What is handed in: name -> (content, points, what its row must say)
BROKEN = {
    "invalid": (b'{"cells": [', 0, "its JSON is not valid"),
    "empty": (b"", 0, "it is empty"),
    "spaces": (b" \n\n", 0, "it is empty"),
    "latin": ('{"cells": "é"}'.encode("latin-1"), 0, "it is not UTF-8 text"),
    "zeros": (bytes(1000), 0, "its JSON is not valid"),
    "list": (b"[1, 2]", 0, "not a notebook of format 4"),
    "nest": (b"[" * 200_000, 0, "its JSON is not valid"),
    "long number": (b'{"cells": ' + b"9" * 10_000 + b"}", 0, "its JSON is not valid"),
    "no cells": (b'{"nbformat": 4, "cells": 7}', 0, "not a notebook of format 4"),
    "odd cells": (
        b'{"nbformat": 4, "cells": [null, 3, {"cell_type": "code", "source": {"a": 1}}]}',
        0,
        "its version line is gone",
    ),
    "format 3": (json.dumps(V3).encode(), 0, "format 3; open it in Jupyter"),
    "too much code": (notebook(after="# x\n" * 300_000), 0, "more than 1,000,000 characters of code"),
    "halves of characters": (
        notebook(after="x = '\\ud800'\nraise ValueError(x)"),
        ALL_POINTS,
        ": ValueError: ?",
    ),
    "half in the code": (notebook(after="x = '\ud800'"), ALL_POINTS, "UnicodeEncodeError"),
    "missing cells": (without("question-07.3"), ALL_POINTS - FULL["07.3"], "does not define prefix_least_squares"),
    "doubled cells": (doubled(), ALL_POINTS, ""),
    "kernel": ({**notebook(), "metadata": {"kernelspec": {"name": "julia-1.9"}}}, ALL_POINTS, ""),
    "no metadata": ({k: v for k, v in notebook().items() if k != "metadata"}, ALL_POINTS, ""),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(notebook()).encode(), ALL_POINTS, ""),
    "version unknown": (
        version("0" * 12),
        ALL_POINTS,
        "an old student version, 000000000000 (unknown to the manifest)",
    ),
    "version gone": (version("none"), ALL_POINTS, "its version line is gone"),
    "another exercise": (
        json.loads(json.dumps(notebook()).replace("exercise 07 version", "exercise 09 version")),
        0,
        "it was made from exercise 09, not 07",
    ),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    from classroom import Class

    course = Class(tmp_path_factory.mktemp("class"))
    course.hand_in("honest.ipynb", notebook())
    for name, (content, _, _) in BROKEN.items():
        course.hand_in(f"{name}.ipynb", content)
    with open(course.hand_in("sparse.ipynb", b""), "r+b") as file:
        file.truncate(100 * 2**20)
    os.mkfifo(course.folder / "fifo.ipynb")
    os.symlink(course.secret, course.folder / "link.ipynb")
    os.symlink(course.folder / "honest.ipynb", course.folder / "inner link.ipynb")
    os.symlink("/", course.folder / "root")
    (course.folder / "folder.ipynb").mkdir()
    course.hand_in(".ipynb_checkpoints/honest.ipynb", b"")
    (course.folder / os.fsdecode(b"not\xffutf8_1.ipynb")).write_bytes(json.dumps(notebook()).encode())
    return course.grade(), course


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gets_a_row_and_one_reason(broken, name):
    from icl_lab.grading import outputs

    one, (_, points, told) = broken[0][name], BROKEN[name]
    assert one.points == points
    assert told in outputs.told(one)
    assert bool(outputs.reason(one)) == bool(one.problem or one.notes)


def test_links_pipes_folders_and_large_files_are_not_read(broken):
    graded, course = broken
    for name in ("fifo", "link", "inner link", "folder"):
        assert graded[name].problem == "it is not a plain file"
    assert graded["sparse"].problem == "it is larger than 10 MB"
    assert graded["notutf8"].points == graded["honest"].points == ALL_POINTS
    assert graded["honest"].notes == []  # the copy among the checkpoints is none of hers
    assert len(graded) == len(BROKEN) + 7
    for path in (course.out / "feedback").iterdir():
        path.read_text(encoding="utf-8")
    assert "a secret of the tests" not in "".join(p.read_text() for p in course.out.rglob("*.json"))


# ---------------------------------------------------------------- zips


def zipped(path, members: dict[str, bytes], **about) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.compress_type = about.get(name, {}).get("how", zipfile.ZIP_DEFLATED)
            info.external_attr = about.get(name, {}).get("mode", 0o100644) << 16
            archive.writestr(info, data)


def test_a_zip_is_read_and_never_unpacked(tmp_path):
    good, path = json.dumps(notebook()).encode(), tmp_path / "all.zip"
    bomb = b'{"a": "' + b"0" * (200 * 2**20) + b'"}'
    zipped(
        path,
        {
            "Ada Byron_12_assignsubmission_file/07.ipynb": good,
            "bob_LATE_77_88_07.ipynb": good,
            "../../tmp/climber.ipynb": good,
            "/abs.ipynb": good,
            "C:\\windows\\drive.ipynb": good,
            "link.ipynb": b"/etc/passwd",
            "pipe.ipynb": b"",
            "bomb.ipynb": bomb,
            "lzma.ipynb": good,
            "__MACOSX/._ada.ipynb": b"junk",
            "notes.txt": b"x",
        },
        **{
            "link.ipynb": {"mode": 0o120777},
            "pipe.ipynb": {"mode": 0o010644},
            "lzma.ipynb": {"how": zipfile.ZIP_LZMA},
        },
    )
    assert path.stat().st_size < 10**6
    problems = {one.student: one.problem for one in collect(path)}
    out = "its path in the zip leads out of it"
    assert problems == {
        "Ada Byron": "",
        "bob": "",
        "tmp": out,
        "abs": out,
        "windows": out,
        "link": "it is not a plain file",
        "pipe": "it is not a plain file",
        "bomb": "it is larger than 10 MB",
        "lzma": "it is packed in an unusual way",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.zip"]


def patched(path, old: bytes, new: bytes, count: int = -1) -> None:
    path.write_bytes(path.read_bytes().replace(old, new, count))


def test_a_member_that_lies_about_itself_stops_nobody_else(tmp_path):
    good, path = json.dumps(notebook()).encode(), tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ada.ipynb", good)
        archive.writestr("eve.ipynb", b'{"x": "' + b"q" * 1000 + b'"}')
    patched(path, b"q" * 1000, b"Q" * 1000)  # the checksum does not fit any more
    ada, eve = collect(path)
    assert (ada.problem, eve.problem) == ("", "it cannot be unpacked (BadZipFile)")

    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada.ipynb", good)
        archive.writestr("eve.ipynb", b" " * (50 * 2**20))
    size = (50 * 2**20).to_bytes(4, "little")
    patched(path, size, (100).to_bytes(4, "little"))  # says 100 bytes, unpacks to 50 MB
    ada, eve = collect(path)
    assert ada.problem == ""
    assert len(eve.data) <= 100

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("eve.ipynb", good)
        archive.filelist[0].flag_bits |= 1
    assert collect(path)[0].problem == "it is encrypted"


def test_a_zip_that_is_none_is_one_sentence(tmp_path):
    path = tmp_path / "all.zip"
    path.write_bytes(b"PK\x05\x06" + b"\xff" * 18)
    with pytest.raises(InputError, match=r"The zip .* cannot be read|neither a folder nor a zip"):
        collect(path)


# ---------------------------------------------------------------- who is who


@pytest.mark.parametrize(
    ("name", "student"),
    [
        ("ada.ipynb", "ada"),
        ("ada_07_late.ipynb", "ada"),
        ("Ada Byron_123_assignsubmission_file/07.ipynb", "Ada Byron"),
        ("class/Ada Byron_1_x/07.ipynb", "Ada Byron"),
        ("_.ipynb", "unnamed"),
        ("a\x00b\n\u202ec.ipynb", "abc"),
        ("A\u0308da.ipynb", "\u00c4da"),
        ("../../x/y.ipynb", "x"),
    ],
)
def test_the_name_is_the_folders_or_the_files_up_to_the_first_underscore(name, student):
    assert student_of(name) == student


def test_two_very_long_names_that_begin_alike_stay_two(tmp_path):
    names = ["x" * 120 + end for end in ("1", "2")]
    for name in names:
        (tmp_path / f"{name}.ipynb").write_text("{}")
    assert len({one.student for one in collect(tmp_path)}) == 2
    assert all(len(student_of(f"{name}.ipynb")) == 80 for name in names)


def test_of_two_files_the_later_one_counts_and_that_is_said(course):
    first = course.hand_in("ada_1.ipynb", notebook())
    later = course.hand_in("ada_2.ipynb", without("question-07.4"))
    os.utime(first, (1000, 1000))
    os.utime(later, (2000, 2000))
    (ada,) = collect(course.folder)
    assert (ada.file, ada.notes) == ("ada_2.ipynb", ["two files: ada_1.ipynb is not the latest and does not count"])
    os.utime(first, (3000, 3000))
    assert collect(course.folder)[0].file == "ada_1.ipynb"


def test_the_roster_says_who_is_expected(course, tmp_path):
    for name in ("ada", "BOB", "guest", "Eve", "eve", "shared/x_7"):
        course.hand_in(f"{name}.ipynb", {})
    roster = tmp_path / "roster.csv"
    roster.write_text("\ufeffstudent,file\nada,\nbob,\nEve,\neve,\ncarol,\ndan,shared/x_7.ipynb\n", encoding="utf-8")
    found = {one.student: one for one in collect(course.folder, roster)}
    assert set(found) == {"ada", "bob", "guest", "Eve", "eve", "carol", "dan"}
    assert found["carol"].problem == "missing: no file in this name"
    assert found["guest"].notes == ["not in the roster"]
    assert found["dan"].file == "shared/x_7.ipynb"
    assert [one for name, one in found.items() if name != "guest" and one.notes] == []
    for text, said in (
        ("name\nada\n", "needs a header with a column 'student'"),
        ("student\nada\nada\n", "names ada twice"),
        ("", "needs a header"),
        ("student\n\ud800", "cannot be read"),
    ):
        roster.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(InputError, match=said):
            read_roster(roster)
    with pytest.raises(InputError, match="cannot be read"):
        read_roster(tmp_path / "none.csv")


def test_an_old_version_is_named_with_its_age():
    one = submissions.Submission("ada", data=json.dumps(version("a" * 12)).encode())
    assert parse(one, "07", ["a" * 12, "b" * 12, EXERCISE.version])
    assert one.notes == [f"an old student version, {'a' * 12} (2 versions ago)"]


# ---------------------------------------------------------------- runs


class Recorder(Executor):
    """Runs jobs at once, and remembers them."""

    def __init__(self) -> None:
        self.jobs = []

    def submit(self, fn, *args, **kwargs):
        self.jobs.append(json.loads(args[0]))
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class Dying(Recorder):
    def submit(self, fn, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        dead = Future()
        dead.set_exception(RuntimeError("the machine went away"))
        return dead if len(self.jobs) == 1 else future


def wrong_input(course, said: str, **options) -> None:
    with pytest.raises(InputError, match=said):
        course.grade(**options)


def test_bad_calls_are_one_sentence(course, tmp_path, monkeypatch):
    wrong_input(course, "There is no notebook")
    wrong_input(course, "neither a folder nor a zip", path=tmp_path / "none")
    course.hand_in("ada.ipynb", {})
    wrong_input(course, "jobs", jobs=0)
    wrong_input(course, "There is no secret in .*openssl rand", secret=tmp_path / "none")
    wrong_input(course, "student 'bob'|bob", verbose="bob")
    (tmp_path / "short").write_text("short")
    wrong_input(course, "too short", secret=tmp_path / "short")
    with pytest.raises(InputError, match="99"):
        grade.grade(course.folder, "99", course.out)
    course.out.write_text("a file")
    wrong_input(course, "is a file; a folder for the grades is expected")
    course.out.unlink()
    assert not course.out.exists()


def test_a_folder_that_is_not_empty_is_not_touched_without_being_told(course):
    course.hand_in("ada.ipynb", {})
    course.out.mkdir()
    (course.out / "thesis.tex").write_text("years of work")
    wrong_input(course, "not empty: --resume goes on there, --force")
    wrong_input(course, "something else than grades", force=True)
    wrong_input(course, "something else than grades", resume=True)
    (course.out / "thesis.tex").rename(course.folder / "thesis.tex")
    course.grade()
    (course.folder / "thesis.tex").rename(course.out / "thesis.tex")
    wrong_input(course, "not empty")
    course.grade(force=True)
    assert (course.out / "thesis.tex").read_text() == "years of work"
    (course.out / store.STATE / store.MARKER).write_text("08\n")
    wrong_input(course, "holds the grades of exercise 08, not 07", resume=True)


def test_a_link_in_the_output_folder_is_removed_and_not_followed(course):
    course.hand_in("ada.ipynb", {})
    course.grade()
    other = course.folder.parent / "other"
    other.mkdir()
    (other / "kept.txt").write_text("kept")
    for name in ("grades.csv", "report.html"):
        (course.out / name).unlink()
        (course.out / name).symlink_to(other / "kept.txt")
    os.rename(course.out / "feedback", course.folder.parent / "feedback")
    (course.out / "feedback").symlink_to(other)
    course.grade(resume=True)
    assert [p.name for p in other.iterdir()] == ["kept.txt"]
    assert (other / "kept.txt").read_text() == "kept"
    assert not (course.out / "feedback").is_symlink()


def test_resume_runs_only_what_is_new_or_changed_and_jobs_go_through_the_executor(course):
    course.hand_in("ada.ipynb", notebook())
    course.hand_in("bob.ipynb", without("question-07.3"))
    first, second, third = Recorder(), Recorder(), Recorder()
    before = course.grade(executor=first)
    assert len(first.jobs) == 2
    text = json.dumps(first.jobs)
    assert "tolerance" not in text
    assert "secret of the tests" not in text
    course.hand_in("carol.ipynb", notebook())
    (course.out / store.STATE / "0.json").write_text("{")
    after = course.grade(executor=second, resume=True)
    assert len(second.jobs) == 1
    assert {n: (o.points, o.questions) for n, o in before.items()} == {
        n: (after[n].points, after[n].questions) for n in before
    }
    store.place(course.out, "ada").write_text("{half")  # as if the disk had been full
    course.hand_in("bob.ipynb", notebook())
    assert course.grade(executor=third, resume=True)["bob"].points == ALL_POINTS
    assert len(third.jobs) == 2


def test_same_secret_same_inputs_other_secret_other_inputs_and_other_results(course, tmp_path):
    course.hand_in("ada.ipynb", notebook())
    runs = [Recorder() for _ in range(3)]
    course.grade(executor=runs[0])
    course.grade(executor=runs[1], force=True)
    (tmp_path / "other").write_text("another secret of the tests")
    course.grade(executor=runs[2], resume=True, secret=tmp_path / "other")
    assert runs[0].jobs == runs[1].jobs
    assert runs[2].jobs
    assert runs[2].jobs != runs[0].jobs


def test_a_changed_probe_is_graded_again(course, monkeypatch):
    stamp = store.stamp(EXERCISE, b"k")
    question = EXERCISE.questions["07.2"]
    probe = question.probes[0]
    from dataclasses import replace

    other = replace(probe, inputs=lambda rng: {**probe.inputs(rng), "second_moment": 7.0})
    changed = replace(question, probes=(other, *question.probes[1:]))
    exercise = replace(EXERCISE, questions={**EXERCISE.questions, "07.2": changed})
    assert store.stamp(EXERCISE, b"k") == stamp != store.stamp(exercise, b"k")
    assert stamp != store.stamp(EXERCISE, b"l")


def test_a_worker_that_dies_costs_its_job_alone(course):
    course.hand_in("ada.ipynb", notebook())
    course.hand_in("bob.ipynb", notebook())
    graded = course.grade(executor=Dying())
    assert graded["ada"].problem == "it could not be run (RuntimeError)"
    assert (graded["ada"].points, graded["bob"].points) == (0, ALL_POINTS)


def test_other_processes_can_do_the_work(course):
    course.hand_in("ada.ipynb", notebook())
    with ProcessPoolExecutor(1) as pool:
        assert course.grade(executor=pool)["ada"].points == ALL_POINTS


def test_verbose_grades_one_and_leaves_the_folder_as_it_is(course, capsys):
    from icl_lab.grading import outputs

    course.hand_in("ada.ipynb", notebook())
    course.hand_in("bob.ipynb", without("question-07.4"))
    course.grade()
    files = {p: p.read_bytes() for p in course.out.rglob("*") if p.is_file()}
    (bob,) = course.grade(verbose="bob").values()
    assert files == {p: p.read_bytes() for p in course.out.rglob("*") if p.is_file()}
    told = outputs.appeal(course.out, bob)
    assert "does not define k_for_averaging" in told
    assert "probe_wide: passes" in told
    assert told.endswith("is the same.")
    assert "There is no earlier result" in outputs.appeal(course.folder, bob)


def test_killed_in_the_middle_it_goes_on_where_it_was_and_leaves_no_process(course):
    for name in ("ada", "bob", "carol", "dan"):
        course.hand_in(f"{name}.ipynb", notebook())
    course.hand_in("zoe.ipynb", notebook(before="import time\ntime.sleep(4)"))
    line = [sys.executable, "-m", "icl_lab", "grade", str(course.folder), "--exercise", "07", "--out", str(course.out)]
    process = subprocess.Popen([*line, "--secret", str(course.secret), "--jobs", "1"], stderr=subprocess.DEVNULL)
    state = course.out / store.STATE
    for _ in range(600):
        if len(list(state.glob("*.json"))) >= 2:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(state.glob("*.json")))
    assert 2 <= done < 5
    assert not (course.out / "grades.csv").exists()
    rest = Recorder()
    graded = course.grade(executor=rest, resume=True, limits=None)
    assert len(rest.jobs) == 5 - done
    assert {one.points for one in graded.values()} == {ALL_POINTS}
    assert len((course.out / "grades.csv").read_text().splitlines()) == 6


def test_without_bubblewrap_it_refuses_with_the_line_that_installs_it(course, tmp_path):
    course.hand_in("ada.ipynb", notebook())
    line = [sys.executable, "-m", "icl_lab", "grade", str(course.folder), "--exercise", "07", "--out", str(course.out)]
    line += ["--secret", str(course.secret)]
    nothing = {**os.environ, "PATH": str(tmp_path)}
    ended = subprocess.run(line, env=nothing, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "apt install bubblewrap" in ended.stderr
    assert not course.out.exists()
    ended = subprocess.run([*line, "--unsafe-no-sandbox"], env=nothing, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f",{ALL_POINTS:g},{ALL_POINTS:g}," in (course.out / "grades.csv").read_text()


def test_a_bubblewrap_that_does_not_work_is_no_students_fault(course, tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    course.hand_in("ada.ipynb", notebook())
    wrong_input(course, "Bubblewrap does not work on this machine: .*uid map: Permission denied")
    assert list((course.out / store.STATE).glob("*.json")) == []


def test_an_interruption_ends_what_runs(course):
    class Interrupted(Recorder):
        def submit(self, *args, **kwargs):
            raise KeyboardInterrupt

    course.hand_in("ada.ipynb", notebook())
    with pytest.raises(KeyboardInterrupt):
        course.grade(executor=Interrupted())
    assert not sandbox._RUNNING


def test_the_command_says_where_the_grades_are(course, monkeypatch, capsys):
    course.hand_in("ada.ipynb", notebook())
    seen = {}
    monkeypatch.setattr(grade, "grade", lambda *a, **k: seen.update(k) or [store.Graded("ada")])
    arguments = ["icl-lab", "grade", str(course.folder), "--exercise", "07", "--out", str(course.out), "--jobs", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    assert seen["jobs"] == 3
    assert "1 students graded" in capsys.readouterr().out


def test_limits_of_the_tests_are_stricter_than_the_usual_ones():
    usual = sandbox.Limits()
    assert LIMITS.memory < usual.memory <= 1.2 * 2**30
    assert LIMITS.cell < usual.cell
    assert build.MANIFEST.exists()
