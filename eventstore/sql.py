"""SQL over a log and its runs, from any process, while it may still be written.

An in-memory DuckDB holds views over the sealed Parquet files, the decoded hot tail and the files of
runs, as of the moment of `connect` (or `refresh`). It can read nothing outside the log's directory and
write nothing at all. DuckDB checks no digest of a Parquet page: `verify` and replay do.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import msgspec
import pyarrow as pa

from core.errors import DataMissing, UsageError
from core.events import Entry, Event, EventType
from eventstore.codec import decode_records
from eventstore.guard import check_reads_only
from eventstore.hot import hot_segments
from eventstore.layout import Layout
from eventstore.manifest import Catalogue, SealedPart
from eventstore.parquet import file_name
from eventstore.runs import list_runs
from eventstore.schema import entries_to_batch, kind_of, kinds
from eventstore.sources import TypeSources, file_sets, literal, posix, raw_view, table_definition
from eventstore.views import MACROS, VIEWS, events_view, names

_MAX_RETRIES = 20
_RunFiles = dict[str, list[tuple[str, list[str] | None]]]  # per tag: path and the fields it has
_RUN_COLUMNS = {
    "run": "VARCHAR",
    "period": "VARCHAR",
    "strategies": "VARCHAR",
    "fill_model": "VARCHAR",
    "risk_profile": "VARCHAR",
    "first_ts": "BIGINT",
    "last_ts": "BIGINT",
    "inputs": "BIGINT",
    "run_events": "BIGINT",
    "intents": "BIGINT",
    "refused": "BIGINT",
    "orders": "BIGINT",
    "fills": "BIGINT",
    "commissions": "DECIMAL(38, 8)",
    "start_equity": "DECIMAL(38, 8)",
    "end_equity": "DECIMAL(38, 8)",
    "max_drawdown": "DECIMAL(38, 8)",
    "run_hash": "VARCHAR",
    "decisions_hash": "VARCHAR",
    "config_hash": "VARCHAR",
    "code_version": "VARCHAR",
    "document": "JSON",
}


class Result(msgspec.Struct, frozen=True):
    """Rows as Python values; timestamps are ISO text to the nanosecond, amounts have no trailing zeros.

    `truncated` tells that there were more rows than asked for.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool = False


class Tables(msgspec.Struct, frozen=True):
    """What the views stand on at one moment."""

    sealed: list[SealedPart]
    hot: dict[type[Event], list[Entry]]


class Sql:
    """A read-only SQL connection to one log; see `connect`. One query at a time."""

    def __init__(self, root: Path, *, runs: bool = True) -> None:
        self.root = Path(root).resolve()
        self._layout = Layout(self.root)
        self._runs = runs
        if not self._layout.exists():
            raise DataMissing(f"{root}: there is no log here; `tape import` or `tape replay` makes one")
        self._connection = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        self._connection.close()

    def refresh(self) -> None:
        """Show what the log holds now."""
        fresh = self._connect()
        self._connection.close()
        self._connection = fresh

    def query(self, text: str, *, max_rows: int | None = None, timeout_s: float | None = None) -> Result:
        """Run one reading statement; raises `UsageError` for anything else and for what DuckDB refuses."""
        with self._running(text, timeout_s) as connection:
            cursor = connection.execute(text)
            description = cursor.description or []
            if any(str(column[1]) == "TIMESTAMP_NS" for column in description):
                connection.abort()
                rows = _fetch_relation(_portable(connection.sql(text)), max_rows)
            else:
                rows = _fetch(cursor, max_rows)
                connection.abort()  # what was not fetched would keep the connection busy
        truncated = max_rows is not None and len(rows) > max_rows
        kept = rows[:max_rows] if truncated else rows
        columns = [str(column[0]) for column in description]
        return Result(columns, [tuple(map(_plain, row)) for row in kept], truncated)

    def arrow(self, text: str, *, timeout_s: float | None = None) -> pa.Table:
        """Run one reading statement and return an Arrow table."""
        with self._running(text, timeout_s) as connection:
            return connection.sql(text).to_arrow_table()

    def df(self, text: str, *, timeout_s: float | None = None) -> Any:
        """Run one reading statement and return a pandas data frame."""
        with self._running(text, timeout_s) as connection:
            return connection.sql(text).df()

    @contextmanager
    def _running(self, text: str, timeout_s: float | None) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = self._connection
        timer = threading.Timer(timeout_s, connection.interrupt) if timeout_s else None
        with _worded(timeout_s):
            check_reads_only(connection, text)
            if timer:
                timer.daemon = True
                timer.start()
            try:
                yield connection
            except duckdb.Error:
                connection.abort()
                raise
            finally:
                if timer:
                    timer.cancel()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(":memory:")
        try:
            connection.execute("CREATE SCHEMA raw; CREATE SCHEMA hot;" + MACROS)
            present = self._create_raw(connection)
            for view in VIEWS:
                connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
            connection.execute(f"CREATE VIEW events AS {events_view(present)}")
            self._create_runs(connection)
            _lock_down(connection, self.root)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_raw(self, connection: duckdb.DuckDBPyConnection) -> set[str]:
        tables = snapshot(self._layout)
        run_files = _run_files(self._layout) if self._runs else {}
        present = set()
        for kind in kinds():
            entries = tables.hot.get(kind.type)
            if entries:
                _load_hot(connection, kind.tag, entries)
            sources = _sources(kind, tables.sealed, bool(entries), run_files)
            connection.execute(raw_view(kind, sources))
            if not sources.empty:
                present.add(kind.tag)
        return present

    def _create_runs(self, connection: duckdb.DuckDBPyConnection) -> None:
        fields = ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items())
        connection.execute(f"CREATE TABLE runs ({fields})")
        rows = [_run_row(run.id, run.summary) for run in list_runs(self.root)] if self._runs else []
        if rows:
            marks = ", ".join("?" for _ in _RUN_COLUMNS)
            connection.executemany(f"INSERT INTO runs VALUES ({marks})", rows)  # noqa: S608 - no user text


