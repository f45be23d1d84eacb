"""What several tests share: one thread, and trainings small enough to be repeated."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes that tests start

import pytest
import torch

from icl_lab.functions import DenseLinear
from icl_lab.training import Recipe

torch.set_num_threads(1)


@pytest.fixture
def nano():
    """``nano(steps=30, ...)``: a recipe whose step takes a few milliseconds."""

    def recipe(**changes) -> Recipe:
        settings = {"n_points": 4, "steps": 30, "size": "tiny", "batch_size": 8} | changes
        return Recipe("nano", DenseLinear(2), **settings)

    return recipe


@pytest.fixture
def every_step(monkeypatch):
    """Losses are looked at after every step, so that probes and saves come as often as their intervals allow."""
    monkeypatch.setattr("icl_lab.journal.LOOK_SECONDS", 0.0)
