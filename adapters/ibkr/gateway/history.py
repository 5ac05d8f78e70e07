"""What has happened so far, for historical requests: prints and quotes in columns, bars built from them.

An archive holds one instrument's prints (or recorded bars) and changes of its best quote, up to the
gateway's clock. Bars are aligned to multiples of their length since 1970 UTC, days to the session's date.
Never looks ahead: what the clock has not reached is not here yet.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator

import msgspec

from adapters.ibkr.gateway.times import day, stamp
from core.clock import DAY_NS, SECOND_NS
from core.events import Bar, SessionScheduled, Trade

SessionAt = Callable[[int], SessionScheduled | None]


class Candle(msgspec.Struct):
    """One bar in the making; `start` is its time."""

    start: int
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


class Archive:
    """One instrument's past."""

    def __init__(self) -> None:
        self.times = array("q")
        self._columns = {name: array("d") for name in ("open", "high", "low", "close", "size")}
        self.quote_times = array("q")
        self.bids, self.bid_sizes = array("d"), array("d")
        self.asks, self.ask_sizes = array("d"), array("d")
        self.volume = 0.0
        self.high: float | None = None
        self.low: float | None = None
        self.open: float | None = None

    def on_trade(self, trade: Trade) -> None:
        """Add a print; suspicious ones make no history."""
        if not trade.suspicious:
            self._add(trade.ts, trade.price, trade.price, trade.price, trade.price, trade.size)

    def on_bar(self, bar: Bar) -> None:
        """Add a recorded bar."""
        self._add(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume)

    def _add(self, ts: int, opened: float, high: float, low: float, close: float, size: float) -> None:
        self.times.append(ts)
        columns = self._columns
        columns["open"].append(opened)
        columns["high"].append(high)
        columns["low"].append(low)
        columns["close"].append(close)
        columns["size"].append(size)
        self.volume += size
        self.high = high if self.high is None else max(self.high, high)
        self.low = low if self.low is None else min(self.low, low)
        self.open = opened if self.open is None else self.open

    def on_quote(
        self, ts: int, bid: float | None, bid_size: float, ask: float | None, ask_size: float
    ) -> None:
        """Add a change of the best quote; a side that there is not is NaN."""
        nan = float("nan")
        self.quote_times.append(ts)
        self.bids.append(nan if bid is None else bid)
        self.bid_sizes.append(bid_size)
        self.asks.append(nan if ask is None else ask)
        self.ask_sizes.append(ask_size)

    def new_day(self) -> None:
        """Begin the day's statistics anew; bars and ticks stay."""
        self.volume, self.high, self.low, self.open = 0.0, None, None, None

    def rows(self, begin: int, end: int) -> Iterator[tuple[int, float, float, float, float, float]]:
        """Yield prints as (time, open, high, low, close, size) with `begin` ≤ time < `end`."""
        first, past = bisect_left(self.times, begin), bisect_left(self.times, end)
        columns = [self._columns[name] for name in ("open", "high", "low", "close", "size")]
        for index in range(first, past):
            o, h, low, c, size = (column[index] for column in columns)
            yield self.times[index], o, h, low, c, size

    def quotes(self, begin: int, end: int) -> Iterator[tuple[int, float, float, float, float]]:
        """Yield best quotes as (time, bid, bid size, ask, ask size) with `begin` ≤ time < `end`."""
        first, past = bisect_left(self.quote_times, begin), bisect_left(self.quote_times, end)
        for i in range(first, past):
            yield self.quote_times[i], self.bids[i], self.bid_sizes[i], self.asks[i], self.ask_sizes[i]

    def first_ts(self) -> int | None:
        """Return the time of the first thing known."""
        firsts = [times[0] for times in (self.times, self.quote_times) if times]
        return min(firsts) if firsts else None


