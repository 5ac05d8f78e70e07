"""What the look verbs read: the log itself, or one run of it.

A run holds what a replay decided; its market data stay in the log. A `Book` puts both together, so that
a verb need not know which it shows. Reads only.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from app.look.seqs import as_a_time, seqs_text
from core.errors import DataMissing
from core.events import (
    CashAdjusted,
    Entry,
    Event,
    Filled,
    FxRateReported,
    InstrumentDefined,
    OrderIntended,
    PositionAdjusted,
    SessionScheduled,
    SessionStarted,
)
from core.ports import RUN_BASE, MarketChunk, Selection, entries_of
from core.risk import Limits
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import RunReader, find_run, list_runs, unreadable_runs
from projections.actions import Factors

BOOK_DEFINITIONS: frozenset[type[Event]] = frozenset({InstrumentDefined, FxRateReported, SessionScheduled})
"""What `Book.definitions` yields: `core.events.DEFINITIONS` defines feeds too, and no exchange rates."""
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
        yield from entries_of(self.log, BOOK_DEFINITIONS)

    def limits(self) -> Limits:
        """Return the limits that the run, or the log's last session, was under."""
        if self.run is not None:
            told = self.run.summary
            # The proof of a live session has them where the session's start has them.
            found = told["options"].get("limits") or told["config"].get("limits", {})
            return msgspec.convert(found, Limits)
        from app.composition.trading_rules import limits_of  # noqa: PLC0415  # brings the plug-ins

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
