"""What the loop and the event sources need from the outside, as small protocols.

Adapters and stores implement these; the core never imports them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.effects import Effect
from core.events import Entry, Event

RUN_BASE = 1 << 40
"""Events that a run makes are numbered from `RUN_BASE + 1`; below are seqs of its source."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries of a log to read. `None` means all; `end_ts` is exclusive, seqs are inclusive."""

    first_seq: int = 1
    last_seq: int | None = None
    types: frozenset[type[Event]] | None = None
    feeds: frozenset[str] | None = None
    instruments: frozenset[str] | None = None
    begin_ts: int | None = None
    end_ts: int | None = None

    def holds(self, entry: Entry) -> bool:
        """Return whether an entry belongs to it; filters by feed or instrument drop events without one."""
        event = entry.event
        return (
            entry.seq >= self.first_seq
            and (self.last_seq is None or entry.seq <= self.last_seq)
            and (self.types is None or type(event) in self.types)
            and (self.begin_ts is None or event.ts >= self.begin_ts)
            and (self.end_ts is None or event.ts < self.end_ts)
            and (self.feeds is None or getattr(event, "feed", None) in self.feeds)
            and (self.instruments is None or getattr(event, "instrument", None) in self.instruments)
        )


class MarketChunk(msgspec.Struct, frozen=True, gc=False):
    """Market data in seq order: `seqs[i]` and `ts[i]` (int64) belong to `events[i]`.

    The events may be built when they are asked for, and anew each time: a slice is a list of them.
    """

    seqs: NDArray[np.int64]
    ts: NDArray[np.int64]
    events: Sequence[Event]


class Coverage(msgspec.Struct, frozen=True):
    """How much market data of one type, feed and instrument a log holds; times and seqs are inclusive."""

    type: type[Event]
    feed: str
    instrument: str
    count: int
    first_seq: int
    last_seq: int
    first_ts: int
    last_ts: int


Fold = Callable[[Any, int], None]
"""Fold an event of the type it is for: `(event, seq)`."""
Folds = Mapping[type[Event], Sequence[Fold]]
"""The folds of each event type that has any, in order."""
Record = Callable[[Event, int, int | None], int]
"""Append an output and fold it: `(event, at, cause) -> seq`."""
RecordFacts = Callable[[Iterable[Event], int], None]
"""Append facts that follow from nothing but an input, each as `Record` does: `(facts, at)`."""
Tell = Callable[[int, Event], None]
"""Tell of a fact: `(seq, fact)`."""


def ignore(_seq: int, _fact: Event) -> None:
    """Tell nobody."""


class Recorder(Protocol):
    """Where events are recorded. One writer, never shared."""

    def append(self, event: Event, at: int | None = None, cause: int | None = None) -> int:
        """Buffer an event and return its seq; `at=None` makes it an input (`at = seq`)."""

    def commit(self, *, sync: bool) -> None:
        """Write what is buffered as one unit; durable on return if `sync`."""


class SessionRecorder(Recorder, Protocol):
    """Where the loop records what it takes in and what it decides."""

    def recording(
        self, folds: Folds, heard: Collection[type[Event]] = (), tell: Tell = ignore
    ) -> tuple[Record, RecordFacts]:
        """Return what appends an output, or some facts, and folds them; `folds` has every event type.

        Facts of the types in `heard`, which may grow, are told before the next is recorded.
        """
        append = self.append

        def record(event: Event, at: int, cause: int | None) -> int:
            seq = append(event, at, cause)
            for fold in folds[type(event)]:
                fold(event, seq)
            return seq

        def record_facts(facts: Iterable[Event], at: int) -> None:
            for fact in facts:
                seq = record(fact, at, None)
                if type(fact) in heard:
                    tell(seq, fact)

        return record, record_facts


class Entries(Protocol):
    """What holds entries: a log, or a run."""

    def entries(self, selection: Selection = Selection()) -> Iterator[Sequence[Entry]]:  # noqa: B008
        """Yield batches of entries in seq order."""


def entries_of(reader: Entries, types: frozenset[type[Event]] | None) -> Iterator[Entry]:
    """Yield the entries of these types one by one, in seq order: where speed does not matter."""
    return chain.from_iterable(reader.entries(Selection(types=types)))


class EntryReader(Entries, Protocol):
    """A log that can be read in batches while it may still be written."""

    def last_seq(self) -> int:
        """Return the last seq that can be read now; 0 for an empty log."""

    def market(self, selection: Selection = Selection()) -> Iterator[MarketChunk]:  # noqa: B008
        """Yield trades, quotes and bars in seq order, fast and in bounded memory."""

    def coverage(self) -> list[Coverage]:
        """Return what market data there are, by type, feed and instrument."""


class Source(Protocol):
    """Where inputs come from, in the order in which they are to be processed."""

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield batches of `(seq, event)`; at most a few thousand at a time."""


class Broker(Protocol):
    """Where orders go. A simulated broker answers at once; a live one sends after the commit."""

    def resting(self, instrument: str) -> Sequence[object]:
        """Return the live list of orders that the instrument's market data may fill."""

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Take what a slice decided, at its end; return facts known at once."""

    def scan(self, event: Event) -> Sequence[Event]:
        """Let a market event meet the instrument's resting orders; return fills and status changes."""

    def release(self, effects: Sequence[Effect]) -> None:
        """Carry out what a committed batch decided; nothing may leave before this call."""
