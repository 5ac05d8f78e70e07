"""Checked rows as the items of a log: one row gives exactly one, an event or a `RowRejected`.

A `Draft` waits for the verdict on its times; `finish` gives it. Items are built when they are asked for.
Files are merged by merging.py; nothing here touches a file or the log.
"""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapters.replay.parsed import NO_TIMES, IntColumn, Parsed
from adapters.replay.row_checks import check_order, check_overlap
from core.events import Bar, Event, QuoteBar, RowRejected

ROW_TEXT_MAX = 500
_BARS = frozenset[type[Event]]({Bar, QuoteBar})


class Rows(msgspec.Struct):
    """Items of one file, built on demand: `columns` are the fields of `type`, arrays or constants.

    `keys` (int64 ns, never falling) are the times to merge by; NaN in a `nullable` column is `None`.
    """

    type: type[Event]
    keys: IntColumn
    columns: Sequence[Any]
    nullable: frozenset[int]
    rejected: dict[int, RowRejected]
    parsed: Parsed | None = None
    """Of bars: what they were made of, for checks that come later."""

    def reject(self, mask: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        """Reject rows where `mask` is true, after all other checks; they keep their places."""
        assert self.parsed is not None
        self.parsed.reject(mask, reason)
        self.rejected = _rejections(self.parsed, self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def items(self, first: int, last: int) -> list[Event]:
        """Return the items of rows `first`..`last` (exclusive)."""
        values = [self._values(place, first, last) for place in range(len(self.columns))]
        items: list[Event] = list(map(self.type, *values))
        for row in self.rejected if len(self.rejected) < last - first else range(first, last):
            if first <= row < last and row in self.rejected:
                items[row - first] = self.rejected[row]
        return items

    def _values(self, place: int, first: int, last: int) -> Any:
        column = self.columns[place]
        if not isinstance(column, np.ndarray):
            return repeat(column, last - first)
        part = column[first:last]
        if place in self.nullable:
            missing = np.isnan(part)
            part = part.astype(object)
            part[missing] = None
        return part.tolist()


class Draft(msgspec.Struct):
    """Parsed rows whose fields are checked, before their times are: see `finish`.

    `ts` (and `start`, of bars) are ns UTC; the rest is as in `Rows`.
    """

    parsed: Parsed
    type: type[Event]
    ts: IntColumn
    columns: Sequence[Any]
    nullable: frozenset[int] = frozenset()
    start: IntColumn | None = None

    def times(self) -> IntColumn:
        """Return the times of the rows that are good so far."""
        return self.ts[self.parsed.good()]


def finish(draft: Draft, *, previous_ts: int, ahead: IntColumn = NO_TIMES) -> Rows:
    """Reject rows that are out of order and return all of them as `Rows`.

    `ahead` are the times of rows that follow in the file. A rejected row keeps its place in the file: it is
    merged at the time of the last good row before it.
    """
    parsed, ts = draft.parsed, draft.ts
    if draft.start is None:
        check_order(parsed, ts, previous_ts, ahead)
    else:
        check_overlap(parsed, draft.start, ts, previous_ts, ahead)
    good = parsed.good()
    keys = np.maximum.accumulate(np.where(good, ts, previous_ts)) if parsed.rows else ts
    kept = parsed if draft.type in _BARS else None
    return Rows(draft.type, keys, draft.columns, draft.nullable, _rejections(parsed, keys), kept)


def _rejections(parsed: Parsed, keys: IntColumn) -> dict[int, RowRejected]:
    if not parsed.reasons:
        return {}
    lines = parsed.lines()
    return {
        row: RowRejected(
            ts=int(keys[row]),
            file=parsed.file,
            line=parsed.line(row),
            reason=parsed.reasons[row][:ROW_TEXT_MAX],
            row=lines[row][:ROW_TEXT_MAX],
        )
        for row in sorted(parsed.reasons)
    }
