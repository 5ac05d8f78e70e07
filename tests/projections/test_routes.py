"""How orders are known at the broker, and for how long."""

import tracemalloc
from decimal import Decimal

import pytest

from app.composition.world import World
from core.clock import DAY_NS
from core.events import (
    BrokerMessage,
    CommissionReported,
    Entry,
    FillCorrected,
    Filled,
    OrderAttempted,
    OrderBound,
    OrderIntended,
    OrderResolved,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    RiskApproved,
)
from projections.routes import KEPT_NS, Routes
from projections.sessions import Sessions

D = Decimal
WHO = ("DU1", "s", "ACME")
BEGIN = 1_751_472_000_000_000_000
MARKET = ("BUY", D(1), "MKT", None, None, "DAY", "")


def fold(projection, events):
    for event in events:
        seq = projection.applied_seq + 1
        projection.apply(Entry(seq, None, seq, None, event))
    return projection


def order(number, ts, status="Filled"):
    """Return all that happens to an order of one execution."""
    name = f"s-1-{number}"
    return [
        OrderIntended(ts, name, *WHO, *MARKET),
        RiskApproved(ts, name, 1, *WHO, "none"),
        OrderSendStarted(ts, name, 1, *WHO),
        OrderAttempted(ts, name, 1, 1, f"T{number}.{name}.1", 10 + number, 7),
        OrderSent(ts, name, 1),
        OrderBound(ts, name, 5000 + number, 10 + number, 7),
        BrokerMessage(ts, 399, "info", "a word", name),
        *([OrderStatusChanged(ts, name, 1, *WHO, status)] if status else []),
        Filled(ts, f"e{number}.01", name, *WHO, "BUY", D(1), D(10)),
        CommissionReported(ts, f"e{number}.01", name, *WHO, D(1), "USD"),
    ]


def days(count, a_day, first=0, status="Filled"):
    """Return the events of so many days of orders."""
    for day in range(first, first + count):
        for number in range(a_day):
            yield from order(day * a_day + number, BEGIN + day * DAY_NS + number, status)


def known(routes, number):
    name = f"s-1-{number}"
    return (
        routes.attempt(name) is not None,
        routes.find(perm_id=5000 + number, ref="") is not None,
        routes.find(perm_id=None, ref=f"T{number}.{name}.1") is not None,
        routes.on_wire(7, 10 + number) is not None,
        routes.execution(f"e{number}.01") is not None,
        bool(routes.perm_ids(name)),
        routes.told(name) is not None,
        routes.annotation(name) is not None,
    )


def test_what_ended_more_than_eight_days_ago_is_forgotten_and_nothing_younger():
    routes = fold(Routes(), days(20, 3))
    assert {known(routes, number) for number in range(30)} == {(False,) * 8}
    youngest = [known(routes, number) for number in range(60 - 8 * 3, 60)]
    assert set(youngest) == {(True,) * 8}


@pytest.mark.parametrize("status", ["Submitted", "PreSubmitted", "PendingCancel", ""])
def test_an_order_that_may_still_fill_is_never_forgotten(status):
    routes = fold(Routes(), order(0, BEGIN, status))
    fold(routes, days(30, 2, first=1))
    assert routes.attempt("s-1-0") is not None
    assert routes.find(perm_id=5000, ref="") == "s-1-0"
    assert routes.attempt("s-1-2") is None


def test_an_order_that_came_back_to_life_is_not_forgotten():
    lived = [*order(0, BEGIN, "Cancelled"), OrderResolved(BEGIN + 1, "s-1-0", "live", "seen")]
    routes = fold(fold(Routes(), lived), days(30, 2, first=1))
    assert routes.attempt("s-1-0") is not None


def test_a_refused_change_is_no_end():
    refused = OrderStatusChanged(BEGIN + 1, "s-1-0", 2, *WHO, "Rejected", "no")
    routes = fold(fold(Routes(), [*order(0, BEGIN, "Submitted"), refused]), days(30, 2, first=1))
    assert routes.attempt("s-1-0") is not None


def test_the_highest_order_id_is_never_forgotten():
    routes = fold(Routes(), [OrderAttempted(BEGIN, "s-1-x", 1, 1, "T.x.1", 900_000, 7)])
    fold(routes, [OrderStatusChanged(BEGIN, "s-1-x", 1, *WHO, "Cancelled"), *days(30, 2, first=1)])
    assert routes.attempt("s-1-x") is None
    assert routes.next_id(7, 1) == 900_001


def test_a_snapshot_in_between_changes_nothing():
    events = list(days(25, 3))
    straight = fold(Routes(), events)
    for cut in (10, len(events) // 2, len(events) - 1):
        before = fold(Routes(), events[:cut])
        restored = Routes()
        restored.restore(before.state())
        assert fold(restored, events[cut:]).state() == straight.state()


def test_each_revision_of_an_execution_is_remembered_with_the_highest_ones_owner():
    name = "s-1-1"
    corrected = FillCorrected(BEGIN, "e1.01", 3, name, "DU1", "t", "ACME", "BUY", D(1), D(9))
    between = FillCorrected(BEGIN, "e1.01", 2, name, *WHO, "BUY", D(1), D(8))
    told = fold(Routes(), [*order(1, BEGIN), corrected, between]).execution("e1.01")
    assert told is not None
    assert (told.revisions, told.strategy, told.charge) == ((1, 2, 3), "t", "1 USD")
    assert KEPT_NS > 7 * DAY_NS


def bytes_an_order():
    """Return what all folds of a live session together hold on to, an order, from day 30 to day 60."""
    world = World(Sessions(), (), "USD")
    world.go_live(delayed_data=False)

    def feed(count, first):
        for seq, event in enumerate(days(count, 100, first), first * 1000 + 1):
            world.apply(Entry(seq, None, seq, None, event))

    tracemalloc.start()
    try:
        feed(30, 0)
        before, _ = tracemalloc.get_traced_memory()
        feed(30, 30)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (after - before) / 3_000


def test_the_memory_of_a_live_session_of_months_is_bounded():
    assert bytes_an_order() < 200


def test_a_session_that_forgets_no_order_is_found_out(monkeypatch):
    monkeypatch.setattr("projections.routes.KEPT_NS", 1000 * DAY_NS)
    assert bytes_an_order() > 600
