"""CSV and Parquet files as blocks of named columns.

Owns the streaming of large files; what comes first in them is csv_heads.py's and scan.py's. Knows
nothing of trades or quotes; never writes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from adapters.replay.delimited import parse
from adapters.replay.lines import cut
from adapters.replay.numerals import not_finite, number, pointed
from adapters.replay.packed import unpacked
from adapters.replay.parsed import Column, Parsed
from adapters.replay.tables.csv_heads import fields, read_head
from adapters.replay.tables.scan import BLOCK_BYTES, PEEK_BYTES, scan
from adapters.replay.tables.times import Times, arrow_times, is_bare, read_times
from core.errors import UsageError

BLOCK_ROWS = 50_000
PEEK_ROWS = 200


class Wanted(msgspec.Struct, frozen=True):
    """Which columns to read, by their place in the file: `numbers` and `texts` by field name."""

    numbers: Mapping[str, int]
    texts: Mapping[str, int]
    times: Sequence[int]
    optional: frozenset[str]
    time_format: str | None = None
    decimal: str = "."


class Block(msgspec.Struct):
    """Some rows in file order: their columns, and their times apart; `shown` gives a row's time as text."""

    parsed: Parsed
    times: Times
    shown: Callable[[int], str]


class TableFile(Protocol):
    """A file of rows and columns whose content has a digest."""

    name: str
    digest: str
    rows: int
    header: Sequence[str]
    note: str

    def peek(self) -> list[list[str]]:
        """Return the first rows as text."""

    def blocks(self, wanted: Wanted, *, whole: bool = False) -> Iterator[Block]:
        """Yield all rows in blocks, in one block if `whole`."""


class CsvFile:
    """Delimited text with a header line (or none: columns are then named `1`, `2`, …)."""

    header: Sequence[str]

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self.digest, lines, self._encoding = scan(path)
        self.note = {"utf-8": "", "gb18030": "read as GBK"}.get(self._encoding, "read as Latin-1")
        start = self._lines_at_start()
        head = read_head(start)
        if head is None:
            raise UsageError(f"{path}: the file is empty; expected a header line and rows")
        self._skip, self.header, self._delimiter = head
        self.rows = max(0, lines - self._skip)
        self._peek = [fields(line, self._delimiter) for line in start[self._skip :] if line.strip()]

    @property
    def delimiter(self) -> str:
        """What cuts the columns."""
        return self._delimiter

    def _lines_at_start(self) -> list[str]:
        with unpacked(self._path) as file:
            data = file.read(PEEK_BYTES)
        text = data.decode(self._encoding, errors="replace").removeprefix("\ufeff")
        return text.replace("\r\n", "\n").split("\n")[: PEEK_ROWS + 1]

    def peek(self) -> list[list[str]]:
        """Return the first rows as text."""
        return self._peek

    def blocks(self, wanted: Wanted, *, whole: bool = False) -> Iterator[Block]:
        """Yield all rows in blocks, in one block if `whole`."""
        names = [f"column {place}" for place in range(len(self.header))]
        for field, place in [*wanted.numbers.items(), *wanted.texts.items()]:
            names[place] = field
        times = [names[place] for place in wanted.times]
        line = 1 + self._skip
        for data, rows in self._pieces(whole=whole):
            parsed = parse(
                data,
                names,
                numbers=list(wanted.numbers),
                texts=[*wanted.texts, *times],
                optional=list(wanted.optional),
                file=self.name,
                first_line=line,
                delimiter=self._delimiter,
                rows=rows,
                decimal=wanted.decimal,
            )
            texts = parsed.columns[times[0]]
            if len(times) == 2:
                texts = texts + np.full(parsed.rows, " ", dtype=object) + parsed.columns[times[1]]
            yield Block(parsed, read_times(texts, wanted.time_format), texts.__getitem__)
            line += parsed.rows

    def _pieces(self, *, whole: bool) -> Iterator[tuple[bytes, int]]:
        """Yield the file without its header in UTF-8, cut at line ends, and the rows in each piece."""
        with unpacked(self._path) as file:
            for _ in range(self._skip):
                file.readline()
            if whole:
                yield self._utf8(file.read()), self.rows
                return
            for lines, rows in cut(lambda: file.read(BLOCK_BYTES), self.rows):
                yield self._utf8(lines), rows

    def _utf8(self, piece: bytes) -> bytes:
        if self._encoding != "utf-8":
            return piece.decode(self._encoding, errors="backslashreplace").encode()
        return piece.removeprefix(b"\xef\xbb\xbf")


