"""Errors that a user can act on: one sentence that says what was wrong and what is expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input. The message is one sentence; the command line prints it alone and exits with status 2."""


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not there: suggests the nearest known one and lists them all."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    listing = ", ".join(known) if known else "none"
    return InputError(f"Unknown {kind} '{name}'.{hint} Known: {listing}.")


def positive(name: str, value: int | float) -> None:
    """Raise InputError unless value > 0."""
    if not value > 0:
        raise InputError(f"{name} must be greater than 0, got {value}.")


def whole(name: str, value: int) -> None:
    """Raise InputError unless value is a whole number."""
    if value != int(value):
        raise InputError(f"{name} must be a whole number, got {value}.")


def check_count(name: str, value: int) -> None:
    """Raise InputError unless value is a whole number >= 1."""
    positive(name, value)
    whole(name, value)
