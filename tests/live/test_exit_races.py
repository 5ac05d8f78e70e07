"""Exits that fill while something else is decided about them; afterwards the books agree.

The gateway's day goes on between what a client sent and what it hears of it, so that its next word comes too
late: a cancel or a change of an exit that has filled. The brackets and groups are the gateway's own.
"""

import pytest

from app.look.books import open_book
from app.look.snapshots import snapshot
from core.events import BreakFound, BrokerMessage, Filled, ModifyIntended, OrderStatusChanged
from core.exits.protection import ExitRules, Protection
from core.matching import Families
from core.order_rules import STOPS
from tests.live import broken
from tests.live.sessions import (
    OPEN_S,
    book_differences,
    broken_invariants,
    play,
    prove_all,
)
from tests.logs import events_of

NEAR = ExitRules(stop_loss_pct=0.0006, take_profit_pct=0.0004)
"""Some cents away."""
FAR_STOP = ExitRules(stop_loss_pct=0.1, take_profit_pct=0.0002)
RESIZED = "order 1: run span=2_S; order 4: run span=2_S"
TOO_LATE = {104, 10148}


def raced(ib_gateway, log, faults, client=broken.nothing, **given):
    """Play a session with races and return what is wrong afterwards, and the codes that it was told."""
    gateway = ib_gateway(speed="step", start="open", faults=faults, partial_fills=True)
    play(log, gateway.port, client, strategy="racing", until_s=OPEN_S + 290, **given)
    gateway.stop()
    rejected = {
        e.order for e in events_of(log, OrderStatusChanged) if (e.status, e.version) == ("Rejected", 1)
    }
    ended = rejected & {e.order for e in events_of(log, Filled)}
    found = [
        *([] if gateway.fired else ["the fault was not played"]),
        *broken_invariants(log, gateway.book),
        *book_differences(log, gateway.book),
        *(f"break: {e.message}" for e in events_of(log, BreakFound)),
        *(f"taken for rejected, and filled: {order}" for order in sorted(ended)),
    ]
    if not found:
        prove_all(log)
    return found, {e.code for e in events_of(log, BrokerMessage)}


def test_a_cancel_or_change_of_an_exit_that_has_filled_comes_too_late_and_harms_nothing(ib_gateway, log):
    found, codes = raced(ib_gateway, log, "order 3: run span=60_S")
    assert found == []
    assert codes & TOO_LATE


def test_a_client_that_takes_such_a_refusal_for_the_end_of_the_exit_is_caught(ib_gateway, log):
    found, _ = raced(ib_gateway, log, "order 3: run span=60_S", broken.codes_are_ends)
    assert any("taken for rejected, and filled" in each for each in found)


def covered(log):
    """Return the position, and how much the stops at work cover of it."""
    ours = snapshot(open_book(log, "log"))
    [held] = [p.quantity for p in ours.positions.open_positions()] or [0]
    side = "SELL" if held > 0 else "BUY"
    stops = [o for o in ours.orders.working() if o.type in STOPS and o.side == side]
    return abs(held), sum(o.quantity - o.filled for o in stops)


@pytest.mark.parametrize(
    ("faults", "exits", "left"),
    [
        (RESIZED, FAR_STOP, 6000),
        pytest.param("order 2: run span=20_S", NEAR, 0, marks=pytest.mark.extended),
    ],
    ids=["resized", "filled"],
)
def test_exits_that_are_resized_while_entry_and_exits_fill_in_parts_end_as_large_as_the_rest(
    ib_gateway, log, faults, exits, left
):
    found, _ = raced(ib_gateway, log, faults, parameters={"own_exits": False}, exits=exits)
    assert found == []
    assert covered(log) == (left, left)
    assert len([e for e in events_of(log, ModifyIntended) if e.order.startswith("exit-")]) > 10


def test_a_protection_that_resizes_nothing_is_caught(ib_gateway, log, monkeypatch):
    monkeypatch.setattr(Protection, "_fit", lambda *_: [])
    raced(ib_gateway, log, RESIZED, parameters={"own_exits": False}, exits=FAR_STOP)
    held, protected = covered(log)
    assert protected < held


def both_fill(monkeypatch):
    """Let a gateway's fills reduce nothing: of a group all may fill, as at a broker in a hurry."""
    monkeypatch.setattr(Families, "_reduced", lambda *_: [])
    monkeypatch.setattr(Families, "_count", lambda *_: None)


def test_both_exits_of_a_bracket_that_fill_are_both_counted(ib_gateway, log, monkeypatch):
    both_fill(monkeypatch)
    found, _ = raced(ib_gateway, log, "order 3: run span=250_S", parameters={"most": 1})
    assert found == []
    assert {e.order for e in events_of(log, Filled)} == {f"racing-1-{n}" for n in (1, 2, 3)}


def test_a_client_that_relies_on_one_cancelling_the_other_is_caught(ib_gateway, log, monkeypatch):
    both_fill(monkeypatch)
    given = {"parameters": {"most": 1}}
    found, _ = raced(ib_gateway, log, "order 3: run span=250_S", broken.one_cancels_all, **given)
    assert any(each.startswith("executions") for each in found)
