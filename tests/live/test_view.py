"""What people see of a session: never in the way of the loop, and right."""

import os
import select
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from app.live.pacing import PacedLink
from app.live.view import SHARE_MAX, Pace, described
from core.events import DataGapChanged, Filled, HaltVerified, RiskRefused
from tests.live.processes import EARLY, PROJECT


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_drawing_takes_no_more_than_its_share_of_the_time():
    clock = Clock()
    pace = Pace(0.25, clock)
    drawing = 0.0
    for step in range(100_000):
        clock.now = max(clock.now, step * 0.01)
        if pace.due():
            begun = clock.now
            clock.now += 0.2  # a terminal at the end of a slow line
            drawing += 0.2
            pace.drew(begun)
    assert drawing / clock.now <= SHARE_MAX * 1.1


def test_a_fast_terminal_is_drawn_four_times_a_second():
    clock = Clock()
    pace = Pace(0.25, clock)
    drawn = 0
    for step in range(1000):
        clock.now = step * 0.01
        if pace.due():
            drawn += 1
            pace.drew(clock.now)
    assert 38 <= drawn <= 41


def test_events_are_told_in_words():
    fill = Filled(1, "x", "s-1-1", "A", "s", "ACME", "BUY", Decimal(100), Decimal("10.5"))
    assert described(fill) == "s-1-1 BUY 100 ACME filled at 10.5"
    refused = RiskRefused(1, "s-1-2", 1, "A", "s", "ACME", "gate", "open", "closed", "halted")
    assert described(refused) == "s-1-2 refused by gate: halted"
    gap = DataGapChanged(1, "ACME", "failed", 0, 60 * 10**9, "ib/live/1min", 0, "why")
    assert described(gap) == "ACME missed 00:00:00Z to 00:01:00Z: NOT FILLED: why"
    assert "NOT REACHED: 1 working" in described(HaltVerified(1, "cancel", 1, 0, reached=False))


class Ticks:
    """A link with an event at each of some times (seconds)."""

    def __init__(self, *times):
        self.times = list(times)
        self.now = 0

    def inputs(self, timeout_s):
        self.now = self.times.pop(0) * 10**9
        return [self.now]

    def leave(self):
        return []


def paced(link, speed=2.0):
    clock = Clock()

    def sleep(seconds):
        clock.now += seconds

    return PacedLink(link, speed, monotonic=lambda: round(clock.now * 1e9), sleep=sleep), clock


def test_a_pace_gives_events_when_their_time_has_come_and_looks_up_in_between():
    link, clock = paced(Ticks(10, 12, 20))
    given, looks = [], 0
    while len(given) < 3:
        found = link.inputs(0.25)
        looks += 1
        given += [(event // 10**9, round(clock.now, 2)) for event in found]
    assert given == [(10, 5.0), (12, 6.0), (20, 10.0)]
    assert looks >= 40


def test_a_pace_does_not_wait_for_hours_in_which_nothing_happens():
    link, clock = paced(Ticks(10, 5000, 5002))
    given = []
    while len(given) < 3:
        given += [(event // 10**9, round(clock.now, 2)) for event in link.inputs(0.25)]
    assert given == [(10, 5.0), (5000, 5.0), (5002, 6.0)]


def test_a_session_that_ends_takes_what_is_held_without_waiting():
    link, clock = paced(Ticks(10))
    assert link.inputs(0.25) == []
    assert link.hurry()
    assert link.inputs(0.25) == [10 * 10**9]
    assert clock.now == 0.25
    assert not link.hurry()


def test_a_terminal_shows_a_living_session_and_then_its_report(log):
    pty = pytest.importorskip("pty", reason="pseudo-terminals are a POSIX thing")
    main, inner = pty.openpty()
    command = [sys.executable, str(PROJECT / "cli.py"), "--log", str(log), "live", "--demo"]
    command += ["--strategy", EARLY, "--speed", "300", "--until", "2025-07-02T12:12:00Z"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=env)
    os.close(inner)
    shown, deadline = bytearray(), time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                shown += os.read(main, 65_536)
            except OSError:  # the other end was closed
                break
    os.close(main)
    assert process.wait(20) == 0, shown.decode()
    text = shown.decode()
    for part in ("demo session 1: Early", "connected", "equity", "ZVXA", "working order", "filled at"):
        assert part in text, part
    assert "session 1, replayed from the log with the same decisions" in text
    assert "decisions_hash" in text
