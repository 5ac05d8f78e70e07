"""Bars from ticks and from smaller bars: one way to make them, live and in replay alike. Pure.

A bar lies on the exchange's session: the first begins at the open, and the last ends at the close, so that
it may be shorter. Where no session is known, bars lie on multiples of their length since 1970 UTC. A bar
without data is none. What is fed must come in order of time; suspicious ticks do not count. It never decides
when: who feeds it asks for what is over.
"""

from collections.abc import Callable
from typing import NamedTuple

from core.clock import NEVER
from core.events import Bar, QuoteBar, SessionScheduled, Trade
from core.resolutions import Resolution

SessionAt = Callable[[int], SessionScheduled | None]
"""The session of an instrument's exchange that holds a time, if one is known."""


class Window(NamedTuple):
    """Where a bar lies: `start`..`end`."""

    start: int
    end: int


class Grid:
    """Where the bars of one instrument and resolution lie. With `extended`, outside regular hours too."""

    def __init__(self, resolution: Resolution, session: SessionAt, *, extended: bool = False) -> None:
        self.resolution = resolution
        self._session = session
        self._extended = extended and not resolution.daily
        self._held: SessionScheduled | None = None

    def window(self, ts: int) -> Window | None:
        """Return the bar that the instant `ts` belongs to; `None` outside of hours."""
        held = self._at(ts)
        if held is None:
            length = self.resolution.length_ns
            start = ts // length * length
            return Window(start, start + length)
        if held.open <= ts < held.close:
            return self._within(ts, held.open, held.close)
        if not self._extended:
            return None
        if ts >= held.close:
            return self._within(ts, held.close, held.end)
        # Before the open bars are counted back from it, so that the last one ends there.
        length = self.resolution.length_ns
        end = held.open - (held.open - 1 - ts) // length * length
        return Window(max(end - length, held.begin), end)

    def _within(self, ts: int, first: int, last: int) -> Window:
        if self.resolution.daily:
            return Window(first, last)
        length = self.resolution.length_ns
        start = ts - (ts - first) % length
        return Window(start, min(start + length, last))

    def _at(self, ts: int) -> SessionScheduled | None:
        held = self._held
        if held is None or not held.begin <= ts < held.end:
            held = self._held = self._session(ts)
        return held


class TradeBars:
    """Makes bars of trades, or of smaller trade bars. `due` is when the running bar is over, or `NEVER`.

    `due` is to be looked at before each event is taken: what is over must be told first.
    """

    __slots__ = (
        "_close",
        "_feed",
        "_grid",
        "_high",
        "_instrument",
        "_low",
        "_open",
        "_start",
        "_volume",
        "due",
    )

    def __init__(self, feed: str, instrument: str, grid: Grid) -> None:
        self._feed = feed
        self._instrument = instrument
        self._grid = grid
        self.due = NEVER
        self._start = 0
        self._open = self._high = self._low = self._close = self._volume = 0.0

    def trade(self, trade: Trade) -> None:
        """Count a trade."""
        price = trade.price
        if not trade.suspicious and self._begin(trade.ts, price):
            self._add(price, price, price, trade.size)

    def bar(self, bar: Bar) -> None:
        """Count a smaller bar: it belongs where its end lies."""
        if self._begin(bar.ts - 1, bar.open):
            self._add(bar.high, bar.low, bar.close, bar.volume)

    def over(self) -> Bar:
        """Return the running bar, which is over at `due`, and begin anew."""
        end, self.due = self.due, NEVER
        prices = (self._open, self._high, self._low, self._close)
        return Bar(end, self._start, self._feed, self._instrument, *prices, self._volume)

    def _begin(self, ts: int, price: float) -> bool:
        if self.due != NEVER:
            return ts < self.due
        window = self._grid.window(ts)
        if window is None:
            return False
        self._start, self.due = window
        self._open = self._high = self._low = price
        self._volume = 0.0
        return True

    def _add(self, high: float, low: float, close: float, volume: float) -> None:
        self._high = max(self._high, high)
        self._low = min(self._low, low)
        self._close = close
        self._volume += volume


class _Side:
    """One side of a quote bar; `now` is what is quoted at present, `None` without a quote."""

    __slots__ = ("close", "high", "low", "now", "now_size", "open", "size")

    def __init__(self) -> None:
        self.now: float | None = None
        self.now_size: float | None = None
        self.clear()

    def clear(self) -> None:
        self.open: float | None = None
        self.high: float | None = None
        self.low: float | None = None
        self.close: float | None = None
        self.size: float | None = None

    def add(
        self,
        first: float | None,
        high: float | None,
        low: float | None,
        close: float | None,
        size: float | None,
    ) -> None:
        if close is None or first is None or high is None or low is None:
            return
        self.open = first if self.open is None else self.open
        self.high = high if self.high is None or high > self.high else self.high
        self.low = low if self.low is None or low < self.low else self.low
        self.close, self.size = close, size

    def values(self) -> tuple[float | None, float | None, float | None, float | None, float | None]:
        return self.open, self.high, self.low, self.close, self.size


class QuoteBars:
    """Makes quote bars of the best bid and ask, or of smaller quote bars; `due` as for `TradeBars`.

    What is quoted when a bar begins is its open, so a side that does not change counts in the next bar too,
    if anything is quoted in it.
    """

    __slots__ = ("_ask", "_bid", "_feed", "_grid", "_instrument", "_start", "due")

    def __init__(self, feed: str, instrument: str, grid: Grid) -> None:
        self._feed = feed
        self._instrument = instrument
        self._grid = grid
        self._bid, self._ask = _Side(), _Side()
        self._start = 0
        self.due = NEVER

    def quote(
        self, ts: int, bid: float | None, bid_size: float | None, ask: float | None, ask_size: float | None
    ) -> None:
        """Count the best bid and ask (`None`: nobody quotes that side) as of `ts`, after a quote."""
        began = self._begin(ts)
        for side, price, size in ((self._bid, bid, bid_size), (self._ask, ask, ask_size)):
            if began:
                side.add(side.now, side.now, side.now, side.now, side.now_size)
            side.now, side.now_size = price, size
            if self.due != NEVER:
                side.add(price, price, price, price, size)

    def bar(self, bar: QuoteBar) -> None:
        """Count a smaller quote bar: it belongs where its end lies."""
        self._begin(bar.ts - 1)
        if self.due == NEVER:
            return
        self._bid.add(bar.bid_open, bar.bid_high, bar.bid_low, bar.bid_close, bar.bid_size)
        self._ask.add(bar.ask_open, bar.ask_high, bar.ask_low, bar.ask_close, bar.ask_size)

    def over(self) -> QuoteBar:
        """Return the running bar, which is over at `due`, and begin anew."""
        end, self.due = self.due, NEVER
        bid, ask = self._bid.values(), self._ask.values()
        return QuoteBar(end, self._start, self._feed, self._instrument, *bid, *ask)

    def _begin(self, ts: int) -> bool:
        if self.due != NEVER:
            return False
        window = self._grid.window(ts)
        if window is None:
            return False
        self._start, self.due = window
        self._bid.clear()
        self._ask.clear()
        return True
