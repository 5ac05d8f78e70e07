"""Last prices: the last trade, and the best bid and ask over the venues of a feed.

This is on the hot path: the loop holds a `Book` per instrument and hands it market data without an
envelope. Suspicious prints and quotes never count. Quotes of different feeds are never mixed: the best
prices are those of the feed that quoted last.
"""

from math import fsum
from typing import Any, TypeAlias

import msgspec

from core.events import Bar, HaltChanged, Quote, QuoteBar, Trade
from projections.base import Projection, State

Levels: TypeAlias = dict[str, tuple[float, float]]
"""Price and displayed size by venue; a venue that shows nothing is absent."""


class Book:
    """One instrument's prices. `last`, `bar` and `halted` may be read directly; nobody else writes."""

    __slots__ = (
        "_ask",
        "_bid",
        "_feeds",
        "asks",
        "bar",
        "bids",
        "feed",
        "halted",
        "instrument",
        "last",
        "quoted",
    )

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.last: Trade | None = None
        self.bar: Bar | None = None
        self.halted = False
        self.quoted = False
        self.feed = ""
        self.bids: Levels = {}
        self.asks: Levels = {}
        self._feeds: dict[str, tuple[Levels, Levels]] = {}
        # The best level of each side as (price, summed size); `None` means "compute when asked".
        self._bid: tuple[float | None, float] | None = None
        self._ask: tuple[float | None, float] | None = None

    @property
    def bid(self) -> float | None:
        """The highest bid over the venues."""
        best = self._bid
        if best is None:
            best = self._bid = _best(self.bids, max)
        return best[0]

    @property
    def ask(self) -> float | None:
        """The lowest ask over the venues."""
        best = self._ask
        if best is None:
            best = self._ask = _best(self.asks, min)
        return best[0]

    @property
    def bid_size(self) -> float:
        """The size at the best bid, summed over the venues that show it; 0 without a bid."""
        best = self._bid
        if best is None:
            best = self._bid = _best(self.bids, max)
        return best[1]

    @property
    def ask_size(self) -> float:
        """The size at the best ask, summed over the venues that show it; 0 without an ask."""
        best = self._ask
        if best is None:
            best = self._ask = _best(self.asks, min)
        return best[1]

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
        """Take a trade of this instrument."""
        if not trade.suspicious:
            self.last = trade

    def on_bar(self, bar: Bar) -> None:
        """Take a trade bar of this instrument: its close is a mark."""
        self.bar = bar

    def on_quote(self, quote: Quote) -> None:
        """Take a quote of this instrument: one side or both, at one venue."""
        if quote.suspicious:
            return
        if quote.feed != self.feed:
            self._turn_to(quote.feed)
        price = quote.bid
        if price is not None:
            size = quote.bid_size
            if size and price:
                self.bids[quote.venue] = (price, size)
            else:
                _set_level(self.bids, quote.venue, price, size)
            self._bid = None
        elif quote.bid_size is not None:
            _set_level(self.bids, quote.venue, None, quote.bid_size)
            self._bid = None
        price = quote.ask
        if price is not None:
            size = quote.ask_size
            if size and price:
                self.asks[quote.venue] = (price, size)
            else:
                _set_level(self.asks, quote.venue, price, size)
            self._ask = None
        elif quote.ask_size is not None:
            _set_level(self.asks, quote.venue, None, quote.ask_size)
            self._ask = None

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Take a quote bar: its closes are the bid and ask of a feed with one venue."""
        if bar.feed != self.feed:
            self._turn_to(bar.feed)
        if bar.bid_close is not None:
            _set_level(self.bids, "", bar.bid_close, bar.bid_size)
            self._bid = None
        if bar.ask_close is not None:
            _set_level(self.asks, "", bar.ask_close, bar.ask_size)
            self._ask = None

    def _turn_to(self, feed: str) -> None:
        self.quoted = True
        self.feed = feed
        self.bids, self.asks = self._feeds.setdefault(feed, ({}, {}))
        self._bid = self._ask = None

    def snapshot(self) -> "BookState":
        """Return the book as data, venues sorted."""
        feeds = {
            feed: (dict(sorted(b.items())), dict(sorted(a.items()))) for feed, (b, a) in self._feeds.items()
        }
        return BookState(self.instrument, self.last, self.bar, self.halted, self.quoted, self.feed, feeds)

    @classmethod
    def from_snapshot(cls, state: "BookState") -> "Book":
        """Return the book that `snapshot` described."""
        book = cls(state.instrument)
        book.last, book.bar, book.halted = state.last, state.bar, state.halted
        book._feeds = {feed: (dict(bids), dict(asks)) for feed, (bids, asks) in state.feeds.items()}
        if state.quoted:
            book._turn_to(state.feed)
        return book


def _best(levels: Levels, pick: Any) -> tuple[float | None, float]:
    if not levels:
        return None, 0.0
    if len(levels) == 1:
        return next(iter(levels.values()))
    best = pick(levels.values())[0]
    # fsum, because a plain sum of floats would depend on the order in which venues first quoted.
    return best, fsum(size for price, size in levels.values() if price == best)


def _set_level(levels: Levels, venue: str, price: float | None, size: float | None) -> None:
    # A missing half keeps its last value; a price or size of 0 clears the venue's side.
    if price == 0 or size == 0:
        levels.pop(venue, None)
        return
    known = levels.get(venue)
    if price is None:
        if known is None or size is None:
            return
        price = known[0]
    if size is None:
        size = known[1] if known is not None else 0.0
    levels[venue] = (price, size)


class BookState(msgspec.Struct):
    """One instrument in a snapshot; `feeds` holds bids and asks by feed and venue."""

    instrument: str
    last: Trade | None
    bar: Bar | None
    halted: bool
    quoted: bool
    feed: str
    feeds: dict[str, tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]]


class QuotesState(State, kw_only=True):
    """Snapshot of `Quotes`, sorted by instrument."""

    books: list[BookState]


class _Books(dict[str, Book]):
    def __missing__(self, instrument: str) -> Book:
        book = self[instrument] = Book(instrument)
        return book


class Quotes(Projection):
    """Implements `core.views.QuotesView`. The `on_…` methods take bare events and skip `applied_seq`."""

    name = "quotes"
    state_type = QuotesState

    def __init__(self) -> None:
        self._books = _Books()
        super().__init__(
            {
                Trade: self._trade,
                Quote: self._quote,
                Bar: self._bar,
                QuoteBar: self._quote_bar,
                HaltChanged: self._halt,
            }
        )

    def book(self, instrument: str) -> Book:
        """Return the instrument's book: the same object for the life of the projection until `restore`."""
        return self._books[instrument]

    def on_trade(self, trade: Trade) -> None:
        """Fold a trade without its envelope."""
        if not trade.suspicious:
            self._books[trade.instrument].last = trade

    def on_quote(self, quote: Quote) -> None:
        """Fold a quote without its envelope."""
        self._books[quote.instrument].on_quote(quote)

    def on_bar(self, bar: Bar) -> None:
        """Fold a trade bar without its envelope."""
        self._books[bar.instrument].bar = bar

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
        return book is not None and book.quoted

    def mark(self, instrument: str) -> float | None:
        """Return the last trade or bar close, else the middle of bid and ask, else `None`."""
        book = self._books.get(instrument)
        return None if book is None else book.mark

    def halted(self, instrument: str) -> bool:
        """Return whether trading in the instrument is halted."""
        book = self._books.get(instrument)
        return book is not None and book.halted

    def _trade(self, entry: Any) -> None:
        self.on_trade(entry.event)

    def _quote(self, entry: Any) -> None:
        self.on_quote(entry.event)

    def _bar(self, entry: Any) -> None:
        self.on_bar(entry.event)

    def _quote_bar(self, entry: Any) -> None:
        self.on_quote_bar(entry.event)

    def _halt(self, entry: Any) -> None:
        event: HaltChanged = entry.event
        self._books[event.instrument].halted = event.halted

    def describe(self) -> str:
        """Return for example `quotes: 3 instruments, 2 quoted, 1 halted`."""
        books = self._books.values()
        quoted, halted = sum(book.quoted for book in books), sum(book.halted for book in books)
        return f"quotes: {len(books)} instruments, {quoted} quoted, {halted} halted"

    def state(self) -> QuotesState:
        """Return a snapshot, sorted by instrument. An instrument only asked for is not part of it."""
        books = [self._books[instrument].snapshot() for instrument in sorted(self._books)]
        return QuotesState(applied_seq=self.applied_seq, books=[book for book in books if _seen(book)])

    def restore(self, state: QuotesState) -> None:
        """Replace all books; those handed out before are no longer fed."""
        self._books.clear()
        self._books.update({book.instrument: Book.from_snapshot(book) for book in state.books})
        self.applied_seq = state.applied_seq


def _seen(book: BookState) -> bool:
    return bool(book.last or book.bar or book.halted or book.quoted)
