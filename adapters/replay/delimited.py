"""Delimited text as columns: typed and vectorised where every row is good, else row by row with reasons.

Owns what a field, a line and a quote are. What the columns mean is for others to say. Pure: bytes in,
`Parsed` out; never touches files or the log.
"""

import csv
import math
from collections.abc import Sequence

import numpy as np

from adapters.replay.numerals import mark_advice, not_finite, number, pointed
from adapters.replay.parsed import Column, Parsed

_OPEN_QUOTE = "a quote is not closed on its line: fields with line breaks are not read"


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
                    f"field {name}: {fields[place].strip()!r} is not a number{mark_advice(fields[place])}"
                )
                break
            columns[name][row] = value
    return columns, reasons


def _split(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]
