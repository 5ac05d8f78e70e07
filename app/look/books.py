"""What the look verbs read: the log itself, or one run of it, and its state at any moment.

A run holds what a replay decided; its market data stay in the log. A `Book` puts both together, so that
a verb need not know which it shows. Reads only, and only the event types that are folded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from adapters.replay.preparing import Preparation, prepared
from app.look.seqs import as_a_time, parse_seq, seqs_text
from core.errors import DataMissing, UsageError
from core.events import (
    BY_TYPE,
    Bar,
    CashAdjusted,
    Entry,
    Event,
    Filled,
    FxRateReported,
    InstrumentDefined,
    OrderIntended,
    PositionAdjusted,
    QuoteBar,
    SessionEnded,
    SessionScheduled,
    SessionStarted,
    SignalReceived,
    Unknown,
)
from core.ports import RUN_BASE, MarketChunk, Selection, entries_of
from core.risk import Limits, RiskState
from eventstore.layout import Layout
from eventstore.reader import LogReader
from eventstore.runs import RunReader, find_run, list_runs, unreadable_runs
from projections.account import Account
from projections.actions import Factors
from projections.base import Projection
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.risk import Risk
from projections.sessions import Sessions
from projections.signals import Signals

_DAY_NS = 86_400_000_000_000
_DEFINITIONS: frozenset[type[Event]] = frozenset({InstrumentDefined, FxRateReported, SessionScheduled})
_TRADING: frozenset[type[Event]] = frozenset({OrderIntended, Filled, PositionAdjusted, CashAdjusted})


class Facts(Protocol):
    """Where order-side events are read from: a log or a run."""

    def last_seq(self) -> int:
        """Return the last seq."""

    def entries(self, selection: Selection = ...) -> Iterator[Sequence[Entry]]:
        """Yield batches of entries in seq order."""


class Market(Facts, Protocol):
    """Where market data are read from."""

    def market(self, selection: Selection = ...) -> Iterator[MarketChunk]:
        """Yield trades, quotes and bars in seq order."""


class Book(msgspec.Struct, frozen=True):
    """A log, or a run of it: `log` has the market data, `facts` the orders and what became of them."""

    label: str
    log: Market
    facts: Facts
    run: RunReader | None = None
    currency: str = "USD"

    def trading(self, types: Iterable[type[Event]]) -> Iterator[Entry]:
        """Yield the order-side entries of these types, in processing order."""
        yield from entries_of(self.facts, frozenset(types))

    def definitions(self) -> Iterator[Entry]:
        """Yield what defines instruments, exchange rates and sessions, in log order."""
        yield from entries_of(self.log, _DEFINITIONS)

    def limits(self) -> Limits:
        """Return the limits that the run, or the log's last session, was under."""
        if self.run is not None:
            told = self.run.summary
            # The proof of a live session has them where the session's start has them.
            found = told["options"].get("limits") or told["config"].get("limits", {})
            return msgspec.convert(found, Limits)
        from app.composition.past import limits_of  # noqa: PLC0415  # brings the whole world

        started = [entry.event for entry in self.trading({SessionStarted})]
        last = started[-1] if started else None
        return limits_of(last) if isinstance(last, SessionStarted) else Limits()

    def holder(self, seq: int = RUN_BASE + 1) -> str:
        """Return what `--run` must be for the event `seq` to be found; by default for those of orders."""
        return self.run.id if self.run is not None and seq > RUN_BASE else "log"

    def entry(self, seq: int) -> Entry:
        """Return one entry; a seq above 2^40 is the run's. Raises `DataMissing`, naming what there is."""
        reader = self.facts if seq > RUN_BASE else self.log
        for batch in reader.entries(Selection(first_seq=seq, last_seq=seq)):
            for entry in batch:
                return entry
        raise DataMissing(f"{self.label} has no event {seq}; {self.seqs()}{as_a_time(seq)}")

    def seqs(self) -> str:
        """Return which seqs there are, for a message."""
        return seqs_text(self.log.last_seq(), None if self.run is None else self.facts.last_seq())


class Moment(msgspec.Struct, frozen=True):
    """A point in a book: everything up to `seq`, or everything whose clock is not after `ts`.

    `input_seq` is the seq of the log's event that was being processed then, where it is known, `tag` is
    what kind of event is at `seq`.
    """

    seq: int | None
    ts: int
    input_seq: int | None = None
    tag: str = ""


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


class _SessionFacts:
    """What the log holds of one session."""

    def __init__(self, log: LogReader, first_seq: int, last_seq: int) -> None:
        self._log = log
        self._bounds = (first_seq, last_seq)

    def last_seq(self) -> int:
        """Return the session's last seq."""
        return self._bounds[1]

    def entries(self, selection: Selection = Selection()) -> Iterator[Sequence[Entry]]:  # noqa: B008
        """Yield batches of the session's entries in seq order."""
        first, last = self._bounds
        first = max(first, selection.first_seq)
        last = last if selection.last_seq is None else min(last, selection.last_seq)
        return self._log.entries(msgspec.structs.replace(selection, first_seq=first, last_seq=last))


def open_log(root: Path) -> LogReader:
    """Return a reader of the log; raises `DataMissing` if there is none."""
    if not Layout(root).exists():
        if root.exists() and not root.is_dir():
            raise DataMissing(
                f"{root}: is no directory, which a log is; next: name another one with --log DIR"
            )
        raise DataMissing(
            f"{root}: there is no log here; next: tape replay 2025-07-02 (makes one from the built-in "
            f"sample), tape import, or another --log DIR"
        )
    return LogReader(root)


