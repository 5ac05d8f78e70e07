"""What happens to recorded data before a replay sees them: hours left out, prices adjusted. Pure.

It changes what is read, never the log. `app.replay.planning` decides which data it is done to.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.events import Bar, Event, Quote, QuoteBar, Trade
from core.ports import MarketChunk
from projections.actions import Factors


class Preparation(msgspec.Struct, frozen=True):
    """Regular hours (open, close in ns UTC, rising) that bars must lie in, if any; factors by instrument."""

    hours: tuple[tuple[int, int], ...] = ()
    factors: dict[str, Factors] = {}

    def __bool__(self) -> bool:
        return bool(self.hours or self.factors)


def prepared(chunks: Iterator[MarketChunk], preparation: Preparation) -> Iterator[MarketChunk]:
    """Yield the chunks as they are to be replayed."""
    if not preparation:
        yield from chunks
        return
    within = Hours(preparation.hours) if preparation.hours else None
    adjust = Adjustment(preparation.factors) if preparation.factors else None
    for chunk in chunks:
        if within is not None:
            chunk = within.only(chunk)  # noqa: PLW2901
        if adjust is not None and chunk.events:
            chunk = MarketChunk(chunk.seqs, chunk.ts, [adjust(event) for event in chunk.events])  # noqa: PLW2901
        yield chunk


class Hours:
    """Regular hours: a bar belongs to them if any of it does.

    So an hour's bar that begins half an hour before the open counts, as in LEAN.
    """

    def __init__(self, hours: tuple[tuple[int, int], ...]) -> None:
        table = np.array(hours, dtype=np.int64).reshape(-1, 2)
        self._opens, self._closes = table[:, 0], table[:, 1]

    def holds(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which bars reach into regular hours."""
        places = np.searchsorted(self._closes, starts, side="right")
        known = places < len(self._opens)
        return known & (self._opens[np.minimum(places, len(self._opens) - 1)] < ends)

    def only(self, chunk: MarketChunk) -> MarketChunk:
        """Return the bars of a chunk that count; all else in it stays."""
        # A bar counts if its last nanosecond does. Only others have to be looked at, and what has no start
        # among them (a tick, a halt) lies in its own instant, and always counts.
        kept = self.holds(chunk.ts - 1, chunk.ts)
        rows = np.flatnonzero(~kept)
        if not len(rows):
            return chunk
        events = list(chunk.events)
        begins = np.array([getattr(events[row], "start", -1) for row in rows.tolist()], dtype=np.int64)
        kept[rows] = (begins < 0) | self.holds(begins, chunk.ts[rows])
        rows = np.flatnonzero(kept)
        return MarketChunk(chunk.seqs[rows], chunk.ts[rows], [events[row] for row in rows.tolist()])


class Adjustment:
    """Prices times the factor of their day, volumes and sizes divided by that of splits.

    Prices are rounded to 8 decimals, which is what orders have: an order at a bar's low must not lie a hair
    above or below it.
    """

    def __init__(self, factors: dict[str, Factors]) -> None:
        self._factors = factors
        self._now: dict[str, tuple[int, int, float, float]] = {}  # from, to, price, split

    def __call__(self, event: Event) -> Event:
        """Return the event adjusted; the same one where there is nothing to adjust."""
        adjust = _ADJUST.get(type(event))
        if adjust is None:
            return event
        instrument = event.instrument  # type: ignore[attr-defined]
        known = self._factors.get(instrument)
        if known is None:
            return event
        ts: int = getattr(event, "start", event.ts)
        begin, end, price, split = self._now.get(instrument, (0, 0, 1.0, 1.0))
        if not begin <= ts < end:
            begin, end = known.span(ts)
            price, split = known.at(ts)
            self._now[instrument] = (begin, end, price, split)
        return event if price == 1.0 == split else adjust(event, price, split)


def _trade(e: Any, price: float, split: float) -> Trade:
    return Trade(
        e.ts,
        e.feed,
        e.instrument,
        _priced(e.price, price),
        e.size / split,
        e.venue,
        e.conditions,
        e.suspicious,
    )


def _quote(e: Any, price: float, split: float) -> Quote:
    bid, ask = _maybe(e.bid, price), _maybe(e.ask, price)
    bid_size, ask_size = _times(e.bid_size, 1 / split), _times(e.ask_size, 1 / split)
    return Quote(
        e.ts, e.feed, e.instrument, bid, bid_size, ask, ask_size, e.venue, e.conditions, e.suspicious
    )


def _bar(e: Any, price: float, split: float) -> Bar:
    high, low = _priced(e.high, price), _priced(e.low, price)
    prices = (_priced(e.open, price), high, low, _priced(e.close, price))
    return Bar(e.ts, e.start, e.feed, e.instrument, *prices, e.volume / split)


def _quote_bar(e: Any, price: float, split: float) -> QuoteBar:
    bids = [_maybe(p, price) for p in (e.bid_open, e.bid_high, e.bid_low, e.bid_close)]
    asks = [_maybe(p, price) for p in (e.ask_open, e.ask_high, e.ask_low, e.ask_close)]
    bid_size, ask_size = _times(e.bid_size, 1 / split), _times(e.ask_size, 1 / split)
    return QuoteBar(e.ts, e.start, e.feed, e.instrument, *(*bids, bid_size, *asks, ask_size))


def _priced(value: float, factor: float) -> float:
    return round(value * factor, 8)


def _maybe(value: float | None, factor: float) -> float | None:
    return None if value is None else _priced(value, factor)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


_ADJUST: dict[type[Event], Callable[[Any, float, float], Event]] = {
    Trade: _trade,
    Quote: _quote,
    Bar: _bar,
    QuoteBar: _quote_bar,
}
