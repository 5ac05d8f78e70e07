"""The event source of a replay: a slice of a log as inputs, in replay order, streamed.

Within a stream the order is `seq`; between streams it is `clock` (the running maximum of `ts` within
the stream), then feed, then seq. Memory is bounded by a chunk per stream, whatever the length.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.replay.preparing import Preparation, prepared
from adapters.replay.streams import Stream
from core.clock import NEVER
from core.events import Event
from core.inputs import Batch
from core.ports import EntryReader, MarketChunk, Selection

BATCH_EVENTS = 8_192
SMALL_EVENTS = 1_024
"""Chunks below this are joined: a slice of bars must not spread over more than two batches."""


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """What of a log to replay: these streams, filtered by `selection` (seqs are set per span).

    `preparation` says how the data are changed on the way. `extra` holds the few inputs that are not market
    data (halts, rates, corporate actions), in seq order; `signals` those that become known at a time of
    their own, in that order.
    """

    selection: Selection
    streams: tuple[Stream, ...]
    extra: tuple[tuple[int, Event], ...] = ()
    preparation: Preparation = Preparation()
    signals: tuple[tuple[int, Event], ...] = ()


class LogSource:
    """A `core.ports.Source` over one or more slices of a log, replayed one after another in time."""

    def __init__(self, reader: EntryReader, slices: Sequence[Slice]) -> None:
        self._reader = reader
        self._slices = slices
        self._window: list[tuple[int, NDArray[np.int64]]] = []
        self.inputs = 0
        self.read = 0  # what was read of the log for it, with what was left out
        self.first_ts: int | None = None
        self.last_ts: int | None = None

    def batches(self) -> Iterator[Iterable[tuple[int, Event]]]:
        """Yield `(seq, event)` pairs, `BATCH_EVENTS` at a time."""
        for chunk in joined(self._chunks()):
            for start in range(0, len(chunk.events), BATCH_EVENTS):
                seqs = chunk.seqs[start : start + BATCH_EVENTS]
                self._remember(seqs)
                yield Batch(seqs, chunk.events, start)
            if len(chunk.events):
                self.first_ts = self.first_ts if self.first_ts is not None else int(chunk.ts[0])
                self.last_ts = int(chunk.ts[-1])

    def ordinals(self, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Map source seqs of the last two batches to positions among the inputs (from 1; 0 if unknown)."""
        out = np.zeros(len(seqs), dtype=np.int64)
        for base, batch in reversed(self._window):
            where, hit = _places(batch, seqs)
            if hit.all():  # as a rule
                return where + base
            out[hit] = base + where[hit]
        return out

    def _remember(self, seqs: NDArray[np.int64]) -> None:
        # A bar's decisions may be recorded while the next batch is taken, so two batches are kept.
        self._window = [*self._window[-1:], (self.inputs + 1, seqs)]
        self.inputs += len(seqs)

    def _chunks(self) -> Iterator[MarketChunk]:
        lanes = []
        for part in self._slices:
            lanes += [
                (s.feed, prepared(self._stream(part.selection, s), part.preparation)) for s in part.streams
            ]
            lanes += [("", iter([_extra_chunk(few)])) for few in (part.extra, part.signals) if few]
        if len(lanes) == 1:
            yield from lanes[0][1]
        else:
            yield from merge(lanes)

    def _stream(self, selection: Selection, stream: Stream) -> Iterator[MarketChunk]:
        for span in stream.spans:
            bounds = msgspec.structs.replace(selection, first_seq=span.first_seq, last_seq=span.last_seq)
            for chunk in self._reader.market(bounds):
                self.read += len(chunk.events)
                yield chunk


