"""CSV and Parquet files as blocks of named columns.

Owns encodings (UTF-8 with or without BOM, GBK, else Latin-1), delimiters, headers and the streaming of
large files. Knows nothing of trades or quotes; never writes.
"""

import csv
import json
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from adapters.replay.lines import LineCount, cut
from adapters.replay.rows import Column, Parsed, not_finite, number, parse
from adapters.replay.table_times import Times, arrow_times, is_bare, read_time, read_times
from core.errors import UsageError

BLOCK_BYTES = 2 << 20
BLOCK_ROWS = 50_000
PEEK_ROWS = 200
PEEK_BYTES = 1 << 16
_DELIMITERS = ",;\t|"


class Wanted(msgspec.Struct, frozen=True):
    """Which columns to read, by their place in the file: `numbers` and `texts` by field name."""

    numbers: Mapping[str, int]
    texts: Mapping[str, int]
    times: Sequence[int]
    optional: frozenset[str]
    time_format: str | None = None


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
        self.digest, lines, self._encoding = _scan(path)
        self.note = {"utf-8": "", "gb18030": "read as GBK"}.get(self._encoding, "read as Latin-1")
        head = self._lines_at_start()
        if not head:
            raise UsageError(f"{path}: the file is empty; expected a header line and rows")
        self._delimiter = max(_DELIMITERS, key=head[0].count)
        first = _fields(head[0], self._delimiter)
        headed = not any(number(field) is not None or read_time(field) for field in first)
        self.header = [f.strip() for f in first] if headed else [str(i + 1) for i in range(len(first))]
        self._skip = 1 if headed else 0
        self.rows = lines - self._skip
        self._peek = [_fields(line, self._delimiter) for line in head[self._skip :]]

    def _lines_at_start(self) -> list[str]:
        with self._path.open("rb") as file:
            data = file.read(PEEK_BYTES)
        text = data.decode(self._encoding, errors="replace").removeprefix("\ufeff")
        return [line for line in text.replace("\r\n", "\n").split("\n")[: PEEK_ROWS + 1] if line.strip()]

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
            )
            texts = parsed.columns[times[0]]
            if len(times) == 2:
                texts = texts + np.full(parsed.rows, " ", dtype=object) + parsed.columns[times[1]]
            yield Block(parsed, read_times(texts, wanted.time_format), texts.__getitem__)
            line += parsed.rows

    def _pieces(self, *, whole: bool) -> Iterator[tuple[bytes, int]]:
        """Yield the file without its header in UTF-8, cut at line ends, and the rows in each piece."""
        with self._path.open("rb") as file:
            for _ in range(self._skip):
                file.readline()
            for lines, rows in cut(file.read if whole else lambda: file.read(BLOCK_BYTES), self.rows):
                yield self._utf8(lines), rows

    def _utf8(self, piece: bytes) -> bytes:
        if self._encoding != "utf-8":
            return piece.decode(self._encoding, errors="backslashreplace").encode()
        return piece.removeprefix(b"\xef\xbb\xbf")


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def _scan(path: Path) -> tuple[str, int, str]:
    """Return digest, number of lines and encoding of a text file, in bounded memory."""
    digest = blake2b(digest_size=16)
    newlines = returns = 0
    lines = LineCount()
    has_zeros = False
    try:
        with path.open("rb") as file:
            while data := file.read(BLOCK_BYTES):
                if not newlines and _has_no_header(data):
                    raise _no_text(path)
                has_zeros = has_zeros or b"\0" in data
                digest.update(data)
                lines.add(data)
                newlines += data.count(b"\n")
                returns += data.count(b"\r")
        if returns > 1 and not newlines:
            raise UsageError(
                f"{path}: its lines end with a carriage return alone; save it with line feeds and import it "
                "again"
            )
        encoding = next((name for name in ("utf-8", "gb18030") if _decodes(path, name)), "latin-1")
        if encoding != "utf-8" and has_zeros:
            raise _no_text(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest(), lines.rows, encoding


def _has_no_header(data: bytes) -> bool:
    """Return whether zero bytes or the mark of UTF-16 are where a header line should be."""
    return data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:PEEK_BYTES].split(b"\n", 1)[0]


def _no_text(path: Path) -> UsageError:
    return UsageError(
        f"{path}: is UTF-16 or UTF-32 text, or no text at all; save it as CSV in UTF-8 and import it again"
    )


def _decodes(path: Path, encoding: str) -> bool:
    decoder = getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while data := file.read(BLOCK_BYTES):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


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
                parsed.columns[field] = _numbers(batch.column(place), field, parsed, field in wanted.optional)
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


def _numbers(column: Any, field: str, parsed: Parsed, optional: bool) -> Column:
    import pyarrow as pa  # noqa: PLC0415

    try:
        values: Column = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        read = [number(str(value)) for value in column.to_pylist()]
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
