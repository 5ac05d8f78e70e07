"""Lanes: what the market data of an instrument run through, held together: a tick costs one look-up."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from core.events import Bar, Event, Quote, QuoteBar, Trade

T = TypeVar("T")
Handler = Callable[[Any], None]
BarEvent = Bar | QuoteBar


class Book(Protocol):
    """One instrument's prices as the hot path folds them: events without their envelope."""

    last: Trade | None
    """The last trade that is not suspicious. The loop sets it: a trade folds to no more than this."""
    bar: Bar | None
    """The last bar. The loop sets it, as it sets `last`."""

    def on_quote(self, quote: Quote) -> None:
        """Fold a quote."""

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Fold a quote bar."""


class Lane:
    """What the market data of one instrument run through: fold, resting orders, handlers."""

    __slots__ = (
        "book",
        "derived",
        "on_bar",
        "on_quote",
        "on_quote_bar",
        "on_trade",
        "resting",
    )

    def __init__(
        self,
        book: Book,
        resting: Sequence[object],
        handlers: dict[str, Handler | None],
        derived: dict[tuple[type[Event], str], Handler | None],
    ) -> None:
        self.book = book
        self.resting = resting  # the broker's own list: empty means that nothing can fill
        self.on_trade = handlers["on_trade"]
        self.on_quote = handlers["on_quote"]
        self.on_bar = handlers["on_bar"]
        self.on_quote_bar = handlers["on_quote_bar"]
        self.derived = derived  # of filled and made bars, by type and period, or feed

    def hears(self, bar: BarEvent) -> Handler | None:
        """Return who is told of a bar."""
        kind = type(bar)
        if kind is Bar:
            return self.derived.get((Bar, bar.feed), self.on_bar) if self.derived else self.on_bar
        if kind is QuoteBar:
            return self.on_quote_bar
        return self.derived.get((kind, getattr(bar, "period", "")))


class Lanes(dict[str, Lane]):
    """Lanes by instrument. A subscript costs one look-up; a new instrument's lane is made on the way."""

    def __init__(self, make: Callable[[str], Lane]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, instrument: str) -> Lane:
        lane = self[instrument] = self._make(instrument)
        return lane


def together(takers: Sequence[Callable[[T], None]]) -> Callable[[T], None] | None:
    """Return one callable for all: the one itself where there is only one, `None` where there is none."""
    if len(takers) < 2:
        return takers[0] if takers else None
    first, second, *others = takers

    def call_both(it: T) -> None:  # hot: as a rule there are no more
        first(it)
        second(it)

    def call_each(it: T) -> None:
        for taker in takers:
            taker(it)

    return call_each if others else call_both
