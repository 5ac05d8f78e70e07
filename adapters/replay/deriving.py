"""Bars that no feed holds, put among the inputs of a replay: made of finer data, or filled forward.

A derived bar comes when it is over: after all real bars of its time, before anything later. It carries the
seq of the input before it, which is what its decisions then name. Costs only what is asked for. Pure.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Any, Protocol

import msgspec

from core.clock import NEVER
from core.consolidating import Grid, QuoteBars, SessionAt, TradeBars
from core.events import (
    Bar,
    Event,
    FeedDefined,
    FilledBar,
    FilledQuoteBar,
    MadeBar,
    MadeQuoteBar,
    Quote,
    QuoteBar,
    Trade,
)
from core.resolutions import Resolution
from projections.quotes import Quotes

Batch = Iterable[tuple[int, Event]]


class Made(msgspec.Struct, frozen=True):
    """Bars to make: of `kind` (`Bar` or `QuoteBar`), of what a feed says of an instrument."""

    instrument: str
    kind: type[Event]
    resolution: Resolution
    feed: FeedDefined
    session: SessionAt


class Filled(msgspec.Struct, frozen=True):
    """Bars to fill forward: of an instrument, in regular hours (open, close in ns UTC, rising)."""

    instrument: str
    kind: type[Event]
    hours: tuple[tuple[int, int], ...]


class Batches(Protocol):
    """What is wrapped: a source."""

    def batches(self) -> Iterator[Batch]:
        """Yield batches of inputs."""


class _Line(Protocol):
    """Bars of one instrument and kind that are derived."""

    exact: int  # 0 if an event at `due` comes after the bar (ticks), 1 if it may belong to it (bars)
    waits: int  # what of `due` is in the heap

    @property
    def due(self) -> int:
        """When the next bar is over, or `NEVER`."""

    def over(self) -> Event:
        """Return the bar that is over at `due`."""


class DerivedSource:
    """A source with derived bars put in. `filled` and `made` count them."""

    def __init__(
        self, source: Batches, made: Sequence[Made], filled: Sequence[Filled], *, extended: bool
    ) -> None:
        self._source = source
        self._heap: list[tuple[int, int, int, int, _Line]] = []
        self._pushed = 0
        self._due = NEVER
        self._seq = 0
        self._takers: dict[tuple[type[Event], str], list[Callable[[Any], None]]] = {}
        self._lines: dict[tuple[type[Event], str], list[tuple[int, _Line]]] = {}
        self.filled = 0
        self.made = 0
        for order, one in enumerate(filled):
            line = _Forward(one)
            self._add(one.kind, one.instrument, line.take, line, order)
        for order, each in enumerate(made, len(filled)):
            self._make(each, order, extended=extended)

    def _make(self, made: Made, order: int, *, extended: bool) -> None:
        grid = Grid(made.resolution, made.session, extended=extended)
        name, period = f"{made.feed.feed}>{made.resolution.name}", made.resolution.name
        exact = int(made.feed.resolution != "tick")
        line: _Line
        kind: type[Event]
        take: Callable[[Any], None]
        if made.kind is Bar:
            trades = line = _Trades(TradeBars(name, made.instrument, grid), period, exact)
            kind, take = (Bar, trades.bars.bar) if exact else (Trade, trades.bars.trade)
        else:
            quotes = line = _Quotes(QuoteBars(name, made.instrument, grid), period, exact, made.feed)
            kind, take = (QuoteBar, quotes.bars.bar) if exact else (Quote, quotes.quote)
        self._add(kind, made.instrument, take, line, order)

    def _add(
        self, kind: type[Event], instrument: str, take: Callable[[Any], None], line: _Line, order: int
    ) -> None:
        self._takers.setdefault((kind, instrument), []).append(take)
        self._lines.setdefault((kind, instrument), []).append((order, line))

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the source with what is derived from them."""
        for batch in self._source.batches():
            yield self._derived(batch)
        if self._heap:
            yield list(self._emit(NEVER))

    def _derived(self, batch: Batch) -> Iterator[tuple[int, Event]]:
        takers, lines = self._takers, self._lines
        for seq, event in batch:
            if event.ts >= self._due:
                yield from self._emit(event.ts)
            self._seq = seq
            yield seq, event
            key = (type(event), getattr(event, "instrument", ""))
            if key not in takers:
                continue
            for take in takers[key]:
                take(event)
            for order, line in lines[key]:
                self._wait(order, line)

    def _wait(self, order: int, line: _Line) -> None:
        # An entry that is no longer true stays in the heap until it surfaces.
        due = line.due
        if due in (NEVER, line.waits):
            return
        line.waits = due
        self._pushed += 1
        heappush(self._heap, (due + line.exact, order, self._pushed, due, line))
        self._due = self._heap[0][0]

    def _emit(self, ts: int) -> Iterator[tuple[int, Event]]:
        heap = self._heap
        while heap and heap[0][0] <= ts:
            _, order, _, due, line = heappop(heap)
            if line.due != due:
                continue
            bar = line.over()
            if isinstance(line, _Forward):
                self.filled += 1
            else:
                self.made += 1
            yield self._seq, bar
            self._wait(order, line)
        self._due = heap[0][0] if heap else NEVER


