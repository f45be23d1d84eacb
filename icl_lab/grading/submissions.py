"""Submissions: from a folder or a zip, whatever lies in it, to one notebook per student.

Who a notebook is from: the name of its subfolder if it lies in one, else its own, up to the first underscore. So
``ada.ipynb``, ``ada_07_late.ipynb``, Canvas' ``ada_1234_567_07.ipynb`` and Moodle's
``Ada Byron_123_assignsubmission_file/07.ipynb`` all name their student. A roster (CSV with a column ``student``, and
``file`` where the rule does not do) says who is expected.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from icl_lab.errors import InputError

LARGEST = 10 * 2**20  # bytes of a notebook
MOST_CODE = 10**6  # characters of its code
LONGEST = 80  # characters of a name
ALL = 2 * 2**30  # bytes of all notebooks together
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others may take much memory to unpack
VERSION = re.compile(r"icl-lab exercise (\d\d) version ([0-9a-f]{12})")


@dataclass
class Submission:
    """What one student handed in: the file's name and bytes, or the reason why there is nothing to run."""

    student: str
    file: str = ""
    data: bytes = b""
    when: float = 0.0
    problem: str = ""
    notes: list[str] = field(default_factory=list)


def collect(path: str | Path, roster: str | Path | None = None) -> list[Submission]:
    """One submission per student, by name. Two of one student: the later counts, and a note says so.

    Raises InputError when there is no notebook at all, for a path that is neither a folder nor a zip, and for a roster
    that cannot be read.
    """
    path = Path(path)
    expected = read_roster(roster) if roster else None
    if path.is_dir():
        kind = _in_folder(path)
    elif path.is_file() and zipfile.is_zipfile(path):
        kind = _in_zip(path)
    else:
        raise InputError(f"{path} is neither a folder nor a zip with notebooks.")
    found, total = [], 0
    for one in kind:
        found.append(one)
        total += len(one.data)
        if total > ALL:
            raise InputError(f"The notebooks in {path} hold more than {ALL // 2**30} GB: this is no set of notebooks.")
    if not found:
        raise InputError(f"There is no notebook (.ipynb) in {path}.")
    by_student: dict[str, Submission] = {}
    for one in sorted(found, key=lambda s: (s.when, s.file)):
        if expected is not None:
            one.student = _expected(one, expected)
        earlier = by_student.get(one.student)
        if earlier is not None:
            told = f"two files: {earlier.file} is not the latest and does not count"
            one.notes = list(dict.fromkeys([*one.notes, *earlier.notes, told]))
        by_student[one.student] = one
    for student in expected or ():
        by_student.setdefault(student, Submission(student, problem="missing: no file in this name"))
    return [by_student[name] for name in sorted(by_student)]


def student_of(name: str) -> str:
    """Who a file is from, by the rule above; control characters are taken out, a very long name is cut."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "//", "..")]
    own = parts[-2] if len(parts) > 1 else PurePosixPath(parts[-1]).stem
    own = unicodedata.normalize("NFC", "".join(c for c in own.split("_")[0] if c.isprintable()).strip())
    if len(own) > LONGEST:  # two that begin alike stay two
        own = f"{own[: LONGEST - 9]} {hashlib.sha256(own.encode()).hexdigest()[:8]}"
    return own or "unnamed"


def shown(name: str) -> str:
    """A file's name as it can be written anywhere."""
    return "".join(c if c.isprintable() else "?" for c in name)[:200]