class ParquetFile:
    """A Parquet file with flat columns."""

    header: Sequence[str]
    note = ""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa  # noqa: PLC0415  (heavy: only where files are read)
        from pyarrow import parquet  # noqa: PLC0415

        self.name = path.name
        try:
            with path.open("rb") as file:
                digest = blake2b(digest_size=16)
                while data := file.read(BLOCK_BYTES):
                    digest.update(data)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
        try:
            self._file = parquet.ParquetFile(path)
            # All of it, before a row of it is in the log: the whole file would bring that row once more.
            for _ in self._file.iter_batches(batch_size=BLOCK_ROWS):
                pass
        except (OSError, pa.ArrowException) as error:
            why = " ".join(str(error).split())
            raise UsageError(f"{path}: not a readable Parquet file ({why}); write it again") from error
        self.digest, self.rows = digest.hexdigest(), self._file.metadata.num_rows
        self.header = self._file.schema_arrow.names

    def peek(self) -> list[list[str]]:
        """Return the first rows as text."""
        batch = next(self._file.iter_batches(batch_size=PEEK_ROWS), None)
        rows = batch.to_pylist() if batch is not None else []
        return [[_text(row[name]) for name in self.header] for row in rows]

    def blocks(self, wanted: Wanted, *, whole: bool = False) -> Iterator[Block]:
        """Yield all rows in blocks, in one block if `whole`."""
        line = 1
        for batch in self._file.iter_batches(batch_size=max(1, self.rows) if whole else BLOCK_ROWS):
            parsed = Parsed(self.name, line, len(batch), {}, {}, _lines_of(batch))
            for field, place in wanted.numbers.items():
                parsed.columns[field] = _numbers(batch.column(place), field, parsed, wanted)
            for field, place in wanted.texts.items():
                parsed.columns[field] = _texts(batch.column(place))
            times = [batch.column(place) for place in wanted.times]
            yield Block(parsed, _times(times, wanted.time_format), _shown(times))
            line += len(batch)


def _texts(column: Any) -> Column:
    import pyarrow as pa  # noqa: PLC0415

    try:
        values = column.cast(pa.string()).fill_null("").to_pylist()
    except pa.ArrowException:  # lists, structs, bytes that are no text
        values = [_text(value) for value in column.to_pylist()]
    return np.array(values, dtype=object)


def _times(columns: Sequence[Any], time_format: str | None) -> Times:
    """Read one column of times, or a column of dates and one of times of day."""
    if len(columns) == 1 and time_format is None:
        return arrow_times(columns[0])
    shown = _shown(columns)
    return read_times(np.array([shown(row) for row in range(len(columns[0]))], dtype=object), time_format)


def _shown(columns: Sequence[Any]) -> Callable[[int], str]:
    return lambda row: " ".join(_text(column[row].as_py()) for column in columns)


def _numbers(column: Any, field: str, parsed: Parsed, wanted: Wanted) -> Column:
    import pyarrow as pa  # noqa: PLC0415

    optional = field in wanted.optional
    try:
        values: Column = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        read = [number(pointed(str(value), wanted.decimal)) for value in column.to_pylist()]
        values = np.array([np.nan if value is None else value for value in read])
    bad = np.isinf(values) if optional else ~np.isfinite(values)
    shown = column.to_pylist() if bad.any() else []
    parsed.reject(bad, lambda row: not_finite(field, _text(shown[row])))
    values[bad] = 0.0
    return values


def _lines_of(batch: Any) -> Any:
    return lambda: [json.dumps(row, default=str, ensure_ascii=False) for row in batch.to_pylist()]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return value.isoformat() if is_bare(value) or hasattr(value, "isoformat") else str(value)
