"""A log that grows from cut to cut: what a strategy could know by then, and not an event more.

The inputs of the replay keep their order; other market data of the same days come with them, by time, for a
strategy may read the log too. Since each prefix continues the one before, all of them together cost one copy.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.replay.source import LogSource
from app.composition.definitions import definitions_of
from app.operation.writing import Writer, writing
from app.replay.period import Period
from app.replay.planning import Plan, Planner
from app.replay.replaying import Replay
from core.errors import DataMissing
from core.events import (
    DEFINITIONS,
    MARKET_DATA,
    Bar,
    Event,
    ImportResumed,
    ImportStarted,
    QuoteBar,
    SessionScheduled,
)
from core.ports import EntryReader, entries_of
from core.strategy import Subscription

_BATCH = 10_000


class Inputs(msgspec.Struct, frozen=True):
    """The inputs of a replay in their order: seq in the log and time; and where a prefix may end.

    `cuttable[i]` is false inside a slice of bars that close together; from input `begin` on every
    instrument and feed of the period has been seen, so that a prefix holds data of each.
    """

    seqs: NDArray[np.int64]
    ts: NDArray[np.int64]
    cuttable: NDArray[np.bool_]
    begin: int

    def ordinal(self, seq: int) -> int:
        """Return the position of a seq among the inputs (from 1), 0 if it is none."""
        found = np.flatnonzero(self.seqs == seq)
        return int(found[0]) + 1 if len(found) else 0


def read_inputs(reader: EntryReader, replay: Replay) -> Inputs:
    """Read once through what a replay reads, the warm-up first."""
    seqs: list[int] = []
    times: list[int] = []
    bars: list[bool] = []
    unseen = {(part.feed, name) for part in replay.plan.parts for name in part.instruments}
    begin = 0
    for seq, event in _own(reader, replay):
        seqs.append(seq)
        times.append(event.ts)
        bars.append(isinstance(event, Bar | QuoteBar))
        if unseen and event.ts >= replay.plan.begin_ts:
            unseen.discard((getattr(event, "feed", ""), getattr(event, "instrument", "")))
            begin = len(seqs)
    ts, is_bar = np.array(times, np.int64), np.array(bars, np.bool_)
    together = is_bar[:-1] & is_bar[1:] & (ts[:-1] == ts[1:])
    cuttable = np.append(~together, True) if len(ts) else np.empty(0, np.bool_)
    return Inputs(np.array(seqs, np.int64), ts, cuttable, begin)


class Copy:
    """A copy of the log that `grow` extends; `seqs[i]` is the copy's seq of the replay's input `i`."""

    def __init__(self, root: Path, reader: EntryReader, replay: Replay) -> None:
        self.root = root
        self.seqs: list[int] = []
        self._events = _interleaved(reader, replay)
        with writing(root) as writer:
            _append(writer, _frames(reader))
            _append(writer, _definitions(reader, replay))

    def grow(self, inputs: int) -> None:
        """Copy up to the replay's input number `inputs`, and what else the log holds before it."""
        with writing(self.root) as writer:
            batch: list[Event] = []
            while len(self.seqs) < inputs:
                own, event = next(self._events)
                batch.append(event)
                if own:
                    self.seqs.append(writer.journal.last_seq + len(batch))
                if len(batch) == _BATCH:
                    _append(writer, batch)
                    batch = []
            _append(writer, batch)


def extend(root: Path, events: Iterable[Event]) -> None:
    """Append market data to a copy."""
    with writing(root) as writer:
        batch: list[Event] = []
        for event in events:
            batch.append(event)
            if len(batch) == _BATCH:
                _append(writer, batch)
                batch = []
        _append(writer, batch)


def after(
    reader: EntryReader, replay: Replay, inputs: int, learn: Callable[[Event], None]
) -> Iterator[Event]:
    """Yield what follows the replay's input number `inputs`, as `Copy` would go on; `learn` gets the rest."""
    seen = 0
    for own, event in _interleaved(reader, replay):
        if seen >= inputs:
            yield event
        else:
            learn(event)
        seen += own


def _append(writer: Writer, events: Iterable[Event]) -> None:
    batch = list(events)
    if batch:
        writer.journal.extend(batch)
        writer.journal.commit(sync=False)


def _frames(reader: EntryReader) -> Iterator[Event]:
    """Yield what makes a feed an imported one: which of two feeds a replay reads by default goes by it.

    The last one ends them, so that the data that follow are of any feed.
    """
    first: dict[str, ImportStarted] = {}
    for entry in entries_of(reader, frozenset({ImportStarted})):
        if isinstance(entry.event, ImportStarted):
            first.setdefault(entry.event.feed, entry.event)
    yield from first.values()
    if first:
        yield ImportResumed(max(event.ts for event in first.values()), digest="", done=0)


def _definitions(reader: EntryReader, replay: Replay) -> Iterator[Event]:
    end = replay.plan.end_ts
    for entry in entries_of(reader, DEFINITIONS):
        event = entry.event
        if not isinstance(event, SessionScheduled) or event.begin < end:
            yield event


def _own(reader: EntryReader, replay: Replay) -> Iterator[tuple[int, Event]]:
    for plan in replay.plans:
        for batch in LogSource(reader, plan.slices).batches():
            yield from batch


def _interleaved(reader: EntryReader, replay: Replay) -> Iterator[tuple[bool, Event]]:
    """Yield the inputs and the other market data of their days by clock, the others first."""
    lanes = [_clocked(_other(reader, plan), 0) for plan in _other_plans(reader, replay)]
    own = (event for _, event in _own(reader, replay))
    for _, rank, event in merge(*lanes, _clocked(own, 1), key=lambda item: item[:2]):
        yield bool(rank), event


def _clocked(events: Iterable[Event], rank: int) -> Iterator[tuple[int, int, Event]]:
    clock = 0
    for event in events:
        clock = max(clock, event.ts)
        yield clock, rank, event


def _other(reader: EntryReader, plan: Plan) -> Iterator[Event]:
    for batch in LogSource(reader, plan.slices).batches():
        yield from (event for _, event in batch if type(event) in MARKET_DATA)


def _other_plans(reader: EntryReader, replay: Replay) -> list[Plan]:
    """Return a plan for each feed's instruments that the replay does not read."""
    sessions = definitions_of(reader)
    own = {(part.feed, name) for plan in replay.plans for part in plan.parts for name in part.instruments}
    periods = [plan.period for plan in replay.plans]
    period = Period(periods[0].first, periods[-1].last)
    planner = Planner(reader, sessions)
    plans = []
    for feed, instrument in sorted({(c.feed, c.instrument) for c in reader.coverage()} - own):
        try:
            plans.append(planner.plan(period, _subscribed(feed, instrument)))
        except DataMissing:
            continue  # none of it on these days
    return plans


def _subscribed(feed: str, instrument: str) -> Sequence[Subscription]:
    return [Subscription(instrument, feed=feed)]
