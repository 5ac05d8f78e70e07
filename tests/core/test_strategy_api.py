"""The strategy API as a user meets it: handlers, requests, timers, ids, refusals, faults."""

import decimal
from decimal import Decimal
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from app.plugins.discovery import FoundStrategy
from app.plugins.parameters import parameters
from core.desk import MAX_REQUESTS_A_STEP
from core.errors import StrategyRaised, UsageError
from core.events import (
    CancelIntended,
    CancelSendStarted,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    OrderSent,
    Recorded,
    RiskRefused,
    SessionEnded,
    StrategyFailed,
    TimerFired,
)
from core.strategies.buy_and_hold import BuyAndHold, BuyAndHoldParameters
from core.strategies.sma_cross import SmaCross, SmaCrossParameters
from core.strategy import Parameters, Strategy, Subscription
from tests.core.bench import (
    ACCOUNT,
    BEGIN,
    CLOSE,
    END,
    MIN,
    OPEN,
    Bench,
    Limits,
    Nothing,
    S,
    Script,
    bar,
    instrument,
    quote,
    quote_bar,
    session,
    trade,
)

D = Decimal


def ticks(count, price=10.0, start=OPEN):
    return [trade(start + n * S, price) for n in range(count)]


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


# -- timers ------------------------------------------------------------------------------------


class Clocked(Nothing):
    def __init__(self, *clocks):
        super().__init__(Parameters())
        self.clocks, self.fired = clocks, []

    def on_start(self):
        for clock in self.clocks:
            self.set_clock_timer(clock, "ACME", clock)

    def on_timer(self, timer):
        self.fired.append((timer.name, timer.ts, self.now))


def test_clock_timers_follow_the_exchange_in_summer():
    strategy = Clocked("15:55", "09:30")
    Bench(strategy).run([trade(BEGIN, 1), trade(END, 1)])
    due = CLOSE - 5 * MIN
    assert strategy.fired == [("09:30", OPEN, OPEN), ("15:55", due, due)]


def test_clock_timers_follow_the_exchange_in_winter_and_on_a_half_day():
    # 2025-11-28: clocks went back four weeks before; the session closes at 13:00.
    begin = BEGIN + (149 * 24 + 1) * 60 * MIN
    half = session("2025-11-28", begin - BEGIN)
    half = msgspec.structs.replace(half, close=begin + 9 * 60 * MIN)

    class Late(Clocked):
        def on_start(self):
            pass

        def on_trade(self, trade):
            if not self.fired:
                super().on_start()

    strategy = Late("12:55")
    events = [trade(begin + MIN, 1), trade(half.close - 6 * MIN, 1), trade(half.close, 1)]
    Bench(strategy, definitions=[instrument(), half]).run(events)
    due = half.close - 5 * MIN
    assert strategy.fired == [("12:55", due, due)]


def test_the_same_name_moves_a_timer():
    class Moving(Clocked):
        def on_trade(self, trade):
            self.set_timer("m", after_s=1.5)

    strategy = Moving()
    bench = Bench(strategy)
    bench.run([*ticks(3), trade(OPEN + 10 * S, 1)])
    assert [ts - OPEN for _, ts, _ in strategy.fired] == [3.5 * S]
    assert bench.recorded(TimerFired)[0].strategy == "s"


def test_a_clock_timer_without_a_session_says_so():
    bench = Bench(Clocked("15:55"), definitions=[instrument()])
    with pytest.raises(StrategyRaised, match="no session of XNYS is known now"):
        bench.run(ticks(1))


# -- warm-up -----------------------------------------------------------------------------------


def test_orders_and_records_are_refused_while_warming_up():
    plan = {n: lambda s: ids.append(s.buy("ACME", 1, reason="r")) or s.record("x", 1) for n in range(1, 5)}
    ids = []
    bench = Bench(Script(plan))
    bench.run(ticks(2), warm_up=ticks(2, start=OPEN - 10 * S))
    assert ids == ["", "", "s-1-1", "s-1-2"]
    assert len(bench.recorded(Recorded)) == len(bench.recorded(OrderIntended)) == 2


