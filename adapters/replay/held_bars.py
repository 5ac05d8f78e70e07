"""Which bars a log holds already: a bar that overlaps one of the same feed, from another file, is rejected.

The same file again is known by its digest and never gets here. A file that was written anew, with a day more,
does: its old rows would be there twice. Looks into the log only where its times overlap; writes nothing.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.replay.parsed import IntColumn
from adapters.replay.rows import Rows
from core.clock import DAY_NS
from core.events import Bar, Event, QuoteBar
from core.ports import Coverage, EntryReader, Selection

_BARS = frozenset[type[Event]]({Bar, QuoteBar})
_END, _START, _FEED, _INSTRUMENT = range(4)
Key = tuple[type[Event], str, str]
"""Type, feed and instrument."""


class Spans:
    """From when to when there are bars, by type, feed and instrument; read from the log once, then kept."""

    def __init__(self, coverage: Iterable[Coverage]) -> None:
        self._spans: dict[Key, tuple[int, int]] = {}
        for one in coverage:
            if one.type in _BARS:
                self.widen((one.type, one.feed, one.instrument), one.first_ts, one.last_ts)

    def widen(self, key: Key, first: int, last: int) -> None:
        """Take notice of bars that end between two times."""
        begin, end = self._spans.get(key, (first, last))
        self._spans[key] = (min(begin, first), max(end, last))

    def reaches(self, key: Key, first: int, last: int) -> bool:
        """Return whether there may be bars between two times."""
        begin, end = self._spans.get(key, (0, -1))
        return first < end and last > begin - DAY_NS


class HeldBars:
    """The bars of the log as one import sees them: those before its own first entry."""

    def __init__(self) -> None:
        self._reader: EntryReader | None = None
        self._spans = Spans(())
        self._before = 0
        self._mine: list[tuple[Key, int, int]] = []

    def look(self, reader: EntryReader, spans: Spans, before: int) -> None:
        """Begin an import whose first entry is `before`."""
        self._reader, self._spans, self._before, self._mine = reader, spans, before, []

    def finish(self) -> None:
        """Let later imports know of this one's bars."""
        for key, first, last in self._mine:
            self._spans.widen(key, first, last)

    def check(self, rows: Rows) -> None:
        """Reject the bars of one file that overlap what the log holds."""
        if self._reader is None or rows.type not in _BARS or not len(rows):
            return
        start, end = _column(rows, _START), _column(rows, _END)
        good = np.ones(len(rows), dtype=bool)
        good[list(rows.rejected)] = False
        if not good.any():
            return
        first, last = int(start[good].min()), int(end[good].max())
        key = (rows.type, str(rows.columns[_FEED]), str(rows.columns[_INSTRUMENT]))
        self._mine.append((key, first, last))
        if self._spans.reaches(key, first, last):
            rows.reject(good & self._overlapping(key, start, end, first, last), _reason)

    def _overlapping(
        self, key: Key, start: IntColumn, end: IntColumn, first: int, last: int
    ) -> NDArray[np.bool_]:
        kind, feed, instrument = key
        wanted = Selection(
            last_seq=self._before - 1,
            feeds=frozenset({feed}),
            instruments=frozenset({instrument}),
            begin_ts=first + 1,
            end_ts=last + DAY_NS,
        )
        assert self._reader is not None
        held: list[tuple[int, int]] = [
            (event.start, event.ts)  # type: ignore[attr-defined]
            for chunk in self._reader.market(wanted)
            for event in chunk.events
            if type(event) is kind
        ]
        if not held:
            return np.zeros(len(start), dtype=bool)
        table = np.array(sorted(held), dtype=np.int64)
        # Bars of one feed do not overlap, so their ends rise with their starts.
        places = np.searchsorted(table[:, 1], start, side="right")
        known = places < len(table)
        begins: IntColumn = table[np.minimum(places, len(table) - 1), 0]
        return known & (begins < end)


def _reason(_: int) -> str:
    return "bar overlaps one that the log holds from another file"


def _column(rows: Rows, place: int) -> Any:
    return rows.columns[place]
