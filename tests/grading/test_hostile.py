"""Hostile and broken notebooks: none gains a mark it did not earn, none touches anything outside, each gets a reason.

These tests need bubblewrap and fail where it is missing: a grader that was never attacked is not a grader.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import pytest
from classroom import EXERCISE, FULL, LIMITS, notebook

from icl_lab.exercises.build import SOURCES

WRONG = {
    "07.1": "answer_1 = 'a'\nreason_1 = ''",
    "07.2": "def learning_curve(yhat, f, second_moment):\n    return 0 * f[0]",
    "07.3": "def prefix_least_squares(xs, ys):\n    return 1 + 0 * ys",
    "07.4": "k_for_averaging = 3",
    "07.5": "report_5 = ''",
}
FORGE = """
import os, json
report = {"cells": {}, "ended": [], "answers": {}}
lines = [{"answer": q, "is": {"value": v}} for q, v in [("07.1", "a"), ("07.4", 3)]] + [{"done": True}]
for fd in range(3, 40):
    try:
        for line in lines:
            os.write(fd, json.dumps(line).encode() + b"\\n")
        os.write(fd, json.dumps({"score": 100, "points": 100, "07.1": 1}).encode() + b"\\n")
    except OSError:
        pass
print('{"score": 100}')
"""
LIE = """
class Liar(float):
    def __eq__(self, other): return True
    def __le__(self, other): return True
    def __ge__(self, other): return True
    def __lt__(self, other): return True
    def __sub__(self, other): return 0.0
    def __rsub__(self, other): return 0.0
    def __array__(self, *args, **kwargs): raise ValueError
    __hash__ = None
"""
ODD_REPORTS = """
import os
values = [b"1e999", b"9" * 4299, b"NaN", b"[" * 900 + b"]" * 900]
values += [b'{"array": [], "shape": [' + b",".join([b"9" * 4000] * 900) + b"]}"]
lines = [b'{"answer": "07.4", "is": {"value": ' + value + b"}}" for value in values]
lines += [b'{"answer": "07.4", "is": {"missing": ' + b"[" * 900 + b"]" * 900 + b"}}"]
lines += [b'{"start": [1]}', b'{"cell": [1]}', b"\\xff\\x00", b'{"answer": [1], "is": 1}']
for fd in range(3, 40):
    try:
        os.write(fd, b"\\n".join(lines) + b"\\n")
    except OSError:
        pass
