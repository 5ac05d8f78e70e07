"""Order types in bar mode, by the numbered rules of docs/fills.md; each row of a table is one rule's edge."""

from functools import partial

import pytest
from msgspec.structs import replace

from core.events import Filled, QuoteBar
from core.matching import FillModel, parse_slippage
from tests.core.bench import (
    BEGIN,
    CLOSE,
    MIN,
    OPEN,
    Bench,
    S,
    Script,
    bar,
    quote_bar,
    session,
    trade,
)
from tests.replay import placing
from tests.replay.placing import DAY, ask, end, last_word, two_days

HOUR = 60 * MIN
FLAT = (10, 10, 10, 10)
run = partial(placing.run, bars=["ACME"], definitions=two_days())


def fills(bench):
    return [((f.ts - OPEN) // MIN, str(f.price)) for f in bench.recorded(Filled)]


def quotes(n, bids, asks):
    """A quote bar with (open, high, low, close) on either side."""
    return QuoteBar(end(n), end(n) - MIN, "t/minute", "ACME", *bids, 100.0, *asks, 100.0)


FIRST = [bar(end(1), *FLAT)]

ON_TRADE_BARS = [
    # stop-limit: strictly beyond the stop, sticky, then the close strictly inside the limit
    ("BUY", {"stop": 10.5, "limit": 10.8}, [(10, 10.5, 10, 10.2)], None),
    ("BUY", {"stop": 10.5, "limit": 10.8}, [(10, 10.6, 10, 10.2)], (2, "10.6")),
    ("BUY", {"stop": 10.5, "limit": 10.8}, [(10, 11.0, 10, 10.2)], (2, "10.8")),
    ("BUY", {"stop": 10.5, "limit": 10.8}, [(10, 11.0, 10, 10.8)], None),
    ("BUY", {"stop": 10.5, "limit": 10.8}, [(10, 11.0, 10, 10.9), (10.7, 10.75, 10.6, 10.7)], (3, "10.75")),
    ("SELL", {"stop": 9.5, "limit": 9.2}, [(10, 10, 9.5, 9.8)], None),
    ("SELL", {"stop": 9.5, "limit": 9.2}, [(10, 10, 9.4, 9.8)], (2, "9.4")),
    ("SELL", {"stop": 9.5, "limit": 9.2}, [(10, 10, 9.0, 9.8)], (2, "9.2")),
    # trailing: at or beyond the stop at the worse of stop and close; else the stop moves, after the test
    ("SELL", {"trail": 0.5}, [(10, 10, 9.5, 9.8)], (2, "9.5")),
    ("SELL", {"trail": 0.5}, [(10, 10, 9.4, 9.4)], (2, "9.4")),
    ("SELL", {"trail": 0.5}, [(10, 10, 9.51, 9.8), (10, 11, 10.6, 10.9), (10.9, 10.9, 10.5, 10.8)],
     (4, "10.5")),
    ("BUY", {"trail": 0.5}, [(10, 10.5, 10, 10.2)], (2, "10.5")),
    ("BUY", {"trail": 0.5}, [(10, 10.2, 9.8, 9.9), (9.9, 10.3, 9.9, 10.0)], (3, "10.3")),
    ("BUY", {"trail_pct": 0.1}, [(10, 10.9, 9.95, 10), (10, 10.945, 10, 10.1)], (3, "10.945")),
    # the moved stop meets the same bar once more when the slice is scanned again
    ("SELL", {"trail": 0.5}, [(10, 11, 9.9, 10.8)], (2, "10.5")),
    # limit-if-touched: sticky, at the close where it satisfies the limit
    ("BUY", {"touch": 9.5, "limit": 9.7}, [(10, 10, 9.51, 9.6)], None),
    ("BUY", {"touch": 9.5, "limit": 9.7}, [(10, 10, 9.5, 9.6)], (2, "9.6")),
    ("BUY", {"touch": 9.5, "limit": 9.7}, [(10, 10, 9.5, 9.8), (9.8, 9.8, 9.7, 9.7)], (3, "9.7")),
    ("SELL", {"touch": 10.5, "limit": 10.3}, [(10, 10.5, 10, 10.4)], (2, "10.4")),
    # immediate or cancel: the close at which it arrives
    ("BUY", {"tif": "IOC"}, [FLAT], (1, "10")),
    ("BUY", {"tif": "IOC", "limit": 10}, [FLAT], (1, "10")),
    ("BUY", {"tif": "FOK", "limit": 9.9}, [(9, 9, 9, 9)], None),
]  # fmt: skip


@pytest.mark.parametrize(("side", "terms", "bars", "expected"), ON_TRADE_BARS)
def test_the_table_of_order_types_on_trade_bars(side, terms, bars, expected):
    events = FIRST + [bar(end(n), *ohlc) for n, ohlc in enumerate(bars, 2)]
    assert fills(run(ask(side, **terms), *events)) == ([] if expected is None else [expected])


BIDS, ASKS = (9.9, 9.9, 9.9, 9.9), (10.1, 10.1, 10.1, 10.1)

ON_QUOTES = [
    ("BUY", {"stop": 10.5, "limit": 10.8}, BIDS, (10.4, 10.6, 10.3, 10.4), (2, "10.6")),
    ("BUY", {"stop": 10.5, "limit": 10.8}, (11, 11, 11, 11), (10.4, 10.5, 10.3, 10.4), None),
    ("SELL", {"stop": 9.5, "limit": 9.2}, (9.6, 9.6, 9.4, 9.5), ASKS, (2, "9.4")),
    ("SELL", {"trail": 0.5, "stop": 9.5}, (9.8, 9.8, 9.5, 9.6), ASKS, (2, "9.5")),
    ("SELL", {"trail": 0.5, "stop": 9.5}, (9.8, 9.8, 9.6, 9.6), (1, 1, 1, 1), None),
    ("BUY", {"touch": 9.5, "limit": 10.05}, BIDS, ASKS, None),
    ("BUY", {"touch": 9.5, "limit": 10.2}, BIDS, ASKS, (2, "10.1")),
]


@pytest.mark.parametrize(("side", "terms", "bids", "asks", "expected"), ON_QUOTES)
def test_the_quote_side_fills_stop_limits_and_trailing_stops(side, terms, bids, asks, expected):
    touched = bar(end(2), 10, 12, 9.4, 10)  # the trade bar alone would trigger all of them
    events = [*FIRST, quotes(1, BIDS, ASKS), touched, quotes(2, bids, asks)]
    assert fills(run(ask(side, **terms), *events)) == ([] if expected is None else [expected])


# -- the open and the close --------------------------------------------------------------------


def test_a_market_order_at_the_close_becomes_market_on_open():
    events = [bar(CLOSE, *FLAT), bar(OPEN + DAY + MIN, 12, 13, 11, 12.5)]
    bench = run(ask("BUY"), *events)
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(OPEN + DAY + MIN, "12")]


def test_on_daily_bars_every_market_order_does():
    daily = [
        replace(bar(CLOSE, *FLAT), start=OPEN),
        replace(bar(CLOSE + DAY, 12, 13, 11, 12.5), start=OPEN + DAY),
    ]
    bench = run(ask("BUY"), *daily)
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(CLOSE + DAY, "12")]


