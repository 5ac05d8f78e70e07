"""Columns of a file's rows on their way to events, and of each bad row the reason.

Owns what it is for a row to be rejected: it keeps its place and its line, and the first reason stays. Knows
no format, no event and no rule of what a good row is.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

FloatColumn = NDArray[np.float64]
IntColumn = NDArray[np.int64]
Column = NDArray[Any]
NO_TIMES: IntColumn = np.zeros(0, dtype=np.int64)


class Parsed(msgspec.Struct):
    """Columns of the wanted fields, all of length `rows`; bad rows hold zeros and have a reason."""

    file: str
    first_line: int
    rows: int
    columns: dict[str, Column]
    reasons: dict[int, str]
    lines: Callable[[], list[str]]
    line_numbers: IntColumn | None = None
    """The line of each row, where they do not count up from `first_line`."""

    def only(self, rows: IntColumn) -> "Parsed":
        """Return some of the rows, in the order given, each with its own line number."""
        place = {row: i for i, row in enumerate(rows.tolist())} if self.reasons else {}
        lines = self.lines
        return Parsed(
            self.file,
            self.first_line,
            len(rows),
            {name: column[rows] for name, column in self.columns.items()},
            {place[row]: reason for row, reason in self.reasons.items() if row in place},
            lambda: [lines()[row] for row in rows.tolist()],
            self.first_line + rows if self.line_numbers is None else self.line_numbers[rows],
        )

    def line(self, row: int) -> int:
        """Return the line number of a row in its file."""
        return self.first_line + row if self.line_numbers is None else int(self.line_numbers[row])

    def reject(self, mask: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        """Reject the rows where `mask` is true; the first reason given for a row stays."""
        for row in np.flatnonzero(mask).tolist():
            if row not in self.reasons:
                self.reasons[row] = reason(row)

    def good(self) -> NDArray[np.bool_]:
        """Return which rows have no reason against them so far."""
        good = np.ones(self.rows, dtype=bool)
        good[list(self.reasons)] = False
        return good
