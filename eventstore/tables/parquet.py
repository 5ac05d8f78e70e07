"""Typed Parquet files: one per event type, written in row groups of fixed size, read group by group.

Encodings were chosen on real ticks and orders: delta for integers (the default dictionary is a trap for
seq and time) and for strings that hardly repeat (ids, reasons: a seventh of a dictionary's size), a
dictionary for other strings and for prices with few distinct values, byte-stream split for the rest.
The same rows give the same bytes. Nothing here syncs: whoever publishes a file syncs it first. Errors
of pyarrow become `CorruptLog` with the file's name.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import CorruptLog
from core.events import EventType
from eventstore.tables import columns
from eventstore.tables.schema import Column, arrow_schema, columns_of, dictionary_columns

ROW_GROUP_ROWS = 65_536
ZSTD_LEVEL = 3
_BUFFER_BYTES = 65_536
# With more distinct values than this share of the rows, a dictionary is larger than the split bytes.
_DICTIONARY_SHARE = 0.25
_SAMPLE_ROWS = 256
_FEW_ROWS = 16
_PREFIX_DELTA = "DELTA_BYTE_ARRAY"
_NUMBERS = frozenset({pa.int64(), pa.float64()})


def file_name(kind: EventType) -> str:
    """Return the name of the type's file in any directory of the log."""
    return f"{kind.tag}.parquet"


class TypedWriter:
    """Write batches of one event type to a new Parquet file; row groups do not depend on batch sizes.

    The encodings are chosen from the first row group. The file exists from the first row group on and
    is complete after `close`.
    """

    def __init__(self, path: Path, kind: EventType, *, recv: bool = True) -> None:
        self.path = path
        self.rows = 0
        self._schema = arrow_schema(kind, recv=recv)
        self._of_run = not recv
        self._strings = [*dictionary_columns(kind), "extra"]
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; complete row groups go to the file at once."""
        self.rows += len(batch)
        while self._pending_rows + len(batch) >= ROW_GROUP_ROWS:
            part = ROW_GROUP_ROWS - self._pending_rows
            self._pending.append(batch.slice(0, part))
            self._flush()
            batch = batch.slice(part)
        if len(batch):
            self._pending.append(batch)
            self._pending_rows += len(batch)

    def close(self) -> None:
        """Write what is left and the footer."""
        if self._pending or self._writer is None:
            self._flush()
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Close what is open, complete or not; whoever calls removes the file."""
        if self._writer is not None:
            self._writer.close()
            self._file.close()

    def _flush(self) -> None:
        schema = self._pending[0].schema if self._pending else self._schema
        table = pa.Table.from_batches(self._pending, schema).combine_chunks()
        self._pending, self._pending_rows = [], 0
        if self._writer is None:
            # Arrow writes each page and its header by itself: a small table would be a hundred system calls.
            self._file = pa.BufferedOutputStream(pa.OSFile(str(self.path), "wb"), _BUFFER_BYTES)
            self._writer = _open_writer(self._file, table, self._strings, of_run=self._of_run)
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


