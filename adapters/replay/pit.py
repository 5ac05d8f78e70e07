"""A pit: the place at the simulated broker where one instrument's orders meet its market data.

It knows what only this instrument has: its prices, its hours, the orders that rest in it. Decides by
`core.matching` which of them fill and at what price; how much and at what cost is `adapters.replay.filling`'s
business, and what a fill means for other orders that of `adapters.replay.working`.
"""

from adapters.replay.admission import Admission
from adapters.replay.filling import Dealing, Filler
from adapters.replay.working import Working
from core.events import Bar, Event, Quote, QuoteBar, Trade
from core.matching import (
    Hours,
    Resting,
    close_in_bars,
    closing_price,
    match_bar,
    match_open,
    match_open_bar,
    match_tick,
    satisfies,
)
from core.views import BookView, InstrumentsView


class Pit:
    """One instrument's orders and market data. `in_bars` says which of the two fill modes it has."""

    def __init__(
        self,
        instrument: str,
        book: BookView,
        instruments: InstrumentsView,
        working: Working,
        dealing: Dealing,
        *,
        in_bars: bool,
        adjusted: bool,
    ) -> None:
        self.instrument = instrument
        self.book = book
        self.in_bars = in_bars
        self._hours = Hours(instruments, instrument)
        self.admission = Admission(
            instrument,
            self._hours,
            book,
            instruments,
            in_bars=in_bars,
            adjusted=adjusted,
            next_open=dealing.model.bar_fill == "next_open",
        )
        self._working = working
        self._resting = working.resting(instrument)
        self._filler = Filler(instrument, dealing, working, book, instruments)
        self._plain = dealing.plain
        self._trigger = dealing.model.trigger

    # -- market data ---------------------------------------------------------------------------

    def meet_tick(self, event: Trade | Quote) -> list[Event]:
        """Let a tick that is not suspicious meet the orders."""
        facts: list[Event] = []
        book, hours, ts = self.book, self._hours, event.ts
        if book.halted:
            return facts
        if not self._plain:
            self._filler.renew(event)
        # hot: within the span that was asked for last, as a rule
        regular = hours.is_open if hours.begin <= ts < hours.end else hours.regular(ts)
        for order in self._resting.copy():
            if order.due is not None or not order.listed:
                continue
            if not (regular or order.intent.outside_rth):
                at = None
            elif order.opens is None:
                at = match_tick(order, event, book, self._trigger)
            else:
                at = self._opening(order, match_open(event), ts, facts)
            if at is not None:
                self._filler.fill(order, at, event, facts, ts, event.venue)
            if order.immediate and not order.ended:
                self._give_up(order, facts, ts)
        return facts

    def meet_bar(self, event: Bar | QuoteBar) -> list[Event]:
        """Let a bar meet the orders that are older than it."""
        facts: list[Event] = []
        bar, ts = self.book.bar, event.ts
        if bar is None or self.book.halted:
            return facts
        regular = self._hours.overlaps(event.start, ts)
        for order in _worst_first(self._resting):
            if not order.listed or order.created_ts >= ts or not (regular or order.intent.outside_rth):
                continue
            at = self._in_bar(order, bar, ts, facts)
            if at is not None:
                self._filler.fill(order, at, bar, facts, ts, "")
                if order.immediate and not order.ended:
                    self._give_up(order, facts, ts)
        return facts

    def _in_bar(self, order: Resting, bar: Bar, ts: int, facts: list[Event]) -> float | None:
        if order.due is not None:
            return bar.close if bar.ts >= order.due > bar.start else None
        if order.opens is None:
            return match_bar(order, bar, self.book, ts)
        session = self._hours.session(bar.ts)
        opened = match_open_bar(order, bar, None if session is None else session.open)
        return self._opening(order, opened, ts, facts)

    def _opening(self, order: Resting, at: float | None, ts: int, facts: list[Event]) -> float | None:
        """Return the opening price for an order that waited for it; cancel a limit that is not met."""
        assert order.opens is not None
        if at is None or ts < order.opens:
            return None
        if satisfies(order, at):
            return at
        self._working.end(order, "Cancelled", facts, ts, f"limit on open: the open was at {at:g}")
        return None

    # -- without new data ----------------------------------------------------------------------

    def fill_on_arrival(self, order: Resting, facts: list[Event], ts: int) -> None:
        """Let an order that just arrived meet the close of the bar there is."""
        book, market = self.book, None
        open_now = order.intent.outside_rth or self._hours.regular(ts)
        if open_now and not book.halted:
            market = close_in_bars(order, book, ts)
        if market is not None:
            self._filler.fill(order, market, book.bar, facts, ts, "")
        if order.immediate and not order.ended:
            self._give_up(order, facts, ts)

    def close(self, ts: int) -> list[Event]:
        """Let market-on-close orders fill: the session closes."""
        facts: list[Event] = []
        session = self._hours.session(ts - 1)
        since = 0 if session is None else session.open
        for order in self._working:
            due = order.due is not None and order.due <= ts
            if not due or order.ended or order.intent.instrument != self.instrument:
                continue
            if not order.listed:
                why = f"market on close: {order.intent.parent} had not filled"
                self._working.end(order, "Cancelled", facts, ts, why)
                continue
            at = self._at_close(order, since)
            if at is None or self.book.halted:
                why = "market on close: there was no price at the close"
                self._working.end(order, "Cancelled", facts, ts, why)
            else:
                self._filler.fill(order, at, None, facts, ts, "")
        return facts

    def _at_close(self, order: Resting, since: int) -> float | None:
        if not self.in_bars:
            return closing_price(order, self.book, since)
        bar = self.book.bar
        return bar.close if bar is not None and bar.ts > since else None

    def _give_up(self, order: Resting, facts: list[Event], ts: int) -> None:
        what = "the rest" if order.filled else "it"
        why = f"{order.intent.tif}: {what} could not fill at once"
        self._working.end(order, "Cancelled", facts, ts, why)


def _worst_first(orders: list[Resting]) -> list[Resting]:
    """Return the orders as they are to meet a bar: of a group, a stop comes before a limit.

    Where both exits of a bracket lie within one bar nobody knows which came first; the worse is assumed.
    """
    if len(orders) > 1 and any(order.intent.oca for order in orders):
        return sorted(orders, key=lambda order: bool(order.intent.oca) and order.type in ("LMT", "LIT"))
    return orders[:]
