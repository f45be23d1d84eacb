"""Fixtures for the tests of the book."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import miniature


@pytest.fixture
def mini(tmp_path: Path) -> miniature.Miniature:
    """A clone in miniature, with nothing built yet."""
    return miniature.make(tmp_path)