class _Trades:
    """Made bars of trades."""

    __slots__ = ("bars", "exact", "period", "waits")

    def __init__(self, bars: TradeBars, period: str, exact: int) -> None:
        self.bars, self.period, self.exact, self.waits = bars, period, exact, 0

    @property
    def due(self) -> int:
        return self.bars.due

    def over(self) -> MadeBar:
        return MadeBar(*(*_fields(self.bars.over()), self.period))


class _Quotes:
    """Made quote bars; the best bid and ask are taken over the venues, as prices are everywhere."""

    __slots__ = ("_book", "bars", "exact", "period", "waits")

    def __init__(self, bars: QuoteBars, period: str, exact: int, feed: FeedDefined) -> None:
        self.bars, self.period, self.exact, self.waits = bars, period, exact, 0
        quotes = Quotes()
        quotes.define(feed)
        self._book = quotes.book("")

    @property
    def due(self) -> int:
        return self.bars.due

    def quote(self, quote: Quote) -> None:
        if quote.suspicious:
            return
        book = self._book
        book.on_quote(quote)
        self.bars.quote(quote.ts, book.bid, book.bid_size, book.ask, book.ask_size)

    def over(self) -> MadeQuoteBar:
        return MadeQuoteBar(*(*_fields(self.bars.over()), self.period))


class _Forward:
    """The missing bars of one instrument and kind, in regular hours: after each bar the next one is due."""

    def __init__(self, filled: Filled) -> None:
        self._hours = filled.hours
        self._closes = [close for _, close in filled.hours]
        self._last: Bar | QuoteBar | None = None
        self._length = 0
        self.due = NEVER
        self.exact, self.waits = 1, 0

    def take(self, bar: Bar | QuoteBar) -> None:
        self._last, self._length = bar, bar.ts - bar.start
        self.due = self._next(bar.ts)

    def over(self) -> Event:
        last, due, start = self._last, self.due, self.due - self._length
        assert last is not None
        self.due = self._next(due)
        if isinstance(last, Bar):
            prices = (last.open, last.high, last.low, last.close)
            return FilledBar(due, start, last.feed, last.instrument, *prices, 0.0)
        return FilledQuoteBar(due, start, *_fields(last)[2:])

    def _next(self, ts: int) -> int:
        """Return where the bar after `ts` would end."""
        place = bisect_left(self._closes, ts + 1)
        if place == len(self._hours):
            return NEVER
        opens, close = self._hours[place]
        due = (
            opens + ((ts - opens) // self._length + 1) * self._length if ts >= opens else opens + self._length
        )
        return min(due, close)


def _fields(event: Event) -> tuple[Any, ...]:
    return msgspec.structs.astuple(event)
