"""Lock step: what ends a session's day, and what does not."""

import pytest

from adapters.ibkr.gateway import session as gateway_session
from adapters.ibkr.link.lockstep import LockStep
from core.events import SessionEnded
from tests.gateway.raw import connected
from tests.live.sessions import OPEN_S, SECOND, play
from tests.logs import events_of

UNTIL_S = OPEN_S + 240
FAULTS = [
    "ticks 60: run span=90_S",  # in a step in which nothing was sent
    "ticks 60: outage run=90_S end=1102",  # … and nothing is heard of what happened
]


def ended_s(ib_gateway, log, faults):
    """Return at which second after the open a session ended that should go on to `UNTIL_S`."""
    gateway = ib_gateway(speed="step", start="open", faults=faults)
    play(log, gateway.port, until_s=UNTIL_S)
    assert len(gateway.fired) == 1
    [end] = events_of(log, SessionEnded)
    return end.ts / SECOND - OPEN_S


@pytest.mark.parametrize("faults", FAULTS)
def test_a_day_that_runs_on_by_itself_for_a_while_is_not_over(ib_gateway, log, faults):
    assert ended_s(ib_gateway, log, faults) > UNTIL_S - OPEN_S - 10


def test_a_session_that_takes_any_later_time_for_the_end_is_caught(ib_gateway, log, monkeypatch):
    monkeypatch.setattr(LockStep, "_ended", property(lambda _: True, lambda *_: None), raising=False)
    assert ended_s(ib_gateway, log, FAULTS[0]) < 100


def test_the_gateway_says_when_its_day_is_over_to_those_who_name_a_time(ib_gateway):
    port = ib_gateway(speed="step", start="16:58", date="2025-07-03").port
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        told = []
        while not told or told[-1][-1] != gateway_session.OVER:
            raw.send(105, 2_000_000_000 * SECOND)
            told.append(raw.seek(109))
        raw.send(105)
        assert len(raw.seek(109)) == 2
    assert {len(each) for each in told[:-1]} <= {2}
