"""What every projection is: a fold over the event types it names, resumable at `applied_seq`.

A projection owns its state and changes it in its handlers only. It never reads a clock, a file or
another projection's internals, and it never refuses an event: what happened, happened. Equal logs
give equal digests, whatever the batches, the process or PYTHONHASHSEED.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, TypeAlias

import msgspec

from core.events import Entry, Event

Handler: TypeAlias = Callable[[Any, int], None]
"""Takes an event of the type it is registered for, and the event's seq."""

ENCODER = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic")
"""One value, one byte string: decimals as text, map keys sorted."""


class State(msgspec.Struct, kw_only=True):
    """Base of the snapshots: the state as it was after the entry `applied_seq`."""

    applied_seq: int


class Projection:
    """Base of all projections; subclasses set `name`, `version`, `State` and fill `handlers`.

    `version` changes when the same events would give another state: older snapshots are then void.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    state_type: ClassVar[type[State]]

    handlers: dict[type[Event], Handler]
    applied_seq: int

    def __init__(self, handlers: dict[type[Event], Handler]) -> None:
        self.handlers = handlers
        self.applied_seq = 0

    @property
    def folds(self) -> frozenset[type[Event]]:
        """The event types that change this projection; readers need not fetch any other."""
        return frozenset(self.handlers)

    def apply(self, entry: Entry) -> None:
        """Fold one entry; a type that is not folded moves `applied_seq` only."""
        self.take(entry)
        self.applied_seq = entry.seq

    def take(self, entry: Entry) -> None:
        """Fold one entry, if its type is folded; `applied_seq` stays."""
        handler = self.handlers.get(type(entry.event))
        if handler is not None:
            handler(entry.event, entry.seq)

    def describe(self) -> str:
        """Return the state in one line, for tests and logs."""
        raise NotImplementedError

    def state(self) -> State:
        """Return a snapshot that shares nothing mutable with the projection."""
        raise NotImplementedError

    def restore(self, state: Any) -> None:
        """Replace the state by a snapshot of the same version."""
        raise NotImplementedError

    def encoded(self) -> bytes:
        """Return the snapshot as canonical msgpack."""
        return ENCODER.encode(self.state())

    def load(self, encoded: bytes) -> None:
        """Restore from what `encoded` returned."""
        self.restore(msgspec.msgpack.decode(encoded, type=self.state_type))

    def digest(self) -> str:
        """Return a hash of the state alone: `applied_seq` is left out, so idle entries do not change it."""
        state = self.state()
        state.applied_seq = 0
        return blake2b(ENCODER.encode(state), digest_size=16).hexdigest()

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


def fold(
    projections: Sequence[Projection], batches: Iterable[Iterable[Entry]], upto: int | None = None
) -> int:
    """Fold entries into `projections` and return how many entries were read.

    Each projection takes only what it folds and what lies behind the `applied_seq` it starts with, so
    a fold can go on from snapshots of different age. Entries after `upto` (a seq, inclusive) are
    left alone; entries must come in processing order. In a run, source entries and run entries may be
    interleaved: the starting point is fixed once and does not move along.
    """
    routes = _routes(projections)
    last = max((projection.applied_seq for projection in projections), default=0)
    count = 0
    for batch in batches:
        for entry in batch:
            seq = entry.seq
            if upto is not None and seq > upto:
                continue
            count += 1
            if seq > last:  # noqa: PLR1730 - a call of max() costs more than the dispatch
                last = seq
            for start, projection in routes.get(type(entry.event), ()):
                if seq > start:
                    projection.take(entry)
    for projection in projections:
        projection.applied_seq = max(projection.applied_seq, last)
    return count


def _routes(projections: Sequence[Projection]) -> dict[type[Event], list[tuple[int, Projection]]]:
    routes: dict[type[Event], list[tuple[int, Projection]]] = {}
    for projection in projections:
        for event_type in projection.folds:
            routes.setdefault(event_type, []).append((projection.applied_seq, projection))
    return routes