def test_market_on_open_given_during_the_day_waits_for_a_later_one():
    events = [bar(end(1), *FLAT), bar(end(2), 11, 11, 11, 11), bar(OPEN + DAY + MIN, 12, 13, 11, 12.5)]
    bench = run(ask("BUY", tif="OPG"), *events)
    assert [str(f.price) for f in bench.recorded(Filled)] == ["12"]


def test_an_hours_bar_that_begins_before_the_open_has_the_open():
    hour = replace(bar(OPEN + DAY + 30 * MIN, 12, 13, 11, 12.5), start=OPEN + DAY - 30 * MIN)
    bench = run(ask("BUY", tif="OPG"), bar(end(1), *FLAT), hour)
    assert [str(f.price) for f in bench.recorded(Filled)] == ["12"]


def test_a_limit_on_open_that_the_open_does_not_satisfy_is_cancelled():
    late = bar(OPEN + DAY + MIN, 12, 13, 9, 12.5)
    assert last_word(run(ask("BUY", limit=11, tif="OPG"), bar(end(1), *FLAT), late))[0] == "Cancelled"
    assert [p for _, p in fills(run(ask("BUY", limit=12, tif="OPG"), bar(end(1), *FLAT), late))] == ["12"]


def whole(day, low, close):
    """A bar of a whole session, which begins before its open."""
    return replace(bar(CLOSE + day * DAY, 10, 11, low, close), start=BEGIN + day * DAY)


@pytest.mark.parametrize(
    "terms",
    [
        {"limit": 9.5},
        {"stop": 10.5},
        {"stop": 10.5, "limit": 10.8},
        {"touch": 9.5, "limit": 10.8},
        {"trail": 0.5},
    ],
)
def test_a_day_order_given_at_a_daily_close_meets_the_next_session_and_no_other(terms):
    met = run(ask("BUY", **terms), whole(0, 9.8, 10), whole(1, 9, 10))
    assert [f.ts for f in met.recorded(Filled)] == [CLOSE + DAY]
    quiet = replace(whole(1, 9.8, 10), high=10.1)
    missed = run(ask("BUY", **terms), whole(0, 9.8, 10), quiet, replace(whole(1, 9, 10), ts=CLOSE + 2 * DAY))
    assert missed.recorded(Filled) == []
    assert last_word(missed) == ("Cancelled", "DAY order: the session closed")


