"""A log in memory: the reference implementation of the port, for tests and for the core's own checks.

It keeps entries as they were given, checks them as the disk log does, and stores nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from time import time_ns

import numpy as np

from core.errors import InvalidEvent, LogDead
from core.events import Bar, Entry, Event, Quote, QuoteBar, Trade, Unknown
from core.ports import MarketChunk, Selection
from eventstore.codec import check

_BATCH = 4096
_MARKET_DATA = frozenset((Trade, Quote, Bar, QuoteBar))


class MemoryLog:
    """An `EventLog` that lives as long as the process. `clock` gives nanoseconds since 1970 UTC."""

    def __init__(self, *, clock: Callable[[], int] = time_ns) -> None:
        self._clock = clock
        self._committed: list[Entry] = []
        self._buffer: list[Entry] = []
        self._durable = 0
        self._closed = False

    @property
    def last_seq(self) -> int:
        """The seq of the last event appended (committed or not)."""
        return len(self._committed) + len(self._buffer)

    @property
    def durable_seq(self) -> int:
        """The seq up to which a `commit(sync=True)` was made."""
        return self._durable

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq; `at=None` makes it an input (`at = seq`)."""
        self._alive()
        check(event)
        seq = self.last_seq + 1
        check_references(seq, at, cause)
        self._buffer.append(Entry(seq, self._clock(), seq if at is None else at, cause, event))
        return seq

    def extend(self, events: Sequence[Event]) -> range:
        """Append inputs that were received together; return their seqs."""
        self._alive()
        for event in events:
            check(event)
        recv, first = self._clock(), self.last_seq + 1
        self._buffer.extend(Entry(seq, recv, seq, None, event) for seq, event in enumerate(events, first))
        return range(first, first + len(events))

    def commit(self, *, sync: bool) -> None:
        """Make what is buffered visible; counts as durable if `sync`."""
        self._alive()
        self._committed += self._buffer
        self._buffer = []
        if sync:
            self._durable = len(self._committed)

    def close(self) -> None:
        """Commit durably; later calls raise `LogDead`."""
        if not self._closed:
            self.commit(sync=True)
            self._closed = True

    def reader(self) -> "MemoryReader":
        """Return a reader over what is committed, now and later."""
        return MemoryReader(self._committed)

    def _alive(self) -> None:
        if self._closed:
            raise LogDead("the log in memory was closed; open a new one")


class MemoryReader:
    """An `EntryReader` over a list of entries that may still grow."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    def last_seq(self) -> int:
        """Return the last seq that can be read now; 0 for an empty log."""
        return self._entries[-1].seq if self._entries else 0

    def entries(self, selection: Selection = Selection()) -> Iterator[Sequence[Entry]]:  # noqa: B008
        """Yield batches of entries in seq order."""
        wanted = [entry for entry in self._entries if selects(selection, entry)]
        for start in range(0, len(wanted), _BATCH):
            yield wanted[start : start + _BATCH]

    def market(self, selection: Selection = Selection()) -> Iterator[MarketChunk]:  # noqa: B008
        """Yield market data (`Trade`, `Quote`, `Bar`, `QuoteBar`) in seq order."""
        for batch in self.entries(selection):
            chosen = [entry for entry in batch if type(entry.event) in _MARKET_DATA]
            if chosen:
                yield MarketChunk(
                    seqs=np.array([entry.seq for entry in chosen], dtype=np.int64),
                    ts=np.array([entry.event.ts for entry in chosen], dtype=np.int64),
                    events=[entry.event for entry in chosen],
                )


def selects(selection: Selection, entry: Entry) -> bool:
    """Return whether an entry belongs to a selection.

    `feeds` and `instruments` narrow only events that carry such a field.
    """
    event = entry.event
    return (
        entry.seq >= selection.first_seq
        and (selection.last_seq is None or entry.seq <= selection.last_seq)
        and (selection.types is None or type(event) in selection.types)
        and (selection.begin_ts is None or event.ts >= selection.begin_ts)
        and (selection.end_ts is None or event.ts < selection.end_ts)
        and _field_in(event, "feed", selection.feeds)
        and _field_in(event, "instrument", selection.instruments)
    )


def check_references(seq: int, at: int | None, cause: int | None) -> None:
    """Raise `InvalidEvent` if `at` or `cause` is no seq up to `seq`: nothing follows from the future."""
    if (at is not None and not 1 <= at <= seq) or (cause is not None and not 1 <= cause <= seq):
        raise InvalidEvent(f"seq {seq}: at={at}, cause={cause}: expected seqs between 1 and {seq}")


def _field_in(event: Event, name: str, wanted: frozenset[str] | None) -> bool:
    if wanted is None or type(event) is Unknown or name not in event.__struct_fields__:
        return True
    return getattr(event, name) in wanted
