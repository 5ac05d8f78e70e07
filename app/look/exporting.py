"""Writing a slice of a log or run to files that need none of our code: typed Parquet or CSV.

One file per event type, with the columns of the log's own tables. A file or directory appears whole, by
rename, or not at all; nothing is overwritten.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import msgspec
import pyarrow as pa
import pyarrow.csv

from app.look.books import Book
from app.look.looking import Bounds, EventFilter, check_names, events, source
from app.replay.period import parse_period
from core.errors import DataMissing, StoreError, UsageError
from core.events import BY_TYPE, Entry, Event, SessionScheduled, Unknown
from eventstore.tables.parquet import TypedWriter
from eventstore.tables.schema import arrow_schema, entries_to_batch, kind_of

FORMATS = ("parquet", "csv")
_OTHER_FILES = (
    ".arrow",
    ".db",
    ".duckdb",
    ".feather",
    ".gz",
    ".json",
    ".jsonl",
    ".pq",
    ".tsv",
    ".txt",
    ".xlsx",
)
"""Endings of files that some may hope for, and that no directory has."""
_BATCH = 50_000
_STORAGE = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


class _Writer(Protocol):
    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""

    def close(self) -> None:
        """Finish the file."""


class _CsvWriter:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pyarrow.csv.CSVWriter(str(path), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def close(self) -> None:
        self._writer.close()


class Exported(msgspec.Struct, frozen=True):
    """What was written: rows by file, and how many events were of types that this version does not know."""

    files: dict[str, int]
    unknown: int


def export(book: Book, chosen: EventFilter, target: Path, file_format: str) -> Exported:
    """Write the chosen events: one type to a file `*.parquet` or `*.csv`, any types into a new directory.

    Raises `UsageError` if the target exists or its name does not fit, `DataMissing` if nothing is chosen.
    """
    ending = target.suffix.lower()
    single = ending in {".parquet", ".csv"}
    if ending in _OTHER_FILES:
        raise UsageError(
            f"{target}: no {target.suffix} is written: expected .parquet or .csv for one type, or a directory"
        )
    if single and (chosen.types is None or len(chosen.types) != 1):
        raise UsageError(f"{target} is one file, which holds one type: add --type TYPE, or name a directory")
    if target.exists():
        raise UsageError(f"{target}: exists already, and export overwrites nothing; choose another name")
    form = ending[1:] if single else file_format
    with _aside(target) as building:
        rows, unknown = _write(book, chosen, building, form)
        if not rows:
            check_names(book, instrument=chosen.instrument, strategy=chosen.strategy)
            hint = " (a run has its own: --run latest)" if book.run is None else ""
            raise DataMissing(
                f"{book.label} has no such events{hint}; next: tape events --run {book.holder()}"
            )
        if single:
            building.joinpath(next(iter(rows))).rename(target)
            rows = {str(target): count for count in rows.values()}
        else:
            building.rename(target)
            rows = {str(target / name): count for name, count in sorted(rows.items())}
    return Exported(rows, unknown)


def _write(book: Book, chosen: EventFilter, directory: Path, form: str) -> tuple[dict[str, int], int]:
    waiting: dict[type[Event], list[Entry]] = {}
    writers: dict[type[Event], _Writer] = {}
    rows: dict[str, int] = {}
    unknown = 0

    def flush(event_type: type[Event]) -> None:
        kind, recv = kind_of(event_type), source(book, chosen) is book.log
        path = directory / f"{kind.tag}.{form}"
        writer = writers.get(event_type)
        if writer is None:
            is_csv = form == "csv"
            writer = (
                _CsvWriter(path, arrow_schema(kind, recv=recv))
                if is_csv
                else TypedWriter(path, kind, recv=recv)
            )
            writers[event_type] = writer
        batch = waiting.pop(event_type)
        writer.write(entries_to_batch(kind, batch, recv=recv))
        rows[path.name] = rows.get(path.name, 0) + len(batch)

    for entry in events(book, chosen):
        event_type = type(entry.event)
        if event_type is Unknown or event_type not in BY_TYPE:
            unknown += 1
            continue
        held = waiting.setdefault(event_type, [])
        held.append(entry)
        if len(held) >= _BATCH:
            flush(event_type)
    for event_type in list(waiting):
        flush(event_type)
    for writer in writers.values():
        writer.close()
    return rows, unknown


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Make a directory beside the target to build in; what is left of it is removed."""
    building = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        yield building
    except OSError as error:
        wrong = StoreError if error.errno in _STORAGE else UsageError
        raise wrong(f"{error.filename or target}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(building, ignore_errors=True)


def date_bounds(book: Book, date: str) -> Bounds:
    """Return the times of all exchanges' sessions of `DATE` or `DATE..DATE`, for an `EventFilter`."""
    period = parse_period(date)
    known: set[str] = set()
    found: list[SessionScheduled] = []
    for entry in book.definitions():
        event = entry.event
        if isinstance(event, SessionScheduled):
            known.add(event.date)
            found += [event] if period.first <= event.date <= period.last else []
    if not found:
        near = ", ".join(sorted(known)[-4:]) or "none at all"
        raise DataMissing(f"{book.label} has no session on {period}; it has {near}")
    return {"begin_ts": min(item.begin for item in found), "end_ts": max(item.end for item in found) - 1}
