"""Warm-up: past data come with orders refused, and leave a strategy as if it had started earlier."""

from core.events import (
    OrderIntended,
    Recorded,
)
from core.strategies.sma_cross import SmaCross, SmaCrossParameters
from tests.core.bench import (
    OPEN,
    Bench,
    S,
    Script,
    ticks,
    trade,
)


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