def test_a_day_order_given_within_a_session_does_not_meet_the_bar_of_all_of_it():
    """What the bar holds may have been before the order."""
    noon = replace(bar(OPEN + DAY + 150 * MIN, *FLAT), start=OPEN + DAY + 149 * MIN)
    bench = run({2: ask("BUY", limit=9.5)}, whole(0, 9.8, 10), noon, whole(1, 9, 10))
    assert bench.recorded(Filled) == []


def test_a_day_order_given_at_the_close_of_minutes_still_ends_before_the_last_minute_of_the_next():
    late = bar(CLOSE + DAY, 10, 10, 9, 9)
    bench = run(ask("BUY", limit=9.5), bar(CLOSE, *FLAT), bar(CLOSE + DAY - MIN, *FLAT), late)
    assert bench.recorded(Filled) == []


class WithinTheSession(Script):
    """Asks at a time, between the bars of two sessions."""

    def __init__(self, at, **terms):
        super().__init__({1: lambda s: s.set_timer("t", at=at)})
        self.terms = terms

    def on_timer(self, timer):
        self.buy("ACME", 10, reason="r", **self.terms)


@pytest.mark.parametrize("tif", ["DAY", "GTC"])
@pytest.mark.parametrize(
    ("before", "day", "price"), [(390 * MIN, 1, "12.5"), (16 * MIN, 1, "12.5"), (5 * MIN, 2, "13")]
)
def test_a_market_order_within_a_session_of_one_bar_fills_at_its_close(tif, before, day, price):
    """Too late for the close it is one for the next open, as with minutes."""
    bars = [whole(0, 9.8, 10), whole(1, 9, 12.5), replace(whole(2, 9, 13.5), open=13, high=14)]
    strategy = WithinTheSession(CLOSE + DAY - before, tif=tif)
    model = FillModel(slippage=parse_slippage("2 ticks"), volume_share=0.001)  # auctions know neither
    days = [*two_days(), session("2025-07-04", 2 * DAY)]
    bench = Bench(strategy, bars=["ACME"], model=model, definitions=days)
    bench.run(bars)
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(CLOSE + day * DAY, price)]


def test_a_market_order_with_a_fresh_price_does_not_wait_for_the_sessions_bar():
    print_ = trade(OPEN + DAY, 11)
    bench = Bench(Script({2: ask("BUY")}), bars=["ACME"], definitions=two_days())
    bench.run([whole(0, 9.8, 10), print_, whole(1, 9, 12.5)])
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(OPEN + DAY, "11")]


def test_market_on_close_fills_at_the_last_bars_close():
    events = [bar(end(1), *FLAT), bar(CLOSE - MIN, 11, 11, 11, 11), bar(CLOSE, 11, 12, 11, 11.7)]
    assert [str(f.price) for f in run(ask("SELL", at_close=True), *events).recorded(Filled)] == ["11.7"]


def test_market_on_close_without_a_last_bar_takes_the_one_before():
    events = [bar(end(1), *FLAT), bar(CLOSE - MIN, 11, 11, 11, 11.2), bar(OPEN + DAY + MIN, *FLAT)]
    bench = run(ask("SELL", at_close=True), *events)
    assert [(f.ts, str(f.price)) for f in bench.recorded(Filled)] == [(CLOSE, "11.2")]


@pytest.mark.parametrize(
    ("before", "taken"), [(16 * MIN, True), (15 * MIN + 30 * S, True), (15 * MIN, False)]
)
def test_market_on_close_is_refused_inside_fifteen_and_a_half_minutes(before, taken):
    given = bar(CLOSE - before, *FLAT)
    bench = run(ask("SELL", at_close=True), given, bar(CLOSE, 11, 12, 11, 11.7))
    assert bool(fills(bench)) is taken
    if not taken:
        assert last_word(bench)[1].startswith("market on close: too late, the last is taken 15.5 minutes")


def test_market_on_close_after_the_close_is_one_of_the_next_session():
    events = [bar(CLOSE, *FLAT), bar(CLOSE + DAY, 11, 12, 11, 11.7)]
    assert [f.ts for f in run(ask("SELL", at_close=True), *events).recorded(Filled)] == [CLOSE + DAY]


# -- prices ------------------------------------------------------------------------------------


