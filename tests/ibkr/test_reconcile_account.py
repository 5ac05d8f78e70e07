"""Orders, executions, positions and money that the log does not explain: what a comparison makes of them."""

import msgspec
import pytest

from core.clock import DAY_NS, SECOND_NS
from core.events import (
    BreakFound,
    CashAdjusted,
    CommissionReported,
    ExternalOrderReported,
    Filled,
    InstrumentDefined,
)
from tests.ibkr.books import ACCOUNT, Books, D, breaks, commission, position


def test_an_order_of_others_counts_for_risk_until_it_is_gone():
    books = Books()
    foreign = books.open("-", perm=77, order_ref="by hand", client_id=0, order_id=None)
    books.compare(foreign)
    assert [(o.id, o.strategy, o.exposed) for o in books.orders.working()] == [("external-77", "", 100)]
    assert books.compare(foreign)[:-1] == []
    found = books.compare()
    assert [e.status for e in found if isinstance(e, ExternalOrderReported)] == ["Gone"]
    assert books.orders.working() == []


def test_executions_of_others_move_the_position_of_no_strategy():
    books = Books()
    theirs = books.execution("x1.01", order="-", perm=77, order_ref="by hand")
    found = books.compare(theirs, position(100))
    assert breaks(found) == []
    assert books.positions.quantity("ACME") == 100
    assert books.positions.quantity("ACME", "") == 100


def test_a_position_that_nothing_explains_closes_the_instrument():
    books = Books()
    found = books.compare(position(100))
    assert [(e.expected, e.reported) for e in found if isinstance(e, BreakFound)] == [("0", "100")]
    assert "the log holds 0, the broker 100" in books.gate.breaks["ACME"]


def test_a_position_that_differs_like_another_accounts_is_a_break_of_its_own():
    books = Books()
    words = "ACME: the log holds 0, the broker 100"
    books.take([BreakFound(books.now, "DU9", "ACME", "position", "0", "100", words)])
    found = [e for e in books.compare(position(100)) if isinstance(e, BreakFound)]
    assert [(e.account, e.message) for e in found] == [(ACCOUNT, words)]


def test_what_another_account_has_at_the_broker_is_not_counted():
    books = Books()
    theirs = books.open("-", perm=77, order_ref="by hand", client_id=0, order_id=None, account="DU9")
    other = msgspec.structs.replace(position(700), account="DU9")
    (*rest, finished) = books.compare(theirs, other)
    assert breaks(rest) == []
    assert (finished.orders, finished.positions) == (0, 0)


def test_more_executions_than_the_order_had_are_a_break():
    books = Books()
    books.send()
    shown = [books.execution("e1.01"), books.execution("e2.01", quantity=50), position(150)]
    assert breaks(books.compare(*shown)) == ["overfilled"]


def test_the_first_balance_is_taken_over():
    books = Books()
    [adjusted, _] = books.compare(cash=1000)
    assert (adjusted.amount, adjusted.reason) == (1000, "opening balance at the broker")


def bought_euros(kind):
    """Return what a look adjusts after the purchase of 1,000 euros, defined as `kind`."""
    books = Books()
    books.cash(5000)
    pair = InstrumentDefined(
        0, "EUR-USD", "EUR", kind, "IDEALPRO", "USD", D(1), D("0.00005"), "UTC", con_id=2
    )
    who = ("o", ACCOUNT, "a", "EUR-USD")
    books.take([pair, Filled(books.now, "f1", *who, "BUY", D(1000), D("1.1"), "IDEALPRO")])
    books.take([CommissionReported(books.now, "f1", *who, D(2), "USD")])
    books.now += DAY_NS
    found = books.compare(balances={"USD": "3898", "EUR": "1000"})
    return [(e.currency, e.amount) for e in found if isinstance(e, CashAdjusted)]


def test_currency_that_was_bought_counts_once():
    assert bought_euros("CASH") == []
    assert bought_euros("STK") == [("EUR", 1000)]  # what is no pair buys no balance


@pytest.mark.parametrize("text", ["", "n/a", "1.7976931348623157E308", "1e40", "NaN"])
def test_a_balance_that_is_no_amount_is_not_compared(text):
    books = Books()
    books.cash(5000)
    assert [e for e in books.compare(cash=text) if isinstance(e, CashAdjusted)] == []


def test_a_commission_that_is_still_to_come_is_no_withdrawal():
    books = Books()
    books.cash(5000)
    books.send()
    shown = [books.execution(), position(100)]
    books.now += 600 * SECOND_NS
    assert [e for e in books.compare(*shown, cash=3999) if isinstance(e, CashAdjusted)] == []
    books.hear(commission())
    assert books.account.cash(ACCOUNT, "USD") == 3999
    assert [e for e in books.compare(*shown, cash=3999) if isinstance(e, CashAdjusted)] == []


def test_a_balance_that_has_not_followed_a_fill_yet_is_no_deposit():
    books = Books()
    books.cash(5000)
    books.send()
    shown = [books.execution(), commission(), position(100)]
    assert [e for e in books.compare(*shown, cash=5000) if isinstance(e, CashAdjusted)] == []


def test_a_deposit_is_taken_over_once_fills_have_settled():
    books = Books()
    books.cash(5000)
    books.send()
    shown = [books.execution(), commission(), position(100)]
    books.hear(*shown[:2])
    books.now += 600 * SECOND_NS
    [adjusted] = [e for e in books.compare(*shown, cash=4499) if isinstance(e, CashAdjusted)]
    assert adjusted.amount == 500
