"""The strategy API as a user meets it: handlers, requests, ids, refusals."""

from decimal import Decimal

import pytest

from core.errors import StrategyRaised, UsageError
from core.events import (
    CancelIntended,
    CancelSendStarted,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    OrderSent,
    RiskRefused,
    SessionEnded,
)
from core.strategy import Parameters
from tests.core.bench import (
    MIN,
    OPEN,
    Bench,
    Limits,
    Nothing,
    S,
    Script,
    bar,
    quote,
    quote_bar,
    ticks,
    trade,
)

D = Decimal


class Everything(Nothing):
    """Overrides every handler and notes each call."""

    def __init__(self):
        super().__init__(Parameters())
        self.calls = []

    def on_start(self):
        self.calls.append("start")
        self.set_timer("t", at=OPEN + 2 * S)

    def on_trade(self, trade):
        self.calls.append("trade")
        if self.calls.count("trade") == 1:
            self.buy("ACME", 1, reason="r")
            self.buy("ACME", 0, reason="refused")

    def on_quote(self, quote):
        self.calls.append("quote")

    def on_bar(self, bar):
        self.calls.append("bar")

    def on_quote_bar(self, bar):
        self.calls.append("quote_bar")

    def on_timer(self, timer):
        self.calls.append(f"timer {timer.name}")

    def on_order(self, order):
        self.calls.append(f"order {order.id} {order.state}")

    def on_fill(self, fill):
        self.calls.append(f"fill {fill.order}")

    def on_stop(self):
        self.calls.append("stop")
        assert self.buy("ACME", 1, reason="too late") == ""


def test_every_handler_is_called_in_turn():
    strategy = Everything()
    bench = Bench(strategy)
    events = [trade(OPEN, 10), quote(OPEN + S, 9, 11), trade(OPEN + 3 * S, 10)]
    bench.run([*events, bar(OPEN + MIN, 1, 1, 1, 1), quote_bar(OPEN + MIN, 1, 1)])
    assert strategy.calls == [
        "start",
        "trade",
        "order s-1-2 Refused",
        "order s-1-1 Submitted",
        "fill s-1-1",
        "quote",
        "timer t",
        "trade",
        "bar",
        "quote_bar",
        "stop",
    ]
    assert bench.recorded(SessionEnded)[-1].reason == "finished"
    assert len(bench.recorded(OrderIntended)) == 2


def test_order_ids_are_strategy_session_and_count():
    a, b = (
        Script({1: lambda s: [s.buy("ACME", 1, reason="r") for _ in range(2)]}),
        Script({1: lambda s: s.sell("ACME", 1, reason="r")}),
    )
    bench = Bench(("alpha", a), ("beta", b))
    bench.run(ticks(2))
    assert [o.order for o in bench.recorded(OrderIntended)] == ["alpha-1-1", "alpha-1-2", "beta-1-1"]


def test_a_change_buys_a_positive_quantity_and_sells_a_negative_one():
    asked = Script({1: lambda s: [s.change("ACME", n, reason="r", limit=9) for n in (3, D(-2))]})
    bench = Bench(asked)
    bench.run(ticks(2))
    intents = bench.recorded(OrderIntended)
    assert [(o.side, o.quantity, o.limit) for o in intents] == [("BUY", 3, 9), ("SELL", 2, 9)]


def test_two_instances_hear_of_their_own_orders_only_and_hold_their_own_positions():
    a, b = (
        Script({1: lambda s: s.buy("ACME", 3, reason="r")}),
        Script({1: lambda s: s.sell("ACME", 1, reason="r")}),
    )
    bench = Bench(("a", a), ("b", b))
    bench.run(ticks(2))
    assert a.news == ["a-1-1 Submitted", "a-1-1 BUY 3 at 10"]
    assert b.news == ["b-1-1 Submitted", "b-1-1 SELL 1 at 10"]
    assert (a.position("ACME"), b.position("ACME")) == (3, -1)
    assert bench.world.positions.quantity("ACME") == 2
    assert a.working_orders() == b.working_orders() == []


