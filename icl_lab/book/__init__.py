"""The book: a Sphinx extension that executes the chapters by papermill, checks of notebooks and of built pages.

This module imports nothing of ours at the top: every chapter's kernel passes through it, and what it imports would
count as imported by the chapter.
``jupyter-book build .`` in the root of the repository uses it; so does ``icl-lab book``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict:
    """Sphinx's entry point; everything else is imported only when a book is built."""
    from icl_lab.book import extension

    return extension.setup(app)


def build(
    root: Path | None = None,
    profile: str = "full",
    jobs: int | None = None,
    only: str = "",
    strict: bool = False,
) -> int:
    """Build the book of ``root`` (default: the clone that holds this package) and return the exit status.

    Args:
        root: folder with ``_config.yml`` and ``_toc.yml``.
        profile: ``full`` for the chapters' own values, ``fast`` for the small ones in their metadata.
        jobs: chapters that run at once; default one per core.
        only: beginnings of chapter names, with commas, such as ``07`` or ``02,07``; other stale chapters are then
            shown unexecuted, with a note.
        strict: treat every warning as an error, and check that all references and internal links resolve.

    Raises:
        InputError: an unknown profile, ``jobs`` below 1, or no book in ``root``.
    """
    from icl_lab.address import ROOT
    from icl_lab.book.runner import PROFILES
    from icl_lab.errors import InputError, positive, unknown

    root = Path(root or ROOT)
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if jobs is not None:
        positive("jobs", jobs)
    if not (root / "_config.yml").is_file() or not (root / "_toc.yml").is_file():
        raise InputError(f"There is no book in {root}: expected _config.yml and _toc.yml.")
    asked = {"ICL_LAB_BOOK_PROFILE": profile, "ICL_LAB_BOOK_ONLY": only, "ICL_LAB_BOOK_JOBS": str(jobs or "")}
    start = "from jupyter_book.cli.main import main; main(prog_name='jupyter-book')"
    command = [sys.executable, "-c", start, "build", str(root), *(["-W", "-n", "--keep-going"] if strict else [])]
    status = subprocess.run(command, env={**os.environ, **asked}).returncode
    if status == 0 and strict:
        from icl_lab.book import pages

        status = pages.main([str(root / "_build" / "html")])
    return status