def test_a_price_older_than_an_hour_is_too_old_for_a_market_order():
    class Later(Script):
        def on_bar(self, bar):
            if bar.ts == end(1):
                self.set_timer("t", at=end(1) + HOUR + self.extra)

        def on_timer(self, timer):
            self.buy("ACME", 10, reason="r")

    told = []
    for extra in (0, 1):
        strategy = Later()
        strategy.extra = extra
        bench = Bench(strategy, bars=["ACME"], definitions=two_days())
        bench.run([bar(end(1), *FLAT), bar(end(70), 11, 11, 11, 11)])
        told.append(fills(bench))
    assert told == [[(61, "10")], [(70, "11")]]


@pytest.mark.parametrize(("adjusted", "price"), [(False, "9.5"), (True, "9.504")])
def test_prices_are_rounded_to_the_tick_unless_they_are_adjusted(adjusted, price):
    events = [bar(end(1), *FLAT), bar(end(2), 10, 10, 9.4, 9.8)]
    assert fills(run(ask("BUY", limit=9.504), *events, adjusted=adjusted)) == [(2, price)]
    changed = {1: ask("BUY", limit=9), 2: lambda s: s.modify("s-1-1", limit=9.504, reason="r")}
    events = [bar(end(1), *FLAT), bar(end(2), *FLAT), bar(end(3), 10, 10, 9.4, 9.8)]
    assert fills(run(changed, *events, adjusted=adjusted)) == [(3, price)]


def test_prices_of_each_order_of_a_day_are_rounded():
    plan = {n: ask("BUY", limit=9.504) for n in (1, 2)}
    events = [bar(end(1), *FLAT), bar(end(2), *FLAT), bar(end(3), 10, 10, 9.4, 9.8)]
    assert fills(run(plan, *events)) == [(3, "9.5"), (3, "9.5")]


def test_half_a_tick_rounds_to_even():
    events = [bar(end(1), *FLAT), bar(end(2), 10, 10, 9.4, 9.8)]
    assert fills(run(ask("BUY", limit=9.505), *events)) == [(2, "9.5")]
    assert fills(run(ask("BUY", limit=9.515), *events)) == [(2, "9.52")]


# -- options -----------------------------------------------------------------------------------


def test_market_orders_can_wait_for_the_next_bars_open():
    events = [bar(end(1), *FLAT), bar(end(2), 10.4, 11, 10, 10.8)]
    assert fills(run(ask("BUY"), *events, model=FillModel(bar_fill="next_open"))) == [(2, "10.4")]


def test_an_order_takes_its_share_of_a_bars_volume():
    events = [bar(end(n), 10 + n / 10, 10.5, 10, 10.2) for n in range(1, 5)]
    bench = run(ask("BUY", 2_500), *events, model=FillModel(volume_share=0.9))
    assert [(str(f.quantity), (f.ts - OPEN) // MIN) for f in bench.recorded(Filled)] == [
        ("900", 1), ("900", 2), ("700", 3)]  # fmt: skip


def test_a_market_order_slips_in_bars_and_a_limit_does_not():
    model = FillModel(slippage=parse_slippage("2 ticks"))
    assert fills(run(ask("BUY"), bar(end(1), *FLAT), quote_bar(end(1), 9.9, 10.1), model=model)) == [
        (1, "10.12")
    ]
    events = [bar(end(1), *FLAT), bar(end(2), 10, 10, 9.4, 9.8)]
    assert fills(run(ask("BUY", limit=9.5), *events, model=model)) == [(2, "9.5")]
    assert fills(run(ask("SELL", stop=9.5), *events, model=model)) == [(2, "9.48")]


# -- hours -------------------------------------------------------------------------------------


def test_bars_outside_regular_hours_fill_only_what_may_fill_there():
    early = [bar(BEGIN + n * MIN, *FLAT) for n in (1, 2)] + [bar(BEGIN + 3 * MIN, 10, 10, 9, 9)]
    assert fills(run(ask("BUY", limit=9.5), *early)) == []
    assert len(fills(run(ask("BUY", limit=9.5, outside_rth=True), *early))) == 1
    opened = bar(end(1), 10.2, 10.3, 10.1, 10.2)
    assert fills(run(ask("BUY"), *early, opened)) == [(1, "10.2")]  # market: the open
    assert fills(run(ask("BUY", outside_rth=True), *early, opened))[0][0] < 0


def test_good_till_date_ends_at_the_close_of_its_day_before_fills():
    order = ask("BUY", limit=9.5, tif="GTD", good_till=CLOSE + DAY)
    survived = [bar(end(1), *FLAT), bar(CLOSE, *FLAT), bar(OPEN + DAY + MIN, 10, 10, 9, 9)]
    assert len(fills(run(order, *survived))) == 1
    assert fills(run(order, bar(end(1), *FLAT), bar(CLOSE + DAY, 10, 10, 9, 9))) == []
