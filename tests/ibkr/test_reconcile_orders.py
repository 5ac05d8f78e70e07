"""Orders on their way, their terms, and what is there twice: what a comparison makes of them."""

import pytest

from adapters.ibkr.trading.recovery import Recovery
from core.clock import SECOND_NS
from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    OrderAmended,
    OrderStatusChanged,
)
from tests.ibkr.books import ACCOUNT, CLIENT, Books, D, breaks, outcomes, states


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
