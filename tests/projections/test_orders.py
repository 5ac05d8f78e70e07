"""Orders are joined from facts that come late, twice or out of order."""

import itertools

import pytest

from core.events import (
    CancelIntended,
    CancelSendStarted,
    ExternalOrderReported,
    ModifyIntended,
    OrderAmended,
    OrderResolved,
    OrderSendStarted,
    OrderSent,
    RiskApproved,
    RiskRefused,
    SendFailed,
)
from projections.orders import Orders
from tests.projections.build import ACCOUNT, STRATEGY, D, charge, corrected, feed, fill, intent, status

WHO = (ACCOUNT, STRATEGY, "ACME")


def approved(version=1, order="o1"):
    return RiskApproved(2, order, version, *WHO, "none")


def refused(version=1, order="o1"):
    return RiskRefused(2, order, version, *WHO, "size", "10", "100", "too large")


def started(version=1, order="o1"):
    return OrderSendStarted(2, order, version, *WHO)


def sent(version=1, order="o1"):
    return OrderSent(2, order, version)


def failed(written, version=1):
    return SendFailed(3, "o1", version, written, "connection reset")


def modify(version, quantity, limit="11"):
    return ModifyIntended(3, "o1", version, *WHO, D(str(quantity)), D(limit), None, "chase")


CANCEL = CancelIntended(4, "o1", *WHO, "enough")


def folded(*events):
    orders = Orders()
    feed(orders, *events)
    return orders


def seen(*events):
    order = folded(*events).get("o1")
    return order.state, order.filled, order.exposed


@pytest.mark.parametrize(
    ("events", "state", "exposed"),
    [
        ((), "Intended", 100),
        ((approved(),), "Approved", 100),
        ((refused(),), "Refused", 0),
        ((approved(), started()), "Sending", 100),
        ((approved(), started(), sent()), "Sent", 100),
        ((approved(), started(), failed(0)), "SendFailed", 0),
        ((approved(), started(), failed(7)), "Unknown", 100),
        ((approved(), started(), failed(7), status("Submitted")), "Submitted", 100),
        ((approved(), started(), failed(0), status("Submitted")), "Submitted", 100),
        ((started(), sent(), status("Submitted"), CANCEL), "CancelPending", 100),
        ((started(), sent(), CANCEL, CancelSendStarted(4, "o1", *WHO), failed(0)), "Sent", 100),
        ((started(), sent(), CANCEL, status("Cancelled")), "Cancelled", 0),
        ((started(), sent(), status("Rejected", message="no")), "Rejected", 0),
        ((started(), sent(), status("Cancelled"), status("Submitted")), "Cancelled", 0),
    ],
)
def test_an_order_shows_the_state_its_facts_add_up_to(events, state, exposed):
    assert seen(intent(), *events) == (state, D(0), D(exposed))


def test_the_broker_saying_filled_counts_nothing_until_executions_do():
    assert seen(intent(), status("Filled")) == ("Submitted", D(0), D(100))
    assert seen(intent(), status("Filled"), fill("1", "BUY", 40, 10)) == ("PartiallyFilled", D(40), D(60))
    assert seen(intent(), fill("1", "BUY", 100, 10)) == ("Filled", D(100), D(0))


def test_a_fill_after_the_cancel_still_counts():
    assert seen(intent(), status("Cancelled"), fill("1", "BUY", 40, 10)) == ("Cancelled", D(40), D(0))
    assert seen(intent(), status("Cancelled"), fill("1", "BUY", 100, 10)) == ("Filled", D(100), D(0))


def test_the_same_execution_twice_counts_once():
    twice = fill("1", "BUY", 40, 10)
    assert folded(intent(), twice, twice).digest() == folded(intent(), twice).digest()


def test_a_correction_replaces_what_was_filled_but_does_not_put_the_order_back_to_work():
    events = (fill("1", "BUY", 100, 10), corrected("1", 1, "BUY", 90, 10))
    for arrival in itertools.permutations(events):
        assert seen(intent(), *arrival) == ("Filled", D(90), D(0))


def test_a_bust_and_its_reinstatement_leave_the_reinstated_quantity():
    busted, back = corrected("1", 1, "BUY", 0, 10), corrected("1", 2, "BUY", 100, 10)
    for arrival in itertools.permutations((fill("1", "BUY", 100, 10), busted, back)):
        assert seen(intent(), *arrival) == ("Filled", D(100), D(0))


