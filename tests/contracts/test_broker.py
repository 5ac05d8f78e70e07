"""The contract of a broker (core/ports.py), run on every implementation of it.

A subject offers a market that the test moves; whatever stands behind it, orders must be answered by the
same kinds of facts. The simulated broker answers in `accept` and `scan`; one that sends over a wire answers
when its gateway does, so a subject's `facts` returns what came since the last call.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from core.effects import Effect
from core.events import (
    CancelIntended,
    CommissionReported,
    Event,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSent,
    OrderStatusChanged,
    types_of,
)
from core.ports import Broker
from tests.core.bench import OPEN, Bench, FillModel, S, quote

D = Decimal


@dataclass
class Subject:
    """A broker, its market, and the facts that it made known."""

    broker: Broker
    move: Callable[[float, float], None]
    seen: list[Event] = field(default_factory=list)
    seq: int = 0

    def send(self, *requests: Any) -> None:
        """Hand requests over as the loop does: accepted at the slice's end, released after the commit."""
        effects = []
        for request in requests:
            self.seq += 1
            effects.append(Effect(self.seq, request))
        self.seen += self.broker.accept(effects, OPEN)
        self.broker.release(effects)

    def facts(self, *types: type[Event]) -> list[Any]:
        """Return the facts of these types so far."""
        return [fact for fact in self.seen if isinstance(fact, types)]


def simulated(model: FillModel) -> Subject:
    bench = Bench(model=model)
    clock = iter(range(OPEN, OPEN + 1000 * S, S))

    def move(bid: float, ask: float) -> None:
        event = quote(next(clock), bid, ask, sizes=(5.0, 5.0))
        bench.world.quotes.on_quote(event)
        subject.seen += bench.broker.scan(event)

    subject = Subject(bench.broker, move)
    return subject


SUBJECTS = {
    "simulated": lambda: simulated(FillModel()),
    "simulated with partial fills": lambda: simulated(FillModel(partial_fills=True)),
}


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    made = SUBJECTS[request.param]()
    made.move(9.0, 11.0)
    return made


def order(n: int = 1, side: str = "BUY", quantity: int = 10, limit: float | None = None) -> OrderIntended:
    kind = "MKT" if limit is None else "LMT"
    price = None if limit is None else D(str(limit))
    return OrderIntended(
        OPEN, f"s-1-{n}", "SIM", "s", "ACME", side, D(quantity), kind, price, None, "GTC", "r"
    )


def modify(version: int, quantity: int, limit: float, n: int = 1) -> ModifyIntended:
    return ModifyIntended(
        OPEN, f"s-1-{n}", version, "SIM", "s", "ACME", D(quantity), D(str(limit)), None, "r"
    )


def cancel(n: int = 1) -> CancelIntended:
    return CancelIntended(OPEN, f"s-1-{n}", "SIM", "s", "ACME", "enough")


def test_an_order_is_sent_once_and_acknowledged(subject: Subject) -> None:
    subject.send(order(limit=5))
    assert [(f.order, f.version) for f in subject.facts(OrderSent)] == [("s-1-1", 1)]
    (status,) = subject.facts(OrderStatusChanged)
    assert (status.order, status.version, status.status) == ("s-1-1", 1, "Submitted")


def test_all_that_a_broker_says_is_a_broker_or_effect_event(subject: Subject) -> None:
    subject.send(order(1), order(2, limit=5))
    subject.move(9.0, 11.0)
    subject.send(cancel(2))
    assert {type(fact) for fact in subject.seen} <= types_of("broker", "effect")


def test_nothing_is_said_of_orders_before_there_are_any(subject: Subject) -> None:
    subject.move(1.0, 2.0)
    assert subject.seen == []
    assert list(subject.broker.resting("ACME")) == []


def test_resting_is_one_live_list_an_instrument(subject: Subject) -> None:
    live = subject.broker.resting("ACME")
    subject.send(order(limit=5))
    assert len(live) == 1
    assert subject.broker.resting("ACME") is live
    assert not subject.broker.resting("OTHER")
    subject.send(cancel())
    assert len(live) == 0


def test_fills_add_up_to_the_order_and_never_beyond(subject: Subject) -> None:
    subject.send(order(quantity=12))
    for _ in range(6):
        subject.move(9.0, 11.0)
    fills = subject.facts(Filled)
    assert sum(f.quantity for f in fills) == 12
    assert {(f.order, f.side, f.price) for f in fills} == {("s-1-1", "BUY", D(11))}
    assert list(subject.broker.resting("ACME")) == []


def test_each_execution_has_an_id_of_its_own_and_one_commission(subject: Subject) -> None:
    subject.send(order(1), order(2, "SELL"))
    for _ in range(6):
        subject.move(9.0, 11.0)
    ids = [f.exec_id for f in subject.facts(Filled)]
    assert len(ids) == len(set(ids)) >= 2
    assert [c.exec_id for c in subject.facts(CommissionReported)] == ids
    assert all(c.amount >= 0 and c.currency == "USD" for c in subject.facts(CommissionReported))


def test_a_limit_is_never_filled_beyond_its_price(subject: Subject) -> None:
    subject.send(order(1, "BUY", 5, 10.5), order(2, "SELL", 5, 9.5))
    for bid, ask in ((9.0, 10.6), (9.2, 10.5), (9.6, 10.2), (9.5, 10.4)):
        subject.move(bid, ask)
    by_order = {f.order: f.price for f in subject.facts(Filled)}
    assert by_order["s-1-1"] <= D("10.5")
    assert by_order["s-1-2"] >= D("9.5")


def test_a_cancelled_order_does_not_fill(subject: Subject) -> None:
    subject.send(order(limit=10))
    subject.send(cancel())
    subject.move(9.0, 9.5)
    assert subject.facts(Filled) == []
    last = subject.facts(OrderStatusChanged)[-1]
    assert (last.order, last.status) == ("s-1-1", "Cancelled")


def test_a_cancel_that_comes_too_late_does_not_undo_the_fill(subject: Subject) -> None:
    subject.send(order(quantity=5))
    subject.move(9.0, 11.0)
    assert sum(f.quantity for f in subject.facts(Filled)) == 5
    subject.send(cancel())
    assert subject.facts(OrderStatusChanged)[-1].status == "Filled"


def test_a_modified_order_fills_at_its_new_terms(subject: Subject) -> None:
    subject.send(order(quantity=10, limit=5))
    subject.send(modify(2, 4, 12.0))
    assert subject.facts(OrderStatusChanged)[-1].version == 2
    for _ in range(3):
        subject.move(9.0, 11.0)
    assert sum(f.quantity for f in subject.facts(Filled)) == 4


def test_a_modify_that_comes_too_late_is_rejected_as_that_version_only(subject: Subject) -> None:
    subject.send(order(quantity=5))
    subject.move(9.0, 11.0)
    subject.send(modify(2, 50, 12.0))
    last = subject.facts(OrderStatusChanged)[-1]
    assert (last.version, last.status) == (2, "Rejected")
    subject.move(9.0, 11.0)
    assert sum(f.quantity for f in subject.facts(Filled)) == 5


def test_orders_of_other_instruments_are_left_alone(subject: Subject) -> None:
    subject.send(order())
    assert subject.broker.scan(quote(OPEN, 1.0, 2.0, name="OTHER")) in ([], ())
    assert subject.facts(Filled) == []
