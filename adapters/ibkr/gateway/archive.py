"""What has happened to one instrument so far, in columns: prints or recorded bars, and its best quotes.

An archive reaches up to the gateway's clock and never looks ahead. Sessions of long ago may be known by
their bars of a day only. Builds no bars and answers nobody.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from adapters.ibkr.gateway.answers import Fields
from core.clock import SECOND_NS
from core.events import Bar, QuoteBar, Trade

Print = tuple[int, float, float, float, float, float]
"""Time, open, high, low, close and size."""
Best = tuple[float | None, float, float | None, float]
"""Bid, its size, ask, its size."""
_COLUMNS = ("open", "high", "low", "close", "size")
_QUOTES = ("bid", "bid_size", "ask", "ask_size")


class Archive:
    """One instrument's past. `finest_ns` is the length of the bars that it was recorded in; 0 for prints."""

    def __init__(self) -> None:
        self.times = array("q")
        self.quote_times = array("q")
        self.days: list[Bar] = []  # whole sessions from before all else
        self.finest_ns = 0
        self.volume = 0.0
        self.high: float | None = None
        self.low: float | None = None
        self.open: float | None = None
        self._columns = {name: array("d") for name in _COLUMNS}
        self._quotes = {name: array("d") for name in _QUOTES}
        self._places: list[tuple[str, str]] = []  # venue and conditions of each print
        self._known_places: dict[tuple[str, str], tuple[str, str]] = {}

    # -- prints --------------------------------------------------------------------------------

    def on_trade(self, trade: Trade) -> None:
        """Add a print; suspicious ones make no history."""
        if not trade.suspicious:
            price, place = trade.price, (trade.venue, trade.conditions)
            self._add(trade.ts, price, price, price, price, trade.size, place)

    def on_bar(self, bar: Bar) -> None:
        """Add a recorded bar."""
        length = bar.ts - bar.start
        self.finest_ns = min(self.finest_ns, length) if self.times else length
        self._add(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume, ("", ""))

    def _add(
        self,
        ts: int,
        opened: float,
        high: float,
        low: float,
        close: float,
        size: float,
        place: tuple[str, str],
    ) -> None:
        self.times.append(ts)
        self._places.append(self._known_places.setdefault(place, place))
        for column, value in zip(self._columns.values(), (opened, high, low, close, size), strict=True):
            column.append(value)
        self.volume += size
        self.high = high if self.high is None else max(self.high, high)
        self.low = low if self.low is None else min(self.low, low)
        self.open = opened if self.open is None else self.open

    def new_day(self) -> None:
        """Begin the day's statistics anew; bars and ticks stay."""
        self.volume, self.high, self.low, self.open = 0.0, None, None, None

    def rows(self, begin: int, end: int, *, days: bool) -> Iterator[Print]:
        """Yield prints with `begin` ≤ time < `end`; with `days`, bars of long-ago sessions before them."""
        for bar in self.days if days else ():
            if begin <= bar.start < end:
                yield bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume
        first, past = bisect_left(self.times, begin), bisect_left(self.times, end)
        opened, high, low, close, size = self._columns.values()
        for i in range(first, past):
            yield self.times[i], opened[i], high[i], low[i], close[i], size[i]

    def prints(self, begin: int, end: int) -> Iterator[tuple[int, Fields]]:
        """Yield prints with `begin` ≤ time < `end` as past ticks.

        Their fields are seconds, a mask, price, size, venue, conditions. Of a recorded bar it is the close.
        """
        first, past = bisect_left(self.times, begin), bisect_left(self.times, end)
        close, size = self._columns["close"], self._columns["size"]
        for i in range(first, past):
            ts = self.times[i]
            yield ts, [ts // SECOND_NS, 0, close[i], size[i], *self._places[i]]

    # -- quotes --------------------------------------------------------------------------------

    def on_quote(self, ts: int, best: Best) -> None:
        """Add a change of the best quote; a side that there is not is NaN."""
        bid, bid_size, ask, ask_size = best
        nan = float("nan")
        self.quote_times.append(ts)
        told = (nan if bid is None else bid, bid_size, nan if ask is None else ask, ask_size)
        for column, value in zip(self._quotes.values(), told, strict=True):
            column.append(value)

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Add a recorded bar of quotes: what it opened with, its extremes and its end, each for a quarter."""
        quarter = (bar.ts - bar.start) // 4
        sides = (
            (bar.bid_open, bar.ask_open),
            (bar.bid_high, bar.ask_high),
            (bar.bid_low, bar.ask_low),
            (bar.bid_close, bar.ask_close),
        )
        sizes = (bar.bid_size or 0.0, bar.ask_size or 0.0)
        for place, (bid, ask) in enumerate(sides):
            self.on_quote(bar.start + place * quarter, (bid, sizes[0], ask, sizes[1]))

    def quotes(self, begin: int, end: int) -> Iterator[tuple[int, float, float, float, float]]:
        """Yield best quotes as (time, bid, bid size, ask, ask size) with `begin` ≤ time < `end`."""
        first, past = bisect_left(self.quote_times, begin), bisect_left(self.quote_times, end)
        bids, bid_sizes, asks, ask_sizes = self._quotes.values()
        for i in range(first, past):
            yield self.quote_times[i], bids[i], bid_sizes[i], asks[i], ask_sizes[i]

    def best(self) -> tuple[float, float]:
        """Return the best bid and ask; NaN where a side shows nothing."""
        bids, asks = self._quotes["bid"], self._quotes["ask"]
        return (bids[-1], asks[-1]) if bids else (float("nan"), float("nan"))

    def first_ts(self) -> int | None:
        """Return the time of the first thing known."""
        firsts = [times[0] for times in (self.times, self.quote_times) if times]
        return min([*firsts, *(bar.start for bar in self.days[:1])], default=None)
