"""Historical bars from the broker into the log, session by session, as an import.

Each session is one import, finished durably before the next is asked for: an interrupted fetch goes on where
it was, and what the log holds is not asked for again. Sessions that have not ended yet are left out. Asked to
stop, it ends between two questions, and says what is left.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import msgspec

from adapters.ibkr.data.bars import BarSize, asks, quote_bars, size_of, trade_bars
from adapters.ibkr.data.inquiry import Inquiry, Place, inquire
from adapters.ibkr.data.resolving import Unresolved
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.messages import HistoricalBar
from adapters.replay.gaps import Gap
from adapters.replay.importing import (
    FileSlice,
    ImportResult,
    ImportSet,
    Progress,
    digest_of,
    import_sets,
)
from app.composition.definitions import definitions_of
from app.data.definitions import resolve, scheduled, untraceable
from app.live.ending import Ending, StopAsked
from app.operation.writing import writing
from core.errors import DataMissing, UsageError
from core.events import (
    Bar,
    Event,
    FeedDefined,
    ImportFinished,
    ImportStarted,
    InstrumentDefined,
    QuoteBar,
    Recovered,
    RowRejected,
    SessionScheduled,
)
from core.ports import EntryReader, entries_of
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from projections.sessions import Sessions

KINDS = ("trades", "quotes")
_FRAMES = frozenset[type[Event]]({ImportStarted, ImportFinished})


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch: bars of one size and kind between two session dates, inclusive."""

    symbol: str
    first: date
    last: date
    bar: str = "1min"
    kind: str = "trades"
    regular_hours: bool = True


class Fetched(msgspec.Struct, frozen=True):
    """What a fetch did. `asked` are the dates that were asked for, `held` those in the log before.

    `unfinished` are dates whose session had not ended, `empty` those of which the broker has nothing. `left`
    are those that were not asked for any more when it was `stopped` or `halted`.
    """

    instrument: str
    result: ImportResult
    asked: list[str]
    held: list[str]
    empty: list[str]
    unfinished: list[str]
    left: list[str] = []
    ended: str = ""
    recovered: Recovered | None = None


def run_fetch(
    root: Path,
    place: Place,
    request: FetchRequest,
    progress: Progress | None = None,
    ending: Ending | None = None,
) -> Fetched:
    """Fetch into the log at `root`, made if it is not there; answers other processes meanwhile.

    Raises `BrokerUnreachable`, `UsageError` for a name that leads to no contract, `RequestRefused` when the
    broker refuses, `DataMissing` if no session of the dates has ended, and `StopAsked` if it is to end before
    it began.
    """
    stop = ending or Ending(root)
    size = size_of(request.bar)
    if request.first > request.last:
        raise UsageError(f"--from {request.first} is after --to {request.last}")
    with writing(root) as writer:

        def idle() -> None:
            writer.serve()
            stop.check()

        idle()
        with inquire(place, idle) as inquiry:
            fetched = fetch(writer.journal, LogReader(root), inquiry, request, size, progress)
        told = stop.reason if fetched.left else ""
        return msgspec.structs.replace(fetched, ended=told, recovered=writer.journal.recovered)