def test_a_warmed_up_strategy_decides_as_one_that_started_earlier():
    prices = [10, 11, 12, 11, 10, 9, 8, 9, 10, 11, 12, 13, 12, 11, 10, 9, 8, 9, 11, 13]
    events = [trade(OPEN + n * S, float(price)) for n, price in enumerate(prices)]

    def decided(strategy, events, warm_up=()):
        bench = Bench(strategy)
        bench.run(events, warm_up=warm_up)
        return [(o.ts, o.side, o.quantity) for o in bench.recorded(OrderIntended)]

    def cross():
        return SmaCross(SmaCrossParameters(instrument="ACME", fast=2, slow=4))

    whole = decided(cross(), events)
    warmed = decided(cross(), events[8:], events[:8])
    assert warmed == [o for o in whole if o[0] >= OPEN + 8 * S]
    assert warmed != decided(cross(), events[8:])  # which is what warm-up is for
    assert len(warmed) >= 2


# -- faults ------------------------------------------------------------------------------------


def fail(strategy):
    raise ZeroDivisionError("by me")


def test_a_handler_that_raises_is_named_with_file_line_and_input():
    bench = Bench(Script({2: fail}))
    with pytest.raises(StrategyRaised) as caught:
        bench.run(ticks(3))
    (failed,) = bench.recorded(StrategyFailed)
    assert (failed.strategy, failed.handler, failed.input_seq, failed.ts) == ("s", "on_trade", 2, OPEN + S)
    assert (failed.input_type, failed.error) == ("trade", "ZeroDivisionError: by me")
    # The innermost line of the handler's own file: here the bench's Script.
    assert failed.file == "bench.py"
    assert f"raised in on_trade at bench.py:{failed.line} while processing trade 2" in str(caught.value)
    assert bench.recorded(SessionEnded)[-1].reason == "failed"
    assert caught.value.exit_code == 8


@pytest.mark.parametrize("handler", ["on_start", "on_fill", "on_order", "on_timer", "on_stop"])
def test_any_handler_that_raises_is_the_strategys_failure(handler):
    class Failing(Script):
        pass

    def explode(self, *args):
        raise RuntimeError("as it happens")

    explode.__code__ = explode.__code__.replace(co_name=handler)
    setattr(Failing, handler, explode)
    strategy = Failing({1: lambda s: (s.buy("ACME", 1, reason="r"), s.set_timer("t", after_s=1))})
    bench = Bench(strategy)
    with pytest.raises(StrategyRaised, match=f"raised in {handler} at test_strategy_api.py"):
        bench.run(ticks(3))
    assert bench.recorded(StrategyFailed)[-1].handler == handler
    assert bench.tape.committed == len(bench.tape.entries)


def test_a_fault_that_is_not_the_strategys_is_not_blamed_on_it():
    bench = Bench(Script({1: lambda s: s.buy("ACME", 1, reason="r")}))
    bench.broker.accept = lambda effects, ts: 1 / 0
    with pytest.raises(ZeroDivisionError):
        bench.run(ticks(2))
    assert bench.recorded(StrategyFailed) == []


def test_a_step_takes_a_bounded_number_of_requests():
    def flood(s):
        for _ in range(MAX_REQUESTS_A_STEP + 1):
            s.buy("ACME", 1, limit=1, reason="r")

    bench = Bench(Script({1: flood}))
    with pytest.raises(StrategyRaised, match=f"more than {MAX_REQUESTS_A_STEP} requests"):
        bench.run(ticks(1))
    assert bench.recorded(OrderIntended) == []  # nothing of a handler that did not end
    assert [failed.handler for failed in bench.recorded(StrategyFailed)] == ["on_trade"]


def test_answering_each_refusal_with_another_order_ends():
    class Stubborn(Script):
        def on_order(self, order):
            self.buy("ACME", 0, reason="again")

    bench = Bench(Stubborn({1: lambda s: s.buy("ACME", 0, reason="first")}))
    with pytest.raises(StrategyRaised, match="more than"):
        bench.run(ticks(1))


def test_a_decimal_context_set_by_a_strategys_file_does_not_reach_the_books():
    bench = Bench(
        Script({1: lambda s: s.buy("ACME", 12345, reason="r")}), commission="ibkr_fixed", cash="9999999"
    )
    with decimal.localcontext(decimal.Context(prec=3)):
        bench.run([trade(OPEN, 144.78172417), trade(OPEN + S, 144.78172417)])
    assert bench.world.positions.quantity("ACME") == 12345
    paid = 12345 * D("144.78172417") + bench.world.account.commissions(ACCOUNT, "USD")
    assert bench.world.account.cash(ACCOUNT, "USD") == 9_999_999 - paid


