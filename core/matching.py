"""Matching: when a resting order fills, at what price and for how much. Pure rules, no state but the order's.

Tick mode (feeds of ticks and quotes). A *market* order fills at the best opposite quote after the
next market event of its instrument following its arrival; at the trade, where there are no quotes.
A *limit* fills when the opposite best reaches it, or a trade prints through it: at the opposite best
if that is so on the first event it meets (it takes), at its own price afterwards (it rested). A
*stop* triggers on a trade at or through its price and then is a market order.

Bar mode (feeds of bars), following the numbered rules in docs/fills.md. A *market* order fills when
accepted, at the close of the quote bar's other side, or of the trade bar where there are no quotes.
A *limit* buys when low < limit at min(open, limit); a *stop* sells when low <= stop at min(open, stop);
the other sides are mirrored.

An order's prices are converted to float once, on arrival: a float is never compared with a Decimal.
"""

from decimal import Decimal

import msgspec

from core.events import Bar, Event, OrderIntended, OrderType, Side, Trade
from core.money import ZERO
from core.views import QuotesView

UNLIMITED = float("inf")


class Resting(msgspec.Struct, gc=False):
    """An order at the simulated broker: what matching needs, and how far it has filled."""

    intent: OrderIntended
    side: Side
    type: OrderType
    quantity: Decimal
    limit: float | None
    stop: float | None
    created_ts: int
    version: int = 1
    fresh: bool = True  # has not met a market event yet
    filled: Decimal = ZERO
    charged: Decimal = ZERO
    traded_value: Decimal = ZERO

    @classmethod
    def arrived(cls, intent: OrderIntended, ts: int) -> "Resting":
        """Return a new order that reaches the broker at `ts`."""
        limit = None if intent.limit is None else float(intent.limit)
        stop = None if intent.stop is None else float(intent.stop)
        return cls(intent, intent.side, intent.type, intent.quantity, limit, stop, ts)

    @property
    def remaining(self) -> Decimal:
        """The quantity that may still fill."""
        return self.quantity - self.filled if self.filled else self.quantity

    def amend(self, version: int, quantity: Decimal, limit: Decimal | None, stop: Decimal | None) -> None:
        """Take the values of a new version; it meets the market as if it had just arrived."""
        self.version, self.quantity = version, quantity
        self.limit = None if limit is None else float(limit)
        self.stop = None if stop is None else float(stop)
        self.fresh = True


def match_tick(order: Resting, event: Event, quotes: QuotesView) -> float | None:
    """Return the price at which `order` fills on a tick of its instrument, or `None`.

    `quotes` holds the prices after `event`. The order is marked as no longer fresh, and a stop that
    triggers becomes a market order.
    """
    fresh, order.fresh = order.fresh, False
    instrument = order.intent.instrument
    trade = event if isinstance(event, Trade) else None
    buys = order.side == "BUY"
    if order.type == "STP":
        assert order.stop is not None
        if trade is None or not (trade.price >= order.stop if buys else trade.price <= order.stop):
            return None
        order.type = "MKT"
    best = quotes.ask(instrument) if buys else quotes.bid(instrument)
    if best is None and trade is not None and not quotes.has_quotes(instrument):
        best = trade.price
    if order.type == "MKT":
        return best
    limit = order.limit
    assert limit is not None
    if best is not None and (best <= limit if buys else best >= limit):
        return best if fresh else limit
    if trade is not None and (trade.price < limit if buys else trade.price > limit):
        return limit
    return None


def market_price_in_bars(order: Resting, quotes: QuotesView) -> float | None:
    """Return the price of a market order in bar mode: the other side's close, else the trade close."""
    instrument = order.intent.instrument
    best = quotes.ask(instrument) if order.side == "BUY" else quotes.bid(instrument)
    return best if best is not None else quotes.mark(instrument)


def match_bar(order: Resting, bar: Bar, quotes: QuotesView) -> float | None:
    """Return the price at which `order` fills in a trade bar, or `None`."""
    buys = order.side == "BUY"
    if order.type == "MKT":
        return market_price_in_bars(order, quotes)
    if order.type == "LMT":
        assert order.limit is not None
        if buys:
            return min(bar.open, order.limit) if bar.low < order.limit else None
        return max(bar.open, order.limit) if bar.high > order.limit else None
    assert order.stop is not None
    if buys:
        return max(bar.open, order.stop) if bar.high >= order.stop else None
    return min(bar.open, order.stop) if bar.low <= order.stop else None
