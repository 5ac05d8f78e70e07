"""What a comparison of the log with the broker's book makes of each situation of an order."""

import pytest

from adapters.ibkr.trading.reconcile import reconcile
from adapters.ibkr.trading.snapshot import Evidence
from core.clock import DAY_NS
from core.effects import Effect
from core.events import (
    BreakFound,
    CashAdjusted,
    OrderStatusChanged,
    ReconciliationFinished,
    SendFailed,
)
from tests.ibkr.books import CLIENT, Books, breaks, commission, outcomes, position, states


def decided(b):
    b.decide()
    return []


def failed_with_nothing_written(b):
    b.attempt()
    b.take([SendFailed(b.now, "a-1-1", 1, 0, "reset")])
    return []


def sent_and_nowhere(b):
    b.send()
    return []


def attempted_and_nowhere(b):
    b.attempt()
    return []


def half_sent(b):
    b.attempt()
    b.take([SendFailed(b.now, "a-1-1", 1, 20, "reset")])
    return []


def live_by_reference(b):
    b.send()
    return [b.open()]


def live_by_permanent_id_alone(b):
    b.send()
    b.hear(b.open())
    return [b.open(order_ref="", order_id=None, client_id=None)]


def live_under_an_id_that_was_issued_again(b):
    b.send()
    return [b.open(order_ref="someone-else", perm=901, client_id=3)]


def cancelled_meanwhile(b):
    b.send()
    b.hear(b.open())
    return [b.completed()]


def filled_meanwhile(b):
    b.send()
    return [b.completed(status="Filled", filled=100), b.execution(), commission(), position(100)]


def partly_filled_then_cancelled(b):
    b.send()
    return [b.completed(filled=40), b.execution(quantity=40), position(40)]


def fills_that_nobody_shows(b):
    b.send()
    return [b.completed(status="Filled", filled=100), position(100)]


def refused_as_inactive(b):
    b.send()
    return [b.completed(status="Inactive")]


def partly_filled_and_ended_as_inactive(b):
    b.send()
    return [b.completed(status="Inactive", filled=40), b.execution(quantity=40), position(40)]


def sent_yesterday_and_nowhere(b):
    b.send()
    b.now += DAY_NS
    return []


def acknowledged_and_gone_today(b):
    b.send()
    b.hear(b.open())
    return []


def acknowledged_and_gone_yesterday(b):
    b.send()
    b.hear(b.open())
    b.now += DAY_NS
    return []


def partly_filled_and_gone(b):
    b.send()
    return [b.execution(quantity=40), position(40)]


def refused_with_103_and_nowhere(b):
    b.send()
    b.hear(b.error(103))
    return []


def refused_with_103_and_live(b):
    b.send()
    b.hear(b.error(103))
    return [b.open()]


def refused_for_its_id_and_nowhere(b):
    b.send()
    b.hear(b.error(105))
    return []


def found_by_no_cancel_and_nowhere(b):
    b.send()
    b.hear(b.error(135))
    return []


def cancelled_in_vain_and_nowhere(b):
    b.send()
    b.hear(b.error(136))
    return []


def refused_once_and_then_sent_and_nowhere(b):
    intent = b.send()
    b.hear(b.error(103))
    b.take(b.channel.out.attempts([Effect(1, intent)], b.now))
    return []


def at_the_broker_twice(b):
    b.send()
    return [b.open(perm=900), b.open(perm=901)]


def taken_for_refused_and_live(b):
    b.send()
    b.hear(b.error(201))
    assert states(b)["a-1-1"] == "Rejected"
    b.hear(b.open())
    return [b.open()]


SITUATIONS = [
    # situation, outcome, kinds of breaks, state afterwards
    (decided, "not_sent", [], "Rejected"),
    (failed_with_nothing_written, None, [], "SendFailed"),
    (attempted_and_nowhere, "unknown", ["unknown_order"], "Unknown"),
    (half_sent, "unknown", ["unknown_order"], "Unknown"),
    (sent_and_nowhere, "unknown", ["unknown_order"], "Unknown"),
    (live_by_reference, None, [], "Submitted"),
    (live_by_permanent_id_alone, None, [], "Submitted"),
    (live_under_an_id_that_was_issued_again, "unknown", ["unknown_order"], "Unknown"),
    (cancelled_meanwhile, "ended", [], "Cancelled"),
    (filled_meanwhile, None, [], "Filled"),
    (partly_filled_then_cancelled, "ended", [], "Cancelled"),
    (fills_that_nobody_shows, "ended", ["missing_fills", "position"], "Cancelled"),
    (refused_as_inactive, "ended", [], "Rejected"),
    (partly_filled_and_ended_as_inactive, "ended", [], "Cancelled"),
    (sent_yesterday_and_nowhere, "unknown", ["unknown_order"], "Unknown"),
    (acknowledged_and_gone_today, "unknown", ["unknown_order"], "Unknown"),
    (acknowledged_and_gone_yesterday, "ended", [], "Cancelled"),
    (partly_filled_and_gone, "unknown", ["unknown_order"], "Unknown"),
    (refused_with_103_and_nowhere, "not_sent", [], "Rejected"),
    (refused_with_103_and_live, None, [], "Submitted"),
    (refused_for_its_id_and_nowhere, "not_sent", [], "Rejected"),
    (found_by_no_cancel_and_nowhere, "ended", [], "Rejected"),
    (cancelled_in_vain_and_nowhere, "unknown", ["unknown_order"], "Unknown"),
    (refused_once_and_then_sent_and_nowhere, "unknown", ["unknown_order"], "Unknown"),
    (at_the_broker_twice, None, ["duplicate_order"], "Submitted"),
    (taken_for_refused_and_live, "live", [], "Submitted"),
]


@pytest.mark.parametrize(("situation", "outcome", "kinds", "state"), SITUATIONS)
def test_each_situation_has_its_outcome(situation, outcome, kinds, state):
    books = Books()
    found = books.compare(*situation(books))
    assert isinstance(found[-1], ReconciliationFinished)
    assert outcomes(found) == ([] if outcome is None else [("a-1-1", outcome)])
    assert breaks(found) == kinds
    assert found[-1].breaks == len(kinds)
    assert states(books) == {"a-1-1": state}


@pytest.mark.parametrize(("situation", "outcome", "kinds", "state"), SITUATIONS)
def test_a_second_look_at_the_same_book_finds_nothing_new(situation, outcome, kinds, state):
    books = Books()
    shown = situation(books)
    books.compare(*shown)
    again = books.compare(*shown)
    assert [e for e in again if isinstance(e, BreakFound | CashAdjusted | OrderStatusChanged)] == []
    assert states(books) == {"a-1-1": state}


def test_an_order_said_to_be_cancelled_that_goes_on_working_is_found():
    books = Books()
    books.send()
    books.hear(books.open(), books.status("Cancelled"))
    assert books.orders.working() == []
    books.hear(books.execution(quantity=40))
    assert "has filled" in books.channel.take_doubt(looking=False)
    assert outcomes(books.compare(books.open(), position(40))) == [("a-1-1", "live")]
    assert [o.exposed for o in books.orders.working()] == [60]


def test_orders_of_another_account_are_not_judged():
    books = Books()
    books.send()
    found = reconcile("test", "DU9", Evidence(), books.folds, CLIENT, books.now)
    assert (outcomes(found), breaks(found)) == ([], [])
