"""The interactive figures of the chapters: pure functions of their parameters, one file a chapter."""

from __future__ import annotations

from functools import cache

from icl_lab import checkpoints


@cache
def model(name: str) -> checkpoints.Pretrained:
    """A shipped model, loaded once."""
    return checkpoints.load(name)
