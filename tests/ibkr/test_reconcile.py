"""What a comparison of the log with the broker's book makes of each situation; and of orders on their way."""

import pytest

from adapters.ibkr.trading.reconcile import reconcile
from adapters.ibkr.trading.recovery import Recovery
from adapters.ibkr.trading.snapshot import Evidence
from core.clock import DAY_NS, SECOND_NS
from core.effects import Effect
from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    CashAdjusted,
    CommissionReported,
    ExternalOrderReported,
    Filled,
    InstrumentDefined,
    OrderAmended,
    OrderResolved,
    OrderStatusChanged,
    ReconciliationFinished,
    SendFailed,
)
from tests.ibkr.books import ACCOUNT, CLIENT, Books, D, commission, position


def outcomes(events):
    return [(e.order, e.outcome) for e in events if isinstance(e, OrderResolved)]


def breaks(events):
    return [e.kind for e in events if isinstance(e, BreakFound)]


def states(books):
    return {o.id: o.state for o in books.orders.orders() if o.strategy}


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


def test_an_unknown_order_counts_for_risk_and_closes_its_instrument():
    books = Books()
    books.send()
    books.compare()
    assert [o.exposed for o in books.orders.working()] == [100]
    assert "ACME" in books.gate.breaks


def test_what_is_nowhere_twice_within_the_patience_stays_unknown():
    books = Books()
    books.send()
    books.compare()
    books.now += 29 * SECOND_NS
    assert outcomes(books.compare()) == [("a-1-1", "unknown")]


def test_what_is_nowhere_after_the_patience_is_presumed_lost_and_opens_its_instrument():
    books = Books()
    books.send()
    books.compare()
    books.now += 30 * SECOND_NS
    found = books.compare()
    assert outcomes(found) == [("a-1-1", "presumed_lost")]
    assert [e.kind for e in found if isinstance(e, BreakResolved)] == ["unknown_order"]
    assert states(books) == {"a-1-1": "Lost"}
    assert books.orders.working() == []
    assert books.gate.breaks == {}
    assert books.compare()[:-1] == []


def test_a_look_at_one_account_says_nothing_of_another_s_orders_and_breaks():
    books = Books()
    books.send()
    books.compare()
    lost = BreakFound(books.now, "DU2", "ACME", "unknown_order", "known", "absent", "DU2: nowhere")
    books.take([lost])
    found = books.compare(books.open())
    assert [(e.account, e.kind) for e in found if isinstance(e, BreakResolved)] == [
        (ACCOUNT, "unknown_order")
    ]
    assert [e.account for e in books.gate.found()] == ["DU2"]


def test_an_acknowledged_order_is_never_presumed_lost():
    books = Books()
    books.send()
    books.hear(books.open())
    books.compare()
    books.now += 3600 * SECOND_NS
    assert outcomes(books.compare()) == [("a-1-1", "unknown")]


def test_a_lost_order_that_is_seen_after_all_is_an_alarm():
    books = Books()
    books.send()
    books.compare()
    books.compare(patience_s=0)
    assert states(books) == {"a-1-1": "Lost"}
    heard = books.hear(books.open())
    assert breaks(heard) == ["lost_order"]
    assert "presumed lost" in books.channel.take_doubt(looking=False)
    assert outcomes(books.compare(books.open())) == [("a-1-1", "live")]
    assert [o.exposed for o in books.orders.working()] == [100]
    assert "ACME" in books.gate.breaks


def test_what_the_operator_accepts_is_over():
    books = Books()
    books.send()
    books.hear(books.open())
    books.compare()
    books.take([BreakAccepted(books.now, ACCOUNT, "ACME", "looked in TWS")])
    assert states(books) == {"a-1-1": "Cancelled"}
    assert books.compare()[:-1] == []


def test_a_change_that_did_not_arrive_is_void():
    books = Books()
    books.send()
    books.hear(books.open())
    books.modify(limit="11")
    found = books.compare(books.open(limit=D(10)))
    assert [(e.version, e.status) for e in found if isinstance(e, OrderStatusChanged)] == [(2, "Rejected")]
    assert (books.orders.get("a-1-1").limit, books.orders.get("a-1-1").state) == (D(10), "Submitted")


def test_a_change_that_did_arrive_counts():
    books = Books()
    books.send()
    books.hear(books.open())
    books.modify(quantity=40, limit="11", sent=False)
    books.compare(books.open(quantity=D(40), limit=D(11)))
    order = books.orders.get("a-1-1")
    assert (order.version, order.exposed) == (2, 40)


