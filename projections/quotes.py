"""Last prices: the last trade, and the best bid and ask over the venues of a feed.

In a consolidated feed each quote is the best of its side, whichever venue is named: it replaces the one
before. Otherwise it speaks for its venue alone, and the best is taken over the venues.

This is on the hot path: the loop holds a `Book` per instrument and hands it market data without an
envelope. Suspicious prints and quotes never count. Quotes of different feeds are never mixed: the best
prices are those of the feed that quoted last.
"""

from collections.abc import Set
from math import fsum
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from core.events import Bar, CorporateAction, FeedDefined, HaltChanged, Quote, QuoteBar, Trade
from projections.base import Projection, State


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

    def levels(self) -> "Levels":
        """Return (price, size) by venue, sorted."""
        return {venue: (self.prices[venue], self.sizes[venue]) for venue in sorted(self.prices)}

    @classmethod
    def of(cls, levels: "Levels") -> "Side":
        """Return the side that `levels` described."""
        side = cls()
        for venue, (price, size) in levels.items():
            side.prices[venue], side.sizes[venue] = price, size
        return side


Levels: TypeAlias = dict[str, tuple[float, float]]


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

    def snapshot(self) -> "BookState":
        """Return the book as data, venues sorted."""
        feeds = {feed: (bids.levels(), asks.levels()) for feed, (bids, asks) in self._feeds.items()}
        return BookState(self.instrument, self.last, self.bar, self.halted, self.feed, feeds, self.quote_bar)

    @classmethod
    def from_snapshot(cls, state: "BookState", consolidated: Set[str]) -> "Book":
        """Return the book that `snapshot` described."""
        book = cls(state.instrument, consolidated)
        book.last, book.bar, book.halted = state.last, state.bar, state.halted
        book.quote_bar = state.quote_bar
        book._feeds = {feed: (Side.of(bids), Side.of(asks)) for feed, (bids, asks) in state.feeds.items()}
        if state.feed is not None:
            book._turn_to(state.feed)
        return book


class BookState(msgspec.Struct):
    """One instrument in a snapshot; `feeds` holds bids and asks by feed and venue."""

    instrument: str
    last: Trade | None
    bar: Bar | None
    halted: bool
    feed: str | None
    feeds: dict[str, tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]]
    quote_bar: QuoteBar | None = None


class QuotesState(State, kw_only=True):
    """Snapshot of `Quotes`, sorted by instrument."""

    books: list[BookState]
    consolidated: list[str]


class _Books(dict[str, Book]):
    def __init__(self, consolidated: Set[str]) -> None:
        super().__init__()
        self._consolidated = consolidated

    def __missing__(self, instrument: str) -> Book:
        book = self[instrument] = Book(instrument, self._consolidated)
        return book


