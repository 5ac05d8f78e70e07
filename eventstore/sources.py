# ruff: noqa: S608 - the SQL is made of type tags and file names, never of a user's text
"""Where the rows of each event type are, as SQL: sealed files, hot rows, run files, one view per type.

`raw.<tag>` has the same columns wherever its rows come from: `run` (null for the log itself), the
envelope, the event's fields, `extra`. Each branch is a bare scan, so that filters and column choice
reach the files. Text only: this module runs no SQL and opens no file.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa

from core.events import EventType
from eventstore import columns
from eventstore.schema import arrow_schema, columns_of, is_market_data

_SQL_TYPES = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.binary(): "BLOB",
    columns.DECIMAL: "DECIMAL(38, 8)",
}


class TypeSources(msgspec.Struct, frozen=True, kw_only=True):
    """The places of one type's rows: sealed files (or globs), a table of hot rows, files of runs.

    `mixed` tells that the sealed files were written under different schema versions.
    """

    sealed: Sequence[str] = ()
    mixed: bool = False
    hot_table: str | None = None
    runs: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether there is no row anywhere."""
        return not (self.sealed or self.hot_table or self.runs)


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def raw_view(kind: EventType, sources: TypeSources) -> str:
    """Return the statement that creates `raw.<tag>`."""
    branches = []
    if sources.sealed:
        branches.append(_log_branch(kind, _scan(sources.sealed, union=sources.mixed)))
    if sources.hot_table:
        branches.append(_log_branch(kind, sources.hot_table))
    if sources.runs:
        branches.append(_run_branch(kind, _scan(sources.runs, union=True, filename=True)))
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


def _scan(paths: Sequence[str], *, union: bool = False, filename: bool = False) -> str:
    listed = ", ".join(literal(path) for path in paths)
    options = ", union_by_name = true" if union else ""
    if filename:
        options += ", filename = true"
    return f"read_parquet([{listed}]{options})"


def _log_branch(kind: EventType, relation: str) -> str:
    return f"SELECT NULL::VARCHAR AS run, seq, recv, {_rest(kind)} FROM {relation}"


def _run_branch(kind: EventType, relation: str) -> str:
    run = "parse_filename(parse_dirpath(filename))"
    return f"SELECT {run} AS run, seq, NULL::BIGINT AS recv, {_rest(kind)} FROM {relation}"


def _rest(kind: EventType) -> str:
    # Market data are inputs: what their files leave out follows from that.
    at, cause = ("seq", "NULL::BIGINT") if is_market_data(kind) else ('"at"', '"cause"')
    return f'{at} AS "at", {cause} AS "cause", {_fields(kind)}'


def _empty_branch(kind: EventType) -> str:
    envelope = 'NULL::VARCHAR AS run, NULL::BIGINT AS seq, NULL::BIGINT AS recv, NULL::BIGINT AS "at"'
    fields = [f"NULL::{_SQL_TYPES[c.type]} AS {quoted(c.name)}" for c in columns_of(kind.type)]
    return (
        f"SELECT {envelope}, NULL::BIGINT AS cause, {', '.join(fields)}, NULL::VARCHAR AS extra WHERE false"
    )


def _fields(kind: EventType) -> str:
    return ", ".join([*(quoted(c.name) for c in columns_of(kind.type)), "extra"])