@pytest.mark.parametrize(
    ("events", "version", "quantity", "exposed"),
    [
        ((modify(2, 50),), 2, 50, 100),
        ((modify(2, 150),), 2, 150, 150),
        ((modify(2, 50), status("Submitted", version=2)), 2, 50, 50),
        ((modify(2, 50), refused(2)), 1, 100, 100),
        ((modify(2, 150), refused(2)), 1, 100, 100),
        ((modify(2, 150), status("Rejected", version=2)), 1, 100, 100),
        ((modify(2, 150), failed(0, version=2)), 1, 100, 100),
        ((modify(2, 150), failed(9, version=2)), 2, 150, 150),
        ((modify(2, 150), modify(3, 70), status("Submitted", version=2)), 3, 70, 150),
        ((modify(2, 150), status("Submitted", version=2), status("Submitted", version=1)), 2, 150, 150),
    ],
)
def test_the_larger_version_is_exposed_until_the_modification_is_settled(events, version, quantity, exposed):
    order = folded(intent(), sent(), status("Submitted"), *events).get("o1")
    assert (order.version, order.quantity, order.exposed) == (version, D(quantity), D(exposed))


def test_a_modification_below_what_is_filled_completes_the_order_once_acknowledged():
    events = (intent(), status("Submitted"), fill("1", "BUY", 60, 10), modify(2, 50))
    assert seen(*events) == ("PartiallyFilled", D(60), D(40))
    assert seen(*events, status("Submitted", version=2)) == ("Filled", D(60), D(0))


def test_working_orders_are_listed_oldest_first_and_filtered():
    orders = folded(
        intent("o2"),
        intent("o1", instrument="ZETA"),
        intent("o3", strategy="other"),
        status("Cancelled", "o2"),
    )
    assert [order.id for order in orders.working()] == ["o1", "o3"]
    assert [order.id for order in orders.working(strategy="other")] == ["o3"]
    assert [order.id for order in orders.working(instrument="ZETA")] == ["o1"]
    assert [order.id for order in orders.orders()] == ["o2", "o1", "o3"]


def test_a_fill_before_its_intent_waits_for_it():
    orders = folded(fill("1", "BUY", 40, 10))
    assert (orders.get("o1"), orders.working()) == (None, [])
    feed(orders, intent())
    assert orders.get("o1").exposed == D(60)


def test_fills_of_a_part_leave_the_rest_to_work_whether_it_was_the_first_or_a_later_one():
    orders = windowed(1, intent(), fill("1", "BUY", 40, 10, ts=2), fill("2", "BUY", 30, 10, ts=3))
    assert [(o.state, o.filled, o.exposed) for o in orders.working()] == [("PartiallyFilled", 70, 30)]
    feed(orders, fill("3", "BUY", 30, 10, ts=4))
    assert (orders.working(), orders.get("o1").state, orders.get("o1").filled) == ([], "Filled", 100)


def test_a_first_fill_after_a_change_is_held_against_the_changed_quantity():
    orders = folded(intent(quantity=100), modify(2, 150), fill("1", "BUY", 100, 10))
    assert [(o.state, o.exposed) for o in orders.working()] == [("PartiallyFilled", 50)]


def test_a_fill_of_more_than_was_ordered_ends_it():
    orders = folded(intent(quantity=100), fill("1", "BUY", 130, 10))
    assert (orders.working(), orders.get("o1").state, orders.get("o1").filled) == ([], "Filled", 130)


def test_an_execution_carries_its_commission_or_none():
    orders = folded(fill("1", "BUY", 40, 10), fill("2", "BUY", 60, 10, ts=2), charge("2", "1.5"))
    first, second = orders.executions("o1")
    assert (first.commission, second.commission, second.commission_currency) == (None, D("1.5"), "USD")


def test_a_commission_before_its_execution_is_kept_for_it():
    orders = folded(charge("1", "1.5"))
    assert orders.executions() == []
    feed(orders, fill("1", "BUY", 40, 10))
    assert [execution.commission for execution in orders.executions()] == [D("1.5")]


def test_executions_are_listed_by_time_in_their_highest_revision():
    orders = folded(
        fill("b", "BUY", 1, 10, ts=2), fill("a", "BUY", 2, 10, ts=1), corrected("b", 1, "BUY", 3, 9, ts=2)
    )
    shown = [(e.exec_id, e.revision, e.quantity) for e in orders.executions()]
    assert shown == [("a", 0, D(2)), ("b", 1, D(3))]


def test_a_correction_may_move_an_execution_to_another_order():
    orders = folded(
        intent("o1"), intent("o2"), fill("1", "BUY", 40, 10), corrected("1", 1, "BUY", 40, 10, order="o2")
    )
    assert (orders.get("o1").filled, orders.get("o2").filled) == (D(0), D(40))
    assert (orders.executions("o1"), len(orders.executions("o2"))) == ([], 1)


def test_a_snapshot_shares_nothing_with_the_live_orders():
    orders = folded(intent(), status("Submitted"))
    state, before = orders.state(), orders.digest()
    feed(orders, fill("1", "BUY", 40, 10), modify(2, 10))
    restored = Orders()
    restored.restore(state)
    assert restored.digest() == before


def test_the_line_says_how_many_work():
    assert repr(folded(intent(), fill("1", "BUY", 40, 10))) == "<orders: 1 orders, 1 working, 1 executions>"


