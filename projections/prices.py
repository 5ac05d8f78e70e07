"""One instrument's prices: the last trade and bars, and the best bid and ask over the venues of a feed.

In a consolidated feed each quote is the best of its side, whichever venue is named: it replaces the one
before. Otherwise it speaks for its venue alone, and the best is taken over the venues.

This is on the hot path: the loop hands market data to a `Book` without an envelope. Suspicious prints and
quotes never count. Quotes of different feeds are never mixed: the best prices are those of the feed that
quoted last.
"""

from collections.abc import Set
from math import fsum
from typing import Self, TypeAlias

import msgspec
from msgspec.structs import replace

from core.events import Bar, Quote, QuoteBar, Trade

Levels: TypeAlias = dict[str, tuple[float, float]]
"""(price, size) by venue, of one side."""


class Side:
    """One side of a book: price and displayed size by venue; a venue that shows nothing is absent."""

    __slots__ = ("best", "prices", "sizes")

    def __init__(self) -> None:
        self.prices: dict[str, float] = {}
        self.sizes: dict[str, float] = {}
        # The best price; `None` means "look when asked": most updates are never asked about.
        self.best: float | None = None

    def update(self, venue: str, price: float | None, size: float | None) -> None:
        """Take what a venue shows. A missing half keeps its last value; a price or size of 0 clears."""
        self.best = None
        if price == 0 or size == 0:
            self.prices.pop(venue, None)
            self.sizes.pop(venue, None)
            return
        if price is not None:
            self.prices[venue] = price
            self.sizes[venue] = size if size is not None else self.sizes.get(venue, 0.0)
        elif size is not None and venue in self.prices:
            self.sizes[venue] = size

    def size(self, best: float | None) -> float:
        """Return the size shown at `best`, summed over venues."""
        if best is None:
            return 0.0
        # fsum, because a plain sum of floats would depend on the order in which venues first quoted.
        return fsum(self.sizes[venue] for venue, price in self.prices.items() if price == best)

    def levels(self) -> Levels:
        """Return (price, size) by venue, sorted."""
        return {venue: (self.prices[venue], self.sizes[venue]) for venue in sorted(self.prices)}

    @classmethod
    def of(cls, levels: Levels) -> Self:
        """Return the side that `levels` described."""
        side = cls()
        for venue, (price, size) in levels.items():
            side.prices[venue], side.sizes[venue] = price, size
        return side


class BookState(msgspec.Struct):
    """One instrument in a snapshot; `feeds` holds bids and asks by feed and venue."""

    instrument: str
    last: Trade | None
    bar: Bar | None
    halted: bool
    feed: str | None
    feeds: dict[str, tuple[Levels, Levels]]
    quote_bar: QuoteBar | None = None


