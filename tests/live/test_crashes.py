"""kill -9 at every named point of an order's way, a restart, and the log against the gateway's own book.

I3: every order at the broker has its intent in the recovered log. I4: at most one broker order per intent,
and each execution counts once. At the end positions, executions, commissions and cash are the gateway's.
"""

import signal
from functools import partial

import pytest

from core.events import BreakFound, BreakResolved, OrderResolved
from tests.conftest import sampled
from tests.live.sessions import (
    CRASH_UNTIL,
    assert_same_books,
    assert_survives,
    at_the_broker,
    broken_invariants,
    trade,
)
from tests.logs import events_of

pytestmark = pytest.mark.slow

POINTS = [
    ("intent", 1),
    ("attempt", 2),
    ("before_send", 1),
    ("before_send", 4),
    ("partial", 1),
    ("partial", 2),
    ("after_send", 1),
    ("after_send", 3),
    ("sent_event", 1),
    ("sent_event_durable", 2),
    ("ack", 1),
    ("ack_durable", 2),
    ("fill", 1),
    ("fill", 2),
    ("fill_durable", 1),
    ("commission", 1),
    ("commission_durable", 1),
    ("modify_intent", 1),
    ("cancel_durable", 1),
    ("cancel_sent", 1),
]


@pytest.mark.parametrize(("point", "number"), sampled(POINTS, 4))
def test_a_kill_loses_nothing_and_sends_nothing_twice(ib_gateway, log, point, number):
    gateway = ib_gateway(speed="step", start="open")
    kill = partial(trade, log, gateway.port, point, number, CRASH_UNTIL)
    assert_survives(kill, partial(trade, log, gateway.port), gateway, log)


DOUBTS = {
    "attempt_durable": ({"unknown_order"}, ["unknown", "presumed_lost"]),
    "attempt": (set(), []),  # not durable yet: nothing can have left
    "after_send": (set(), []),  # it is found in the book
}


@pytest.mark.parametrize("point", sampled(DOUBTS, 3))
def test_only_a_kill_between_the_durable_attempt_and_its_bytes_leaves_a_doubt(ib_gateway, log, point):
    gateway = ib_gateway(speed="step", start="open")
    assert trade(log, gateway.port, point, 2, CRASH_UNTIL) == -signal.SIGKILL
    assert trade(log, gateway.port) == 0
    gateway.stop()
    breaks, outcomes = DOUBTS[point]
    assert {e.kind for e in events_of(log, BreakFound)} == breaks
    assert {e.kind for e in events_of(log, BreakResolved)} == breaks
    assert [
        e.outcome for e in events_of(log, OrderResolved) if e.outcome in ("unknown", "presumed_lost")
    ] == (outcomes)


def test_without_a_kill_the_books_agree(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert trade(log, gateway.port) == 0
    gateway.stop()
    assert len(at_the_broker(gateway.book)) >= 6
    assert broken_invariants(log, gateway.book) == []
    assert_same_books(log, gateway.book)


def test_a_loop_that_sends_before_it_commits_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert trade(log, gateway.port, "released", broken="sends_first") == -signal.SIGKILL
    gateway.stop()
    assert [text[:3] for text in broken_invariants(log, gateway.book)] == ["I3:"]


def test_executions_that_are_not_asked_for_again_are_missed(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert trade(log, gateway.port, "fill", until_s=CRASH_UNTIL) == -signal.SIGKILL
    assert trade(log, gateway.port, broken="trusts_live_messages") == 0
    gateway.stop()
    with pytest.raises(AssertionError):
        assert_same_books(log, gateway.book)


def test_a_client_that_sends_again_what_was_not_acknowledged_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert trade(log, gateway.port, "after_send", until_s=CRASH_UNTIL) == -signal.SIGKILL
    assert trade(log, gateway.port, broken="resends") == 0
    gateway.stop()
    assert [text[:3] for text in broken_invariants(log, gateway.book)] == ["I4:"]
