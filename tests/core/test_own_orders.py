"""What an order must be, to be changed or cancelled, and what is no order: refused with a reason."""

from decimal import Decimal

import pytest

from core.errors import StrategyRaised
from core.events import (
    CancelIntended,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    OrderStatusChanged,
    RiskRefused,
    StrategyFailed,
)
from projections.orders import Orders
from tests.core.bench import ACCOUNT, BEGIN, Bench, S, Script, quote, trade
from tests.core.test_holds import OPEN, held_at, silent

pytestmark = pytest.mark.risk
BUYS_AND_ENLARGES = {
    1: lambda s: s.buy("ACME", 10, outside_rth=True, reason="in"),
    3: lambda s: s.modify("s-1-1", quantity=20, reason="more"),
}
FILL = Filled(BEGIN + 2 * S, "e1", "s-1-1", ACCOUNT, "s", "ACME", "BUY", Decimal(10), Decimal(10))


def replayed(plan):
    bench = Bench(Script(plan))
    bench.run([quote(BEGIN + n * S, 9.9, 10.1) for n in range(1, 6)])
    return bench


def traded(plan):
    """The same with the gate of a live session; the broker's word is among the inputs."""
    bench = held_at(silent(plan))
    bench.run([*OPEN, trade(BEGIN + S, 10.0), FILL, *(trade(BEGIN + n * S, 10.0) for n in (3, 4, 5))])
    return bench


def refusals(bench):
    return [(e.order, e.version, e.rule, e.message) for e in bench.recorded(RiskRefused)]


@pytest.mark.parametrize("run", [replayed, traded], ids=["replay", "live"])
def test_a_filled_order_cannot_be_made_larger(run):
    bench = run(BUYS_AND_ENLARGES)
    assert refusals(bench) == [("s-1-1", 2, "order", "s-1-1 is Filled (10 filled): nothing to modify")]
    assert [e.version for e in bench.recorded(OrderSendStarted)] == [1]
    order = bench.world.orders.get("s-1-1")
    assert (order.state, order.quantity) == ("Filled", 10)


@pytest.mark.parametrize("run", [replayed, traded], ids=["replay", "live"])
def test_a_gate_that_takes_the_larger_version_for_what_stands_is_caught(run, monkeypatch):
    monkeypatch.setattr(Orders, "was_filled", lambda *_: False)
    assert [e.version for e in run(BUYS_AND_ENLARGES).recorded(OrderSendStarted)] == [1, 2]


def test_an_order_that_filled_in_part_can_still_be_made_larger():
    part = Filled(BEGIN + 2 * S, "e1", "s-1-1", ACCOUNT, "s", "ACME", "BUY", Decimal(4), Decimal(10))
    bench = held_at(silent(BUYS_AND_ENLARGES))
    bench.run([*OPEN, trade(BEGIN + S, 10.0), part, *(trade(BEGIN + n * S, 10.0) for n in (3, 4, 5))])
    assert refusals(bench) == []


def test_a_cancel_of_an_unknown_order_is_refused():
    bench = replayed({1: lambda s: s.cancel("s-1-9", reason="no")})
    text = "s-1-9 is unknown: nothing of s to cancel (no)"
    assert refusals(bench) == [("s-1-9", 0, "order", text)]
    assert bench.world.orders.orders() == []


def test_a_cancel_of_another_strategys_order_is_refused_and_leaves_it_alone():
    owner = Script({1: lambda s: s.buy("ACME", 10, limit=5, reason="rest")})
    other = Script({2: lambda s: s.cancel("one-1-1", reason="no")})
    bench = Bench(("one", owner), ("two", other))
    bench.run([trade(BEGIN + n * S, 10.0) for n in range(1, 4)])
    assert [e[:3] for e in refusals(bench)] == [("one-1-1", 0, "order")]
    assert "one-1-1 is of one" in refusals(bench)[0][3]
    assert bench.world.orders.get("one-1-1").state == "Submitted"
    assert bench.recorded(CancelIntended) == []


def test_a_cancel_of_its_own_order_that_is_over_is_no_refusal():
    bench = replayed({**BUYS_AND_ENLARGES, 3: lambda s: s.cancel("s-1-1", reason="late")})
    assert refusals(bench) == []
    assert len(bench.recorded(CancelIntended)) == 1


@pytest.mark.parametrize("asked", [1e23, 1e12 + 1])
def test_a_quantity_beyond_any_market_is_refused(asked):
    bench = replayed({1: lambda s: s.buy("ACME", Decimal(repr(asked)), reason="r")})
    [(order, version, rule, message)] = refusals(bench)
    assert (order, version, rule) == ("s-1-1", 1, "quantity")
    assert message.endswith("is beyond any market: at most 1000000000000")
    assert "E" not in message
    changed = {1: lambda s: s.buy("ACME", 10, limit=5, reason="r")}
    changed[2] = lambda s: s.modify("s-1-1", quantity=Decimal(repr(asked)), reason="r")
    assert [e[:3] for e in refusals(replayed(changed))] == [("s-1-1", 2, "quantity")]


def test_what_a_handler_asked_for_before_it_raised_is_discarded():
    def half(s):
        s.buy("ACME", 10, reason="first half")
        raise RuntimeError("no second half")

    bench = Bench(Script({1: half}))
    with pytest.raises(StrategyRaised, match="no second half"):
        bench.run([trade(BEGIN + S, 10.0), trade(BEGIN + 2 * S, 10.0)])
    assert bench.recorded(OrderIntended) == bench.recorded(ModifyIntended) == []
    assert bench.recorded(OrderStatusChanged) == []
    assert len(bench.recorded(StrategyFailed)) == 1
