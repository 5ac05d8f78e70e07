"""Ranges from trades and bars: those of the bars that the events make, whichever of both there are."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    AtrMeasured,
    ModifyIntended,
)
from core.exits.protection import Protection, Sweep
from core.exits.ranges import TrueRanges
from core.exits.rules import ExitRules
from core.indicators import Atr
from projections.decided import Decided
from tests.core.bench import ACCOUNT, MIN, OPEN, S, bar, trade
from tests.core.test_protection import bench_of, buy, exits, sell, working

pytestmark = pytest.mark.risk

D = Decimal
ATR = ExitRules(stop_loss_atr=2.0, take_profit_atr=3.0, atr_length=2, atr_bar="1m")


def minutes(*prices):
    """Four trades a minute: at a price, one above, one below, and at it again."""
    return [
        trade(OPEN + n * MIN + part * S, price + away)
        for n, price in enumerate(prices)
        for part, away in ((0, 0), (15, 1.0), (30, -1.0), (45, 0))
    ]


def measured(bench):
    return [(one.atr, one.bars, one.detail) for one in bench.recorded(AtrMeasured)]


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(1, 200)), min_size=1, max_size=60), st.booleans())
def test_trades_and_the_bars_made_of_them_give_the_range_of_the_bars(ticks, both):
    trades = [trade(OPEN + second * S, price) for second, price in sorted(ticks)]
    made: dict[int, list[float]] = {}
    for one in trades:
        made.setdefault(one.ts // MIN, []).append(one.price)
    ranges, reference = TrueRanges(3, MIN), Atr(3)
    for minute, prices in made.items():
        for one in trades:
            if one.ts // MIN == minute:
                ranges.on_trade(one)
        if both:
            end = (minute + 1) * MIN
            ranges.on_bar(bar(end, prices[0], max(prices), min(prices), prices[-1]))
    for prices in list(made.values())[:-1]:
        reference.update(max(prices), min(prices), prices[-1])
    assert ranges.atr("ACME") == ((reference.value or None) if reference.ready else None)
    assert ranges.bars("ACME") == len(made) - 1


def test_a_late_bar_a_longer_one_and_a_suspicious_trade_say_nothing():
    ranges = TrueRanges(1, MIN)
    for event in minutes(10, 10, 10):
        ranges.on_trade(event)
    ranges.on_trade(trade(OPEN + 2 * MIN + 50 * S, 99.0, bad=True))
    ranges.on_bar(bar(OPEN + MIN, 1, 99, 1, 50))
    long = bar(OPEN + 9 * MIN, 1, 99, 1, 50)
    ranges.on_bar(type(long)(long.ts, OPEN, *[getattr(long, f) for f in long.__struct_fields__[2:]]))
    ranges.on_trade(trade(OPEN + 3 * MIN, 10.0))
    assert (ranges.bars("ACME"), ranges.atr("ACME"), ranges.atr("OTHER")) == (3, 2.0, None)


def test_exits_lie_at_multiples_of_the_range_and_the_log_says_which():
    bench = bench_of({13: buy(10)}, ATR)  # in the fourth minute: three bars of a range of 2
    bench.run(minutes(100, 100, 100, 100))
    assert measured(bench) == [(D(2), 3, "2 bars of 1m")]
    assert working(bench) == [("LMT", "SELL", 10, D(107)), ("STP", "SELL", 10, D(97))]  # bought at 101
    assert [o.reason for o in exits(bench)] == [
        "stop-loss 2 ATR of 2 from 101",
        "take-profit 3 ATR of 2 from 101",
    ]
    assert exits(bench)[0].oca == exits(bench)[1].oca != ""


def test_a_short_holding_has_them_on_the_other_side():
    bench = bench_of({13: sell(10)}, ATR)
    bench.run(minutes(100, 100, 100, 100))
    assert working(bench) == [("LMT", "BUY", 10, D(95)), ("STP", "BUY", 10, D(105))]


def test_a_share_of_the_cost_stands_in_until_there_are_bars_enough():
    bench = bench_of({1: buy(10), 14: buy(10)}, ATR)
    bench.run(minutes(100, 100, 100, 100))
    assert measured(bench) == [
        (D("2.02"), 0, "0 of 3 bars of 1m so far: 2.00% of the cost"),
        (D(2), 3, "2 bars of 1m"),
    ]
    assert working(bench)[1][3] == D(96)  # 2 ATR of 2 from 100


def test_a_range_is_kept_while_the_exits_stand_and_measured_anew_for_the_next_holding():
    wide = [*minutes(100, 100, 100), *[trade(OPEN + 3 * MIN + n * S, 100.0) for n in range(4)]]
    later = [trade(OPEN + n * MIN, 100.0 + 4 * (n % 2)) for n in range(4, 12)]
    bench = bench_of({13: buy(10), 18: buy(10), 20: sell(20), 22: buy(5)}, ATR)
    bench.run([*wide, *later])
    assert [bars for _, bars, _ in measured(bench)] == [3, 9]
    assert measured(bench)[1][0] > 2


def test_a_trailing_stop_follows_at_the_distance_of_the_range():
    rules = ExitRules(trailing_stop_atr=2.0, atr_length=2, atr_bar="1m")
    bench = bench_of({13: buy(10)}, rules)
    bench.run(
        [
            *minutes(100, 100, 100, 100),
            *[trade(OPEN + 5 * MIN + n * S, p) for n, p in enumerate((110, 106.5))],
        ]
    )
    (stop,) = exits(bench)
    assert (stop.type, stop.trail, stop.trail_pct, stop.reason) == (
        "TRAIL",
        4,
        None,
        "trailing stop 2 ATR of 2",
    )
    assert stop.working
    gone = bench_of({13: buy(10)}, rules)
    gone.run(
        [
            *minutes(100, 100, 100, 100),
            *[trade(OPEN + 5 * MIN + n * S, p) for n, p in enumerate((110, 106, 106))],
        ]
    )
    assert gone.world.positions.quantity("ACME") == 0


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (ExitRules(trailing_stop_amount=2.5), [("TRAIL", "SELL", 10, None)]),
        (ExitRules(take_profit_amount=2.504), [("LMT", "SELL", 10, D("102.5"))]),
        (ExitRules(stop_loss_amount=500.0), [("STP", "SELL", 10, D("0.01"))]),
        (ExitRules(stop_loss_atr=0.001, atr_unknown_pct=0.01), [("STP", "SELL", 10, D("99.99"))]),
    ],
)
def test_amounts_and_what_lies_too_far_or_too_near(rules, expected):
    bench = bench_of({1: buy(10)}, rules)
    bench.run([trade(OPEN + n * S, 100.0) for n in range(3)])
    found = [
        (kind, side, q, None if kind == "TRAIL" else at) for kind, side, q, at in working_or_trail(bench)
    ]
    assert found == expected


def working_or_trail(bench):
    return [(o.type, o.side, o.quantity, o.stop or o.limit) for o in exits(bench)]


def swept(past, ranges, memory=None):
    """Return what a second session asks for, whose folds are those of the first."""
    bench = bench_of({}, ATR, session=2, past=past)
    world = bench.world
    views = (world.orders, world.positions, world.sessions)
    protection = Protection(ATR, *views, ACCOUNT, 2, ranges, memory or world.decided)
    return protection.requests(Sweep(1, "s", "ACME"), OPEN + 10 * MIN)


def other_ranges():
    ranges = TrueRanges(2, MIN)
    for n in range(6):
        ranges.on_trade(trade(OPEN + n * MIN, 100.0 + 10 * (n % 2)))
    return ranges


def test_a_restart_keeps_the_exits_as_they_were_measured_whatever_the_range_is_now():
    bench = bench_of({13: buy(10)}, ATR)
    bench.run(minutes(100, 100, 100, 100))
    assert swept(bench.tape.entries, other_ranges()) == []
    assert swept(bench.tape.entries, TrueRanges(2, MIN)) == []


def test_a_restart_that_forgets_the_measure_moves_the_exits_and_is_caught():
    bench = bench_of({13: buy(10)}, ATR)
    bench.run(minutes(100, 100, 100, 100))
    asked = swept(bench.tape.entries, other_ranges(), Decided())
    assert [type(one) for one in asked] == [AtrMeasured, ModifyIntended, ModifyIntended]