def connect(root: Path, *, runs: bool = True) -> Sql:
    """Open the log at `root` for SQL; raises `DataMissing` if there is none, `CorruptLog` for damage."""
    return Sql(root, runs=runs)


def snapshot(layout: Layout) -> Tables:
    """Return sealed parts and decoded hot entries that together hold each event exactly once.

    The hot journal is read first and the sealed directories are listed second: events only ever move
    from hot to sealed, so none can be missed, and what shows up in both is taken from sealed.
    """
    for _ in range(_MAX_RETRIES):
        try:
            hot = _read_hot(layout)
        except FileNotFoundError:
            continue  # sealed and unlinked while it was being read: look again
        sealed = Catalogue(layout.root).parts()
        last = sealed[-1].last_seq if sealed else 0
        groups: dict[type[Event], list[Entry]] = {}
        for entry in hot:
            if entry.seq > last:
                groups.setdefault(type(entry.event), []).append(entry)
        return Tables(sealed, groups)
    raise UsageError(f"{layout.root}: its files keep vanishing while they are read; try again")


def _read_hot(layout: Layout) -> list[Entry]:
    entries: list[Entry] = []
    for segment in hot_segments(layout):
        for block in segment.blocks():
            entries += decode_records(block.payload)
    return entries


def _load_hot(connection: duckdb.DuckDBPyConnection, tag: str, entries: list[Entry]) -> None:
    kind = kind_of(type(entries[0].event))
    connection.execute(table_definition(kind, f"hot.{tag}"))
    table = pa.Table.from_batches([entries_to_batch(kind, entries)])
    connection.register("arriving", table)
    connection.execute(f"INSERT INTO hot.{tag} BY NAME SELECT * FROM arriving")  # noqa: S608
    connection.unregister("arriving")


def _sources(kind: EventType, sealed: Sequence[SealedPart], hot: bool, runs: _RunFiles) -> TypeSources:
    parts = [part for part in sealed if kind.tag in part.manifest.types]
    files = [(posix(part.path / file_name(kind)), part.manifest.fields.get(kind.tag)) for part in parts]
    return TypeSources(
        sealed=file_sets(kind, files),
        hot_table=f"hot.{kind.tag}" if hot else None,
        runs=file_sets(kind, runs.get(kind.tag, [])),
    )


def _run_files(layout: Layout) -> _RunFiles:
    found: _RunFiles = {}
    for run in list_runs(layout.root):
        fields = run.summary.get("fields", {})
        for kind in kinds():
            path = run.path / file_name(kind)
            if path.exists():
                found.setdefault(kind.tag, []).append((posix(path), fields.get(kind.tag)))
    return found


def _run_row(run: str, summary: dict[str, Any]) -> list[Any]:
    simple = {**summary, "run": run, "document": msgspec.json.encode(summary).decode()}
    return [_run_value(simple.get(name)) for name in _RUN_COLUMNS]


def _run_value(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _lock_down(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    # Sealed files never change, so their footers are read once, not once a query and a scan.
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(f"SET allowed_directories = [{literal(posix(root))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _fetch(source: Any, max_rows: int | None) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = source.fetchall() if max_rows is None else source.fetchmany(max_rows + 1)
    return rows


def _fetch_relation(relation: duckdb.DuckDBPyRelation, max_rows: int | None) -> list[tuple[Any, ...]]:
    # A relation has no fetchmany in DuckDB 2: it keeps no result between calls.
    return (relation if max_rows is None else relation.limit(max_rows + 1)).fetchall()


def _portable(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    # Python's datetime would cut nanoseconds off: such columns come as text.
    kinds_found = [str(kind) for kind in relation.types]
    if "TIMESTAMP_NS" not in kinds_found:
        return relation
    picked = [f"#{i}::VARCHAR" if k == "TIMESTAMP_NS" else f"#{i}" for i, k in enumerate(kinds_found, 1)]
    return relation.project(", ".join(picked))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return Decimal(format(value.normalize(), "f"))
    return value


@contextmanager
def _worded(timeout_s: float | None) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException as error:
        raise UsageError(f"the query took longer than {timeout_s} s and was stopped; narrow it") from error
    except duckdb.PermissionException as error:
        raise UsageError(f"{_first_line(error)}; SQL here reads the log's own files only") from error
    except duckdb.CatalogException as error:
        raise UsageError(f"{_first_line(error)}; the views are {', '.join(names())}") from error
    except duckdb.Error as error:
        raise UsageError(str(error).strip()) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
