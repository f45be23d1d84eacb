"""The Sphinx extension: run the stale chapters, hand Sphinx the executed copies, describe every figure.

Jupyter Book itself executes nothing (``execute_notebooks: off``). Before any page is read, every stale chapter is run
by papermill; when Sphinx reads a chapter it is given the executed copy in place of the source. The page of all claims
and the front page's count of them are made from the executed copies too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from icl_lab.address import BRANCH, PLACEHOLDER, repository_url
from icl_lab.book import cache, collected, pages, runner
from icl_lab.book.progress import Progress
from icl_lab.errors import InputError

logger = logging.getLogger(__name__)
FAST_NOTE = """\
:::{note}
This page was built in the fast profile: small values, for checking that the chapter runs. Its figures are not the
course's figures.
:::"""
NOT_RUN_NOTE = """\
:::{warning}
This chapter was left out of this build (`--only`): its code was not run.
:::"""


def setup(app: Sphinx) -> dict:
    """Called by Sphinx when it loads the extension."""
    app.add_config_value("icl_lab_machinery", machinery(), "env")
    app.connect("config-inited", set_theme)
    app.connect("builder-inited", run_chapters)
    app.connect("env-get-outdated", changed_pages)
    app.connect("source-read", give_executed)
    app.connect("doctree-read", describe_figures)
    app.connect("env-purge-doc", forget)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def machinery() -> str:
    """A hash of the code that turns executed notebooks into pages: when it changes, every page is read again."""
    here = Path(__file__).parent
    files = [*sorted(here.glob("*.py")), here.parent / "claims.py"]
    return cache.digest(b"".join(path.read_bytes() for path in files))


def set_theme(app: Sphinx, config: Config) -> None:
    """Options that ``_config.yml`` cannot set, and the repository's address from the one place where it is written."""
    address = repository_url(Path(app.srcdir))
    if address == PLACEHOLDER:
        print(f"The repository's address is still the placeholder {address} (see [project.urls] in pyproject.toml).")
    config.html_theme_options["logo"] = {"text": config.html_title}
    config.html_theme_options["navbar_persistent"] = []  # or a second search field spans the top of wide screens
    config.html_theme_options.update(
        repository_url=address,
        repository_branch=BRANCH,
        path_to_docs="",
        use_repository_button=True,
        use_issues_button=True,
    )


def pages_of(app: Sphinx) -> list[Path]:
    """The files that ``_toc.yml`` names. Raises InputError for an entry without a file."""
    root, found = Path(app.srcdir), []
    for entry in getattr(app.config, "external_site_map", [app.config.master_doc]):  # a single page has no contents
        candidates = [root / entry, *(root / f"{entry}{suffix}" for suffix in app.config.source_suffix)]
        file = next((path for path in candidates if path.is_file()), None)
        if file is None:
            raise InputError(f"_toc.yml names '{entry}', but there is no such file (.ipynb or .md).")
        found.append(file)
    return found


def run_chapters(app: Sphinx) -> None:
    """Run every stale chapter before any page is read; end the build when one fails."""
    profile = os.environ.get("ICL_LAB_BOOK_PROFILE", "full")
    only = [part for part in os.environ.get("ICL_LAB_BOOK_ONLY", "").split(",") if part]
    root = Path(app.srcdir)
    app.icl_lab_chapters = {}
    bad = []
    try:
        notebooks = [path for path in pages_of(app) if path.suffix == ".ipynb"]
        asked = os.environ.get("ICL_LAB_BOOK_JOBS", "")
        if asked and not asked.isdecimal():
            raise InputError(f"ICL_LAB_BOOK_JOBS must be a whole number, got '{asked}'.")
        jobs = int(asked) if asked else None
        wanted = runner.select(notebooks, only)
    except InputError as error:
        stop([str(error)])
    for path in notebooks:
        try:
            chapter = runner.load(path, root, profile)
        except InputError as error:
            bad.append(str(error))
        else:
            if chapter.runs:  # an exercise is shown as its reader gets it, unsolved
                app.icl_lab_chapters[app.project.path2doc(str(path))] = chapter
    if bad:
        stop(bad)
    run_stale(app, list(app.icl_lab_chapters.values()), wanted, jobs)
    app.icl_lab_claims = [claims_of(name, chapter) for name, chapter in app.icl_lab_chapters.items()]


