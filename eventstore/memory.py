"""A log in memory: the reference implementation of the port, for tests and for the core's own checks.

It keeps entries as they were given, checks them as the disk log does, and stores nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from time import time_ns

import numpy as np

from core.errors import LogDead
from core.events import BY_TAG, BY_TYPE, Bar, Entry, Event, Quote, QuoteBar, Trade
from core.ports import Coverage, MarketChunk, Selection
from eventstore.checks import check, check_references
from eventstore.codec import encode_into, record

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
        entry = Entry(seq, self._clock(), seq if at is None else at, cause, event)
        _encode(entry)
        self._buffer.append(entry)
        return seq

    def extend(self, events: Sequence[Event]) -> range:
        """Append inputs that were received together; return their seqs."""
        self._alive()
        for event in events:
            check(event)
        recv, first = self._clock(), self.last_seq + 1
        entries = [Entry(seq, recv, seq, None, event) for seq, event in enumerate(events, first)]
        for entry in entries:
            _encode(entry)
        self._buffer += entries
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
        wanted = [entry for entry in self._entries if selection.holds(entry)]
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

    def coverage(self) -> list[Coverage]:
        """Return what market data there are, by type, feed and instrument."""
        found: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in self._entries:
            event = entry.event
            if isinstance(event, Trade | Quote | Bar | QuoteBar):
                found.setdefault((event.instrument, event.feed, BY_TYPE[type(event)].tag), []).append(entry)
        return [_coverage(*key, entries) for key, entries in sorted(found.items())]


def _coverage(instrument: str, feed: str, tag: str, entries: list[Entry]) -> Coverage:
    times = [entry.event.ts for entry in entries]
    return Coverage(
        BY_TAG[tag].type,
        feed,
        instrument,
        len(entries),
        entries[0].seq,
        entries[-1].seq,
        min(times),
        max(times),
    )


def _encode(entry: Entry) -> None:
    # Refuses what only the encoder can: the log on disk would.
    encode_into(bytearray(), record(entry.seq, entry.recv, entry.at, entry.cause, entry.event))