def test_terms_that_nobody_sent_become_the_order_s():
    books = Books()
    books.send()
    books.hear(books.open())
    books.hear(books.open(limit=D("10.5"), quantity=D(300)))
    assert "other terms" in books.channel.take_doubt(looking=False)
    found = books.compare(books.open(limit=D("10.5"), quantity=D(300)))
    assert [(e.version, e.quantity) for e in found if isinstance(e, OrderAmended)] == [(2, 300)]
    order = books.orders.get("a-1-1")
    assert (order.limit, order.exposed) == (D("10.5"), 300)


def test_terms_of_the_broker_s_own_never_get_the_number_of_a_refused_change():
    books = Books()
    books.send()
    books.hear(books.open())
    books.modify(limit="11")
    books.compare(books.open(limit=D(10)))
    assert [v.number for v in books.orders.versions("a-1-1")] == [1]  # version 2 is refused for good
    books.hear(books.open(quantity=D(300)))
    found = books.compare(books.open(quantity=D(300)))
    assert [(e.version, e.quantity) for e in found if isinstance(e, OrderAmended)] == [(3, 300)]
    assert (books.orders.get("a-1-1").version, books.orders.get("a-1-1").exposed) == (3, 300)


def test_another_time_in_force_and_other_hours_become_the_order_s():
    books, there = Books(), {"tif": "GTC", "outside_hours": True}
    books.send()
    books.hear(books.open())
    books.hear(books.open(**there))
    assert "other terms" in books.channel.take_doubt(looking=False)
    found = books.compare(books.open(**there))
    assert [(e.tif, e.outside_rth) for e in found if isinstance(e, OrderAmended)] == [("GTC", True)]
    order = books.orders.get("a-1-1")
    assert (order.tif, order.outside_rth) == ("GTC", True)
    books.channel.take_doubt(looking=False)  # of what the look itself showed
    books.hear(books.open(**there))
    assert books.channel.take_doubt(looking=False) == ""


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


# -- one order, twice at the broker ------------------------------------------------------------


def changed(b, **extra):
    """An order whose second version is acknowledged; a fork of it beside, with these fields."""
    b.send()
    b.hear(b.open())
    b.modify(limit="11")
    b.hear(b.open(limit=D(11)))
    return [b.open(perm=900, limit=D(10), **extra), b.open(perm=901, limit=D(11))]


def test_of_an_order_that_is_there_twice_the_acknowledged_version_stays_and_the_operator_is_told():
    books = Books()
    [found] = [e for e in books.compare(*changed(books), hear=False) if isinstance(e, BreakFound)]
    assert found.message == (
        "a-1-1 is at the broker 2 times: keep permanent id 901, cancel in TWS: permanent id 900 "
        "(BUY 100 LMT at 10); next: tape accept ACME"
    )


def looked(books, shown):
    """Let a recovery look at what is shown, and return it."""
    recovery = Recovery(books.channel, books.folds, pause_s=2.0)
    recovery.begin("test", ACCOUNT, books.now)
    keeper = recovery._snapshot
    for said in shown:
        keeper.feed(said)
    keeper._pieces, keeper._agreed, keeper._asked_ns = [], True, None
    books.take(recovery._compared(keeper, books.now, 1_000))
    return recovery


class Cancels:
    """Notes what is to be cancelled."""

    def cancel_order(self, order_id):
        return order_id


def test_an_extra_order_with_an_id_of_its_own_is_cancelled_once_and_looked_for_again():
    books = Books()
    shown = changed(books, order_id=4711, client_id=CLIENT)
    recovery = looked(books, shown)
    assert recovery.extra_cancels(Cancels()) == [4711]
    assert recovery.extra_cancels(Cancels()) == []
    assert recovery._look_ns == 1_000 + 2 * SECOND_NS
    [found] = [e for e in books.log if isinstance(e, BreakFound)]
    assert "keep permanent id 901; being cancelled: permanent id 900" in found.message


@pytest.mark.parametrize("extra", [{}, {"order_id": 4711, "client_id": 99}, {"order_id": 0, "client_id": 7}])
def test_no_cancel_leaves_that_might_hit_the_order_that_stays(extra):
    books = Books()
    assert looked(books, changed(books, **extra)).extra_cancels(Cancels()) == []
