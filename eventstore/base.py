"""The port of an event log: what every implementation (memory, disk) does alike.

Requirements, referenced from tests/contracts:

1. `append` gives gap-free seqs from 1 in call order; `at` defaults to the event's own seq.
2. `extend` is `append` of many inputs that were received together: they share one `recv`.
3. Nothing is visible to a reader before `commit`; after `commit(sync=True)` it is also durable.
4. Entries read back equal those appended, in order, with types, versions and envelope.
5. NaN, infinity and negative sizes are refused with `InvalidEvent`, and nothing of them is buffered.
6. After `close` every call raises `LogDead`. After a failed write or sync, too.
"""

from collections.abc import Sequence
from typing import Protocol

from core.events import Event
from core.ports import EntryReader, Recorder


class LogWriter(Recorder, Protocol):
    """The single writer of a log."""

    @property
    def last_seq(self) -> int:
        """The seq of the last event appended (committed or not)."""

    @property
    def durable_seq(self) -> int:
        """The seq up to which everything survives a power cut."""

    def extend(self, events: Sequence[Event]) -> range:
        """Append inputs that were received together; return their seqs."""

    def close(self) -> None:
        """Commit durably and release the log; later calls raise `LogDead`."""


class EventLog(LogWriter, Protocol):
    """A log that is written and read through one object."""

    def reader(self) -> EntryReader:
        """Return a reader over what is committed."""
