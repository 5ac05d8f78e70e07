"""Rows of text and columns of numbers on their way to events.

Owns the parsing of delimited text into columns (typed and vectorised when every row is good, row by
row with a reason for each bad one otherwise) and the checks all formats share. Files are merged by
merging.py. One row gives exactly one item: an event or a `RowRejected`. Never touches files or the log.
"""

import csv
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.events import Bar, Event, QuoteBar, RowRejected

ROW_TEXT_MAX = 500
_LONG_NS = 10_000 * 10**9
_BARS = frozenset[type[Event]]({Bar, QuoteBar})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?[\d.,' ]*\d[,'][\d.,' ]*\Z", re.ASCII)
_OPEN_QUOTE = "a quote is not closed on its line: fields with line breaks are not read"
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\Z", re.IGNORECASE | re.ASCII)

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
        return self.ts[_good(self.parsed)]


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
    good = _good(parsed)
    keys = np.maximum.accumulate(np.where(good, ts, previous_ts)) if parsed.rows else ts
    kept = parsed if draft.type in _BARS else None
    return Rows(draft.type, keys, draft.columns, draft.nullable, _rejections(parsed, keys), kept)


def _good(parsed: Parsed) -> NDArray[np.bool_]:
    good = np.ones(parsed.rows, dtype=bool)
    good[list(parsed.reasons)] = False
    return good


def check_order(parsed: Parsed, ts: IntColumn, previous_ts: int, ahead: IntColumn = NO_TIMES) -> None:
    """Reject the fewest rows without which time never falls, nor lies before `previous_ts`.

    So one row with a time far ahead costs itself, not all rows after it; rows `ahead` have a say, but no
    verdict yet. Among equals the first rows stay.
    """
    rows = np.flatnonzero(_good(parsed))
    times = np.concatenate([ts[rows], ahead])
    if not np.any(times[: len(rows)] < previous_ts) and not np.any(np.diff(times) < 0):
        return
    later = np.flatnonzero(times >= previous_ts)
    kept = later[_longest_rise(times[later].tolist())]
    places = np.searchsorted(kept, np.arange(len(rows)))
    for index, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
        if place < len(kept) and kept[place] == index:
            continue
        above = int(times[kept[place - 1]]) if place else previous_ts
        if ts[row] < above:
            parsed.reasons[row] = f"time is {_span(above - int(ts[row]))} before the row above"
        else:
            parsed.reasons[row] = f"time is {_span(int(ts[row] - times[kept[place]]))} after the row below"


def _span(ns: int) -> str:
    return f"{ns / 1e9:g} s" if ns < _LONG_NS else str(timedelta(seconds=ns // 10**9))


def _longest_rise(values: Sequence[int]) -> list[int]:
    """Return the places of the longest subsequence that never falls; of several the first in place."""
    # From the right: `ends[k]` is the largest value that k + 1 values, never falling, can begin with.
    ends: list[int] = []
    lengths = []
    for value in reversed(values):
        place = bisect_right(ends, -value)
        ends[place : place + 1] = [-value]
        lengths.append(place + 1)
    lengths.reverse()
    kept: list[int] = []
    left = len(ends)
    for place, length in enumerate(lengths):
        if length == left and (not kept or values[place] >= values[kept[-1]]):
            kept.append(place)
            left -= 1
    return kept


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


def count_lines(data: bytes) -> int:
    """Return the number of rows in `data`: the last one may lack its newline, blank ends do not count."""
    body = data.rstrip(b"\r\n")
    return body.count(b"\n") + 1 if body else 0


def parse(
    data: bytes,
    names: Sequence[str],
    *,
    numbers: Sequence[str],
    texts: Sequence[str] = (),
    optional: Sequence[str] = (),
    file: str,
    first_line: int = 1,
    delimiter: str = ",",
    rows: int | None = None,
    decimal: str = ".",
) -> Parsed:
    """Parse rows with columns `names` into float64 `numbers` and object `texts`.

    An `optional` number may be empty or NaN and becomes NaN; elsewhere NaN, and infinity, reject the row.
    `decimal` is what fractions begin with.
    """
    count = count_lines(data) if rows is None else rows

    def lines() -> list[str]:
        text = data.decode("utf-8", errors="backslashreplace")
        return [line.removesuffix("\r") for line in text.split("\n")[:count]]

    columns = _columns_at_once(data, names, numbers, texts, delimiter, decimal) if count else None
    if columns is None or any(len(column) != count for column in columns.values()):
        columns, reasons = _columns_by_row(lines(), names, numbers, texts, optional, delimiter, decimal)
    else:
        reasons = {}
    if b'"' in data:
        reasons |= {row: _OPEN_QUOTE for row, line in enumerate(lines()) if line.count('"') % 2}
    parsed = Parsed(file, first_line, count, columns, reasons, lines)
    for name in numbers:
        bad = np.isinf(columns[name]) if name in optional else ~np.isfinite(columns[name])
        if bad.any():
            place, texts_of = names.index(name), lines()
            parsed.reject(bad, lambda row: _not_finite(name, texts_of[row], place, delimiter))  # noqa: B023
            columns[name][bad] = 0.0
    return parsed


def _not_finite(name: str, line: str, place: int, delimiter: str) -> str:
    return not_finite(name, _split(line, delimiter)[place].strip())


# The good case: pyarrow parses typed columns at several million rows a second. It says only *that* a
# row is bad, never which rows, so any complaint sends the whole block down the slow path.
def _columns_at_once(
    data: bytes,
    names: Sequence[str],
    numbers: Sequence[str],
    texts: Sequence[str],
    delimiter: str,
    decimal: str,
) -> dict[str, Column] | None:
    import pyarrow as pa  # noqa: PLC0415  (heavy: only where files are read)
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    wanted = [*numbers, *texts]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(column_names=list(names), use_threads=False),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted,
                column_types={n: pa.float64() for n in numbers} | {n: pa.string() for n in texts},
                null_values=["", "nan", "NaN"],
                decimal_point=decimal,
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    columns: dict[str, Column] = {name: table[name].to_numpy().astype(np.float64) for name in numbers}
    for name in texts:
        encoded = table[name].combine_chunks().dictionary_encode()
        columns[name] = np.array(encoded.dictionary.to_pylist(), dtype=object)[encoded.indices.to_numpy()]
    return columns


def _columns_by_row(
    lines: Sequence[str],
    names: Sequence[str],
    numbers: Sequence[str],
    texts: Sequence[str],
    optional: Sequence[str],
    delimiter: str,
    decimal: str,
) -> tuple[dict[str, Column], dict[int, str]]:
    columns: dict[str, Column] = {name: np.zeros(len(lines)) for name in numbers}
    columns |= {name: np.full(len(lines), "", dtype=object) for name in texts}
    reasons: dict[int, str] = {}
    places = {name: names.index(name) for name in columns}
    for row, line in enumerate(lines):
        fields = _split(line, delimiter)
        if len(fields) != len(names):
            found = len(fields) if line.strip() else 0
            reasons[row] = f"expected {len(names)} fields, found {found}"
            continue
        for name, place in places.items():
            value = fields[place] if name in texts else number(pointed(fields[place], decimal))
            if value is None and name in optional and not fields[place].strip():
                value = math.nan
            if value is None:
                reasons[row] = (
                    f"field {name}: {fields[place].strip()!r} is not a number{_comma(fields[place])}"
                )
                break
            columns[name][row] = value
    return columns, reasons


def _comma(text: str) -> str:
    if not _WITH_COMMA.match(text.strip()):
        return ""
    return "; expected a decimal point (or --decimal ','), and nothing between thousands"


def not_finite(field: str, text: str) -> str:
    """Return the reason to reject a row whose number is NaN, infinite or missing."""
    return f"field {field}: {text!r} is not a {'finite ' if text else ''}number"


def number(text: str) -> float | None:
    """Return the number in `text`, an infinity or NaN if it spells one, `None` if it is no number."""
    text = text.strip()
    return float(text) if _NUMBER.match(text) or _NOT_FINITE.match(text) else None


def pointed(text: str, decimal: str) -> str:
    """Return a number with a decimal point; empty if it has one but fractions begin otherwise."""
    return text if decimal == "." else "" if "." in text else text.replace(decimal, ".")


def _split(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def check_not_negative(parsed: Parsed, names: Sequence[str]) -> None:
    """Reject rows where a price, size or volume is negative."""
    for name in names:
        column = parsed.columns[name]
        parsed.reject(column < 0, lambda row: f"negative {name} {column[row]:g}")  # noqa: B023


def check_not_zero(parsed: Parsed, name: str) -> None:
    """Reject rows where the price is zero: a gap in the source, not a price."""
    parsed.reject(parsed.columns[name] == 0, lambda _: f"{name} is 0")


def check_bars(parsed: Parsed, open_: str, high: str, low: str, close: str) -> None:
    """Reject bars whose high is below the low, or whose open or close lies outside of both."""
    c = parsed.columns
    parsed.reject(c[high] < c[low], lambda row: f"{high} {c[high][row]:g} < {low} {c[low][row]:g}")
    for name in (open_, close):
        outside = (c[name] < c[low]) | (c[name] > c[high])
        parsed.reject(
            outside,
            lambda row: f"{name} {c[name][row]:g} outside {c[low][row]:g}..{c[high][row]:g}",  # noqa: B023
        )


def check_overlap(
    parsed: Parsed, start: IntColumn, end: IntColumn, previous_end: int, ahead: IntColumn = NO_TIMES
) -> None:
    """Reject bars that start before the last good one ended, or that do not end after their start."""
    parsed.reject(end <= start, lambda _: "bar does not end after its start")
    check_order(parsed, end, previous_end, ahead)
    rows = np.flatnonzero(_good(parsed))
    before = np.concatenate(([previous_end], end[rows][:-1])) if len(rows) else rows
    if not np.any(start[rows] < before):
        return
    # A rejected bar covers nothing, so each verdict may change the next: decide in order.
    last = previous_end
    for row in rows.tolist():
        if start[row] < last:
            parsed.reasons[row] = f"bar overlaps the one above by {(last - start[row]) / 1e9:g} s"
        else:
            last = int(end[row])
