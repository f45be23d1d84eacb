"""Where the queue stands: one line per job, with the errors beside the optimum's, and what waits."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from icl_lab.checkpoints import CARD
from icl_lab.errors import InputError
from icl_lab.files import read_json
from icl_lab.queue import jobs as joblist
from icl_lab.queue.jobs import Job, JobList
from icl_lab.queue.locks import FOLDER, LOCK, PHASE, SLICE, holder
from icl_lab.queue.results import UNFINISHED, last_note, read_state

APPEAR = 45.0  # seconds that a runner started just now may need until it can be seen


def status(list_file: str | os.PathLike | None = None, folder: str | os.PathLike = FOLDER, wait: float = 0.0) -> str:
    """The table as text; with ``wait``, after the runner has ended, or that many seconds later.

    Raises InputError for a list that is not right and for a negative wait.
    """
    if not wait >= 0:
        raise InputError(f"wait must be 0 or more seconds, got {wait}.")
    entries, folder = joblist.read(list_file), Path(folder)
    if wait:
        wait_for_runner(folder, wait)
    rows = [("", "job", "length", "state", "steps", "error (optimum)")]
    rows += [
        (str(i), job.name, job.length, *progress(job, folder / job.folder)) for i, job in enumerate(entries.jobs, 1)
    ]
    later = [f"Waits ({each.why}): {each.what}" for each in entries.waiting]
    return "\n".join([headline(folder), *table(rows), *later])


def wait_for_runner(folder: Path, seconds: float) -> None:
    """Until the runner has ended. One that is still on its way is waited for as well, a killed one is not."""
    begin = time.monotonic()
    seen = False
    while time.monotonic() - begin < seconds:
        working = holder(folder / LOCK) is not None
        killed = read_json(folder / SLICE).get("ended", 0) is None
        if not working and (seen or killed or time.monotonic() - begin > APPEAR):
            return
        seen = seen or working
        time.sleep(min(1.0, seconds))


def headline(folder: Path) -> str:
    """Whether somebody works, and how much of the slice is left."""
    about, pid = read_json(folder / SLICE), holder(folder / LOCK)
    if pid is not None and about:
        left = about["minutes"] - (time.time() - about["began"]) / 60
        return f"A runner (process {pid}) works in {folder}: {max(0, left):.1f} of {about['minutes']:g} minutes left."
    if not about:
        return f"No slice has been run in {folder} on this machine."
    if about.get("ended") is None:
        return f"The runner of {folder} was killed; `icl-lab queue run` goes on."
    return f"No runner works in {folder}; the last slice took {(about['ended'] - about['began']) / 60:.1f} minutes."


def progress(job: Job, run: Path) -> tuple[str, str, str]:
    """State, steps and errors of one job, from what its run folder holds."""
    for place in (run, run / UNFINISHED):
        card = read_json(place / CARD)
        if card:
            break
    working = holder(run / LOCK) is not None
    phase = read_json(run / PHASE)
    note = last_note(run)
    if job.done:
        return f"done: {job.done}", "", ""
    if working:
        state = read_state(run, weights=False)
        steps = f"{note.get('step', 0):,}" + (f" of {state.total:,}" if state else "")
        return phase.get("phase", "starting"), steps, errors(note)
    if card:
        finished = place == run
        state = "done" if finished else "unfinished"
        steps = f"{card['steps']:,}" + ("" if finished else f" of {card['planned_steps']:,}")
        return state + ("" if card["curves"] else ", not measured"), steps, errors_of_card(card) or errors(note)
    if phase.get("phase") == "failed":
        return f"failed: {phase.get('error')}", f"{note.get('step', 0):,}", errors(note)
    state = read_state(run, weights=False)
    if state:
        return "interrupted", f"{state.step:,} of {state.total:,}", errors(note)
    return "to do", "", ""


def errors(note: dict[str, Any]) -> str:
    """Errors of a line of the log at its k."""
    ks = [int(key[1:]) for key in note if key.startswith("k") and key[1:].isdigit()]
    return ", ".join(beside(k, note[f"k{k}"], note.get(f"best{k}")) for k in ks)


def beside(k: int, error: float, optimum: float | None) -> str:
    """``k=5 0.081 (0.020)``; without the parentheses where no optimum is known."""
    return f"k={k} {error:.3f}" + ("" if optimum is None else f" ({optimum:.3f})")


def errors_of_card(card: dict[str, Any]) -> str:
    """Errors of a measured card at half of d and at d (4 at least, and as far as its prompts reach), class by class."""
    dim, texts = max(4, card["model"]["dim"]), []
    for name, curve in card["curves"].items():
        best = curve["optimum"]
        ks = [k for k in (dim // 2, dim) if k in curve["k"]]
        texts.append(f"{name} " + ", ".join(beside(k, curve["mean"][k], best and best[k]) for k in ks))
    return "; ".join(texts)


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns of equal width, as plain text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def markdown(entries: JobList) -> str:
    """The list as the table of GPU_QUEUE.md; a test compares the two."""
    lines = ["| | Training | Time | State |", "|---|---|---|---|"]
    for i, job in enumerate(entries.jobs, 1):
        state = f"done: {job.done}" if job.done else "to do"
        lines.append(f"| {i} | `{job.name}`{f': {job.note}' if job.note else ''} | {job.length} | {state} |")
    for each in entries.waiting:
        length = f"{each.minutes:g} min" if each.minutes else ""
        lines.append(f"| | {each.what} | {length} | waits: {each.why} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(joblist.read()))