def _places(batch: NDArray[np.int64], seqs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where in a batch seqs are, and which of them are there at all."""
    first, rising = batch[0], (batch[1:] > batch[:-1]).all()
    if rising and batch[-1] - first == len(batch) - 1:  # the log is replayed whole
        where = seqs - first
        return where, (where >= 0) & (where < len(batch))
    # Only where streams were merged do seqs have to be sorted.
    order = None if rising else np.argsort(batch, kind="stable")
    ranked = batch if order is None else batch[order]
    where = np.minimum(np.searchsorted(ranked, seqs), len(ranked) - 1)
    return where if order is None else order[where], ranked[where] == seqs


def _extra_chunk(extra: Sequence[tuple[int, Event]]) -> MarketChunk:
    seqs = np.array([seq for seq, _ in extra], dtype=np.int64)
    return MarketChunk(seqs, np.array([e.ts for _, e in extra], dtype=np.int64), [e for _, e in extra])


def joined(chunks: Iterable[MarketChunk]) -> Iterator[MarketChunk]:
    """Join neighbouring chunks until they hold `SMALL_EVENTS`; a log read while hot has many tiny ones."""
    held: list[MarketChunk] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk.events)
        if size >= SMALL_EVENTS:
            yield _concatenated(held)
            held, size = [], 0
    if held:
        yield _concatenated(held)


def _concatenated(chunks: Sequence[MarketChunk]) -> MarketChunk:
    if len(chunks) == 1:
        return chunks[0]
    return MarketChunk(
        np.concatenate([chunk.seqs for chunk in chunks]),
        np.concatenate([chunk.ts for chunk in chunks]),
        [event for chunk in chunks for event in chunk.events],
    )


class _Cursor:
    """A stream's read position in a merge: the chunk at hand, and its clock."""

    def __init__(self, rank: int, chunks: Iterator[MarketChunk]) -> None:
        self.rank = rank
        self.done = False
        self._chunks = chunks
        self._clock_before = 0
        self.seqs: NDArray[np.int64] = np.empty(0, np.int64)
        self.ts = self.seqs
        self.clock = self.seqs
        self.events: list[Event] = []
        self.extend()

    def extend(self) -> None:
        """Load one more chunk behind what is at hand."""
        chunk = next((c for c in self._chunks if len(c.events)), None)
        if chunk is None:
            self.done = True
            return
        clock = np.maximum(np.maximum.accumulate(chunk.ts), self._clock_before)
        self._clock_before = int(clock[-1])
        self.seqs = np.concatenate([self.seqs, chunk.seqs])
        self.ts = np.concatenate([self.ts, chunk.ts])
        self.clock = np.concatenate([self.clock, clock])
        self.events += chunk.events

    def cut(
        self, horizon: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[Event]]:
        """Remove and return what lies before `horizon` (clock, ts, seqs, events)."""
        n = int(np.searchsorted(self.clock, horizon, side="left"))
        taken = self.clock[:n], self.ts[:n], self.seqs[:n], self.events[:n]
        self.clock, self.ts, self.seqs = self.clock[n:], self.ts[n:], self.seqs[n:]
        self.events = self.events[n:]
        return taken


def merge(lanes: Sequence[tuple[str, Iterator[MarketChunk]]]) -> Iterator[MarketChunk]:
    """Merge streams `(feed, chunks)` by clock, feed, seq, holding about one chunk of each."""
    names = sorted({feed for feed, _ in lanes})
    cursors = [_Cursor(names.index(feed), chunks) for feed, chunks in lanes]
    while cursors:
        # Nothing can come before the least clock that an unfinished stream has reached.
        horizon = min((int(c.clock[-1]) for c in cursors if not c.done and len(c.clock)), default=NEVER)
        parts = [(c.rank, *c.cut(horizon)) for c in cursors]
        if any(len(part[4]) for part in parts):
            yield _merged(parts)
        for cursor in cursors:
            if not cursor.done and (not len(cursor.clock) or int(cursor.clock[-1]) == horizon):
                cursor.extend()
        cursors = [c for c in cursors if len(c.clock) or not c.done]


def _merged(
    parts: Sequence[tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], list[Event]]],
) -> MarketChunk:
    clock = np.concatenate([part[1] for part in parts])
    ts = np.concatenate([part[2] for part in parts])
    seqs = np.concatenate([part[3] for part in parts])
    ranks = np.concatenate([np.full(len(part[4]), part[0]) for part in parts])
    order = np.lexsort((seqs, ranks, clock))
    events = np.empty(len(clock), dtype=object)
    events[:] = [event for part in parts for event in part[4]]
    return MarketChunk(seqs[order], ts[order], events[order].tolist())