class TypedFile:
    """A typed file open for reading, one row group at a time; strings come as dictionaries.

    A column whose field is younger than the file reads as the field's default (`missing` names them);
    without a default the file is refused. Nothing here checks what the pages hold: compare the file's
    digest first.
    """

    def __init__(self, path: Path, kind: EventType) -> None:
        self.path = path
        with translated(path):
            self._metadata = pq.read_metadata(path)
            self._stored: list[str] = self._metadata.schema.names
            self.groups: int = self._metadata.num_row_groups
            self.rows: int = self._metadata.num_rows
            self._file = pq.ParquetFile(
                path,
                metadata=self._metadata,
                read_dictionary=[name for name in dictionary_columns(kind) if self._as_dictionary(name)],
                pre_buffer=False,
            )
        self.missing = self._check_missing(kind)
        self.names: list[str] = [
            name for name in arrow_schema(kind).names if name in self._stored or name in self.missing
        ]
        self.names.remove("extra")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def bounds(self, group: int, column: str) -> tuple[Any, Any] | None:
        """Return the least and greatest value of a column in a row group, if the file states them."""
        statistics = self._metadata.row_group(group).column(self._stored.index(column)).statistics
        if statistics is None or not statistics.has_min_max:
            return None
        return statistics.min, statistics.max

    def read(self, group: int, names: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a row group (usually as one batch)."""
        wanted = list(names or self.names)
        stored = [name for name in wanted if name not in self.missing]
        with translated(self.path):
            batches = self._file.read_row_group(group, columns=stored, use_threads=False).to_batches()
        for batch in batches:
            yield batch if len(stored) == len(wanted) else self._completed(batch, wanted)

    def _as_dictionary(self, name: str) -> bool:
        """Return whether a column can be read as a dictionary: prefix deltas cannot."""
        if name not in self._stored or not self.groups:
            return name in self._stored
        return _PREFIX_DELTA not in self._metadata.row_group(0).column(self._stored.index(name)).encodings

    def _check_missing(self, kind: EventType) -> dict[str, Column]:
        missing = {c.name: c for c in columns_of(kind.type) if c.name not in self._stored}
        lost = [name for name, column in missing.items() if column.default is msgspec.NODEFAULT]
        if lost:
            self.close()
            raise CorruptLog(
                f"{self.path}: has no column {', '.join(lost)}, which every {kind.tag} has: run `tape verify`"
            )
        return missing

    def _completed(self, batch: pa.RecordBatch, wanted: list[str]) -> pa.RecordBatch:
        arrays = [
            columns.constant(self.missing[name].default, self.missing[name].type, len(batch))
            if name in self.missing
            else batch.column(name)
            for name in wanted
        ]
        return pa.RecordBatch.from_arrays(arrays, names=wanted)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn pyarrow's complaints about a file into `CorruptLog`; a missing file stays `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorruptLog(
            f"{path}: this Parquet file cannot be read ({error}); run `tape verify` and restore it"
        ) from error


def _open_writer(file: pa.NativeFile, first: pa.Table, strings: list[str], *, of_run: bool) -> Any:
    floats = [f.name for f in first.schema if f.type == pa.float64()]
    few = [name for name in floats if _has_few_values(first.column(name).chunk(0))] if len(first) else []
    decimals = [f.name for f in first.schema if f.type == columns.DECIMAL]
    encodings = {f.name: "DELTA_BINARY_PACKED" for f in first.schema if f.type == pa.int64()}
    encodings |= {name: "BYTE_STREAM_SPLIT" for name in floats if name not in few}
    repeating = [name for name in strings if _repeats(first.column(name).chunk(0))] if len(first) else strings
    encodings |= {name: _PREFIX_DELTA for name in strings if name not in repeating}
    coded = any(f.type == columns.DICTIONARY for f in first.schema)
    writer = pq.ParquetWriter(
        file,
        first.schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[*repeating, *few, *decimals],
        column_encoding=encodings,
        write_page_checksum=True,
        # A run's tables are short: bounds of texts and amounts lead past no row group of theirs.
        write_statistics=[f.name for f in first.schema if f.type in _NUMBERS] if of_run else True,
        store_schema=not coded,  # to who reads them, texts are texts, whichever way they came
    )
    if coded:
        writer.add_key_value_metadata(first.schema.metadata)
    return writer


def _has_few_values(column: pa.Array) -> bool:
    values = columns.vector(column)[columns.validity(column)]
    return bool(np.unique(values).size <= max(256, _DICTIONARY_SHARE * len(column)))


def _repeats(column: pa.Array) -> bool:
    sample = column.slice(0, _SAMPLE_ROWS)
    most = max(_FEW_ROWS, len(sample) // 2)
    return len(sample) <= most or columns.distinct_texts(sample) <= most
