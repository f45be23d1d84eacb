"""Answers as plain JSON and back, and whether two are the same within a tolerance. Standard library and numpy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from icl_lab.errors import InputError

LARGEST = 100_000  # numbers in one answer


def encode(value: Any) -> Any:
    """A value as JSON: numbers, text, lists, dictionaries; arrays and tensors as ``{"array": nested list}``.

    Not-a-number and infinities become their names, since JSON has none. Raises InputError for what has no such form
    (complex numbers, objects, functions) and for more than 100,000 numbers.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float | np.integer | np.floating | np.bool_):
        number = value.item() if isinstance(value, np.generic) else value
        return number if isinstance(number, int) or math.isfinite(number) else {"number": repr(float(number))}
    if isinstance(value, list | tuple):
        return [encode(one) for one in value]
    if isinstance(value, dict):
        return {str(key): encode(one) for key, one in value.items()}
    if hasattr(value, "detach"):  # a tensor, without importing torch
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        if value.size > LARGEST:
            raise InputError(f"An answer holds at most {LARGEST:,} numbers, this one has {value.size:,}.")
        return {"array": [encode(one) for one in value.ravel().tolist()], "shape": list(value.shape)}
    raise InputError(f"An answer must be numbers, text, lists or arrays, got {type(value).__name__}.")


def decode(value: Any) -> Any:
    """The value that `encode` wrote. Raises InputError for JSON that it cannot have written."""
    if isinstance(value, list):
        return [decode(one) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"number"} and value["number"] in ("nan", "inf", "-inf"):
        return float(value["number"])
    if set(value) == {"array", "shape"}:
        numbers, shape = value["array"], value["shape"]
        sizes = (
            isinstance(shape, list) and len(shape) <= 32 and all(type(n) is int and 0 <= n <= LARGEST for n in shape)
        )
        if not sizes or not isinstance(numbers, list) or math.prod(shape) != len(numbers) or len(numbers) > LARGEST:
            raise InputError("An array needs a shape and as many numbers as it says.")
        flat = [decode(one) for one in numbers]
        if not all(isinstance(one, int | float) for one in flat):
            raise InputError("An array holds numbers alone.")
        try:
            return np.array(flat, dtype=float).reshape(shape)
        except OverflowError:
            raise InputError("An array holds a whole number that is too large.") from None
    return {key: decode(one) for key, one in value.items()}


def difference(given: Any, expected: Any, tolerance: float) -> str | None:
    """Why ``given`` is not ``expected``, in a sentence that does not tell the answer; None if they are the same.

    Numbers may differ by ``tolerance``, absolutely or as a part of the expected one, whichever is more.
    """
    if isinstance(expected, str | bool) or expected is None:
        same = type(given) is type(expected) and given == expected
        return None if same else "it is not the expected answer"
    if isinstance(expected, dict):
        if not isinstance(given, dict) or set(given) != set(expected):
            return f"a dictionary with the keys {sorted(expected)} is expected"
        parts = (difference(given[key], expected[key], tolerance) for key in expected)
        return next((part for part in parts if part), None)
    return _numbers(given, expected, tolerance)


def _numbers(given: Any, expected: Any, tolerance: float) -> str | None:
    """As `difference`, for numbers, lists of them, and arrays."""
    wanted = np.asarray(expected, dtype=float)
    what = f"numbers of shape {wanted.shape} are expected" if wanted.shape else "one number is expected"
    if isinstance(given, str | bool | dict) or given is None:
        return f"{what}, got {type(given).__name__ if given is not None else 'nothing'}"
    try:
        numbers = np.asarray(given, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return f"{what}, got something else"
    if numbers.shape != wanted.shape:
        return f"{what}, got shape {numbers.shape}"
    if not np.isfinite(numbers).all():
        return f"{int((~np.isfinite(numbers)).sum())} of {numbers.size} numbers are not finite"
    off = np.abs(numbers - wanted) > tolerance * np.maximum(1.0, np.abs(wanted))
    if off.any():
        return f"{int(off.sum())} of {numbers.size} numbers are off by more than the tolerance of {tolerance:g}"
    return None