class Book:
    """One instrument's prices, fed by `Quotes` or the loop.

    `last`, `bar`, `quote_bar`, `halted` and `feed` may be read.

    `feed` is the one that quoted last, `None` before any quote. `consolidated` names the consolidated
    feeds; it is shared with the `Quotes` that made the book, which keeps it.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_consolidated",
        "_feeds",
        "_one_venue",
        "bar",
        "feed",
        "halted",
        "instrument",
        "last",
        "quote_bar",
    )

    def __init__(self, instrument: str, consolidated: Set[str] = frozenset()) -> None:
        self.instrument = instrument
        self._consolidated = consolidated
        self._one_venue = False
        self.last: Trade | None = None
        self.bar: Bar | None = None
        self.quote_bar: QuoteBar | None = None
        self.halted = False
        self.feed: str | None = None
        self._bids = Side()
        self._asks = Side()
        self._feeds: dict[str, tuple[Side, Side]] = {}

    @property
    def bid(self) -> float | None:
        """The highest bid over the venues."""
        side = self._bids
        best = side.best
        if best is None and side.prices:
            best = side.best = max(side.prices.values())
        return best

    @property
    def ask(self) -> float | None:
        """The lowest ask over the venues."""
        side = self._asks
        best = side.best
        if best is None and side.prices:
            best = side.best = min(side.prices.values())
        return best

    @property
    def bid_size(self) -> float:
        """The size at the best bid, summed over the venues that show it; 0 without a bid."""
        return self._bids.size(self.bid)

    @property
    def ask_size(self) -> float:
        """The size at the best ask, summed over the venues that show it; 0 without an ask."""
        return self._asks.size(self.ask)

    @property
    def told(self) -> bool:
        """Whether it was told of anything at all: a price, a quote, or a halt that is not over."""
        return bool(self.last or self.bar or self.halted) or self.feed is not None

    @property
    def mark(self) -> float | None:
        """The price to value a position at: last trade or bar close, the later; else the middle."""
        last, bar = self.last, self.bar
        if last is not None:
            return last.price if bar is None or bar.ts < last.ts else bar.close
        if bar is not None:
            return bar.close
        bid, ask = self.bid, self.ask
        return None if bid is None or ask is None else (bid + ask) / 2.0

    def on_trade(self, trade: Trade) -> None:
        """Fold a trade of this instrument."""
        if not trade.suspicious:
            self.last = trade

    def on_quote(self, quote: Quote) -> None:
        """Fold a quote of this instrument: one side or both, at one venue."""
        if quote.suspicious:
            return
        if quote.feed != self.feed:
            self._turn_to(quote.feed)
        venue = "" if self._one_venue else quote.venue
        # The two common cases, a full side, are spelled out: a call each would cost a third of the fold.
        price, size = quote.bid, quote.bid_size
        if price and size:
            side = self._bids
            side.prices[venue] = price
            side.sizes[venue] = size
            side.best = None
        elif price is not None or size is not None:
            self._bids.update(venue, price, size)
        price, size = quote.ask, quote.ask_size
        if price and size:
            side = self._asks
            side.prices[venue] = price
            side.sizes[venue] = size
            side.best = None
        elif price is not None or size is not None:
            self._asks.update(venue, price, size)

    def on_bar(self, bar: Bar) -> None:
        """Fold a trade bar of this instrument: its close is a mark."""
        self.bar = bar

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Fold a quote bar of this instrument: its closes are those of a feed with one venue."""
        self.quote_bar = bar
        if bar.feed != self.feed:
            self._turn_to(bar.feed)
        self._bids.update("", bar.bid_close, bar.bid_size)
        self._asks.update("", bar.ask_close, bar.ask_size)

    def _turn_to(self, feed: str) -> None:
        # Show this feed's quotes from now on; those of the other feeds are kept apart.
        self.feed = feed
        self._one_venue = feed in self._consolidated
        sides = self._feeds.get(feed)
        if sides is None:
            sides = self._feeds[feed] = (Side(), Side())
        self._bids, self._asks = sides

    def forget(self, feed: str) -> None:
        """Drop what a feed quoted: it was redefined, so its venues mean something else now."""
        self._feeds.pop(feed, None)
        if feed == self.feed:
            self._turn_to(feed)

    def split(self, ratio: float) -> None:
        """Divide the last prices by a split's ratio, so that positions have a value until the next price."""
        last, bar = self.last, self.bar
        if last is not None:
            self.last = replace(last, price=last.price / ratio)
        if bar is not None:
            prices = {name: getattr(bar, name) / ratio for name in ("open", "high", "low", "close")}
            self.bar = replace(bar, **prices)
        for feed in list(self._feeds):
            self.forget(feed)  # nobody quotes yet at the new prices

    def snapshot(self) -> BookState:
        """Return the book as data, venues sorted."""
        feeds = {feed: (bids.levels(), asks.levels()) for feed, (bids, asks) in self._feeds.items()}
        return BookState(self.instrument, self.last, self.bar, self.halted, self.feed, feeds, self.quote_bar)

    @classmethod
    def from_snapshot(cls, state: BookState, consolidated: Set[str]) -> Self:
        """Return the book that `snapshot` described."""
        book = cls(state.instrument, consolidated)
        book.last, book.bar, book.halted = state.last, state.bar, state.halted
        book.quote_bar = state.quote_bar
        book._feeds = {feed: (Side.of(bids), Side.of(asks)) for feed, (bids, asks) in state.feeds.items()}
        if state.feed is not None:
            book._turn_to(state.feed)
        return book