"""
# What a notebook tries, all answers being wrong: name -> code in front of everything
ATTACKS = {
    "patches json": "import json\njson.dumps = lambda *a, **k: '{\"score\": 1}'\njson.loads = lambda *a, **k: {}",
    "patches numpy": (
        "import numpy as np\nnp.allclose = np.array_equal = lambda *a, **k: True\nnp.abs = lambda x: 0\n"
        "np.isfinite = lambda x: True"
    ),
    "patches the judge's own names": (
        "import icl_lab.exercises.values as v\nv.difference = lambda *a: None\n"
        "v.encode = lambda x: {'value': 'right'}\nimport icl_lab.exercises as e\ne.check = lambda *a: True"
    ),
    "patches open and builtins": (
        "import builtins\nbuiltins.open = lambda *a, **k: 1 / 0\nbuiltins.abs = lambda x: 0\nbuiltins.len = lambda x: 0"
    ),
    "forges reports on every descriptor": FORGE,
    "writes to the parent's memory": (
        "import os\np = os.getppid()\nfor name in ('mem', 'fd/1'):\n    try:\n"
        "        open(f'/proc/{p}/{name}', 'wb').write(b'{\"score\": 100}')\n    except Exception:\n        pass"
    ),
    "kills its supervisor": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "kills everything": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "ends the process": "import os\nos._exit(0)",
    "sys.exit": "import sys\nsys.exit(0)",
    "raises SystemExit in a thread and leaves": (
        "import threading, time, sys\nthreading.Thread(target=lambda: time.sleep(30), daemon=False).start()"
    ),
    "never ends": "while True:\n    pass",
    "never ends and ignores signals": (
        "import signal\nfor s in range(1, 65):\n    try:\n        signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\nwhile True:\n    pass"
    ),
    "swallows every exception": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        continue"
    ),
    "sleeps": "import time\ntime.sleep(10 ** 6)",
    "fork bomb": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        break",
    "threads that stay": (
        "import threading, time\nfor _ in range(500):\n    try:\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n    except RuntimeError:\n"
        "        break"
    ),
    "a child that outlives the cell": (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)"
    ),
    "much memory": "x = []\nwhile True:\n    x.append(bytearray(10 ** 7))",
    "much memory in many processes": (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        b = bytearray(300 * 2 ** 20)\n"
        "        time.sleep(60)\ntime.sleep(1.5)"
    ),
    "deep recursion": "import sys\nsys.setrecursionlimit(10 ** 7)\ndef f(n):\n    return f(n + 1)\nf(0)",
    "much output": "while True:\n    print('x' * 10 ** 6)",
    "a large file": "f = open('/tmp/x', 'wb')\nwhile True:\n    f.write(b'x' * 10 ** 6)",
    "many files": "i = 0\nwhile True:\n    open(f'/tmp/{i}', 'wb').write(b'x' * 10 ** 6)\n    i += 1",
    "an alarm of its own": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.alarm(0)\nwhile True: pass",
    "replaces the names after the cells": (
        "import sys\nsys.settrace(lambda *a: None)\nimport atexit\natexit.register(lambda: 1 / 0)"
    ),
    "traces its supervisor": (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\np = os.getppid()\nfor call in (16, 0x4206):\n"
        "    libc.ptrace(call, p, 0, 0)\nb = ctypes.create_string_buffer(64)\nlibc.process_vm_writev(p, b, 1, b, 1, 0)"
    ),
    "fills every pipe": (
        "import os\nfor fd in range(3, 40):\n    try:\n        while os.write(fd, b'x' * 65536):\n            pass\n"
        "    except OSError:\n        pass"
    ),
    "floods the reports": (
        "import os, json\nfor fd in range(3, 40):\n    try:\n        for i in range(20000):\n"
        "            os.write(fd, json.dumps({'answer': f'x{i}', 'is': 'y' * 100, 'cell': i}).encode() + b'\\n')\n"
        "    except OSError:\n        pass"
    ),
    "reports numbers and nests of any size": ODD_REPORTS,
    "errors of broken characters": "raise ValueError('\\ud800\\x00\\x1b[2J<script>alert(1)</script>' * 1000)",
    "an error that hangs when it is shown": (
        "class E(Exception):\n    def __str__(self):\n        while True:\n            pass\nraise E()"
    ),
    "an error that fails when it is shown": (
        "class M(type):\n    @property\n    def __name__(self):\n        raise KeyboardInterrupt\n"
        "class E(Exception, metaclass=M):\n    def __str__(self):\n        raise SystemExit\nraise E()"
    ),
    "links where it works": (
        "import os\nfor i, place in enumerate(('/course', '/etc/passwd', '/proc/1/root', '/')):\n"
        "    os.symlink(place, f'/tmp/{i}')\nos.mkfifo('/tmp/pipe')"
    ),
    "a script in its outputs": (
        "from IPython.display import HTML, display\ndisplay(HTML('<script>alert(1)</script>'))\n"
        "print('<script>alert(1)</script>')"
    ),
    "every descriptor": "x = []\nwhile True:\n    x.append(open('/dev/null'))",
    "memory that no process shows": (
        "import ctypes, os, mmap\nlibc = ctypes.CDLL(None)\nx = []\nfor i in range(100):\n    try:\n"
        "        libc.shmget(i + 1, 10 ** 8, 0o1777)\n        x.append(os.memfd_create(str(i)))\n"
        "        os.write(x[-1], b'x' * 10 ** 7)\n    except OSError:\n        pass\n"
        "m = mmap.mmap(-1, 10 ** 8)\nm.write(b'x' * 10 ** 8)"
    ),
    "a machine of its own": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nfor flag in (1 << 28, 1 << 17, 1 << 30, 1 << 29):\n"
        "    libc.unshare(flag)\nlibc.mount(b'x', b'/tmp', b'tmpfs', 0, b'size=9g')\n"
        "for i in range(100):\n    open(f'/tmp/{i}', 'wb').write(b'x' * 10 ** 7)"
    ),
    "an import hook": (
        "import sys\nclass H:\n    def find_spec(self, *a):\n        return None\nsys.meta_path.insert(0, H())\n"
        "sys.modules.clear()"
    ),
}
# What a notebook hands in as an answer to 07.4, 07.3 and 07.2: name -> code behind everything
ANSWERS = {
    "not a number": "k_for_averaging = float('nan')",
    "infinity": "k_for_averaging = float('inf')",
    "complex": "k_for_averaging = 49 + 1j",
    "an object": "k_for_averaging = object()",
    "an object whose comparisons lie": LIE + "k_for_averaging = Liar(3)",
    "a text of the number": "k_for_averaging = '49'",
    "a list of all numbers": "k_for_averaging = list(range(100))",
    "a huge whole number": "k_for_averaging = 10 ** 5000",
    "a nest": "k_for_averaging = []\nfor _ in range(5000):\n    k_for_averaging = [k_for_averaging]",
    "a list that holds itself": "k_for_averaging = []\nk_for_averaging.append(k_for_averaging)",
    "a large array": "import numpy as np\nk_for_averaging = np.zeros(10 ** 7)",
    "an encoded value": "k_for_averaging = {'array': [49, 49], 'shape': [2]}",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All of them in one run, beside an honest one: student -> result; and the folder for what is temporary."""
    from classroom import Class

    course, temporary = Class(tmp_path_factory.mktemp("class")), tmp_path_factory.mktemp("temporary")
    temporary.chmod(0o755)
    course.hand_in("honest.ipynb", notebook())
    for number, code in enumerate(ATTACKS.values()):
        course.hand_in(f"attack{number:02d}.ipynb", notebook(WRONG, before=code))
    for number, code in enumerate(ANSWERS.values()):
        course.hand_in(f"answer{number:02d}.ipynb", notebook({"07.4": code}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(temporary))
        graded = course.grade()
    return graded, temporary, course


def test_there_are_enough_of_them():
    assert len(ATTACKS) + len(ANSWERS) >= 35


def test_the_honest_one_beside_them_gets_everything(everything):
    graded, _, _ = everything
    assert {id: q["points"] for id, q in graded["honest"].questions.items()} == {**FULL, "07.5": 0.0}
    assert graded["honest"].problem == ""


@pytest.mark.parametrize(("number", "name"), list(enumerate(ATTACKS)), ids=list(ATTACKS))
def test_no_attack_gains_a_mark(everything, number, name):
    one = everything[0][f"attack{number:02d}"]
    assert one.points == 0, (name, one.questions)
    told = " ".join([one.problem, *one.notes, *one.cells.values(), *(w for pair in one.ended for w in pair)])
    parts = [part["why"] for question in one.questions.values() for part in question["parts"]]
    assert told.strip() or all(parts)


@pytest.mark.parametrize(("number", "name"), list(enumerate(ANSWERS)), ids=list(ANSWERS))
def test_no_odd_answer_gains_a_mark_and_the_other_questions_keep_theirs(everything, number, name):
    one = everything[0][f"answer{number:02d}"]
    assert one.questions["07.4"]["points"] == 0, name
    assert one.questions["07.4"]["parts"][0]["why"]
    assert {id: one.questions[id]["points"] for id in ("07.1", "07.2", "07.3")} == {
        k: FULL[k] for k in FULL if k != "07.4"
    }


def test_nothing_is_left_running_and_every_student_has_a_row(everything):
    graded, temporary, course = everything
    running = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
    assert [line for line in running if any(str(temporary) in word for word in line)] == []
    assert [p for p in psutil.Process().children(recursive=True) if p.name() == "bwrap"] == []
    assert list(temporary.iterdir()) == []
    lines = (course.out / "grades.csv").read_text().splitlines()
    assert len(lines) == 1 + len(graded) == 2 + len(ATTACKS) + len(ANSWERS)


def test_what_hangs_or_dies_costs_its_cell_and_not_the_rest(everything, course):
    hang = "while True:\n    pass"
    course.hand_in("slow.ipynb", notebook({"07.2": hang}))
    course.hand_in("dies.ipynb", notebook({"07.2": "import os\nos._exit(1)"}))
    course.hand_in(
        "call.ipynb", notebook({"07.2": "def learning_curve(yhat, f, second_moment):\n    while True: pass"})
    )
    graded = course.grade()
    for name in ("slow", "dies", "call"):
        points = {id: graded[name].questions[id]["points"] for id in FULL}
        assert points == {**FULL, "07.2": 0.0}, name
    assert "longer than 2 seconds" in " ".join(graded["slow"].cells.values())
    assert graded["dies"].ended[0][1] == "the process ended"
    assert all("longer than 2 seconds" in part["why"] for part in graded["call"].questions["07.2"]["parts"])


PEEK = """
import os, socket, glob
seen = {}
try:
    socket.create_connection(("127.0.0.1", PORT), 1).close()
    seen["connected"] = True
except OSError:
    pass
for path in PATHS:
    try:
        seen[path] = str(os.listdir(path) if os.path.isdir(path) else open(path).read()[:50])
    except OSError:
        pass
    try:
        open(os.path.join(path, "planted"), "w").close()
        seen["wrote " + path] = True
    except OSError:
        pass
for place in ("/", "/usr", "/course", "/libraries", "/dev", "/proc", "/etc"):
    try:
        open(os.path.join(place, "planted"), "w").close()
        seen["wrote " + place] = True
    except OSError:
        pass
seen["environment"] = sorted(k for k in os.environ if "SECRET" in k or "TOKEN" in k)
seen["processes"] = sum(name.isdigit() for name in os.listdir("/proc"))
seen["uid"] = os.getuid()
try:
    os.setuid(0)
    seen["root"] = True
except OSError:
    pass
places = [p + "/**/*predictors*" for p in ("/course", "/libraries/icl_lab*", "/tmp", "/root", "/home")]
seen["solutions"] = [found for place in places for found in glob.glob(place, recursive=True)]
try:
    import icl_lab.predictors
    seen["predictors"] = True
except ImportError:
    pass
report_5 = repr(seen)
"""


def test_the_sandbox_shows_nothing_of_the_machine(course, monkeypatch):
    monkeypatch.setenv("COURSE_SECRET_TOKEN", "do not tell")
    listener = socket.create_server(("127.0.0.1", 0))
    connected = []
    thread = threading.Thread(target=lambda: connected.append(listener.accept()), daemon=True)
    thread.start()
    other = course.hand_in("other.ipynb", notebook())
    paths = [
        str(p) for p in (course.folder, other, course.secret, SOURCES, Path.home(), "/etc/passwd", "/work", os.getcwd())
    ]
    code = PEEK.replace("PORT", str(listener.getsockname()[1])).replace("PATHS", repr(paths))
    course.hand_in("peek.ipynb", notebook({"07.5": code}))
    files = sorted(p for p in course.folder.parent.rglob("*"))
    seen = eval(course.grade()["peek"].questions["07.5"]["text"])
    for path in [path for path in seen if path in paths]:  # the way to the interpreter, and nothing beside it
        assert str(Path(sys.base_prefix)).startswith(path)
        assert len(eval(seen.pop(path))) == 1
    assert seen["environment"] == []
    assert seen["uid"] != 0
    assert seen["processes"] < 6
    assert seen["solutions"] == []
    assert set(seen) == {"environment", "uid", "processes", "solutions"}, seen
    assert not connected
    listener.close()
    assert not list(course.folder.rglob("planted"))
    assert [p for p in files if not p.exists()] == []


CONFINED = """
import ctypes, mmap, os, subprocess
libc, seen = ctypes.CDLL(None, use_errno=True), {}
def tried(name, call):
    try:
        seen[name] = call()
    except OSError as error:
        seen[name] = error.errno
for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000):
    seen[f"unshare {flag:x}"] = libc.unshare(flag)
seen["shmget"] = libc.shmget(1, 1000, 0o1777)
seen["mount"] = libc.mount(b"x", b"/tmp", b"tmpfs", 0, 0)
seen["ptrace"] = libc.ptrace(16, os.getppid(), 0, 0)
tried("memfd", lambda: os.memfd_create("x"))
tried("shared memory", lambda: mmap.mmap(-1, 4096) and 0)
tried("zero", lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096) and 0)
tried("memory of the supervisor", lambda: open(f"/proc/{os.getppid()}/mem", "r+b") and 0)
tried("descriptors of the supervisor", lambda: os.listdir(f"/proc/{os.getppid()}/fd"))
seen["a child in a namespace"] = subprocess.run(["/usr/bin/unshare", "-Ur", "true"], stderr=-3).returncode
seen["a child"] = subprocess.run(["/bin/true"]).returncode
lines = dict(line.split(":\\t") for line in open("/proc/self/status") if ":\\t" in line)
seen["capabilities"] = int(lines["CapEff"], 16) | int(lines["CapPrm"], 16)
seen["filter"] = lines["Seccomp"].strip()
report_5 = repr(seen)
"""


def test_calls_that_would_reach_out_are_refused(course):
    course.hand_in("peek.ipynb", notebook({"07.5": CONFINED}))
    one = course.grade()["peek"]
    seen = eval(one.questions["07.5"]["text"])
    assert seen.pop("a child") == seen.pop("capabilities") == 0
    assert seen.pop("filter") == "2"
    assert all(found not in (0, None) and not isinstance(found, list) for found in seen.values()), seen
    assert len(seen) == 13
    assert one.points == sum(FULL.values())


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_way_through_the_filter_ends_in_a_decision(machine):
    """The filter, read by a few lines that do as the kernel does."""
    import struct

    from icl_lab.grading import confine

    lines = list(struct.iter_unpack("HBBI", confine.program(machine)))
    column = confine.COLUMN[machine]

    def decided(number: int, first: int = 0, fourth: int = 0, kind: int = confine.MACHINES[machine]) -> int:
        at, value = 0, 0
        words = {confine.NUMBER: number, confine.MACHINE: kind, confine.FIRST: first, confine.FOURTH: fourth}
        while True:
            code, yes, no, k = lines[at]
            at += 1
            if code == confine.RETURN:
                return k
            if code == confine.LOAD:
                value = words[k]
            elif code == confine.AND:
                value &= k
            else:
                test = {confine.EQUAL: value == k, confine.AT_LEAST: value >= k, confine.ANY_BIT: bool(value & k)}
                at += yes if test[code] else no

    refused, allowed = confine.REFUSE | 1, confine.ALLOW
    for name, numbers in confine.CALLS.items():
        assert decided(numbers[column]) == refused, name
    clone, mmap, clone3 = (pair[column] for pair in (confine.CLONE, confine.MMAP, confine.CLONE3))
    assert decided(clone, first=0x1200011) == allowed  # fork
    assert decided(clone, first=0x3D0F00) == allowed  # a thread
    assert decided(clone, first=0x10000011) == decided(clone, first=0x20011) == refused
    assert decided(mmap, fourth=0x21) == decided(mmap, fourth=0x23) == refused
    assert decided(mmap, fourth=0x22) == decided(mmap, fourth=0x01) == allowed
    assert decided(clone3) == confine.REFUSE | 38
    assert decided(200_000) == allowed
    assert decided(200_000, kind=1) == confine.KILL
    with pytest.raises(OSError, match="no list of system calls for vax"):
        confine.program("vax")


def test_the_package_and_the_clone_do_not_show_wherever_they_lie(tmp_path):
    from icl_lab.grading.sandbox import hidden

    clone = tmp_path / "usr" / "src" / "course"
    (clone / "icl_lab").mkdir(parents=True)
    bound = {tmp_path / "usr": Path("/usr"), tmp_path / "lib": Path("/libraries")}
    assert hidden(bound, tmp_path / "lib" / "icl_lab") == [Path("/libraries/icl_lab")]
    assert hidden(bound, clone / "icl_lab") == [Path("/usr/src/course/icl_lab")]
    (clone / "pyproject.toml").touch()
    assert hidden(bound, clone / "icl_lab") == [Path("/usr/src/course")]
    assert hidden({Path("/usr"): Path("/usr")}, clone / "icl_lab") == []


def test_memory_of_a_run_is_watched_and_reported(everything):
    graded, _, course = everything
    assert 20 * 2**20 < graded["honest"].memory < 1.2 * 2**30
    many = graded[f"attack{list(ATTACKS).index('much memory in many processes'):02d}"]
    assert many.problem == "it took more memory than allowed"
    assert many.memory > LIMITS.memory
    assert "Most memory of a run: " in (course.out / "report.html").read_text()


def test_inputs_differ_between_students_and_not_between_runs(course):
    from icl_lab.grading import judge

    question, key = EXERCISE.questions["07.3"], b"a secret of the tests"
    one, again, other = (judge.inputs_of(question, key, name) for name in ("ada", "ada", "bob"))
    assert one == again != other
    assert judge.inputs_of(question, b"another secret, as long", "ada") != one
