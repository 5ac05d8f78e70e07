"""The strategies that come with the program decide as they say."""

import pytest

from core.errors import UsageError
from core.events import (
    Filled,
    OrderIntended,
    OrderSendStarted,
)
from core.strategies.buy_and_hold import BuyAndHold, BuyAndHoldParameters
from core.strategies.sma_cross import SmaCross, SmaCrossParameters
from tests.core.bench import (
    MIN,
    OPEN,
    Bench,
    S,
    bar,
    quote,
    ticks,
    trade,
)


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