class Frame(msgspec.Struct, frozen=True):
    """What bars to build: their length, the window, regular hours only, and when sessions are."""

    length_ns: int
    begin: int
    end: int
    rth: bool
    session: SessionAt

    def start_of(self, ts: int) -> int | None:
        """Return when the bar that `ts` falls into starts; `None` outside the hours asked for."""
        session = self.session(ts) if self.rth or self.length_ns >= DAY_NS else None
        if self.rth and (session is None or not session.open <= ts < session.close):
            return None
        if self.length_ns >= DAY_NS:
            return ts - ts % DAY_NS if session is None else session.begin
        return ts - ts % self.length_ns


def trade_bars(archive: Archive, frame: Frame) -> list[Candle]:
    """Return bars of what was traded."""
    bars: list[Candle] = []
    for ts, opened, high, low, close, size in archive.rows(frame.begin, frame.end):
        start = frame.start_of(ts)
        if start is None:
            continue
        if not bars or bars[-1].start != start:
            bars.append(Candle(start, opened, high, low, close))
        bars[-1].take(high, low, close, size, 1)
    return bars


def quote_bars(archive: Archive, frame: Frame, what: str) -> list[Candle]:
    """Return bars of `BID`, `ASK` or `MIDPOINT`."""
    bars: list[Candle] = []
    for ts, bid, _, ask, _ in archive.quotes(frame.begin, frame.end):
        price = side_price(what, bid, ask)
        start = frame.start_of(ts)
        if start is None or price != price:  # noqa: PLR0124  # NaN: that side shows nothing
            continue
        if not bars or bars[-1].start != start:
            opened = bars[-1].close if bars else price
            bars.append(Candle(start, opened, opened, opened, opened))
        bars[-1].take(price, price, price, 0.0, 0)
    return bars


def side_price(what: str, bid: float, ask: float) -> float:
    """Return the price that `BID`, `ASK` or `MIDPOINT` names; NaN where a side shows nothing."""
    return bid if what == "BID" else ask if what == "ASK" else (bid + ask) / 2


class _Spread(msgspec.Struct):
    """A bar of `BID_ASK` in the making: sums of the sides, each weighted by how long it stood."""

    start: int
    since: int
    bid: float
    ask: float
    low: float
    high: float
    bids: float = 0.0
    asks: float = 0.0
    weight: float = 0.0

    def stand(self, until: int) -> None:
        """Let the present sides stand up to a time."""
        span = float(until - self.since)
        self.bids += self.bid * span
        self.asks += self.ask * span
        self.weight += span
        self.since = until

    def candle(self, end: int) -> Candle:
        """Return the bar, whose last sides stood up to `end`."""
        self.stand(end)
        average = (self.bids / self.weight, self.asks / self.weight) if self.weight else (self.bid, self.ask)
        return Candle(self.start, round(average[0], 8), self.high, self.low, round(average[1], 8))


def spread_bars(archive: Archive, frame: Frame) -> list[Candle]:
    """Return bars of `BID_ASK`, as IB defines them.

    Open and close are the averages over time of bid and ask, high is the highest ask, low the lowest bid.
    """
    bars: list[Candle] = []
    now: _Spread | None = None
    for ts, bid, _, ask, _ in archive.quotes(frame.begin, frame.end):
        start = frame.start_of(ts)
        if start is None or bid != bid or ask != ask:  # noqa: PLR0124  # NaN: that side shows nothing
            continue
        if now is None or now.start != start:
            if now is not None:
                bars.append(now.candle(min(ts, now.start + frame.length_ns)))
            now = _Spread(start, ts, bid, ask, bid, ask)
            continue
        now.stand(ts)
        now.bid, now.ask, now.low, now.high = bid, ask, min(now.low, bid), max(now.high, ask)
    if now is not None:
        bars.append(now.candle(min(frame.end, now.start + frame.length_ns)))
    return bars


def bar_date(start: int, length_ns: int, timezone: str, date_format: int) -> str:
    """Return a bar's time as asked: `20250702 09:30:00 zone`, seconds since 1970, or a date for days."""
    if length_ns >= DAY_NS:
        return day(start, timezone)
    return str(start // SECOND_NS) if date_format == 2 else stamp(start, timezone)
