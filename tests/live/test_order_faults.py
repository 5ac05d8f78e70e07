"""What gateways do wrong with orders, done to a live session: at the end the books agree.

Each fault is played by the simulated gateway over a real socket, to a session in a process of its own.
"""

import re

import pytest

from app.books import open_book
from app.chain import chain
from core.events import (
    BreakFound,
    FillCorrected,
    Filled,
    OrderAttempted,
    OrderBound,
    OrderRetried,
    OrderStatusChanged,
    ReconciliationFinished,
)
from tests.live.sessions import assert_same_books, broken_invariants, entries, prove_all, trade

FAULTS = [
    "order 1: repeat message=execDetails times=4; order 1: repeat message=commissionReport times=4",
    "order 1: repeat message=openOrder times=4; order 1: repeat message=orderStatus times=4",
    "order 1: swap",
    "order 1: swap hold=execDetails until=commissionReport",
    "order 1: late message=commissionReport behind=40",
    "order 1: drop message=orderStatus count=4",
    "order 1: drop message=openOrder count=4",
    "fill 1: correct by=0.02",
    "fill 1: correct by=0.02; fill 2: correct by=0.01",
    "order 1: alter message=commissionReport field=3 value=0; fill 2: correct",
    "order 1: unset",
    "order 1: error code=399; order 2: error code=404; order 3: error code=10349",
    "order 1: refuse code=201",
    "order 2: refuse code=321",
    "order 1: refuse code=103",
    "order 2: refuse code=103",
    "modify 1: refuse code=201",
    "modify 1: refuse code=103",
    "cancel 1: refuse code=10147",
    "cancel 1: refuse code=10148",
    "cancel 1: refuse code=161",
    "cancel 1: fill_after_cancel",
    "order 2: refuse code=201; order 3: refuse code=203",
]
LOOKED = r"refuse code=(103|10147|10148|161)\b|modify 1: refuse|fill_after_cancel"


@pytest.mark.parametrize("faults", FAULTS)
def test_after_a_fault_the_books_agree(ib_gateway, log, faults):
    gateway = ib_gateway(speed="step", start="open", faults=faults)
    assert trade(log, gateway.port) == 0
    gateway.stop()
    assert len(gateway.fired) == faults.count(";") + 1
    assert broken_invariants(log, gateway.book) == []
    assert entries(log, BreakFound) == []
    prove_all(log)
    if "alter" not in faults and "unset" not in faults:
        assert_same_books(log, gateway.book)
    assert (len(entries(log, ReconciliationFinished)) > 1) == bool(re.search(LOOKED, faults))


def test_corrections_are_recorded_as_such(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="fill 1: correct by=0.02")
    assert trade(log, gateway.port) == 0
    assert [e.revision for e in entries(log, FillCorrected)] == [2]


def test_two_live_orders_from_one_change_close_the_instrument(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="modify 1: fork")
    assert trade(log, gateway.port) == 0
    gateway.stop()
    [found] = entries(log, BreakFound)
    assert found.kind == "duplicate_order"
    bound = [e.order for e in entries(log, OrderBound)]
    [twice] = {order for order in bound if bound.count(order) > 1}
    told = [e.status for e in entries(log, OrderStatusChanged) if e.order == twice]
    assert "Cancelled" not in told


@pytest.mark.parametrize("retries", [0, 1])
def test_an_order_refused_for_its_id_is_tried_again_if_that_is_allowed(ib_gateway, log, retries):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: refuse code=103")
    assert trade(log, gateway.port, retries=retries) == 0
    gateway.stop()
    assert [e.retry for e in entries(log, OrderRetried)] == [1] * retries
    first = [e for e in entries(log, OrderAttempted) if e.order == "tides-1-1"]
    assert [e.attempt for e in first] == [1, 2][: retries + 1]
    assert len({(e.ref, e.broker_id) for e in first}) == retries + 1
    prove_all(log)
    filled = [e.order for e in entries(log, Filled)]
    assert filled.count("tides-1-1") == retries
    assert broken_invariants(log, gateway.book) == []
    assert_same_books(log, gateway.book)


def test_why_shows_how_an_order_was_known_at_the_broker(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: refuse code=103")
    assert trade(log, gateway.port, retries=1) == 0
    roles = [link.role for link in chain(open_book(log, "log"), "tides-1-1")]
    assert roles.count("attempt") == 2
    assert [role for role in roles if role in ("resolved", "retry", "bound")] == [
        "resolved",
        "retry",
        "bound",
    ]


def test_retries_end_at_their_limit(ib_gateway, log):
    refused = "; ".join(f"order {n}: refuse code=103" for n in (1, 2, 3))
    gateway = ib_gateway(speed="step", start="open", faults=refused)
    assert trade(log, gateway.port, retries=2) == 0
    assert [e.retry for e in entries(log, OrderRetried) if e.order == "tides-1-1"] == [1, 2]
    told = [e.status for e in entries(log, OrderStatusChanged) if e.order == "tides-1-1"]
    assert told == ["Rejected"] * 3