def finished(order, *, first=0):
    return intent(order, ts=first), fill(f"F-{order}", "BUY", 100, 10, order=order, ts=first)


def windowed(keep, *events):
    orders = Orders(keep)
    feed(orders, *events)
    return orders


def test_a_window_forgets_the_orders_that_came_to_their_end_first():
    orders = windowed(2, *finished("o-1"), *finished("o-2"), *finished("o-3"))
    assert [order.id for order in orders.orders()] == ["o-2", "o-3"]
    assert [execution.exec_id for execution in orders.executions()] == ["F-o-2", "F-o-3"]
    assert orders.get("o-1") is None


def test_a_window_never_forgets_an_order_that_may_fill():
    orders = windowed(1, intent("o-0"), *finished("o-1"), *finished("o-2"), *finished("o-3"))
    assert [order.id for order in orders.orders()] == ["o-0", "o-3"]
    feed(orders, fill("x", "BUY", 100, 10, order="o-0"))
    assert [order.id for order in orders.orders()] == ["o-0"]


@pytest.mark.parametrize(
    "late",
    [
        fill("F-o-1", "BUY", 100, 10, order="o-1"),
        fill("another", "BUY", 100, 10, order="o-1"),
        corrected("F-o-1", 1, "BUY", 90, 10, order="o-1"),
        charge("F-o-1", "1.5", order="o-1"),
        status("Cancelled", "o-1"),
        approved(order="o-1"),
        started(order="o-1"),
        sent(order="o-1"),
        refused(order="o-1"),
        SendFailed(3, "o-1", 1, 0, "reset"),
        ModifyIntended(3, "o-1", 2, *WHO, D(5), None, None, "x"),
        CancelIntended(4, "o-1", *WHO, "enough"),
        status("Submitted", "o-1"),
        ExternalOrderReported(4, "o-1", ACCOUNT, "ACME", "BUY", D(100), D(5), None, "Submitted"),
        OrderResolved(4, "o-1", "live", "looked"),
    ],
    ids=lambda event: f"{type(event).__name__} {getattr(event, 'status', '')}".strip(),
)
def test_what_is_reported_of_a_forgotten_order_changes_nothing(late):
    orders = windowed(1, *finished("o-1"), *finished("o-2"))
    before = orders.digest()
    feed(orders, late)
    assert orders.digest() == before


def test_a_correction_that_moves_an_execution_to_a_forgotten_order_takes_it_along():
    orders = windowed(1, *finished("o-1"), *finished("o-2"), intent("o-3"))
    feed(orders, fill("x", "BUY", 40, 10, order="o-3"), corrected("x", 1, "BUY", 40, 10, order="o-1"))
    assert (orders.get("o-3").filled, orders.execution("x")) == (D(0), None)


def test_commissions_whose_fill_never_comes_are_a_window_too():
    orders = windowed(2, *(charge(str(n), 1, order="") for n in range(9)))
    assert len(orders.state().executions) == 2


def test_a_snapshot_that_kept_all_can_be_continued_in_a_window():
    whole = folded(*finished("o-1"), *finished("o-2", first=5))
    orders = Orders(1)
    orders.load(whole.encoded())
    feed(orders, *finished("o-3", first=9))
    assert [order.id for order in orders.orders()] == ["o-3"]


def test_a_window_that_begins_with_a_snapshot_keeps_an_order_that_is_presumed_lost():
    lost = OrderResolved(2, "o-1", "presumed_lost", "nowhere")
    for before in (folded(intent("o-1"), lost), windowed(1, intent("o-1"), lost)):
        orders = Orders(1)
        orders.load(before.encoded())
        feed(orders, *finished("o-2"), *finished("o-3"), *finished("o-4"))
        assert [order.id for order in orders.orders()] == ["o-1", "o-4"]


def test_an_order_that_is_presumed_lost_after_it_had_ended_is_not_forgotten():
    orders = windowed(1, intent(), failed(0), OrderResolved(4, "o1", "presumed_lost", "nowhere"))
    feed(orders, *finished("o-2"), *finished("o-3"))
    assert [order.id for order in orders.orders()] == ["o1", "o-3"]


def test_what_the_broker_made_of_an_order_stands_under_the_number_of_a_refused_change():
    orders = folded(
        intent(),
        approved(),
        started(),
        sent(),
        modify(2, 50),
        refused(2),
        OrderAmended(5, "o1", 2, D(60), D("10"), None),
    )
    assert (orders.get("o1").version, orders.get("o1").exposed) == (2, 60)
    assert [v.number for v in orders.versions("o1")] == [1, 2]


def test_the_last_version_counts_what_never_stood():
    assert folded().last_version("o1") == 1
    assert folded(intent()).last_version("o1") == 1
    assert folded(intent(), modify(2, 50), refused(2), modify(3, 60)).last_version("o1") == 3
    assert folded(intent(), modify(2, 50), refused(2)).last_version("o1") == 2
