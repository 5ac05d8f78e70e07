"""One decoding of the market data for all trials of a process: a reader that remembers what it read."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from core.events import Entry
from core.ports import Coverage, EntryReader, MarketChunk, Selection

EVENTS_MAX = 2_000_000
"""Events kept in memory a process, some 200 bytes each; what goes beyond is read again each time."""


class SharedReader:
    """A `core.ports.EntryReader` over another, as of its making; trials share events: they are immutable."""

    def __init__(self, reader: EntryReader, events_max: int = EVENTS_MAX) -> None:
        self._reader = reader
        self._room = events_max
        self._entries: dict[Selection, list[Sequence[Entry]]] = {}
        self._market: dict[Selection, list[MarketChunk]] = {}

    @cached_property
    def _last(self) -> int:
        return self._reader.last_seq()

    @cached_property
    def _coverage(self) -> list[Coverage]:
        return self._reader.coverage()

    def last_seq(self) -> int:
        """Return the last seq there was at the first call."""
        return self._last

    def coverage(self) -> list[Coverage]:
        """Return what market data there are, as of the first call."""
        return list(self._coverage)

    def entries(self, selection: Selection = Selection()) -> Iterator[Sequence[Entry]]:  # noqa: B008
        """Yield batches of entries in seq order."""
        if selection not in self._entries:
            self._entries[selection] = list(self._reader.entries(selection))
        yield from self._entries[selection]

    def market(self, selection: Selection = Selection()) -> Iterator[MarketChunk]:  # noqa: B008
        """Yield market data in seq order; remembers it while there is room."""
        known = self._market.get(selection)
        if known is not None:
            yield from known
            return
        held: list[MarketChunk] | None = []
        count = 0
        for chunk in self._reader.market(selection):
            count += len(chunk.events)
            if held is not None:
                chunk = MarketChunk(chunk.seqs, chunk.ts, list(chunk.events))  # noqa: PLW2901  (built once)
                held.append(chunk)
                held = held if count <= self._room else None
            yield chunk
        if held is not None:  # read to its end: an abandoned reading is remembered by nobody
            self._market[selection] = held
            self._room -= count
