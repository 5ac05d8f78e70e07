"""Bars of the past, built from an archive: of trades, of one side's quotes, of both sides.

A bar is cut where its frame says, and nothing is made up: where nothing happened, there is no bar.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from adapters.ibkr.gateway.archive import Archive
from adapters.ibkr.gateway.frames import Frame, Span

Row = TypeVar("Row", bound=tuple[float, ...])


class Candle(msgspec.Struct):
    """One bar in the making; `label` is its time as it is told."""

    period: int
    label: str
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    count: int = 0

    def take(self, high: float, low: float, close: float, volume: float, count: int) -> None:
        """Add a print, a quote or a shorter bar."""
        self.high, self.low, self.close = max(self.high, high), min(self.low, low), close
        self.volume += volume
        self.value += close * volume
        self.count += count

    @property
    def wap(self) -> float:
        """The average price by volume; the close where nothing traded."""
        return self.value / self.volume if self.volume else self.close


class Window(msgspec.Struct, frozen=True):
    """Which bars to build: those of `frame` that hold something with `begin` ≤ time < `end`."""

    frame: Frame
    begin: int
    end: int

    def placed(self, rows: Iterator[Row]) -> Iterator[tuple[Span, int, Row]]:
        """Yield each row (whose first field is its time) that is in a bar, with its span and period."""
        span = Span(None, 0, 0)
        for row in rows:
            ts = int(row[0])
            if ts >= span.until or ts < span.begin:
                span = self.frame.span(ts)
            if span.period is not None:
                yield span, span.period, row


def trade_bars(archive: Archive, window: Window) -> list[Candle]:
    """Return bars of what was traded."""
    bars: list[Candle] = []
    days = window.frame.length.unit != "time"
    for span, period, row in window.placed(archive.rows(window.begin, window.end, days=days)):
        _, opened, high, low, close, size = row
        if not bars or bars[-1].period != period:
            bars.append(Candle(period, span.label, opened, high, low, close))
        bars[-1].label = span.label
        bars[-1].take(high, low, close, size, 1)
    return bars


def quote_bars(archive: Archive, window: Window, what: str) -> list[Candle]:
    """Return bars of `BID`, `ASK` or `MIDPOINT`."""
    bars: list[Candle] = []
    for span, period, row in window.placed(archive.quotes(window.begin, window.end)):
        price = side_price(what, row[1], row[3])
        if price != price:  # noqa: PLR0124  # NaN: that side shows nothing
            continue
        if not bars or bars[-1].period != period:
            opened = bars[-1].close if bars else price
            bars.append(Candle(period, span.label, opened, opened, opened, opened))
        bars[-1].label = span.label
        bars[-1].take(price, price, price, 0.0, 0)
    return bars


def side_price(what: str, bid: float, ask: float) -> float:
    """Return the price that `BID`, `ASK` or `MIDPOINT` names; NaN where a side shows nothing."""
    return bid if what == "BID" else ask if what == "ASK" else round((bid + ask) / 2, 8)


class _Spread:
    """A bar of `BID_ASK` in the making: sums of the sides, each weighted by how long it stood."""

    def __init__(self, span: Span, ts: int, bid: float, ask: float) -> None:
        self.span = span
        self.low, self.high = bid, ask
        self._since, self._bid, self._ask = ts, bid, ask
        self._bids = self._asks = self._weight = 0.0

    def change(self, span: Span, ts: int, bid: float, ask: float) -> None:
        """Let other sides stand from now on; between two sessions of the bar nothing stands."""
        self.stand(ts)
        self.span, self._since, self._bid, self._ask = span, ts, bid, ask
        self.low, self.high = min(self.low, bid), max(self.high, ask)

    def stand(self, ts: int) -> None:
        """Let the present sides stand up to a time, and no longer than their session lasts."""
        lasted = float(min(ts, self.span.until) - self._since)
        self._bids += self._bid * lasted
        self._asks += self._ask * lasted
        self._weight += lasted
        self._since = ts

    def candle(self, end: int) -> Candle:
        """Return the bar, whose last sides stood up to `end`."""
        self.stand(end)
        bid, ask = self._bid, self._ask
        if self._weight:
            bid, ask = self._bids / self._weight, self._asks / self._weight
        assert self.span.period is not None
        return Candle(self.span.period, self.span.label, round(bid, 8), self.high, self.low, round(ask, 8))


def spread_bars(archive: Archive, window: Window) -> list[Candle]:
    """Return bars of `BID_ASK`, as IB defines them.

    Open and close are the averages over time of bid and ask, high is the highest ask, low the lowest bid.
    """
    bars: list[Candle] = []
    now: _Spread | None = None
    for span, period, (ts, bid, _, ask, _) in window.placed(archive.quotes(window.begin, window.end)):
        if bid != bid or ask != ask:  # noqa: PLR0124  # NaN: that side shows nothing
            continue
        if now is not None and now.span.period == period:
            now.change(span, ts, bid, ask)
            continue
        bars += [now.candle(ts)] if now is not None else []
        now = _Spread(span, ts, bid, ask)
    return [*bars, now.candle(window.end)] if now is not None else bars