def read_roster(path: str | Path) -> dict[str, str]:
    """Student -> file name or path ("" where the rule decides), from a CSV with a header."""
    try:
        rows = list(csv.DictReader(io.StringIO(Path(path).read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The roster {path} cannot be read: {error}.") from None
    if not rows or "student" not in rows[0]:
        raise InputError(f"The roster {path} needs a header with a column 'student', and at least one line.")
    named: dict[str, str] = {}
    for row in rows:
        student = unicodedata.normalize("NFC", " ".join((row["student"] or "").split()))
        if student in named:
            raise InputError(f"The roster {path} names {student} twice.")
        if student:
            named[student] = (row.get("file") or "").strip()
    return named


def _expected(one: Submission, roster: dict[str, str]) -> str:
    """Whose it is: by the roster's file, by the very name, by the name in other letters where only one fits."""
    for student, file in roster.items():
        if file and file in (one.file, PurePosixPath(one.file).name):
            return student
    if one.student in roster:
        return one.student
    alike = [student for student in roster if student.casefold() == one.student.casefold()]
    if len(alike) != 1:
        one.notes.append("not in the roster")
    return alike[0] if len(alike) == 1 else one.student


def _in_folder(folder: Path) -> Iterator[Submission]:
    for path in sorted(folder.rglob("*.ipynb")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in PurePosixPath(name).parts):
            continue  # .ipynb_checkpoints and the like
        one = Submission(student_of(name), shown(name))
        try:
            one.when = path.lstat().st_mtime
            one.data = _read_file(path)
        except InputError as error:
            one.problem = str(error)
        except OSError as error:
            one.problem = f"it cannot be read ({error.strerror})"
        yield one


def _read_file(path: Path) -> bytes:
    """The bytes of a plain file; no link is followed, no pipe waited for. Raises InputError and OSError."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InputError("it is not a plain file")
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"it is larger than {LARGEST // 2**20} MB")
    return data


def _in_zip(path: Path) -> Iterator[Submission]:
    """Nothing is unpacked to disk; sizes are checked while reading, not believed."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"The zip {path} cannot be read: {error}.") from None
    with archive:
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")
            parts = PurePosixPath(name).parts
            if info.is_dir() or not name.endswith(".ipynb") or any(p.startswith(".") and p != ".." for p in parts):
                continue
            one = Submission(student_of(name), shown(name))
            kind = stat.S_IFMT(info.external_attr >> 16)
            if name.startswith("/") or ".." in parts or ":" in parts[0]:
                one.problem = "its path in the zip leads out of it"
            elif kind not in (0, stat.S_IFREG):
                one.problem = "it is not a plain file"
            elif info.flag_bits & 1:
                one.problem = "it is encrypted"
            elif info.compress_type not in PACKED:
                one.problem = "it is packed in an unusual way"
            else:
                one.when = datetime(*info.date_time).timestamp() if _possible(info.date_time) else 0.0
                _read_member(archive, info, one)
            yield one


def _possible(date: Sequence[int]) -> bool:
    try:
        datetime(*date)
    except ValueError:
        return False
    return True


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, one: Submission) -> None:
    try:
        with archive.open(info) as member:
            data = member.read(LARGEST + 1)
    except Exception as error:  # zipfile raises whatever a damaged member makes it raise
        one.problem = f"it cannot be unpacked ({type(error).__name__})"
        return
    if len(data) > LARGEST:
        one.problem = f"it is larger than {LARGEST // 2**20} MB"
    else:
        one.data = data


def parse(one: Submission, exercise: str, versions: Sequence[str]) -> list[str]:
    """The code cells of a submission; on trouble an empty list and ``one.problem``. Notes say whose version it is."""
    try:
        notebook = json.loads(one.data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        one.problem = "it is not UTF-8 text"
        return []
    except (ValueError, RecursionError):
        one.problem = "it is empty" if not one.data.strip() else "it is not a notebook: its JSON is not valid"
        return []
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        one.problem = "it is a notebook of format 3; open it in Jupyter and save it again"
        return []
    if not isinstance(cells, list) or notebook.get("nbformat") != 4:
        one.problem = "it is not a notebook of format 4"
        return []
    sources = [(cell.get("cell_type"), text_of(cell.get("source"))) for cell in cells if isinstance(cell, dict)]
    _note_version(one, exercise, versions, "\n".join(text for _, text in sources))
    code = [text for kind, text in sources if kind == "code" and text.strip()]
    if sum(map(len, code)) > MOST_CODE:
        one.problem = f"it holds more than {MOST_CODE:,} characters of code"
    return [] if one.problem else code


def text_of(source: Any) -> str:
    """The text of a cell, which notebooks keep whole or in lines."""
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) else ""


def _note_version(one: Submission, exercise: str, versions: Sequence[str], text: str) -> None:
    found = VERSION.findall(text)
    numbers = {number for number, _ in found}
    if numbers and exercise not in numbers:
        one.problem = f"it was made from exercise {sorted(numbers)[0]}, not {exercise}"
    elif not found:
        one.notes.append("its version line is gone")
    elif versions and versions[-1] not in {version for _, version in found}:
        mine = found[0][1]
        which = (
            f"{len(versions) - versions.index(mine) - 1} versions ago"
            if mine in versions
            else "unknown to the manifest"
        )
        one.notes.append(f"an old student version, {mine} ({which})")
