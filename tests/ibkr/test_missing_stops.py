"""An entry without its stop is seen: alarms, their ends, and what they close."""

import pytest

from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    OrderIntended,
    OrderResolved,
    OrderStatusChanged,
)
from tests.ibkr.books import ACCOUNT, D, position
from tests.ibkr.brackets import (
    ENTRY,
    PROFIT,
    STOP,
    WHO,
    acknowledged,
    bracket,
    of,
    open_,
    placed,
)


def refused_stop(books):
    return books.hear(books.error(201, STOP))


def test_a_refused_stop_cancels_the_entry_and_closes_the_instrument_for_entries():
    books = acknowledged(placed(), ENTRY, PROFIT)
    [alarm] = of(BreakFound, refused_stop(books))
    assert alarm.kind == "unprotected"
    assert STOP in alarm.message
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.closed("ACME") is None
    assert books.gate.entries_closed("ACME") == alarm.message
    [cancel], never = books.channel.out.due(1)
    assert (cancel.request.order, cancel.seq, never) == (ENTRY, 0, [])


def test_a_stop_refused_after_the_fill_is_an_alarm_and_no_cancel():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    assert len(of(BreakFound, refused_stop(books))) == 1
    assert books.channel.out.due(1) == ([], [])


def test_a_refused_entry_is_no_alarm():
    books = acknowledged(placed(), PROFIT, STOP)
    assert of(BreakFound, books.hear(books.error(201, ENTRY))) == []


def test_a_refused_take_profit_is_an_alarm_and_cancels_nothing():
    books = acknowledged(placed(), ENTRY, STOP)
    [alarm] = of(BreakFound, books.hear(books.error(201, PROFIT)))
    assert (alarm.kind, alarm.expected) == ("exit_refused", PROFIT)
    assert PROFIT in alarm.message
    assert books.channel.out.due(1) == ([], [])
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.closed("ACME") is None
    assert books.gate.entries_closed("ACME") == alarm.message


def test_a_lost_take_profit_of_a_live_entry_is_an_alarm():
    books = acknowledged(placed(), ENTRY, STOP)
    there = (open_(books, ENTRY, 900), open_(books, STOP, 902))
    books.compare(*there)
    books.now += 31 * 10**9
    assert [e.kind for e in of(BreakFound, books.compare(*there))] == ["exit_refused"]


def automatic(books, kind, number=1):
    """Place an automatic exit of what strategy `a` holds."""
    price = {"STP": (None, D(9)), "LMT": (D(12), None)}[kind]
    name = f"exit-a-1-{number}"
    placed([OrderIntended(0, name, *WHO, "SELL", D(100), kind, *price, "GTC", "why")], books=books)
    return name


@pytest.mark.parametrize(("kind", "told"), [("STP", "unprotected"), ("LMT", "exit_refused")])
def test_a_refused_automatic_exit_is_an_alarm_until_another_one_works_or_nothing_is_held(kind, told):
    books = acknowledged(placed(bracket()[:1]), ENTRY)
    books.hear(books.execution())
    name = automatic(books, kind)
    [alarm] = of(BreakFound, books.hear(books.error(201, name)))
    assert (alarm.kind, alarm.expected) == (told, name)
    assert of(BreakResolved, books.compare(position(100))) == []
    again = automatic(books, kind, 2)
    books.hear(open_(books, again, 950, "Submitted"))
    there = (open_(books, again, 950, "Submitted"), position(100))
    assert [e.kind for e in of(BreakResolved, books.compare(*there))] == [told]


def test_a_lost_automatic_exit_is_no_alarm_for_it_is_asked_for_again():
    books = acknowledged(placed(bracket()[:1]), ENTRY)
    books.hear(books.execution())
    name = automatic(books, "STP")
    books.compare(position(100))
    books.now += 31 * 10**9
    second = books.compare(position(100))
    assert [(e.order, e.outcome) for e in of(OrderResolved, second)] == [(name, "presumed_lost")]
    assert of(BreakFound, second) == []


def test_a_family_refused_in_one_breath_is_no_alarm():
    books = placed()
    refusals = [books.error(201, ENTRY), books.error(10006, PROFIT), books.error(10006, STOP)]
    told = books.hear(*refusals, together=True)
    assert [type(e) for e in told] == [OrderStatusChanged] * 3


def test_an_order_that_reduces_passes_an_instrument_without_a_stop():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.bars("a-1-9", "ACME") is None


def test_the_alarm_ends_with_the_position():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    held = books.compare(open_(books, PROFIT, 901, "Submitted"), position(100))
    assert of(BreakResolved, held) == []
    books.hear(books.execution("e2.01", order=PROFIT, perm=901, side="SLD", price="12"))
    assert [e.kind for e in of(BreakResolved, books.compare(position(0)))] == ["unprotected"]
    assert books.gate.found() == []


def test_an_accepted_alarm_does_not_come_back():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    books.take([BreakAccepted(books.now, ACCOUNT, "ACME", "I watch it")])
    again = books.compare(open_(books, PROFIT, 901, "Submitted"), position(100))
    assert of(BreakFound, again) == []
