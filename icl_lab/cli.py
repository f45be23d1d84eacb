"""The command line. Each command calls one function of the package; no logic lives here."""

from __future__ import annotations

import logging
import sys

import typer

from icl_lab.errors import InputError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="In-context learning, measured.")
queue = typer.Typer(no_args_is_help=True, help="Many trainings on borrowed time; see GPU_QUEUE.md.")
app.add_typer(queue, name="queue")
exercises = typer.Typer(no_args_is_help=True, help="Exercises: from one source to what students and teachers get.")
app.add_typer(exercises, name="exercises")
LIST = typer.Option(None, "--list", help="The ordered list (TOML); default the course's own.")
FOLDER = typer.Option("runs/queue", help="Folder of the queue: runs, states, logs.")


@app.callback()
def root() -> None:
    """In-context learning, measured."""


@app.command()
def train(
    recipe: str = typer.Argument(help="A recipe's name, such as dense_d5."),
    size: str | None = typer.Option(None, help="tiny, small or standard; default the recipe's."),
    steps: int | None = typer.Option(None, help="Training steps; default the recipe's."),
    minutes: float | None = typer.Option(None, help="Train for about so long instead of a number of steps."),
    batch_size: int | None = typer.Option(None, help="Prompts in a step."),
    optimizer: str | None = typer.Option(None, help="muon, adamw or adam."),
    lr: float | None = typer.Option(None, help="Peak learning rate."),
    tokens: str | None = typer.Option(None, help="pair or interleaved."),
    seed: int | None = typer.Option(None, help="Seed of weights and prompts."),
    warm_start: str | None = typer.Option(None, help="Begin with the weights of this checkpoint (name or folder)."),
    plain: bool = typer.Option(False, "--plain", help="Without the recipe's curriculum: the stated law all the time."),
    device: str | None = typer.Option(None, help="cpu or cuda; default the best there is."),
    out: str = typer.Option("runs", help="Folder of the runs."),
    resume: bool = typer.Option(False, "--resume", help="Go on with an unfinished run."),
    force: bool = typer.Option(False, "--force", help="Train again even if there is a run."),
) -> None:
    """Train a recipe; leaves a checkpoint with a measured card."""
    from icl_lab import runs

    chosen = runs.configure(
        recipe,
        plain,
        size=size,
        steps=steps,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        tokens=tokens,
        seed=seed,
        warm_start=warm_start,
    )
    print(runs.run(chosen, out, device=device, minutes=minutes, resume=resume, force=force))


@app.command()
def ship(folder: str = typer.Argument(help="A finished run.")) -> None:
    """Copy a finished run into checkpoints/ and into the package's index."""
    from icl_lab import shipping

    print(shipping.ship(folder))


@app.command("report-card")
def report_card(
    target: str = typer.Argument(help="MODULE:CLASS or FILE.py:CLASS, a function class of your own."),
    out: str = typer.Option("report-card.html", help="The page (.html), or its figure alone (.png)."),
    n_prompts: int = typer.Option(256, help="Prompts behind every curve."),
) -> None:
    """Check a function class and measure every shipped model and learner on it."""
    from icl_lab import report_card

    print(report_card.write(target, out, n_prompts))


@queue.command("run")
def queue_run(
    minutes: float = typer.Option(..., help="Length of the slice, everything included."),
    list_file: str | None = LIST,
    folder: str = FOLDER,
    jobs: str = typer.Option("auto", help="Trainings side by side; auto measures once what is faster."),
    device: str | None = typer.Option(None, help="cpu or cuda; default the best there is."),
) -> None:
    """Work on the list for so many minutes; killed at any moment, the same command goes on."""
    from icl_lab.queue import slices

    sys.exit(slices.run(minutes, list_file, folder, jobs, device))


@queue.command("status")
def queue_status(
    list_file: str | None = LIST,
    folder: str = FOLDER,
    wait: float = typer.Option(0.0, help="Wait for the runner to end, so many seconds at most."),
) -> None:
    """What is done, what runs, what waits, with the errors beside the optimum's."""
    from icl_lab.queue import status

    print(status.status(list_file, folder, wait))


@queue.command("pack")
def queue_pack(
    out: str = typer.Option(..., help="Folder for the parts and their manifest."),
    list_file: str | None = LIST,
    folder: str = FOLDER,
) -> None:
    """Put weights, cards and logs into at most 4 parts below 15 MB."""
    from icl_lab.queue import packing

    print("\n".join(map(str, packing.pack(out, list_file, folder))))


@queue.command("join")
def queue_join(
    parts: str = typer.Argument(help="Folder of the parts and their manifest."),
    out: str = typer.Option("runs/queue", help="Where the runs go."),
) -> None:
    """Verify the parts and put the trainings into place."""
    from icl_lab.queue import joining

    print("\n".join(map(str, joining.join(parts, out))))


@exercises.command("build")
def exercises_build() -> None:
    """Write the student notebooks, the teachers', the cases of check and the manifest."""
    from icl_lab.exercises import build

    print("\n".join(map(str, build.build())) or "Everything is as the sources say.")


@exercises.command("publish")
def exercises_publish(out: str = typer.Argument(help="A new folder for the public tree.")) -> None:
    """Write the tree that students may see: no sources, no solutions, no probes."""
    from icl_lab.exercises import build

    print(build.publish(out))


@app.command()
def grade(
    submissions: str = typer.Argument(help="A folder or a zip with one notebook per student."),
    exercise: str = typer.Option(..., help="The exercise's number, such as 07."),
    out: str = typer.Option(..., help="Folder for grades, feedback and reports."),
    roster: str | None = typer.Option(None, help="CSV with a column 'student' (and 'file' where names do not say)."),
    secret: str | None = typer.Option(None, help="File with the course's secret; default beside the exercises."),
    jobs: int = typer.Option(2, help="Submissions that run at once."),
    resume: bool = typer.Option(False, "--resume", help="Go on with what is in the folder."),
    force: bool = typer.Option(False, "--force", help="Grade everything anew."),
    verbose: str | None = typer.Option(
        None, help="Grade this one student anew and say everything; the folder stays as it is."
    ),
    unsafe_no_sandbox: bool = typer.Option(
        False, "--unsafe-no-sandbox", help="Run submissions as yourself, with your files. Read them first."
    ),
) -> None:
    """Grade submissions in a sandbox: grades, feedback for each student, a report."""
    from icl_lab.grading import grade, outputs

    graded = grade.grade(
        submissions,
        exercise,
        out,
        roster=roster,
        secret=secret,
        jobs=jobs,
        resume=resume,
        force=force,
        verbose=verbose,
        unsafe_no_sandbox=unsafe_no_sandbox,
    )
    if verbose:
        print(outputs.appeal(out, graded[0]))
    else:
        print(f"{len(graded)} students graded; see {out}/grades.csv and {out}/report.html.")


@app.command()
def book(
    profile: str = typer.Option("full", help="full: the chapters' own values; fast: small ones, for checking."),
    jobs: int | None = typer.Option(None, help="Chapters that run at once; default one per core."),
    only: str = typer.Option("", help="Run only these chapters, such as 07 or 02,07."),
    strict: bool = typer.Option(False, help="Every warning and every broken internal link is an error."),
) -> None:
    """Execute the stale chapters and build the book into _build/html."""
    from icl_lab.book import build

    sys.exit(build(profile=profile, jobs=jobs, only=only, strict=strict))


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except InputError as error:
        print(f"icl-lab: {error}", file=sys.stderr)
        sys.exit(2)
