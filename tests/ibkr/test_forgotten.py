"""A day of thousands of orders: a session forgets those that ended, and nothing goes wrong by it.

Each scene is played twice, by books that forget as a session does and by books that remember all: what is
recorded has to be the same. Between the acts so many other orders come and go that the first ones are gone.
"""

import pytest
from msgspec.structs import replace

from adapters.ibkr.trading import reconcile as comparing
from adapters.ibkr.trading.executions import Executions
from app.composition.world import MOVEMENTS_KEPT, ORDERS_KEPT
from core.events import (
    BreakFound,
    CashAdjusted,
    CommissionReported,
    FillCorrected,
    Filled,
    OrderIntended,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    RiskApproved,
)
from core.order_rules import strategy_of
from projections.gate import UNPROTECTED
from projections.orders import Orders
from projections.positions import Positions
from tests.ibkr.books import ACCOUNT, Books, D, commission, position
from tests.ibkr.brackets import ENTRY, PROFIT, STOP, WHO, acknowledged, open_, placed

OTHERS = 1_300
assert OTHERS > ORDERS_KEPT * 5 // 4


def books(keep=ORDERS_KEPT):
    made = Books(keep=keep)
    made.projections = tuple(
        Positions(MOVEMENTS_KEPT) if one is made.positions and keep else one for one in made.projections
    )
    made.positions = next(one for one in made.projections if isinstance(one, Positions))
    made.account._positions = made.positions
    made.cash(100_000)
    return made


def busy(here, count=OTHERS, name="b"):
    """Let others come and go: each buys or sells one, and all of them together hold nothing."""
    events = []
    for n in range(count):
        order, side, ts = f"{name}-1-{n}", "BUY" if n % 2 else "SELL", here.now + n
        who = (ACCOUNT, "b", "ACME")
        events += [
            OrderIntended(ts, order, *who, side, D(1), "MKT", None, None, "DAY", "busy"),
            RiskApproved(ts, order, 1, *who, "none"),
            OrderSendStarted(ts, order, 1, *who),
            OrderSent(ts, order, 1),
            Filled(ts, f"{name}{n}", order, *who, side, D(1), D(10), "NYSE"),
            OrderStatusChanged(ts, order, 1, *who, "Filled"),
            CommissionReported(ts, f"{name}{n}", order, *who, D(1), "USD"),
        ]
    here.take(events)
    here.now += 3_600 * 10**9


def bought(here, *, charged=True):
    """Buy 100 by an order that fills whole."""
    here.send()
    here.hear(here.open(), here.execution(), here.status("Filled"))
    if charged:
        here.hear(commission())


def cancelled(here):
    """Rest an order, and hear that it was cancelled."""
    here.send()
    here.hear(here.open(), here.status("Cancelled"))


def late_commission(here):
    bought(here, charged=False)
    busy(here)
    return here.hear(commission(), commission())


def correction(here):
    bought(here)
    busy(here)
    perm = here.routes.perm_ids("a-1-1")[0]
    told = [here.execution("e1.02", 80, "10.5", perm=perm), here.execution("e1.02", 80, "10.5", perm=perm)]
    return here.hear(*told, commission("e1.02", "2"))


def open_charge(here):
    """The broker's balance has paid what it has not told of: that is no deposit."""
    bought(here, charged=False)
    busy(here)
    paid = here.account.cash(ACCOUNT, "USD") - 1
    found = here.compare(position(100), cash=paid)
    found += here.hear(commission())
    assert here.account.cash(ACCOUNT, "USD") == paid
    return found


def a_stop_that_is_gone(here):
    """The entry filled in the morning, its stop vanishes in the evening."""
    placed(books=here)
    acknowledged(here)
    here.hear(here.execution("e1.01", order=ENTRY, perm=900), here.status("Filled", ENTRY))
    here.hear(open_(here, PROFIT, 901, "Submitted"), open_(here, STOP, 902, "Submitted"))
    busy(here)
    return here.hear(here.error(201, STOP)) + here.compare(
        position(100),
        open_(here, PROFIT, 901, "Submitted"),
        never_filled(here.completed(STOP, 902, "Inactive")),
    )


def never_filled(said):
    return replace(said, terms=replace(said.terms, filled=D(0)))


def a_late_fill(here):
    cancelled(here)
    busy(here)
    found = here.hear(here.execution())
    assert here.channel.take_doubt(looking=False) != ""
    return found


def told_again(here):
    """A connection that is new tells of the day's executions and ends once more."""
    bought(here)
    busy(here)
    perm = here.routes.perm_ids("a-1-1")[0]
    again = [here.execution(perm=perm), commission(), here.status("Filled")]
    found = here.hear(*again) + here.compare(position(100), *again[:2], here.completed(filled=100))
    assert here.channel.take_doubt(looking=False) == ""
    return found


SCENES = {
    "a commission that comes late": late_commission,
    "a correction of an execution": correction,
    "a balance that has paid a commission not told yet": open_charge,
    "a stop that is gone, of an entry long filled": a_stop_that_is_gone,
    "a fill of an order long cancelled": a_late_fill,
    "all told again": told_again,
}


def money(here):
    account = here.account
    strategies = {name: here.positions.quantity("ACME", name, ACCOUNT) for name in ("a", "b", "")}
    return strategies, account.cash(ACCOUNT, "USD"), account.commissions(ACCOUNT, "USD")


def gone(here):
    return [order for order in ("a-1-1", "b-1-0") if here.orders.get(order) is None]


