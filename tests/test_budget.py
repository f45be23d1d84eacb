"""Minutes as a number of steps, on machines that change their speed: a clock of our own, no training."""

from itertools import pairwise

import pytest

from icl_lab import training
from icl_lab.training import Budget

AHEAD = 256  # steps that a host may run ahead of a GPU before the journal makes it wait


class Machine:
    """A stepper and a clock in one. ``seconds_of(step, now)`` is what a step takes.

    A GPU's host enters its steps at once and only waits when it asks for something.
    """

    def __init__(self, seconds_of, gpu):
        self.seconds_of, self.gpu = seconds_of, gpu
        self.now = self.device = 1000.0
        self.total_steps, self.plans, self.factors = 1_000_000, [], []

    def set_total(self, steps):
        self.total_steps = steps
        self.plans.append(steps)

    @property
    def t(self):
        self.now = max(self.now, self.device)
        return len(self.factors)

    def step(self):
        step = len(self.factors)
        self.factors.append(1 - step / self.total_steps)  # of the learning rate, as Stepper.rate_factor
        self.device = max(self.device, self.now) + self.seconds_of(step, self.device - 1000.0)
        self.now = self.now + 1e-5 if self.gpu else self.device
        if step % AHEAD == AHEAD - 1:
            int(self.t)


@pytest.fixture
def trained(monkeypatch):
    """``trained(minutes, seconds_of, gpu)``: the machine after a training, and the share of the minutes it took."""

    def run(minutes, seconds_of, gpu=False):
        machine = Machine(seconds_of, gpu)
        monkeypatch.setattr(training.time, "monotonic", lambda: machine.now)
        budget, step = Budget(minutes, machine), 0
        while step < machine.total_steps:
            machine.step()
            step += 1
            budget.after(step)
        int(machine.t)
        return machine, (machine.now - 1000.0) / (60 * minutes)

    return run


def changing(before, after, when):
    return lambda step, now: before if now < when else after


def compiling(seconds, slow):
    """The first step compiles, the next three are slow, then 4 ms each."""
    return lambda step, now: seconds if step == 0 else slow if step < 4 else 0.004


def probing(step, now):
    """Half a second every 10 seconds for a probe and a save, which the first plan cannot see."""
    return 0.5 if int((now + 0.004) / 10) > int(now / 10) else 0.004


def stalling(step, now):
    """One stop of three seconds in the middle."""
    return 3.0 if 120 <= now < 120.1 else 0.01


def beginning_slow(step, now):
    """The steps of the first plan are ten times as slow as the rest."""
    return 0.05 if step < 40 else 0.005


MACHINES = {
    "even": (4, changing(0.004, 0.004, 0)),
    "compiles first": (4, compiling(50.0, 0.3)),
    "probes and saves": (4, probing),
    "a neighbor comes": (4, changing(0.004, 0.012, 60)),
    "a neighbor comes late": (4, changing(0.004, 0.012, 200)),
    "a neighbor comes at the very end": (4, changing(0.004, 0.012, 232)),
    "two neighbors go": (4, changing(0.012, 0.004, 120)),
    "a neighbor goes late": (4, changing(0.008, 0.004, 210)),
    "stops once": (4, stalling),
    "begins slowly": (4, beginning_slow),
    "a long training": (60, changing(0.3, 0.45, 1800)),
    "few steps": (1, changing(1.5, 1.5, 0)),
}


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
@pytest.mark.parametrize("name", MACHINES)
def test_the_minutes_are_used_and_kept_whatever_the_machine_does(trained, name, gpu):
    minutes, seconds_of = MACHINES[name]
    machine, share = trained(minutes, seconds_of, gpu)
    assert 0.93 < share < 1.005
    assert machine.factors[-1] < 0.03, "the learning rate came down"


def test_an_even_machine_is_planned_once(trained):
    machine, share = trained(4, changing(0.004, 0.004, 0))
    assert len(machine.plans) == 1
    assert share == pytest.approx(1 - Budget.RESERVE, abs=1e-3)


def test_after_a_change_of_speed_the_learning_rate_soon_falls_in_a_straight_line_again(trained):
    """A neighbor comes after a minute of four; a minute later the plan is the one that turned out to be right."""
    machine, _ = trained(4, changing(0.004, 0.012, 60))
    settled = int(60 / 0.004 + 60 / 0.012)
    straight = [1 - step / len(machine.factors) for step in range(settled, len(machine.factors))]
    assert machine.factors[settled:] == pytest.approx(straight, abs=0.05)
    assert max(a - b for a, b in pairwise(machine.factors)) < 0.1, "no check takes more than a small piece at once"


def test_a_machine_that_cannot_do_the_first_steps_stops(trained):
    machine, share = trained(0.01, changing(0.5, 0.5, 0))
    assert len(machine.factors) == 2
    assert share < 2


def test_the_device_is_seldom_waited_for(trained, monkeypatch):
    """Every wait drains the GPU's queue: a few hundred in a training of any length."""
    waits = []
    monkeypatch.setattr(Machine, "t", property(lambda self: waits.append(1) or setattr(self, "now", self.device) or 0))
    trained(20, changing(0.004, 0.004, 0), gpu=True)
    steps = 20 * 60 / 0.004
    assert len(waits) < steps / AHEAD + 300
