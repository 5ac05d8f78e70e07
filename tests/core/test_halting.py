"""What follows from a halt: cancels, then closing orders; a function of what was recorded."""

from decimal import Decimal

import pytest

from core.events import (
    CancelIntended,
    Filled,
    HaltRequested,
    HaltVerified,
    InstrumentDefined,
    OrderIntended,
    OrderSendStarted,
    PositionReported,
    ReconciliationStarted,
    RiskApproved,
)
from core.halting import KillSwitch
from projections.gate import Gate
from projections.orders import Orders
from projections.positions import Positions
from projections.reported import Reported
from projections.sessions import Sessions
from tests.projections.build import feed

ACCOUNT = "DU1"
READY = HaltVerified(9, "cancel_all", 0, 1, reached=True)


def instrument(name):
    return InstrumentDefined(1, name, name, "STK", "XNYS", "USD", Decimal(1), Decimal("0.01"), "UTC")


def held(name, quantity, account=ACCOUNT):
    return PositionReported(3, account, name, Decimal(quantity), Decimal(10))


def fill(name, quantity, strategy, number=1):
    side = "BUY" if quantity > 0 else "SELL"
    who = (f"{strategy}-1-{number}", ACCOUNT, strategy, name, side, Decimal(abs(quantity)), Decimal(10))
    return Filled(2, f"x{strategy}{number}", *who)


def working(order, strategy="s", account=ACCOUNT):
    who = (account, strategy, "ACME")
    return (
        OrderIntended(2, order, *who, "BUY", Decimal(5), "LMT", Decimal(9), None, "DAY", ""),
        RiskApproved(2, order, 1, *who, "none"),
        OrderSendStarted(2, order, 1, *who),
    )


def switch(*events, level="flatten"):
    gate, reported, orders, positions = Gate(), Reported(), Orders(), Positions()
    sessions = Sessions()
    folds = (gate, reported, orders, positions, sessions)
    definitions = (instrument("ACME"), instrument("BOLT"))
    for fold in folds:
        feed(fold, *definitions, *events, HaltRequested(5, level, "why", "test"))
    return KillSwitch(gate, reported, orders, positions, sessions, ACCOUNT, 4)


def told(closings):
    return [
        (c.intent.order, c.intent.strategy, c.intent.instrument, c.intent.side, c.intent.quantity)
        for c in closings
    ]


@pytest.mark.parametrize(
    ("level", "cancelled"), [("halt", []), ("cancel", ["a"]), ("cancel_all", ["a"]), ("flatten", ["a"])]
)
def test_every_level_but_the_first_cancels_our_working_orders_in_this_account(level, cancelled):
    events = (*working("a"), *working("other", account="DU2"), *working("external-7", strategy=""))
    found = switch(*events, level=level).cancels(HaltRequested(6, level, "why", "test"))
    assert all(isinstance(one, CancelIntended) for one in found)
    assert [one.order for one in found] == cancelled


def test_positions_are_closed_on_the_opposite_side_and_no_further():
    found = switch(held("ACME", 30), held("BOLT", -7), held("ACME", 99, "DU2")).closings(READY)
    assert told(found) == [
        ("close-4-1", "operator", "ACME", "SELL", Decimal(30)),
        ("close-4-2", "operator", "BOLT", "BUY", Decimal(7)),
    ]


def test_the_brokers_positions_count_and_not_ours():
    assert told(switch(fill("ACME", 50, "s"), held("ACME", 30)).closings(READY)) == [
        ("close-4-1", "operator", "ACME", "SELL", Decimal(30))
    ]
    assert told(switch(fill("ACME", 50, "s")).closings(READY)) == []


def test_what_one_strategy_holds_alone_is_closed_in_its_name():
    assert told(switch(fill("ACME", 30, "s"), held("ACME", 30)).closings(READY))[0][1] == "s"
    both = switch(fill("ACME", 10, "s"), fill("ACME", 20, "t"), held("ACME", 30))
    assert told(both.closings(READY))[0][1] == "operator"


def test_an_instrument_is_tried_once_a_halt():
    found = switch(held("ACME", 30))
    assert len(found.closings(READY)) == 1
    assert found.closings(READY) == []
    found.cancels(HaltRequested(7, "flatten", "again", "test"))
    assert told(found.closings(READY)) == [("close-4-2", "operator", "ACME", "SELL", Decimal(30))]


@pytest.mark.parametrize(
    "verified",
    [
        HaltVerified(9, "cancel_all", 1, 1, reached=False),
        HaltVerified(9, "cancel_all", 0, 1, reached=False),
        HaltVerified(9, "cancel_all", 1, 1, reached=True),
        HaltVerified(9, "cancel", 0, 1, reached=True),
        HaltVerified(9, "flatten", 0, 1, reached=False),
    ],
)
def test_nothing_is_closed_before_the_broker_showed_no_working_order(verified):
    assert switch(held("ACME", 30)).closings(verified) == []


def test_nothing_is_closed_at_a_lower_level():
    assert switch(held("ACME", 30), level="cancel_all").closings(READY) == []


def test_a_position_in_an_unknown_instrument_is_left_for_people():
    assert switch(held("GHOST-77", 30)).closings(READY) == []


def test_what_the_broker_showed_before_is_forgotten_with_the_next_look():
    assert switch(held("ACME", 30), ReconciliationStarted(4, "again")).closings(READY) == []