def open_book(root: Path, run: str | None = None, *, currency: str = "USD") -> Book:
    """Open `log`, `latest` or a run by id; by default the latest run, unless the log itself traded."""
    log = open_log(root)
    if run == "log":
        return Book(f"log {root}", log, log, currency=currency)
    if run is None:
        if not (list_runs(root) or unreadable_runs(root)) or _traded(log):
            return Book(f"log {root}", log, log, currency=currency)
        run = "latest"
    found = find_run(root, run)
    if "session" in found.summary:  # the proof of a session: what the broker did is in the log
        first, last = found.summary["content"]
        facts = _SessionFacts(log, first, last)
        return Book(f"run {found.id}", log, facts, found, str(found.summary["options"]["currency"]))
    return Book(f"run {found.id}", log, found, found, str(found.summary["options"]["currency"]))


def _traded(log: Facts) -> bool:
    return any(True for _ in entries_of(log, _TRADING))


def parse_moment(text: str, book: Book) -> Moment:
    """Read `--at`: a seq, or a time in ISO 8601 (without an offset: UTC).

    Raises `UsageError` for what is neither, `DataMissing` for a seq that there is not.
    """
    seq = parse_seq(text)
    if seq is None:
        return Moment(None, parse_time(text))
    entry = book.entry(seq)
    return Moment(entry.seq, entry.event.ts, entry.at if entry.at < RUN_BASE else None, tag_of(entry.event))


def tag_of(event: Event) -> str:
    """Return the tag of an event's type, of one that this version does not know, too."""
    return event.tag if isinstance(event, Unknown) else BY_TYPE[type(event)].tag


def parse_time(text: str) -> int:
    """Return ns since 1970 UTC for an ISO 8601 time, up to nanoseconds; without an offset it is UTC."""
    match = re.fullmatch(
        r"(.+?:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?|(\d{4}-\d\d-\d\d)",
        text.strip(),
        re.ASCII,
    )
    if not match:
        raise UsageError(f"{text!r} is neither a seq nor a time such as 2025-07-02T14:30:00.25Z")
    try:
        moment = datetime.fromisoformat((match[1] or match[4]) + (match[3] or ""))
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time; expected such as 2025-07-02T14:30:00.25Z, or a date"
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))


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
    types = frozenset[type[Event]]().union(*(projection.folds for projection in trading)) - _DEFINITIONS
    for last in _until(book.trading(types | {SessionStarted, SessionEnded}), moment):
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
    own = _last_of_log(book, moment)
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


def _until(entries: Iterable[Entry], moment: Moment | None) -> Iterator[Entry]:
    """Yield the entries up to a moment, in order.

    Of a log a seq cuts by seq. Of a run it cuts after the last slice that began at or before that input:
    run events carry the input's seq in `at`, and replay goes by time. A time cuts by clock, which is
    the running maximum of `ts`.
    """
    clock = 0
    for entry in entries:
        clock = max(clock, entry.event.ts)
        if moment is None:
            yield entry
        elif moment.seq is None:
            if clock <= moment.ts:
                yield entry
        elif (moment.seq > RUN_BASE) == (entry.seq > RUN_BASE):
            if entry.seq <= moment.seq:
                yield entry
        elif entry.seq < RUN_BASE:
            if entry.event.ts <= moment.ts:
                yield entry
        elif (clock, entry.at if entry.at < RUN_BASE else 0) <= (moment.ts, moment.seq):
            yield entry


def _mark(quotes: Quotes, book: Book, instruments: frozenset[str], moment: Moment) -> None:
    """Fold the last prices of some instruments, looking back a day first, and further only if needed."""
    missing = instruments
    feeds, preparation = _read_by(book.run)
    own = _last_of_log(book, moment)
    for days in (1, 10, None):
        if not missing:
            return
        begin = None if days is None else moment.ts - days * _DAY_NS
        chosen = Selection(
            feeds=feeds, instruments=missing, begin_ts=begin, end_ts=moment.ts + 1, last_seq=own
        )
        for chunk in prepared(book.log.market(chosen), preparation):
            for seq, event in zip(chunk.seqs.tolist(), chunk.events, strict=True):
                if event.instrument in missing and not _comes_later(seq, event, moment):  # type: ignore[attr-defined]
                    quotes.handlers[type(event)](Entry(0, None, 0, None, event))
        missing = frozenset(name for name in missing if quotes.mark(name) is None)


def _last_of_log(book: Book, moment: Moment) -> int | None:
    """Return the last seq that belongs to a moment in the log, `None` where the moment goes by time."""
    in_log_order = book.run is None or "session" in book.run.summary
    return moment.seq if moment.seq is not None and moment.seq < RUN_BASE and in_log_order else None


def _comes_later(seq: int, event: Event, moment: Moment) -> bool:
    """Return whether a replay took an event of the moment's own instant after the moment's input.

    Ticks that share a time are taken one by one; bars with one end are folded together.
    """
    if moment.input_seq is None or event.ts != moment.ts or isinstance(event, Bar | QuoteBar):
        return False
    return seq > moment.input_seq


def _read_by(run: RunReader | None) -> tuple[frozenset[str] | None, Preparation]:
    """Return which feeds a run read, `None` for all, and what was done to their prices."""
    if run is None or "session" in run.summary:  # a recorded session, read as it was recorded
        return None, Preparation()
    return frozenset(part["feed"] for part in run.summary["parts"]), Preparation((), factors_of(run))


def factors_of(run: RunReader) -> dict[str, Factors]:
    """Return by instrument what a run multiplied prices by, for splits and dividends; nothing of raw ones."""
    if "session" in run.summary:
        return {}
    return {
        name: Factors(*(tuple(column) for column in zip(*rows, strict=True)))
        for part in run.summary["content"]
        for name, rows in part.get("adjusted", {}).items()
        if rows
    }
