"""When a chapter runs, and what happens when it does not end well. No Sphinx here."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from miniature import ONE, TWO, Miniature

from icl_lab.book import build, cache, extension, kernel, runner
from icl_lab.book.progress import Progress
from icl_lab.errors import InputError

PLAIN = ["# One", "n = 12 # parameters", "print('n is', n)"]


def test_what_makes_a_chapter_stale(mini: Miniature) -> None:
    """Everything that a chapter reads, and nothing else, makes it run again."""
    mini.chapter("01_one", PLAIN)
    assert mini.run().ran == ["01_one", "02_two"]
    record = json.loads((mini.root / ".book/full/02_two.json").read_text())
    names = {Path(name).relative_to(mini.root).as_posix() for name in record["depends"]}
    package = {f"icl_lab/{name}.py" for name in ("__init__", "toy_outer", "toy/__init__", "toy/inner", "checkpoints")}
    shelf = {"checkpoints", "checkpoints/tiny", "checkpoints/tiny/a"}
    assert names == package | shelf | {f"checkpoints/tiny/a/{name}" for name in ("card.json", "weights.safetensors")}

    stale = "import json; from pathlib import Path; from icl_lab.book import runner\n" + (
        "load = lambda p: runner.load(p, Path('.').resolve(), 'full')\n"
        "print('STALE', json.dumps({p.stem: load(p).why_stale() for p in sorted(Path('chapters').glob('*.ipynb'))}))"
    )

    def why() -> dict:
        return json.loads(mini.python(stale).text.split("STALE")[1])

    fresh = {"01_one": None, "02_two": None}
    assert why() == fresh
    # A file that changes and changes back leaves the page true; each change alone does not.
    for path, first in [
        ("icl_lab/toy/inner.py", None),
        ("checkpoints/tiny/a/weights.safetensors", None),  # never opened by Python: the card beside it was
        ("checkpoints/tiny/b/card.json", None),  # a new checkpoint: another answer to the question which there are
        ("icl_lab/__init__.py", "__init__.py changed"),
        ("icl_lab/toy/not_imported.py", "fresh"),
    ]:
        target = mini.root / path
        before = target.read_bytes() if target.exists() else None
        mini.write(path, "# changed\n")
        if first == "fresh":
            assert why() == fresh, path
        else:
            assert why()["01_one"] == first, path
            assert "changed" in why()["02_two"], path
        target.unlink() if before is None else target.write_bytes(before)
        if path == "checkpoints/tiny/b/card.json":
            target.parent.rmdir()
    assert why() == fresh
    mini.chapter("01_one", [*PLAIN, "print('more')"])
    assert why() == {"01_one": "the chapter was edited", "02_two": None}
    executed = mini.root / ".book/full/02_two.ipynb"
    executed.write_text(executed.read_text().replace("value 42", "value 43"))
    assert why()["02_two"] == "its executed copy was damaged"


def test_a_version_or_a_value_that_changed_makes_a_chapter_stale(tmp_path: Path) -> None:
    entry = cache.Entry(tmp_path, "01_one")
    entry.notebook.write_text("{}")
    key = cache.asked("source", {"n": 3})
    assert cache.why_stale(entry, key) == "not run yet"
    cache.save(entry, key, {}, 1.0)
    assert cache.why_stale(entry, key) is None
    assert {"python", "torch", "numpy", "matplotlib", "transformers"} <= set(key["versions"])
    assert cache.why_stale(entry, {**key, "versions": {**key["versions"], "torch": "0.1"}}) == "the versions changed"
    assert cache.why_stale(entry, cache.asked("source", {"n": 4})) == "the parameters changed"


def test_a_file_that_changed_while_the_chapter_ran_is_not_trusted(tmp_path: Path) -> None:
    early, late = tmp_path / "early.json", tmp_path / "late.json"
    early.write_text("1")
    late.write_text("2")
    os.utime(early, (0, time.time() - 60))
    record = {"modules": [], "files": [str(early), str(late)], "folders": []}
    found = cache.dependencies(record, started=time.time() - 30)
    assert found[str(early)] == cache.state(early)
    assert found[str(late)] == "changed" != cache.state(late)


def test_failures_are_explained_and_the_rest_finishes(mini: Miniature) -> None:
    mini.chapter("01_one", [*PLAIN, "import os\nos._exit(3)"])
    mini.chapter("02_two", [*TWO[:3], "n = 2", "raise ValueError('no such thing')"], fast={"n": 1})
    mini.chapter("03_slow", [*PLAIN, "print('begun')", "while True:\n    pass"], timeout=10)
    mini.chapter("04_good", [*PLAIN, "import os\nos.write(1, b'3\\n')"])  # past IPython: must not look like a report
    mini.chapter("05_left", [*PLAIN, "import sys\nsys.exit(0)", "print('never')"])
    ended = mini.run("fast")
    assert ended.status == 4
    assert "05_left.ipynb, cell 5: it never ran: sys.exit() before it" in ended.text
    assert "01_one.ipynb, cell 4: DeadKernelError" in ended.text
    assert "02_two.ipynb, cell 5: ValueError: no such thing" in ended.text  # counted in the source, not in the copy
    stopped = re.search(r"03_slow.ipynb took longer than its 10 seconds and was stopped in cell (\d)", ended.text)
    assert stopped
    if stopped[1] == "5":  # on a busy machine it does not get that far
        assert "begun" in (mini.root / ".book/fast/failed/03_slow.ipynb").read_text()
    assert (mini.root / ".book/fast/04_good.json").exists()
    assert not (mini.root / ".book/fast/02_two.json").exists()


@pytest.mark.parametrize(("answers", "rounds"), [([True, False], 1), ([True, True, False], 2), ([True] * 9, 3)])
def test_a_chapter_that_became_stale_while_it_ran_runs_again(
    answers: list[bool], rounds: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    left = iter(answers)
    path = Path("01_one.ipynb")
    chapter = SimpleNamespace(path=path, name="01_one", why_stale=lambda: "x.py changed" if next(left) else None)
    ran = []
    monkeypatch.setattr(runner, "run_all", lambda chapters, jobs, progress: ran.append(chapters) or [])
    if rounds < 3:
        extension.run_stale(None, [chapter], [path], None)
    else:
        with pytest.raises(SystemExit):
            extension.run_stale(None, [chapter], [path], None)
        assert "01_one.ipynb: x.py changed again and again while it ran." in capsys.readouterr().err
    assert ran == [[chapter]] * rounds


def test_chapters_run_in_an_empty_folder_with_one_thread(mini: Miniature) -> None:
    code = "import os\nprint('found', os.listdir('.'), os.environ['OMP_NUM_THREADS'])\nopen('left', 'w').close()"
    mini.chapter("01_one", [*PLAIN, code])
    (mini.root / "chapters/02_two.ipynb").unlink()
    ended = mini.run()
    assert ended.status == 0, ended.text
    assert "found [] 1" in (mini.root / ".book/full/01_one.ipynb").read_text()
    assert not list(mini.root.rglob("left"))


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_interrupting_leaves_no_kernel_behind(mini: Miniature) -> None:
    place = mini.root / "pid"
    code = f"import os, time\nopen({str(place)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    mini.chapter("01_one", [*PLAIN, code])
    script = "from pathlib import Path; from icl_lab.book import runner; import signal\n" + (
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "runner.run_all([runner.load(Path('chapters/01_one.ipynb'), Path('.').resolve(), 'full')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(mini.root)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=mini.root, env=environment, stdout=-3, stderr=-3
    ) as started:
        for _ in range(1200):
            time.sleep(0.1)
            if place.exists() and place.read_text():
                break
        started.send_signal(signal.SIGINT)
        assert started.wait(60) != 0
    number = int(place.read_text())
    for _ in range(200):
        if not Path(f"/proc/{number}").exists():
            break
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_bad_requests(tmp_path: Path, mini: Miniature) -> None:
    chapter = mini.root / "chapters/01_one.ipynb"
    with pytest.raises(InputError, match=r"Unknown profile 'fats'. Did you mean 'fast'"):
        runner.load(chapter, mini.root, "fats")
    with pytest.raises(InputError, match="jobs must be greater than 0"):
        build(root=mini.root, jobs=0)
    with pytest.raises(InputError, match="There is no book in"):
        build(root=tmp_path / "nothing")
    with pytest.raises(InputError, match=r"Unknown chapter '09'.*Known: 01_one"):
        runner.select([chapter], ["09"])
    mini.chapter("01_one", ONE, fast={"m": 3})
    with pytest.raises(InputError, match="sets 'm', which its parameters cell does not assign"):
        runner.load(chapter, mini.root, "fast")
    mini.chapter("01_one", ONE, timeout=0)
    with pytest.raises(InputError, match="timeout must be greater than 0"):
        runner.load(chapter, mini.root, "full")
    assert {field.name for field in dataclasses.fields(runner.Chapter)} >= {"source", "parameters", "key"}


def test_the_recorder_notes_reads_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recorder = kernel.Recorder(tmp_path / "record.json")
    data = str(kernel.PACKAGE.parent / "checkpoints" / "x" / "card.json")
    recorder.audit("open", (data, "w", 0))
    recorder.audit("open", (data, None, os.O_WRONLY))
    recorder.audit("open", (3, "r", 0))
    recorder.audit("open", (sys.prefix + "/lib/icl_lab.json", "r", 0))
    assert not recorder.files
    recorder.audit("open", (data, "rb", 0))
    recorder.audit("open", ("/home/someone/.cache/icl_lab/y.safetensors", None, os.O_RDONLY))
    assert recorder.files == {data, "/home/someone/.cache/icl_lab/y.safetensors"}
    recorder.audit("os.scandir", (str(kernel.PACKAGE.parent / "checkpoints"),))
    assert recorder.folders == {str(kernel.PACKAGE.parent / "checkpoints")}


def test_progress_moves_one_line_on_a_terminal_and_prints_plain_lines_in_a_log() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    log, terminal = io.StringIO(), Terminal()
    for out in (log, terminal):
        progress = Progress(out)
        progress.start("01_one", 7)
        progress.cell("01_one", 3)
        progress.end("01_one", "2.0 s")
    assert log.getvalue() == "  01_one: 7 cells ...\n  01_one: 2.0 s\n"
    screen = terminal.getvalue().split("\x1b[2K")  # what is wiped, and what stays
    assert "01_one 3/7" in screen[-2]
    assert "\n" not in screen[-2]
    assert screen[-1] == "  01_one: 2.0 s\n"
