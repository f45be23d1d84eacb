"""The command line. Each command calls one function of the package; no logic lives here."""

from __future__ import annotations

import sys

import typer

from icl_lab.errors import InputError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="In-context learning, measured.")


@app.callback()
def root() -> None:
    """In-context learning, measured."""


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
    try:
        app()
    except InputError as error:
        print(f"icl-lab: {error}", file=sys.stderr)
        sys.exit(2)
