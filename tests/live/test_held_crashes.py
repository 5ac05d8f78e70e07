"""kill -9 while orders are held, and while they are let go: nothing goes out twice, nothing is lost.

The gate is closed by the gateway's restart window. Held are a bracket, a plain order, and what the automatic
exits ask for when another order fills meanwhile. However the first session ends, the next one has to end
with the same position, the same orders at work and the same stops as one that nobody killed.
"""

import signal

import pytest

from app.live.proving import Differs
from app.look.books import open_book
from app.look.snapshots import snapshot
from core.events import HoldEnded, OrderAttempted, OrderHeld, SessionStarted
from core.order_rules import STOPS
from core.ports import Selection
from eventstore.reading.reader import LogReader
from tests.conftest import sampled
from tests.live.sessions import (
    OPEN_S,
    book_differences,
    broken_invariants,
    prove_all,
    trade,
)
from tests.logs import events_of

pytestmark = pytest.mark.slow

UNTIL = OPEN_S + 290
POINTS = [
    ("held", 1),
    ("held_durable", 1),
    ("held", 2),
    ("held", 3),
    ("held", 4),
    ("held", 5),
    ("hold_ended", 1),
    ("hold_ended", 2),
    ("hold_ended", 4),
    ("hold_ended_durable", 1),
    ("before_send", 4),
    ("partial", 4),
    ("after_send", 4),
    ("before_send", 5),
    ("partial", 5),
    ("after_send", 5),
    ("fill_durable", 3),
]


def waiting(log, port, point="-", number=1, **given):
    return trade(log, port, point, number, UNTIL, strategy="waiting", **given)


def at_work(book):
    """Return position, orders at work and how much the stops cover, at the gateway."""
    theirs = snapshot(open_book(book, "log"))
    [held] = [p.quantity for p in theirs.positions.open_positions()] or [0]
    working = theirs.orders.working()
    stops = sum(o.quantity - o.filled for o in working if o.side == "SELL" and o.type in STOPS)
    return held, sorted((o.side, o.type, o.quantity - o.filled) for o in working), stops


WHOLE = (
    350,
    [
        ("BUY", "LMT", 30),
        ("SELL", "LMT", 150),
        ("SELL", "LMT", 200),
        ("SELL", "STP", 150),
        ("SELL", "STP", 200),
    ],
    350,
)


def holds(log):
    """Return in words which holds did not end as they have to: once, in the session that they began in."""
    chosen = Selection(types=frozenset({OrderHeld, HoldEnded, SessionStarted}))
    began, ended, session, wrong = {}, [], 0, []
    for entry in (e for batch in LogReader(log).entries(chosen) for e in batch):
        event = entry.event
        if isinstance(event, SessionStarted):
            session = event.session
        elif isinstance(event, OrderHeld):
            began[event.order, event.version] = session
        else:
            key = (event.order, event.version)
            ended.append(key)
            if event.outcome == "released" and began.get(key) != session:
                wrong.append(f"{key} was let go in another session")
    return [
        *wrong,
        *(f"{key} is held for ever" for key in began if key not in ended),
        *(f"{key} ended more than once" for key in began if ended.count(key) > 1),
    ]


def findings(log, book):
    found = [*holds(log), *broken_invariants(log, book), *book_differences(log, book)]
    there = at_work(book)
    if there != WHOLE:
        found.append(f"at the gateway {there}, expected {WHOLE}")
    try:
        prove_all(log)
    except Differs as error:
        found.append(str(error))
    return found


def test_what_is_held_in_the_restart_window_goes_out_once_after_it(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert waiting(log, gateway.port) == 0
    gateway.stop()
    assert findings(log, gateway.book) == []
    assert len(events_of(log, OrderHeld)) >= 5
    assert {e.outcome for e in events_of(log, HoldEnded)} <= {"released", "replaced"}
    assert len(events_of(log, OrderAttempted)) >= 8


@pytest.mark.parametrize(("point", "number"), sampled(POINTS, 6))
def test_a_kill_while_orders_are_held_loses_nothing_and_sends_nothing_twice(ib_gateway, log, point, number):
    gateway = ib_gateway(speed="step", start="open")
    assert waiting(log, gateway.port, point, number) == -signal.SIGKILL
    assert broken_invariants(log, gateway.book) == []
    assert waiting(log, gateway.port) == 0
    gateway.stop()
    assert findings(log, gateway.book) == []


@pytest.mark.parametrize(
    ("broken", "tells"),
    sampled(
        [
            ("releases_twice", "ended more than once"),
            ("forgets_what_it_held", "held for ever"),
            ("leaves_holdings_alone", "does not come out as it was recorded"),
            ("keeps_what_others_held", "in another session"),
        ],
        2,
    ),
)
def test_a_session_that_forgets_or_repeats_what_was_held_is_caught(ib_gateway, log, broken, tells):
    gateway = ib_gateway(speed="step", start="open")
    if broken != "releases_twice":
        assert waiting(log, gateway.port, "hold_ended", 1) == -signal.SIGKILL
    assert waiting(log, gateway.port, broken=broken) == 0
    gateway.stop()
    found = findings(log, gateway.book)
    assert any(tells in each for each in found), found
