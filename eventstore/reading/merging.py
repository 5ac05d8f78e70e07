"""Merging the tables of different event types by seq: numpy finds the order, Python only follows it.

Each stream ascends by seq. A chunk holds everything up to the least last seq that the streams have
buffered, so memory is bounded by one buffer a stream however long the streams are.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.events import Entry

MAX_ROWS = 65_536
"""No chunk that leaves this module is longer."""


class Rows(NamedTuple):
    """Rows in seq order: `seqs[i]` and `ts[i]` (int64) belong to `items[i]`."""

    seqs: NDArray[np.int64]
    ts: NDArray[np.int64]
    items: Sequence[Any]


def as_rows(entries: list[Entry], *, as_entries: bool) -> Rows:
    """Return entries, or their bare events, as rows."""
    seqs = np.fromiter((entry.seq for entry in entries), np.int64, len(entries))
    ts = np.fromiter((entry.event.ts for entry in entries), np.int64, len(entries))
    return Rows(seqs, ts, entries if as_entries else [entry.event for entry in entries])


class _Buffer:
    # The rows of a stream that were read and not yet given out: from `start` on.
    def __init__(self, stream: Iterator[Rows]) -> None:
        self.stream = stream
        self.rows: Rows | None = None
        self.start = 0

    def fill(self) -> bool:
        while self.rows is None or self.start >= len(self.rows.items):
            self.rows, self.start = next(self.stream, None), 0
            if self.rows is None:
                return False
        return True

    def last_seq(self) -> int:
        assert self.rows is not None
        return int(self.rows.seqs[-1])

    def take(self, cut: int) -> Rows | None:
        assert self.rows is not None
        seqs, ts, items = self.rows
        begin, end = self.start, int(np.searchsorted(seqs, cut, side="right"))
        if end <= begin:
            return None
        self.start = end
        if begin == 0 and end == len(items):
            return self.rows
        return Rows(seqs[begin:end], ts[begin:end], items[begin:end])


def merge(streams: list[Iterator[Rows]]) -> Iterator[Rows]:
    """Yield the rows of all streams in seq order, at most `MAX_ROWS` at a time."""
    if len(streams) == 1:
        for rows in streams[0]:
            yield from _split(rows)
        return
    buffers = [_Buffer(stream) for stream in streams]
    while buffers := [buffer for buffer in buffers if buffer.fill()]:
        cut = min(buffer.last_seq() for buffer in buffers)
        parts = [part for buffer in buffers if (part := buffer.take(cut))]
        yield from _split(_interleave(parts))


def _interleave(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    seqs = np.concatenate([part.seqs for part in parts])
    ts = np.concatenate([part.ts for part in parts])
    order = np.argsort(seqs, kind="stable")
    items: list[Any] = []
    for part in parts:
        items += part.items
    return Rows(seqs[order], ts[order], list(itemgetter(*order.tolist())(items)))


def _split(rows: Rows) -> Iterator[Rows]:
    if len(rows.items) <= MAX_ROWS:
        if rows.items:
            yield rows
        return
    for start in range(0, len(rows.items), MAX_ROWS):
        end = start + MAX_ROWS
        yield Rows(rows.seqs[start:end], rows.ts[start:end], rows.items[start:end])
