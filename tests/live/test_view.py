"""What people see of a session: never in the way of the loop, and right."""

import os
import select
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from app.live.pacing import PacedLink
from app.live.repeats import LONGEST_S, OVER_S, Repeats, collapsed
from app.live.view import SHARE_MAX, Pace, PlainView, described
from core.events import (
    BrokerMessage,
    ConnectionChanged,
    DataGapChanged,
    Filled,
    HaltVerified,
    OrderIntended,
    RiskRefused,
    SendFailed,
)
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


def refusal(n, rule="max_daily_loss", strategy="s"):
    return RiskRefused(
        n * 10**9, f"{strategy}-1-{n}", 1, "A", strategy, "ACME", rule, "", "", "the day stands at -5%"
    )


def wanted(n):
    return OrderIntended(n, f"s-1-{n}", "A", "s", "ACME", "BUY", Decimal(1), "MKT", None, None, "DAY", "in")


def told(seconds, every=1.0):
    """Return when something was said of a refusal that comes each second, and how many were counted."""
    repeats, said, counted = Repeats(), [], 0
    for n in range(int(seconds / every)):
        if repeats.tells(refusal(n), n * every):
            said.append(n * every)
        for count, _ in repeats.due(n * every):
            said.append(n * every)
            counted += count
    return said, counted


def test_a_refusal_at_each_tick_is_told_at_once_and_then_counted_ever_more_seldom():
    said, counted = told(6.5 * 3600)
    assert said[:4] == [0.0, 5.0, 15.0, 35.0]
    assert said[-1] - said[-2] == LONGEST_S
    assert len(said) < 40
    assert counted + 1 >= 6.5 * 3600 - LONGEST_S


def test_what_comes_again_after_a_pause_is_told_in_full():
    repeats = Repeats()
    assert repeats.tells(refusal(1), 0.0)
    assert not repeats.tells(refusal(2), 1.0)
    assert [count for count, _ in repeats.due(6.0)] == [1]
    assert repeats.due(7.0 + OVER_S) == []
    assert repeats.tells(refusal(3), 8.0 + OVER_S)


def test_other_rules_strategies_and_events_are_told_by_themselves():
    repeats = Repeats()
    given = [
        refusal(1),
        refusal(2, rule="gate"),
        refusal(3, strategy="t"),
        BrokerMessage(1, 2104, "warning", "one", ""),
        BrokerMessage(1, 2105, "warning", "two", ""),
        SendFailed(1, "s-1-1", 1, 0, "reset"),
        HaltVerified(1, "cancel", 1, 0, reached=False),
        HaltVerified(1, "cancel", 1, 0, reached=False),
    ]
    assert all(repeats.tells(event, 0.0) for event in given)


def test_the_panel_shows_repeats_once_with_their_number_and_not_the_intents_behind_them():
    fill = Filled(1, "x", "s-1-1", "A", "s", "ACME", "BUY", Decimal(100), Decimal("10.5"))
    flood = [event for n in range(2, 100) for event in (wanted(n), refusal(n))]
    shown = collapsed([wanted(1), fill, *flood], 8)
    assert [(count, type(event)) for count, event in shown] == [
        (1, OrderIntended),
        (1, Filled),
        (98, RiskRefused),
    ]
    assert shown[-1][1].order == "s-1-99"


def test_attempts_that_fail_for_the_same_reason_are_counted_and_a_connection_that_ends_is_told():
    repeats = Repeats()
    attempts = [ConnectionChanged(n, "connecting", None, "refused") for n in range(100)]
    assert sum(repeats.tells(one, n) for n, one in enumerate(attempts)) == 1
    assert all(repeats.tells(ConnectionChanged(n, "down", None, "reset"), 0.0) for n in range(3))


class Flooded:
    """A session that is refused something at each look."""

    def __init__(self):
        self.events = []

    def recent(self):
        return list(enumerate(self.events, 1))


def test_plain_lines_do_not_flood(capsys):
    clock, teller = Clock(), Flooded()
    view = PlainView(clock)
    view._pace._next_s = 5.0
    for n in range(1_000):
        teller.events.append(refusal(n))
        clock.now = n / 1000
        view.look(teller)
    view.tell_repeats(float("inf"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("s-1-0 refused by max_daily_loss: the day stands at -5%")
    assert lines[1].endswith("(and 998 more like it)")


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
    command += ["--strategy", EARLY, "--speed", "300", "--until", "2025-07-02T12:24:00Z"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=env)
    os.close(inner)
    shown, deadline = bytearray(), time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([main], [], [], 0.2)[0]:
            try:
                shown += os.read(main, 65_536)
            except OSError:  # the other end was closed
                break
    os.close(main)
    assert process.wait(60) == 0, shown.decode()
    text = shown.decode()
    for part in ("demo session 1: Early", "connected", "equity", "ZVXA", "working order", "filled at"):
        assert part in text, part
    assert "session 1, replayed from the log with the same decisions" in text
    assert "decisions_hash" in text