def fetch(
    journal: Journal,
    reader: EntryReader,
    inquiry: Inquiry,
    request: FetchRequest,
    size: BarSize,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch over an open inquiry into a held log; `StopAsked` while it waits for bars ends it early."""
    now = inquiry.now()
    sessions = definitions_of(reader)
    instrument = resolve(inquiry, sessions, request.symbol, now)
    if isinstance(instrument, Unresolved):
        journal.append(untraceable(instrument, now))
        journal.commit(sync=True)
        raise UsageError(instrument.text)
    job = _Fetch(inquiry, request, size, instrument)
    days = _days(sessions, instrument, request)
    ended = [day for day in days if day.end <= now or (request.regular_hours and day.close <= now)]
    if not ended:
        raise DataMissing(
            f"{instrument.instrument}: no session of {request.first}..{request.last} has ended; "
            "next: choose earlier dates, or record live"
        )
    finished = _finished(reader, job.feed.feed)
    due = [day for day in ended if job.name(day) not in finished]
    left = list(due)

    def sets() -> Iterator[ImportSet]:
        for number, day in enumerate(due):
            if progress is not None:
                progress(number, len(due))
            try:
                found = job.set_of(day)
            except StopAsked:
                return
            left.remove(day)
            if found is not None:
                yield found

    result = import_sets(journal, reader, sets())
    result.feed = job.feed.feed
    result.gaps += [Gap(instrument.instrument, "session", d.date, d.open, d.close, 1) for d in job.empty]
    if progress is not None:
        progress(len(due) - len(left), len(due))
    return Fetched(
        instrument.instrument,
        result,
        [day.date for day in due if day not in left],
        [day.date for day in ended if job.name(day) in finished],
        [day.date for day in job.empty],
        [day.date for day in days if day not in ended],
        [day.date for day in left],
    )


class _Fetch:
    """One instrument's bars of one size: a session in, the import of it out."""

    def __init__(
        self, inquiry: Inquiry, request: FetchRequest, size: BarSize, instrument: InstrumentDefined
    ) -> None:
        self._inquiry = inquiry
        self._request = request
        self._size = size
        self._instrument = instrument
        self._contract = contract_of(instrument)
        hours = "" if request.regular_hours else "/all"
        words = "regular hours" if request.regular_hours else "all hours"
        self.feed = FeedDefined(
            0,
            f"ib/{size.name}{hours}",
            "Interactive Brokers, history",
            size.resolution,
            consolidated=True,
            description=f"bars of {size.asked}, {words}",
        )
        self.empty: list[SessionScheduled] = []

    def name(self, day: SessionScheduled) -> str:
        """Return the name under which a session's bars are imported."""
        return f"{self.feed.feed}/{self._request.kind}/{self._instrument.instrument}/{day.date}"

    def set_of(self, day: SessionScheduled) -> ImportSet | None:
        """Ask for a session's bars; `None` if the broker has none."""
        rows = self._rows(day)
        items = [rows[start] for start in sorted(rows)]
        if not items:
            self.empty.append(day)
            return None
        name = self.name(day)
        digest = digest_of(msgspec.json.encode([name, [_told(item) for item in items]]))
        feed = msgspec.structs.replace(self.feed, ts=day.begin)

        def events(_: Sequence[FileSlice]) -> Iterator[list[Event]]:
            yield [_event(item, name, line, day) for line, item in enumerate(items, 1)]

        return ImportSet(
            self.feed.feed,
            f"ibkr {self._request.kind}",
            (FileSlice(name, digest, 1, len(items)),),
            lambda: [feed, self._instrument, day],
            events,
        )

    def _rows(self, day: SessionScheduled) -> dict[int, Bar | str] | dict[int, QuoteBar | str]:
        feed, instrument = self.feed.feed, self._instrument.instrument
        if self._request.kind == "trades":
            return trade_bars(self._ask(day, "TRADES"), day, self._size, feed, instrument)
        bids, offers = self._ask(day, "BID"), self._ask(day, "ASK")
        return quote_bars(bids, offers, day, self._size, feed, instrument)

    def _ask(self, day: SessionScheduled, what: str) -> list[HistoricalBar]:
        wanted = asks(day, self._size, what, regular_hours=self._request.regular_hours)
        return [bar for ask in wanted for bar in self._inquiry.bars(self._contract, ask)]


def _event(item: Bar | QuoteBar | str, name: str, line: int, day: SessionScheduled) -> Event:
    return RowRejected(day.open, name, line, item, "") if isinstance(item, str) else item


def _told(item: Bar | QuoteBar | str) -> object:
    return item if isinstance(item, str) else msgspec.to_builtins(item)


def _days(sessions: Sessions, instrument: InstrumentDefined, request: FetchRequest) -> list[SessionScheduled]:
    first, last = request.first.isoformat(), request.last.isoformat()
    held = sessions.sessions(instrument.exchange)
    new = scheduled(sessions, [instrument], request.first, request.last)
    return sorted((day for day in [*held, *new] if first <= day.date <= last), key=lambda day: day.begin)


def _finished(reader: EntryReader, feed: str) -> frozenset[str]:
    """Return the names of the sessions whose bars the log holds whole."""
    names: dict[str, list[str]] = {}
    done: set[str] = set()
    for entry in entries_of(reader, _FRAMES):
        event = entry.event
        if isinstance(event, ImportStarted) and event.feed == feed:
            pieces = msgspec.json.decode(event.files, type=list[FileSlice])
            names[event.digest] = [piece.name for piece in pieces]
        elif isinstance(event, ImportFinished):
            done.update(names.get(event.digest, ()))
    return frozenset(done)
