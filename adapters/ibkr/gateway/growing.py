"""Bars in the making: real-time bars of five seconds, and history that is kept up to date.

A bar is cut where its frame says, and what is outside the hours asked for does not count.
A bar of trades grows with prints, one of `BID`, `ASK` or `MIDPOINT` with the best quote. A real-time bar is
told when it is over, one kept up to date at most once a second as well. Knows no request and no past.
"""

from collections.abc import Callable

import msgspec

from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract
from adapters.ibkr.gateway.frames import Frame, Span
from adapters.ibkr.gateway.history import Candle, side_price
from core.clock import SECOND_NS
from core.events import Bar, Event, Quote, QuoteBar, Trade

TRADED = frozenset({"TRADES", "ADJUSTED_LAST"})
Best = Callable[[str], tuple[float, float]]
"""Returns an instrument's best bid and ask; NaN where a side shows nothing."""


class BarStream(msgspec.Struct):
    """A client's growing bar of one instrument."""

    req_id: int
    contract: Contract
    frame: Frame
    what: str = "TRADES"
    real_time: bool = False
    candle: Candle | None = None
    told_second: int = 0
    span: Span = Span(None, 0, 0)

    def placed(self, ts: int) -> Span:
        """Return what bar a time belongs to."""
        if not self.span.begin <= ts < self.span.until:
            self.span = self.frame.span(ts)
        return self.span


def grow(client: Client, instrument: str, event: Event, best: Best) -> None:
    """Add an event to the client's bars of the instrument and tell what is due."""
    for stream in client.bars.values():
        if isinstance(stream, BarStream) and stream.contract.instrument == instrument:
            if stream.what in TRADED:
                _traded(client, stream, event)
            elif isinstance(event, Quote | QuoteBar):
                ts = event.start if isinstance(event, QuoteBar) else event.ts
                _quoted(client, stream, ts, side_price(stream.what, *best(instrument)))


def _traded(client: Client, stream: BarStream, event: Event) -> None:
    if isinstance(event, Bar):
        prices = (event.open, event.high, event.low, event.close)
        _take(client, stream, event.start, prices, event.volume, 1)
    elif isinstance(event, Trade) and not event.suspicious:
        _take(client, stream, event.ts, (event.price,) * 4, event.size, 1)


def _quoted(client: Client, stream: BarStream, ts: int, price: float) -> None:
    if price == price:  # noqa: PLR0124  # NaN: that side shows nothing
        opened = price if stream.candle is None else stream.candle.close
        _take(client, stream, ts, (opened, max(opened, price), min(opened, price), price), 0.0, 0)


def _take(
    client: Client,
    stream: BarStream,
    ts: int,
    prices: tuple[float, float, float, float],
    volume: float,
    count: int,
) -> None:
    span, candle = stream.placed(ts), stream.candle
    if span.period is None:
        return
    if candle is None or span.period > candle.period:
        if candle is not None:
            _tell(client, stream, candle)
        candle = stream.candle = Candle(span.period, span.label, *prices)
    candle.label = span.label
    candle.take(*prices[1:], volume, count)
    second = ts // SECOND_NS
    if not stream.real_time and second != stream.told_second:
        stream.told_second = second
        _tell(client, stream, candle)


def _tell(client: Client, stream: BarStream, c: Candle) -> None:
    volume, wap, count = (c.volume, round(c.wap, 6), c.count) if stream.what in TRADED else (-1, -1, -1)
    if stream.real_time:
        client.post([50, 3, stream.req_id, c.label, c.open, c.high, c.low, c.close, volume, wap, count])
        return
    client.post([90, stream.req_id, count, c.label, c.open, c.close, c.high, c.low, wap, volume])