# -- parameters --------------------------------------------------------------------------------


class Tuned(Parameters, frozen=True):
    instrument: str
    fast: Annotated[int, Meta(ge=1)] = 5
    ratio: Annotated[float, Meta(gt=0, lt=1)] = 0.5


class Tunable(Strategy[Tuned]):
    pass


FOUND = FoundStrategy("tunable", Tunable, "test", "")


def test_parameters_are_converted_from_text():
    assert parameters(FOUND, {"instrument": "ACME", "fast": "7"}) == Tuned(instrument="ACME", fast=7)
    assert Tunable.parameters is Tuned


def test_every_problem_with_parameters_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        parameters(FOUND, {"fast": "0", "ratio": "2", "fats": "3"})
    text = str(caught.value)
    assert len(text.splitlines()) == 4
    for part in (
        "no parameter 'fats'; did you mean 'fast'?",
        "needs a value for 'instrument'",
        "fast=0",
        "ratio=2",
    ):
        assert part in text


class Hourly(Parameters, frozen=True):
    instrument: str
    resolution: str


def test_a_subscription_defaults_to_the_instrument_parameter():
    assert Tunable(Tuned(instrument="ACME")).subscriptions() == [Subscription("ACME")]
    assert Strategy(Parameters()).subscriptions() == []
    hourly = Hourly(instrument="ACME", resolution="1h")
    assert Strategy(hourly).subscriptions() == [Subscription("ACME", resolution="1h")]


# -- bundled strategies ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [trade(OPEN, 10), quote(OPEN, 9, 10), bar(OPEN, 1, 1, 1, 1)], ids=["trade", "quote", "bar"]
)
def test_buy_and_hold_buys_once_at_the_first_price(first):
    bench = Bench(BuyAndHold(BuyAndHoldParameters(instrument="ACME", quantity=3)))
    bench.run([trade(OPEN - S, 1, bad=True), first, *ticks(5, start=OPEN + S)])
    assert [(o.ts, o.quantity) for o in bench.recorded(OrderIntended)] == [(OPEN, 3)]


def crossings(prices, fast, slow):
    """Return the crossings by the definition: averages over all prices, each time anew."""
    above, found = False, []
    for n in range(slow, len(prices) + 1):
        now = sum(prices[n - fast : n]) / fast > sum(prices[n - slow : n]) / slow
        if now != above:
            above = now
            found.append((n - 1, "BUY" if now else "SELL"))
    return found


def test_sma_cross_trades_where_the_averages_of_all_prices_cross():
    # Quarters are exact in binary, so that both ways of summing agree.
    prices = [100 + ((n * 37) % 41 - 20) / 4 + (n % 90) / 4 for n in range(400)]
    bench = Bench(SmaCross(SmaCrossParameters(instrument="ACME", fast=7, slow=23, quantity=1)))
    bench.run([trade(OPEN + n * S, price) for n, price in enumerate(prices)])
    decided = [((o.ts - OPEN) // S, o.side) for o in bench.recorded(OrderIntended)]
    assert decided == crossings(prices, 7, 23)
    assert len(decided) > 5
    assert len(bench.recorded(Filled)) == len(bench.recorded(OrderSendStarted))


def test_sma_cross_takes_closes_and_leaves_suspicious_prints_out():
    closes = [10, 10, 10, 12, 14, 9, 5, 4]
    bars = Bench(SmaCross(SmaCrossParameters(instrument="ACME", fast=2, slow=3)), bars=["ACME"])
    bars.run([bar(OPEN + n * MIN, c, c, c, c) for n, c in enumerate(closes)])
    prints = Bench(SmaCross(SmaCrossParameters(instrument="ACME", fast=2, slow=3)))
    events = [
        e
        for n, c in enumerate(closes)
        for e in (trade(OPEN + n * MIN, 999, bad=True), trade(OPEN + n * MIN, c))
    ]
    prints.run(events)
    sides = [o.side for o in bars.recorded(OrderIntended)]
    assert sides == [o.side for o in prints.recorded(OrderIntended)] == ["BUY", "SELL"]


def test_sma_cross_wants_fast_below_slow():
    with pytest.raises(UsageError, match="fast=5 must be smaller than slow=5"):
        SmaCross(SmaCrossParameters(instrument="ACME", fast=5, slow=5))