@pytest.mark.parametrize("scene", SCENES)
def test_what_is_forgotten_changes_nothing_that_is_recorded(scene):
    forgetful, remembering = books(), books(keep=None)
    assert SCENES[scene](forgetful) == SCENES[scene](remembering)
    assert money(forgetful) == money(remembering)
    assert "b-1-0" in gone(forgetful)
    assert gone(remembering) == []


def test_the_scenes_say_what_they_are_about():
    here = books()
    assert [type(e) for e in late_commission(here)] == [CommissionReported]
    here = books()
    kinds = [type(e) for e in correction(here)]
    assert kinds == [FillCorrected, CommissionReported]
    assert money(here)[0]["a"] == 80
    here = books()
    assert [e for e in open_charge(here) if isinstance(e, CashAdjusted)] == []
    here = books()
    alarms = {e.kind for e in a_stop_that_is_gone(here) if isinstance(e, BreakFound)}
    assert UNPROTECTED in alarms
    here = books()
    assert [e.strategy for e in a_late_fill(here) if isinstance(e, Filled)] == ["a"]
    assert money(here)[0]["a"] == 100


def test_an_order_that_was_taken_for_over_and_forgotten_and_works_is_an_alarm():
    here = books()
    cancelled(here)
    said = here.open()
    busy(here)
    assert here.orders.get("a-1-1") is None
    here.hear(said)
    assert here.channel.take_doubt(looking=False) == "a-1-1 ended long ago and is at the broker"
    [alarm] = [e for e in here.compare(said, position(0)) if isinstance(e, BreakFound)]
    assert (alarm.instrument, alarm.kind) == ("ACME", "lost_order")
    assert "a-1-1 ended in the log long ago and works at the broker" in alarm.message
    assert here.gate.closed("ACME") is not None
    assert [e for e in here.compare(said, position(0)) if isinstance(e, BreakFound)] == []  # told once


def test_an_order_id_that_is_issued_again_is_not_the_forgotten_orders():
    here = books()
    bought(here)
    wire = here.routes.attempt("a-1-1").broker_id
    busy(here)
    found = here.hear(here.execution("x9.01", perm=955, order_ref="", order_id=wire))
    assert [e.order for e in found if isinstance(e, Filled)] == ["external-955"]


def test_the_entry_of_an_exit_that_works_is_known_and_forgotten_after_it():
    here = books()
    placed(books=here)
    acknowledged(here)
    here.hear(here.execution("e1.01", order=ENTRY, perm=900), here.status("Filled", ENTRY))
    busy(here)
    entry = here.orders.get(ENTRY)
    assert (entry.state, entry.filled) == ("Filled", 100)
    here.take([OrderStatusChanged(here.now, order, 1, *WHO, "Cancelled") for order in (PROFIT, STOP)])
    here.take([Filled(here.now, "e9", STOP, *WHO, "SELL", D(100), D(9), "NYSE")])
    for name in "cde":
        busy(here, name=name)
    assert here.orders.get(ENTRY) is None
    assert len(here.orders.orders()) <= ORDERS_KEPT * 5 // 4


@pytest.mark.parametrize(
    ("order", "strategy"),
    [
        ("a-1-1", "a"),
        ("sma-cross-12-345", "sma-cross"),
        ("exit-a-1-1", "a"),
        ("exit-sma-cross-2-1", "sma-cross"),
        ("daystop-a-1-1", "a"),
        ("close-1-1", ""),
        ("external-900", ""),
        ("", ""),
    ],
)
def test_an_orders_id_names_its_strategy(order, strategy):
    assert strategy_of(order) == strategy


# Negative controls: what these tests must catch


def forgets_entries(monkeypatch):
    """Forget what ended, whatever else is of it."""

    def forget(self):
        for order in list(self._idle)[: len(self._idle) - self._keep]:
            del self._idle[order]
            for exec_id in self._orders.pop(order).executions:
                del self._executions[exec_id]
            self._forgotten.update([order])

    monkeypatch.setattr(Orders, "_forget", forget)


def settles_by_known_orders(monkeypatch):
    """Take the balance for settled when all that is known of is paid."""
    cash = comparing._cash

    def by_orders(account, evidence, folds, ts):
        known = {e.exec_id for e in folds.orders.executions()}
        fills = folds.routes.fills
        folds.routes.fills = lambda a, since: [
            told
            for name, told in folds.routes._executions.items()
            if name in known and told in fills(a, since)
        ]
        found = list(cash(account, evidence, folds, ts))
        folds.routes.fills = fills
        return found

    monkeypatch.setattr(comparing, "_cash", by_orders)


def gives_late_fills_to_nobody(monkeypatch):
    """Leave the strategy of a forgotten order out."""
    monkeypatch.setattr(
        Executions, "_strategy", staticmethod(lambda before, known, _order: known.strategy if known else "")
    )


@pytest.mark.parametrize(
    ("breaks", "scene"),
    [
        (forgets_entries, "a stop that is gone, of an entry long filled"),
        (settles_by_known_orders, "a balance that has paid a commission not told yet"),
        (gives_late_fills_to_nobody, "a fill of an order long cancelled"),
    ],
)
def test_books_that_forget_too_much_are_caught(breaks, scene, monkeypatch):
    remembering = books(keep=None)
    expected = SCENES[scene](remembering)
    breaks(monkeypatch)
    forgetful = books()
    try:
        found = SCENES[scene](forgetful)
    except AssertionError:
        return
    assert (found, money(forgetful)) != (expected, money(remembering))