class Quotes(Projection):
    """Implements `core.views.QuotesView`. The `on_…` methods take bare events and skip `applied_seq`."""

    name = "quotes"
    state_type = QuotesState

    def __init__(self) -> None:
        self._consolidated: set[str] = set()
        self._books = _Books(self._consolidated)
        super().__init__(
            {
                Trade: self._trade,
                Quote: self._quote,
                Bar: self._bar,
                QuoteBar: self._quote_bar,
                HaltChanged: self._halt,
                FeedDefined: self._feed,
                CorporateAction: self._split,
            }
        )

    def book(self, instrument: str) -> Book:
        """Return the instrument's book: the same object for the life of the projection until `restore`."""
        return self._books[instrument]

    def on_trade(self, trade: Trade) -> None:
        """Fold a trade without its envelope."""
        self._books[trade.instrument].on_trade(trade)

    def on_quote(self, quote: Quote) -> None:
        """Fold a quote without its envelope."""
        self._books[quote.instrument].on_quote(quote)

    def on_bar(self, bar: Bar) -> None:
        """Fold a trade bar without its envelope."""
        self._books[bar.instrument].on_bar(bar)

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Fold a quote bar without its envelope."""
        self._books[bar.instrument].on_quote_bar(bar)

    def last_trade(self, instrument: str) -> Trade | None:
        """Return the last trade that may be traded on."""
        book = self._books.get(instrument)
        return None if book is None else book.last

    def bid(self, instrument: str) -> float | None:
        """Return the highest bid over the venues of the feed that quoted last."""
        book = self._books.get(instrument)
        return None if book is None else book.bid

    def ask(self, instrument: str) -> float | None:
        """Return the lowest ask over the venues of the feed that quoted last."""
        book = self._books.get(instrument)
        return None if book is None else book.ask

    def bid_size(self, instrument: str) -> float:
        """Return the size displayed at the best bid; 0 without a bid."""
        book = self._books.get(instrument)
        return 0.0 if book is None else book.bid_size

    def ask_size(self, instrument: str) -> float:
        """Return the size displayed at the best ask; 0 without an ask."""
        book = self._books.get(instrument)
        return 0.0 if book is None else book.ask_size

    def has_quotes(self, instrument: str) -> bool:
        """Return whether any quote was ever seen for the instrument."""
        book = self._books.get(instrument)
        return book is not None and book.feed is not None

    def last_ts(self, instrument: str) -> int | None:
        """Return when the last trade or bar was (ns UTC), or `None` before any."""
        book = self._books[instrument]
        last, bar = book.last, book.bar
        if last is None or bar is None:
            found = last if bar is None else bar
            return None if found is None else found.ts
        return max(last.ts, bar.ts)

    def mark(self, instrument: str) -> float | None:
        """Return the last trade or bar close, else the middle of bid and ask, else `None`."""
        book = self._books.get(instrument)
        return None if book is None else book.mark

    def bar(self, instrument: str) -> Bar | None:
        """Return the last trade bar."""
        book = self._books.get(instrument)
        return None if book is None else book.bar

    def quote_bar(self, instrument: str) -> QuoteBar | None:
        """Return the last quote bar."""
        book = self._books.get(instrument)
        return None if book is None else book.quote_bar

    def halted(self, instrument: str) -> bool:
        """Return whether trading in the instrument is halted."""
        book = self._books.get(instrument)
        return book is not None and book.halted

    def _trade(self, event: Trade, _seq: int) -> None:
        self.on_trade(event)

    def _quote(self, event: Quote, _seq: int) -> None:
        self.on_quote(event)

    def _bar(self, event: Bar, _seq: int) -> None:
        self.on_bar(event)

    def _quote_bar(self, event: QuoteBar, _seq: int) -> None:
        self.on_quote_bar(event)

    def _feed(self, event: FeedDefined, _seq: int) -> None:
        self.define(event)

    def define(self, event: FeedDefined) -> None:
        """Learn whether the venues of a feed are one; what it quoted before is dropped if that changes."""
        if event.consolidated == (event.feed in self._consolidated):
            return
        self._consolidated ^= {event.feed}
        for book in self._books.values():
            book.forget(event.feed)

    def _split(self, action: CorporateAction, _seq: int) -> None:
        book = self._books.get(action.instrument)
        if book is not None and action.ratio != 1:
            book.split(float(action.ratio))

    def _halt(self, event: HaltChanged, _seq: int) -> None:
        self._books[event.instrument].halted = event.halted

    def describe(self) -> str:
        """Return for example `quotes: 3 instruments, 2 quoted, 1 halted`."""
        books = self._books.values()
        quoted, halted = sum(book.feed is not None for book in books), sum(book.halted for book in books)
        return f"quotes: {len(books)} instruments, {quoted} quoted, {halted} halted"

    def state(self) -> QuotesState:
        """Return a snapshot, sorted by instrument. An instrument only asked for is not part of it."""
        books = [self._books[instrument].snapshot() for instrument in sorted(self._books)]
        return QuotesState(
            applied_seq=self.applied_seq,
            books=[book for book in books if _seen(book)],
            consolidated=sorted(self._consolidated),
        )

    def restore(self, state: QuotesState) -> None:
        """Replace all books; those handed out before are no longer fed."""
        self._consolidated.clear()
        self._consolidated.update(state.consolidated)
        self._books.clear()
        for book in state.books:
            self._books[book.instrument] = Book.from_snapshot(book, self._consolidated)
        self.applied_seq = state.applied_seq


def _seen(book: BookState) -> bool:
    return bool(book.last or book.bar or book.halted) or book.feed is not None
