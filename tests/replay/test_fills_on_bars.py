"""Fills in bar mode, by the numbered rules 1 to 4 and 11 of docs/fills.md."""

from functools import partial

import pytest

from core.events import Filled, HaltChanged, OrderStatusChanged
from tests.core.bench import CLOSE, MIN, OPEN, Bench, Script, bar, quote_bar
from tests.replay import placing
from tests.replay.placing import ask, end

FLAT = (10, 10, 10, 10)
run = partial(placing.run, bars=["ACME"])


def fills(bench):
    return [((f.ts - OPEN) // MIN, f.side, str(f.price)) for f in bench.recorded(Filled)]


@pytest.mark.parametrize(("side", "price"), [("BUY", "10.02"), ("SELL", "9.97")])
def test_a_market_order_fills_when_accepted_at_the_close_of_the_other_side(side, price):
    bench = run(ask(side), bar(end(1), *FLAT), quote_bar(end(1), 9.97, 10.02))
    assert fills(bench) == [(1, side, price)]


def test_a_market_order_fills_at_the_trade_close_where_there_are_no_quotes():
    assert fills(run(ask("BUY"), bar(end(1), 10, 11, 9, 10.5))) == [(1, "BUY", "10.5")]


def test_a_market_order_before_any_price_waits_for_the_first_bar():
    class Early(Script):
        def on_timer(self, timer):
            self.buy("ACME", 10, reason="r")

        def on_start(self):
            self.set_timer("x", at=OPEN)

    bench = Bench(Early(), bars=["ACME"])
    bench.run([bar(end(1), 10, 11, 9, 10.5)])
    assert fills(bench) == [(1, "BUY", "10.5")]


@pytest.mark.parametrize(
    ("side", "prices", "ohlc", "price"),
    [
        # limits: strictly through, at the better of open and limit
        ("BUY", {"limit": 9.5}, (10, 10, 9.49, 9.8), "9.5"),
        ("BUY", {"limit": 9.5}, (10, 10, 9.5, 9.8), None),
        ("BUY", {"limit": 9.5}, (9.2, 10, 9.0, 9.8), "9.2"),
        ("SELL", {"limit": 10.5}, (10, 10.51, 10, 10), "10.5"),
        ("SELL", {"limit": 10.5}, (10, 10.5, 10, 10), None),
        ("SELL", {"limit": 10.5}, (10.8, 11, 10, 10), "10.8"),
        # stops: at or through, at the worse of open and stop
        ("SELL", {"stop": 9.5}, (10, 10, 9.5, 9.8), "9.5"),
        ("SELL", {"stop": 9.5}, (10, 10, 9.51, 9.8), None),
        ("SELL", {"stop": 9.5}, (9.2, 10, 9.0, 9.8), "9.2"),
        ("BUY", {"stop": 10.5}, (10, 10.5, 10, 10), "10.5"),
        ("BUY", {"stop": 10.5}, (10, 10.49, 10, 10), None),
        ("BUY", {"stop": 10.5}, (10.8, 11, 10, 10), "10.8"),
    ],
)
def test_the_table_of_resting_orders_in_bars(side, prices, ohlc, price):
    bench = run(ask(side, **prices), bar(end(1), *FLAT), bar(end(2), *ohlc))
    assert fills(bench) == ([] if price is None else [(2, side, price)])


def test_a_resting_order_is_never_scanned_on_the_slice_that_created_it():
    low = bar(end(1), 10, 10, 5, 10)
    assert fills(run(ask("BUY", limit=9), low, bar(end(2), *FLAT))) == []
    assert fills(run(ask("SELL", stop=9), low, bar(end(2), *FLAT))) == []


def test_quote_bars_fill_no_limits():
    bench = run(ask("BUY", limit=9.5), bar(end(1), *FLAT), quote_bar(end(2), 5, 6), bar(end(3), *FLAT))
    assert fills(bench) == []


def test_a_halted_instrument_fills_nothing_in_bars():
    halt = HaltChanged(end(1) - 1, "t/minute", "ACME", halted=True)
    resume = HaltChanged(end(2) + 1, "t/minute", "ACME", halted=False)
    bench = run(ask("BUY"), halt, bar(end(1), *FLAT), bar(end(2), *FLAT), resume, bar(end(3), 11, 11, 11, 11))
    assert fills(bench) == [(3, "BUY", "11")]


def test_day_orders_expire_at_the_close_before_the_last_bar_is_scanned():
    bench = run(ask("BUY", limit=9), bar(end(1), *FLAT), bar(CLOSE, 10, 10, 5, 5))
    assert fills(bench) == []
    assert bench.recorded(OrderStatusChanged)[-1].status == "Cancelled"


def test_a_fill_in_bars_lets_the_strategy_answer_within_the_slice():
    class StopAfterFill(Script):
        def on_fill(self, fill):
            if fill.side == "SELL":
                self.buy("ACME", 10, stop=float(fill.price) + 1, reason="protect")

    bench = Bench(StopAfterFill({1: ask("SELL")}), bars=["ACME"])
    bench.run([bar(end(1), 10, 12, 10, 10), bar(end(2), 10, 10.5, 10, 10), bar(end(3), 10, 11.5, 10, 11)])
    # The protective stop is not met by the bar during which it was made, though its high was above.
    assert fills(bench) == [(1, "SELL", "10"), (3, "BUY", "11")]
