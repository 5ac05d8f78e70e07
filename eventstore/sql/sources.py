# ruff: noqa: S608 - the SQL is made of type tags and file names, never of a user's text
"""Where the rows of each event type are, as SQL: sealed files, hot rows, run files, one view per type.

`raw.<tag>` has the same columns wherever its rows come from: `run` (null for the log itself), the
envelope, the event's fields, `extra`. Each branch is a bare scan, so that filters and column choice
reach the files. Text only: this module runs no SQL and opens no file.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from core.events import EventType
from eventstore.tables import columns
from eventstore.tables.schema import Column, arrow_schema, columns_of, fields_of, is_market_data

_SQL_TYPES = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    columns.DECIMAL: "DECIMAL(38, 8)",
}


class FileSet(msgspec.Struct, frozen=True):
    """Parquet files (or globs) of one type that all lack the columns `without`, younger than they are.

    `mixed` tells that what they lack is not known: then those columns are null, not their defaults.
    """

    paths: Sequence[str]
    without: frozenset[str] = frozenset()
    mixed: bool = False


class TypeSources(msgspec.Struct, frozen=True, kw_only=True):
    """The places of one type's rows: sealed files, a table of hot rows, files of runs.

    `bounds` are the first and last seq of the log's own rows that count.
    """

    sealed: Sequence[FileSet] = ()
    hot_table: str | None = None
    runs: Sequence[FileSet] = ()
    bounds: tuple[int, int] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no row anywhere."""
        return not (self.sealed or self.hot_table or self.runs)


def file_sets(kind: EventType, files: Iterable[tuple[str, Collection[str] | None]]) -> list[FileSet]:
    """Group files by the columns that they lack, given which fields each has (`None`: all)."""
    groups: dict[frozenset[str], list[str]] = {}
    for path, fields in files:
        lacking = frozenset() if fields is None else frozenset(fields_of(kind)).difference(fields)
        groups.setdefault(lacking, []).append(path)
    return [FileSet(paths, lacking) for lacking, paths in groups.items()]


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def raw_view(kind: EventType, sources: TypeSources) -> str:
    """Return the statement that creates `raw.<tag>`."""
    where = "" if sources.bounds is None else " WHERE seq BETWEEN {} AND {}".format(*sources.bounds)
    branches = [_log_branch(kind, _scan(files) + where, files.without) for files in sources.sealed]
    if sources.hot_table:
        branches.append(_log_branch(kind, sources.hot_table + where))
    branches += [_run_branch(kind, _scan(files, filename=True), files.without) for files in sources.runs]
    if not branches:
        branches.append(_empty_branch(kind))
    return f"CREATE OR REPLACE VIEW raw.{quoted(kind.tag)} AS\n" + "\nUNION ALL\n".join(branches)


def table_definition(kind: EventType, name: str) -> str:
    """Return the statement that creates an empty table with the columns of the type's files."""
    fields = ", ".join(f"{quoted(f.name)} {_SQL_TYPES[f.type]}" for f in arrow_schema(kind))
    return f"CREATE TABLE {name} ({fields})"


def posix(path: Path) -> str:
    """Return a path as DuckDB writes it on every system."""
    return path.as_posix()


def _scan(files: FileSet, *, filename: bool = False) -> str:
    listed = ", ".join(literal(path) for path in files.paths)
    options = ", union_by_name = true" if files.mixed else ""
    if filename:
        options += ", filename = true"
    return f"read_parquet([{listed}]{options})"


def _log_branch(kind: EventType, relation: str, without: Collection[str] = ()) -> str:
    return f"SELECT NULL::VARCHAR AS run, seq, recv, {_rest(kind, without)} FROM {relation}"


def _run_branch(kind: EventType, relation: str, without: Collection[str]) -> str:
    run = "parse_filename(parse_dirpath(filename))"
    return f"SELECT {run} AS run, seq, NULL::BIGINT AS recv, {_rest(kind, without)} FROM {relation}"


def _rest(kind: EventType, without: Collection[str]) -> str:
    # Market data are inputs: what their files leave out follows from that.
    at, cause = ("seq", "NULL::BIGINT") if is_market_data(kind) else ('"at"', '"cause"')
    return f'{at} AS "at", {cause} AS "cause", {_fields(kind, without)}'


def _empty_branch(kind: EventType) -> str:
    envelope = 'NULL::VARCHAR AS run, NULL::BIGINT AS seq, NULL::BIGINT AS recv, NULL::BIGINT AS "at"'
    fields = [f"NULL::{_SQL_TYPES[c.type]} AS {quoted(c.name)}" for c in columns_of(kind.type)]
    return (
        f"SELECT {envelope}, NULL::BIGINT AS cause, {', '.join(fields)}, NULL::VARCHAR AS extra WHERE false"
    )


def _fields(kind: EventType, without: Collection[str]) -> str:
    fields = [_default(c) if c.name in without else quoted(c.name) for c in columns_of(kind.type)]
    return ", ".join([*fields, "extra"])


def _default(column: Column) -> str:
    value = None if column.default is msgspec.NODEFAULT else column.default
    text = "NULL" if value is None else literal(str(value))
    return f"{text}::{_SQL_TYPES[column.type]} AS {quoted(column.name)}"
