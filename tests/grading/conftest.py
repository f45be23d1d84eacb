"""Fixtures of the grader's tests."""

from __future__ import annotations

import pytest
from classroom import Class


@pytest.fixture
def course(tmp_path) -> Class:
    return Class(tmp_path)