def run_stale(app: Sphinx, chapters: list[runner.Chapter], wanted: list[Path], jobs: int | None) -> None:
    """Run those of ``wanted`` that are stale until none is: a file may change while a chapter runs."""
    progress = Progress()
    for _ in range(3):
        stale = [(chapter, why) for chapter in chapters if (why := chapter.why_stale())]
        runs = [(chapter, why) for chapter, why in stale if chapter.path in wanted]
        profile = os.environ.get("ICL_LAB_BOOK_PROFILE", "full")
        progress.line(f"Chapters (profile {profile}): {len(chapters) - len(stale)} up to date, {len(runs)} to run.")
        if not runs:
            return
        for chapter, why in runs:
            progress.line(f"  {chapter.name}: {why}")
        try:
            failures = runner.run_all([chapter for chapter, _ in runs], jobs, progress)
        except InputError as error:
            stop([str(error)])
        for failure in failures:  # an older page of a chapter that fails now must not stay
            page = Path(app.outdir) / failure.chapter.path.relative_to(app.srcdir).with_suffix(".html")
            page.unlink(missing_ok=True)
        if failures:
            stop([failure.message for failure in failures])
    still = [
        f"{chapter.path.name}: {why} again and again while it ran." for chapter, why in runs if chapter.why_stale()
    ]
    if still:
        stop(still)


def stop(messages: list[str]) -> None:
    """End the build with status 1 and these messages alone; an exception would add a page of traceback."""
    print("\nThe book was not built.", *messages, sep="\n", file=sys.stderr, flush=True)
    raise SystemExit(1)


def shown(chapter: runner.Chapter) -> str:
    """Names exactly what the chapter's page is made from: an executed copy, or the source alone."""
    if chapter.why_stale():
        return "source " + chapter.key["source"]
    return "executed " + cache.digest(chapter.entry.notebook.read_bytes())


def claims_of(name: str, chapter: runner.Chapter) -> collected.Chapter:
    """The claims in the chapter's executed copy; ``name`` is Sphinx's name of its page."""
    title = collected.title_of(chapter.source)
    if chapter.why_stale():
        return collected.Chapter(name, title, ran=False)
    rows, problems = collected.rows_of(chapter.entry.notebook.read_text(encoding="utf-8"))
    return collected.Chapter(name, title, ran=True, rows=rows, broken=bool(problems))


def every_claim(app: Sphinx) -> str:
    """Names exactly what the pages that tell of all claims are made from."""
    return "claims " + cache.digest(collected.fill(collected.EVERY_PLACEHOLDER, app.icl_lab_claims, is_fast()).encode())


def is_fast() -> bool:
    return os.environ.get("ICL_LAB_BOOK_PROFILE") == "fast"


def changed_pages(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """Pages that were made from something else than what there is now: another executed copy, other claims."""
    made_from = getattr(env, "icl_lab_shown", {})
    chapters = [name for name, chapter in app.icl_lab_chapters.items() if made_from.get(name) != shown(chapter)]
    claims = every_claim(app)
    return chapters + [name for name, was in made_from.items() if was.startswith("claims ") and was != claims]


def give_executed(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the text of a chapter by its executed copy, made ready for the page, and placeholders by claims."""
    if not hasattr(app.env, "icl_lab_shown"):
        app.env.icl_lab_shown = {}
    chapter = app.icl_lab_chapters.get(docname)
    if chapter is None:
        if (filled := collected.fill(source[0], app.icl_lab_claims, is_fast())) != source[0]:
            source[0], app.env.icl_lab_shown[docname] = filled, every_claim(app)
        return
    alts, problems = {}, []
    if chapter.why_stale():
        source[0] = pages.prepare(chapter.source, note=NOT_RUN_NOTE)
    else:
        text = chapter.entry.notebook.read_text(encoding="utf-8")
        source[0] = pages.prepare(text, note=FAST_NOTE if chapter.profile == "fast" else None)
        alts, problems = pages.alternatives(text)
        problems = [*problems, *collected.rows_of(text)[1]]
    for problem in problems:
        logger.warning("%s", problem, location=docname, type="icl_lab", subtype="output")
    app.env.temp_data["icl_lab_alts"] = alts
    app.env.icl_lab_shown[docname] = shown(chapter)


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Give each figure of the page the alt text that the chapter gave it when it ran."""
    alts = app.env.temp_data.get("icl_lab_alts", {})
    for image in doctree.findall(nodes.image):
        alt = alts.get(Path(image["uri"]).stem)
        if alt:
            image["alt"] = alt


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """A page is to be read again or is gone."""
    getattr(env, "icl_lab_shown", {}).pop(docname, None)
