"""The state of a book at a moment: the folds of everything up to it, and last prices for what is held.

Only the event types that are folded are read, and of market data only as far back as a price is missing.
"""

import msgspec

from adapters.replay.preparing import Preparation, prepared
from app.look.books import BOOK_DEFINITIONS, Book, factors_of
from app.look.moments import Moment, comes_later, last_of_log, until
from core.clock import DAY_NS
from core.events import Entry, Event, FxRateReported, SessionEnded, SessionStarted, SignalReceived
from core.ports import Selection
from core.risk import RiskState
from eventstore.runs.reader import RunReader
from projections.account import Account
from projections.base import Projection
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Risk
from projections.sessions import Sessions
from projections.signals import Signals


class Snapshot(msgspec.Struct):
    """The projections of a book as of a moment. `seq` is that of the last order-side event in it."""

    orders: Orders
    positions: Positions
    account: Account
    quotes: Quotes
    risk: Risk
    sessions: Sessions
    signals: Signals
    seq: int
    ts: int

    def risk_state(self, currency: str) -> RiskState:
        """Return the views that risk is worked out from."""
        views = (self.account, self.positions, self.orders, self.quotes, self.sessions, self.risk)
        return RiskState(*views, currency)

    def zone(self, instrument: str) -> str:
        """Return the time zone in which an instrument's times are shown."""
        known = {item.instrument: item.timezone for item in self.sessions.instruments()}
        return known.get(instrument, "UTC")


def snapshot(book: Book, moment: Moment | None = None, *, marks: bool = True) -> Snapshot:
    """Fold a book up to a moment (or all of it); `marks` are looked up for what is held then.

    Who shows no values leaves them out: then no market data are read.
    """
    quotes, positions, orders, sessions = Quotes(), Positions(), Orders(), Sessions()
    account = Account(quotes, positions, book.currency)
    risk = Risk(positions, account)
    trading: list[Projection] = [positions, account, orders, risk]
    for entry in book.definitions():
        # What an instrument is does not depend on the moment that is looked at; what a dollar was worth does.
        if moment is None or not isinstance(entry.event, FxRateReported) or entry.event.ts <= moment.ts:
            for projection in (*trading, sessions):
                projection.apply(entry)
    last: Entry | None = None
    types = frozenset[type[Event]]().union(*(projection.folds for projection in trading)) - BOOK_DEFINITIONS
    for last in until(book.trading(types | {SessionStarted, SessionEnded}), moment):
        for projection in trading:
            projection.apply(last)
    seq = last.seq if last is not None else 0
    ts = moment.ts if moment is not None else _end(book, sessions, last)
    signals = _signals_at(book, moment or Moment(None, ts))
    held = frozenset(position.instrument for position in positions.open_positions() if marks)
    _mark(quotes, book, held, moment or Moment(None, ts))
    return Snapshot(orders, positions, account, quotes, risk, sessions, signals, seq, ts)


def _signals_at(book: Book, moment: Moment) -> Signals:
    """Fold the signals up to a moment; they are the log's, for a run too, which takes them by time."""
    own = last_of_log(book, moment)
    chosen = Selection(types=frozenset({SignalReceived}), last_seq=own)
    found = [entry for batch in book.log.entries(chosen) for entry in batch]
    if own is None:
        found = [entry for entry in found if entry.event.ts <= moment.ts]
        found.sort(key=lambda entry: (entry.event.ts, entry.seq))
    signals = Signals()
    for entry in found:
        signals.apply(entry)
    return signals


def _end(book: Book, sessions: Sessions, last: Entry | None) -> int:
    """Return the time at which the book ends: positions are valued at the last price before it."""
    if book.run is not None and last is not None:
        return last.event.ts
    ends = [session.end for session in sessions.sessions()]
    return max([last.event.ts if last is not None else 0, *ends])


def _mark(quotes: Quotes, book: Book, instruments: frozenset[str], moment: Moment) -> None:
    """Fold the last prices of some instruments, looking back a day first, and further only if needed."""
    missing = instruments
    feeds, preparation = _read_by(book.run)
    own = last_of_log(book, moment)
    for days in (1, 10, None):
        if not missing:
            return
        begin = None if days is None else moment.ts - days * DAY_NS
        chosen = Selection(
            feeds=feeds, instruments=missing, begin_ts=begin, end_ts=moment.ts + 1, last_seq=own
        )
        for chunk in prepared(book.log.market(chosen), preparation):
            for seq, event in zip(chunk.seqs.tolist(), chunk.events, strict=True):
                if event.instrument in missing and not comes_later(seq, event, moment):  # type: ignore[attr-defined]
                    quotes.handlers[type(event)](event, 0)
        missing = frozenset(name for name in missing if quotes.mark(name) is None)


def _read_by(run: RunReader | None) -> tuple[frozenset[str] | None, Preparation]:
    """Return which feeds a run read, `None` for all, and what was done to their prices."""
    if run is None or "session" in run.summary:  # a recorded session, read as it was recorded
        return None, Preparation()
    return frozenset(part["feed"] for part in run.summary["parts"]), Preparation((), factors_of(run))