def test_an_id_can_be_taken_once():
    with pytest.raises(UsageError, match="two strategies have the id 'a'"):
        Bench(("a", Nothing(Parameters())), ("a", Nothing(Parameters())))


def test_views_show_cash_equity_orders_and_quotes():
    def look(s):
        seen.update(
            cash=s.cash(),
            equity=s.equity(),
            position=s.position("ACME"),
            bid=s.quotes.bid("ACME"),
            tick=s.instruments.instrument("ACME").tick_size,
            working=[o.id for o in s.working_orders("ACME")],
            known=s.order("s-1-1").state,
            unknown=s.order("nonesuch"),
            now=s.now,
        )

    seen = {}
    plan = {1: lambda s: (s.buy("ACME", 10, reason="r"), s.buy("ACME", 1, limit=1, reason="r")), 3: look}
    Bench(Script(plan)).run([quote(OPEN, 9, 10), quote(OPEN + S, 9, 10), trade(OPEN + 2 * S, 12)])
    assert seen == {
        "cash": D("99900"),
        "equity": D("100020"),
        "position": 10,
        "bid": 9.0,
        "tick": D("0.01"),
        "working": ["s-1-2"],
        "known": "Filled",
        "unknown": None,
        "now": OPEN + 2 * S,
    }


def test_a_request_shows_in_the_views_with_the_next_input_not_before():
    seen = []
    plan = {
        1: lambda s: (s.buy("ACME", 1, limit=1, reason="r"), seen.append(len(s.working_orders()))),
        2: lambda s: seen.append(len(s.working_orders())),
    }
    Bench(Script(plan)).run(ticks(2))
    assert seen == [0, 1]


def test_a_modify_keeps_what_it_does_not_name():
    plan = {
        1: lambda s: s.buy("ACME", 10, limit=5, reason="r"),
        2: lambda s: s.modify("s-1-1", limit=6, reason="dearer"),
        3: lambda s: s.modify("s-1-1", quantity=7, reason="less"),
    }
    bench = Bench(Script(plan))
    bench.run(ticks(4))
    assert [(m.version, m.quantity, m.limit, m.stop) for m in bench.recorded(ModifyIntended)] == [
        (2, 10, 6, None),
        (3, 7, 6, None),
    ]
    order = bench.world.orders.get("s-1-1")
    assert (order.version, order.quantity, order.limit, order.reason) == (3, 7, 6, "less")
    assert [m.version for m in bench.recorded(OrderSent)] == [1, 2, 3]


def test_a_cancel_of_what_is_gone_is_recorded_one_of_what_never_was_refused_and_neither_is_sent():
    plan = {1: lambda s: s.buy("ACME", 1, reason="r")}
    plan[3] = lambda s: (s.cancel("s-1-1", reason="filled"), s.cancel("s-1-7", reason="never was"))
    bench = Bench(Script(plan))
    bench.run(ticks(4))
    assert [c.reason for c in bench.recorded(CancelIntended)] == ["filled"]
    assert [e.order for e in bench.recorded(RiskRefused)] == ["s-1-7"]
    assert bench.recorded(CancelSendStarted) == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda s: s.set_timer("t"), "timer 't': give either at="),
        (lambda s: s.set_timer("t", at=1, after_s=1), "timer 't': give either at="),
        (lambda s: s.set_clock_timer("t", "ACME", "25:00"), "expected a date and a time of day"),
        (lambda s: s.set_clock_timer("t", "NOPE", "15:55"), "instrument 'NOPE'"),
    ],
)
def test_a_wrong_call_fails_the_strategy_in_words(call, says):
    bench = Bench(Script({1: call}))
    with pytest.raises(StrategyRaised, match=says):
        bench.run(ticks(1))


def modify_at_once(s):
    order = s.buy("ACME", 10, limit=5, reason="far")
    s.modify(order, quantity=20, reason="more")
    s.modify(order, limit=8, reason="nearer")


