"""The command line. Each command calls one function of the package; no logic lives here."""

from __future__ import annotations

import sys

import typer

from icl_lab.errors import InputError

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="In-context learning, measured.")


@app.callback()
def root() -> None:
    """In-context learning, measured."""


def main() -> None:
    """Run the command line; bad input is one sentence on stderr and exit status 2."""
    try:
        app()
    except InputError as error:
        print(f"icl-lab: {error}", file=sys.stderr)
        sys.exit(2)
