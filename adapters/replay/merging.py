"""Files as blocks of rows on their way to one order by time, in memory that does not depend on their size.

A block's times are judged together with those of the block that follows it in its file. Files are merged
block by block: a row is given out once nothing that is still to be read can come before it. Pure: no files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from adapters.replay.parsed import NO_TIMES
from adapters.replay.rows import Draft, Rows, finish
from core.events import Event

CHUNK_ROWS = 10_000


def judged(drafts: Iterable[Draft], begin: int) -> Iterator[Rows]:
    """Yield the blocks of one file with the verdicts on their times; `begin` is before all of them."""
    previous, held = begin, None
    for draft in drafts:
        if held is not None:
            rows = finish(held, previous_ts=previous, ahead=draft.times())
            previous = int(rows.keys[-1]) if len(rows) else previous
            yield rows
        held = draft
    if held is not None:
        yield finish(held, previous_ts=previous, ahead=NO_TIMES)


class _Stream:
    # One file: the block at hand, how far it was given out, and the block after it.
    def __init__(self, blocks: Iterable[Rows], check: Callable[[Rows], None] | None) -> None:
        self._blocks = iter(blocks)
        self._check = check
        self._following = self._read()
        self.rows: Rows | None = None
        self.advance()

    def _read(self) -> Rows | None:
        rows = next((rows for rows in self._blocks if len(rows)), None)
        if rows is not None and self._check is not None:
            self._check(rows)
        return rows

    def advance(self) -> None:
        self.rows, self._following = self._following, self._read() if self._following else None
        self.done = 0

    @property
    def bound(self) -> int | None:
        """The time before which nothing comes after this block; `None` if nothing comes at all."""
        return int(self.rows.keys[-1]) if self.rows is not None and self._following is not None else None


def merged(
    files: Sequence[Iterable[Rows]], check: Callable[[Rows], None] | None = None
) -> Iterator[list[Event]]:
    """Yield the items of all files by time, in chunks.

    Within a file the order is the file's; at equal times the file listed first goes first. `check` may reject
    more rows of a block before.
    """
    streams = [_Stream(blocks, check) for blocks in files]
    while streams := [stream for stream in streams if stream.rows is not None]:
        yield from _given_out(streams, _cuts(streams))
        for stream in streams:
            if stream.rows is not None and stream.done == len(stream.rows):
                stream.advance()


def _cuts(streams: Sequence[_Stream]) -> list[int]:
    """Return up to where the block of each stream comes before all that is still to be read of others."""
    bounds = [(place, bound) for place, s in enumerate(streams) if (bound := s.bound) is not None]
    cuts = []
    for place, stream in enumerate(streams):
        assert stream.rows is not None
        cut = len(stream.rows)
        for other, bound in bounds:
            if other != place:
                # At equal times the file listed first goes first: what it may still bring at `bound` too.
                past = bound if other < place else bound + 1
                cut = min(cut, int(np.searchsorted(stream.rows.keys, past)))
        cuts.append(max(cut, stream.done))
    return cuts


def _given_out(streams: Sequence[_Stream], cuts: Sequence[int]) -> Iterator[list[Event]]:
    parts = [
        (s, s.rows.keys[s.done : cut]) for s, cut in zip(streams, cuts, strict=True) if s.rows is not None
    ]
    if len(parts) == 1:
        ((stream, keys),) = parts
        for size in _sizes(len(keys)):
            yield _take(stream, size)
        return
    source = np.concatenate([np.full(len(keys), i, dtype=np.int32) for i, (_, keys) in enumerate(parts)])
    source = source[np.argsort(np.concatenate([keys for _, keys in parts]), kind="stable")]
    for first in range(0, len(source), CHUNK_ROWS):
        turn = source[first : first + CHUNK_ROWS]
        counts = np.bincount(turn)
        taken = {i: iter(_take(parts[i][0], int(counts[i]))) for i in np.flatnonzero(counts).tolist()}
        yield [next(taken[i]) for i in turn.tolist()]


def _sizes(rows: int) -> Iterator[int]:
    return (min(CHUNK_ROWS, rows - first) for first in range(0, rows, CHUNK_ROWS))


def _take(stream: _Stream, size: int) -> list[Event]:
    assert stream.rows is not None
    first, stream.done = stream.done, stream.done + size
    return stream.rows.items(first, stream.done)
