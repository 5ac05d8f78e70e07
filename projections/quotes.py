"""Last prices of all instruments: a book for each, and what the log says of feeds, halts and splits.

The loop holds the books and feeds them itself; what a price is, and which counts, is `projections.prices`.
"""

from collections.abc import Set

from core.events import Bar, CorporateAction, FeedDefined, HaltChanged, Quote, QuoteBar, Trade
from projections.base import Projection, State
from projections.prices import Book, BookState


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

    def define(self, event: FeedDefined) -> None:
        """Learn whether the venues of a feed are one; what it quoted before is dropped if that changes."""
        if event.consolidated == (event.feed in self._consolidated):
            return
        self._consolidated ^= {event.feed}  # in place: the books share it
        for book in self._books.values():
            book.forget(event.feed)

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
        return QuotesState(
            applied_seq=self.applied_seq,
            books=[book.snapshot() for _, book in sorted(self._books.items()) if book.told],
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
