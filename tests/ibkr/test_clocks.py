"""The time of a session never goes back, is right again after a while, and waiting counts a suspend."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.link.clocks import SteadyClock, elapsed_ns
from adapters.ibkr.link.heartbeat import Heartbeat
from core.clock import HOUR_NS, SECOND_NS

BEGIN = 1_741_500_000 * SECOND_NS


class Machine:
    """A wall clock that can be set, and the time that passes."""

    def __init__(self):
        self.wall, self.passed = BEGIN, 0

    def run(self, ns):
        self.wall += ns
        self.passed += ns

    def steady(self):
        return SteadyClock(lambda: self.wall, lambda: self.passed)


def raw(machine):
    """A session that takes the wall clock as it is."""
    return lambda: machine.wall


@pytest.mark.parametrize("step_s", [2, 3600])
def test_after_a_step_back_time_goes_on_at_half_the_pace_until_it_is_right(step_s):
    machine = Machine()
    clock = machine.steady()
    assert clock() == BEGIN
    machine.wall -= step_s * SECOND_NS
    for _ in range(2 * step_s):
        machine.run(SECOND_NS)
        clock()
    assert clock() == machine.wall == BEGIN + step_s * SECOND_NS
    machine.run(SECOND_NS)
    assert clock() == machine.wall


def test_a_step_forward_counts_at_once():
    machine = Machine()
    clock = machine.steady()
    machine.wall += HOUR_NS
    assert clock() == BEGIN + HOUR_NS


def went_back(make, acts):
    machine = Machine()
    clock = make(machine)
    told = [clock()]
    for step, passed in acts:
        machine.wall += step
        machine.run(passed)
        told.append(clock())
    return any(after < before for before, after in pairwise(told)), told[-1] - machine.wall


ACTS = st.lists(st.tuples(st.integers(-2 * HOUR_NS, 2 * HOUR_NS), st.integers(0, 60 * SECOND_NS)))


@given(ACTS)
def test_time_never_goes_back_nor_falls_behind_the_wall_clock(acts):
    back, ahead = went_back(Machine.steady, acts)
    assert (back, ahead >= 0) == (False, True)


def test_a_clock_that_follows_the_wall_back_is_caught():
    assert went_back(raw, [(-HOUR_NS, SECOND_NS)])[0]


def test_no_nanosecond_is_lost_however_often_it_is_asked():
    machine = Machine()
    clock = machine.steady()
    machine.wall -= HOUR_NS
    for _ in range(1001):
        machine.run(1)
        clock()
    assert clock() == BEGIN + 500


def test_waiting_counts_the_time_that_the_machine_slept(monkeypatch):
    slept = [0]
    real = time.clock_gettime_ns

    def read(which):
        return real(which) + (slept[0] if which == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    fresh = {}
    for name, clock in (("counts", elapsed_ns), ("broken", time.monotonic_ns)):
        slept[0] = 0
        heartbeat = Heartbeat(10, 3, 2)
        heartbeat.asked(clock())
        heartbeat.answered(clock(), BEGIN, BEGIN // 1_000_000, whole_seconds=False)
        slept[0] = 8 * HOUR_NS
        fresh[name] = heartbeat.fresh(clock())
    assert fresh == {"counts": False, "broken": True}