def cancel_at_once(s):
    s.cancel(s.buy("ACME", 10, limit=5, reason="far"), reason="second thoughts")


def move_an_exit_at_once(s):
    exits = s.bracket("ACME", "BUY", 10, limit=5, reason="far", stop_loss=4)
    s.modify(exits.stop_loss, stop=3, reason="wider")


def test_an_order_can_be_changed_by_the_handler_that_asked_for_it():
    bench = Bench(Script({1: modify_at_once}))
    bench.run(ticks(2))
    changes = [(m.instrument, m.version, m.quantity, m.limit) for m in bench.recorded(ModifyIntended)]
    assert changes == [("ACME", 2, 20, 5), ("ACME", 3, 20, 8)]
    assert bench.recorded(RiskRefused) == []
    order = bench.world.orders.get("s-1-1")
    assert (order.quantity, order.limit, order.state) == (20, 8, "Submitted")


def test_changes_of_one_handler_add_up_though_none_is_folded_yet():
    plan = {
        1: lambda s: s.buy("ACME", 10, limit=5, reason="far"),
        2: lambda s: [s.modify("s-1-1", quantity=20, reason="r"), s.modify("s-1-1", limit=8, reason="r")],
    }
    bench = Bench(Script(plan))
    bench.run(ticks(3))
    assert [(m.quantity, m.limit) for m in bench.recorded(ModifyIntended)] == [(20, 5), (20, 8)]


def test_a_change_that_was_refused_is_no_base_for_the_next():
    class Insists(Script):
        def on_order(self, order):
            super().on_order(order)
            if order.state == "Submitted" and order.message and order.limit == 5:
                self.modify(order.id, limit=6, reason="nearer")

    first = {
        1: lambda s: s.buy("ACME", 10, limit=5, reason="far"),
        2: lambda s: s.modify("s-1-1", quantity=10_000, reason="far too many"),
    }
    bench = Bench(Insists(first), limits=Limits(max_position_size=0.1))
    bench.run(ticks(3))
    assert [(m.quantity, m.limit) for m in bench.recorded(ModifyIntended)] == [(10_000, 5), (10, 6)]
    assert [refused.version for refused in bench.recorded(RiskRefused)] == [2]


def test_nor_is_one_that_was_refused_in_the_words_of_the_refusal_before():
    class Insists(Script):
        told = 0

        def on_order(self, order):
            super().on_order(order)
            self.told += order.state == "Submitted" and bool(order.message)
            if self.told == 2 and order.limit == 5:
                self.modify(order.id, limit=6, reason="nearer")

    too_many = lambda s: s.modify("s-1-1", quantity=10_000, reason="far too many")  # noqa: E731
    plan = {1: lambda s: s.buy("ACME", 10, limit=5, reason="far"), 2: too_many, 3: too_many}
    bench = Bench(Insists(plan), limits=Limits(max_position_size=0.1))
    bench.run([trade(OPEN + n * S, 10.0) for n in range(4)])
    first, second = bench.recorded(RiskRefused)
    assert first.message == second.message
    assert [(m.quantity, m.limit) for m in bench.recorded(ModifyIntended)][2:] == [(10, 6)]


def test_an_order_can_be_cancelled_by_the_handler_that_asked_for_it():
    bench = Bench(Script({1: cancel_at_once}))
    bench.run(ticks(2))
    assert [c.instrument for c in bench.recorded(CancelIntended)] == ["ACME"]
    assert bench.world.orders.get("s-1-1").state == "Cancelled"


def test_an_exit_can_be_moved_by_the_handler_that_asked_for_its_bracket():
    bench = Bench(Script({1: move_an_exit_at_once}))
    bench.run(ticks(2))
    assert bench.recorded(RiskRefused) == []
    assert bench.world.orders.get("s-1-2").stop == 3


NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "rule", "says"),
    [
        (
            lambda s: s.buy("ACME", 1, limit=2, touch=1, stop=2, reason="r"),
            "price",
            "a stop or a touch price",
        ),
        (lambda s: s.buy("ACME", 1, limit=NAN, reason="r"), "price", "limit nan is no price"),
        (lambda s: s.sell("ACME", 1, stop=float("inf"), reason="r"), "price", "stop inf is no price"),
        (lambda s: s.buy("ACME", 1, trail="far", reason="r"), "price", "trail 'far' is no price"),
        (lambda s: s.buy("ACME", D("Infinity"), reason="r"), "quantity", "quantity Decimal('Infinity')"),
        (lambda s: s.buy("ACME", 10**40, reason="r"), "quantity", "expected a number below 1e30"),
        (lambda s: s.change("ACME", "ten", reason="r"), "quantity", "quantity 'ten'"),
        (lambda s: s.change("ACME", D("NaN"), reason="r"), "quantity", "quantity Decimal('NaN')"),
        (lambda s: s.buy("ACME", 1, tif="day", reason="r"), "tif", "'day' is no time in force: DAY, GTC"),
        (lambda s: s.bracket("ACME", "BUY", 1, reason="r"), "bracket", "a bracket needs take_profit=, stop"),
        (lambda s: s.bracket("ACME", "HOLD", 1, take_profit=99, reason="r"), "side", "'HOLD' is no side"),
        (lambda s: s.bracket("ACME", "BUY", 1, take_profit=NAN, reason="r"), "price", "take_profit nan"),
        (
            lambda s: s.target_pct("ACME", 5, reason="r"),
            "margin",
            "weights of 5 in all need more than leverage",
        ),
        (
            lambda s: s.target_pct("OTHER", 1, reason="r"),
            "sizing",
            "OTHER: there is no price to size with yet",
        ),
    ],
)
def test_what_makes_no_order_is_on_record_and_refused_in_words(call, rule, says):
    bench = Bench(Script({1: call, 2: lambda s: s.buy("ACME", 1, reason="goes on")}))
    bench.run(ticks(3))
    (refused,) = bench.recorded(RiskRefused)
    assert (refused.rule, refused.order) == (rule, "s-1-1")
    assert says in refused.message
    assert [(o.order, o.quantity) for o in bench.recorded(OrderIntended)] == [("s-1-1", 0), ("s-1-2", 1)]
    assert bench.world.orders.get("s-1-1").state == "Refused"
    assert [fill.order for fill in bench.recorded(Filled)] == ["s-1-2"]


def test_a_modification_to_no_price_is_refused_and_the_order_stays():
    plan = {1: lambda s: s.buy("ACME", 2, limit=5, reason="rests")}
    plan[2] = lambda s: s.modify("s-1-1", limit=NAN, reason="nowhere")
    bench = Bench(Script(plan))
    bench.run(ticks(3))
    (refused,) = bench.recorded(RiskRefused)
    assert (refused.version, refused.message) == (2, "limit nan is no price: expected a finite number")
    order = bench.world.orders.get("s-1-1")
    assert (order.limit, order.quantity) == (5, 2)


def test_a_larger_version_of_a_filled_order_is_refused_with_the_numbers():
    plan = {1: lambda s: s.buy("ACME", 2, reason="in")}
    plan[3] = lambda s: s.modify("s-1-1", quantity=5, reason="too late")
    bench = Bench(Script(plan))
    bench.run(ticks(5))
    (refused,) = bench.recorded(RiskRefused)
    assert refused.message == "s-1-1 is Filled (2 filled): nothing to modify"
    assert (refused.rule, refused.limit, refused.value) == ("order", "a working order", "Filled")
    assert bench.world.orders.get("s-1-1").state == "Filled"
    assert len(bench.recorded(OrderSendStarted)) == 1


def test_outside_a_session_there_is_no_desk():
    with pytest.raises(UsageError, match="Script is not running"):
        Script().buy("ACME", 1, reason="r")
