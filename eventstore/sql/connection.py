"""SQL over a log and its runs, from any process, while it may still be written.

Statements see the log and its runs as of the moment of `connect` (or `refresh`), unless a compaction took
their files away: then as of now. They can read nothing outside the log's directory and write nothing at
all. DuckDB checks no digest of a Parquet page: `verify` and replay do.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import msgspec
import pyarrow as pa

from core.errors import DataMissing, UsageError
from eventstore.layout import Layout
from eventstore.runs.reader import find_run
from eventstore.sql.database import Database
from eventstore.sql.guard import check_reads_only
from eventstore.sql.views import names

_MAX_RETRIES = 20
_BATCH_ROWS = 65_536
_STREAM_ROWS = 4_096
_PATIENCE_S = 0.1
_AS_TEXT = ("TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
"""Columns that come as text: Python's datetime would cut nanoseconds off, and zones need a package more."""
T = TypeVar("T")


class Result(msgspec.Struct, frozen=True):
    """Rows as Python values; timestamps are ISO text to the nanosecond, amounts have no trailing zeros.

    `truncated` tells that there were more rows than asked for.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]
    truncated: bool = False


class Sql:
    """A read-only SQL connection to one log; see `connect`. One query at a time: other threads wait."""

    def __init__(self, root: Path, *, runs: bool = True, only: str | None = None) -> None:
        self.root = Path(root).resolve()
        self._layout = Layout(self.root)
        self._runs = runs
        self._only = only
        if not self._layout.exists():
            raise DataMissing(f"{root}: there is no log here; `tape import` or `tape replay` makes one")
        self._turn = threading.RLock()
        self._database = self._opened()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection."""
        with self._turn:
            self._database.close()

    def mixed(self, text: str) -> str:
        """Return what to say of a statement that takes rows of several runs together without a word of it.

        Each run has trades of its own: a sum over all of them is the result of none.
        """
        words = set(re.findall(r"\w+", text.lower()))
        if self._only is not None or words & {"run", "runs"}:
            return ""
        for view in names():
            if view in words and len(owners := self._database.owners(view)) > 1:
                runs = len(owners) - ("log" in owners)
                log = "the log and " if "log" in owners else ""
                return f"{view} has the rows of {log}{runs} run{'s' * (runs > 1)} together"
        return ""

    def _opened(self) -> Database:
        if self._only is None or self._only == "log":
            return Database(self._layout, runs=self._runs and self._only is None)
        return Database(self._layout, runs=True, only=find_run(self.root, self._only))

    def refresh(self) -> None:
        """Show what the log holds now."""
        with self._turn:
            fresh = self._opened()
            self._database.close()
            self._database = fresh

    def query(self, text: str, *, max_rows: int | None = None, timeout_s: float | None = None) -> Result:
        """Run one reading statement; raises `UsageError` for anything else and for what DuckDB refuses.

        Raises `CorruptLog` if DuckDB fails and a file that it may have read is not as it was written.
        """

        def fetch(connection: duckdb.DuckDBPyConnection) -> Result:
            cursor = connection.execute(text)
            description = cursor.description or []
            if any(str(column[1]) in _AS_TEXT for column in description):
                connection.abort()
                rows = _fetch_relation(_portable(connection.sql(text)), max_rows)
            else:
                rows = _fetch(cursor, max_rows)
                connection.abort()  # what was not fetched would keep the connection busy
            truncated = max_rows is not None and len(rows) > max_rows
            kept = rows[:max_rows] if truncated else rows
            columns = [str(column[0]) for column in description]
            return Result(columns, [tuple(map(_plain, row)) for row in kept], truncated)

        return self._ask(text, timeout_s, fetch)

    def stream(
        self,
        text: str,
        take: Callable[[list[str], Iterator[list[tuple[Any, ...]]]], None],
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Run one reading statement and give `take` its columns and its rows, some at a time, as in `Result`.

        No more than a few thousand rows are in memory. Raises what `query` does; an error may come after
        rows that were taken already.
        """
        begun: list[bool] = []

        def fetch(connection: duckdb.DuckDBPyConnection) -> None:
            columns, cursor = _cursor(connection, text)
            if begun:
                raise UsageError(f"{self.root}: its files were replaced while they were read; try again")
            begun.append(True)
            take(columns, _pieces(cursor))

        self._ask(text, timeout_s, fetch)

    def arrow(self, text: str, *, timeout_s: float | None = None) -> pa.Table:
        """Run one reading statement and return an Arrow table."""
        return self._ask(text, timeout_s, lambda connection: connection.sql(text).to_arrow_table())

    def reduce(self, text: str, fold: Callable[[Iterator[pa.RecordBatch]], T]) -> T:
        """Run one reading statement and return what `fold` makes of its rows, which come in batches.

        No more than a few batches are in memory. `fold` is called anew if files were replaced meanwhile.
        """

        def folded(connection: duckdb.DuckDBPyConnection) -> T:
            return fold(iter(connection.sql(text).to_arrow_reader(_BATCH_ROWS)))

        return self._ask(text, None, folded)

    def df(self, text: str, *, timeout_s: float | None = None) -> Any:
        """Run one reading statement and return a pandas data frame."""
        return self._ask(text, timeout_s, lambda connection: connection.sql(text).df())

    def _ask(self, text: str, timeout_s: float | None, action: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run `action`; where a compaction took files away under it, look anew and run it again."""
        with self._turn, _worded(timeout_s):
            for _ in range(_MAX_RETRIES):
                try:
                    return self._once(text, timeout_s, action)
                except duckdb.InterruptException:
                    raise
                except duckdb.Error as error:
                    if not isinstance(error, duckdb.IOException) or not self._database.replaced():
                        self._database.check_files(str(error))
                        raise
                    self.refresh()
        raise UsageError(f"{self.root}: its files keep vanishing while they are read; try again")

    def _once(
        self, text: str, timeout_s: float | None, action: Callable[[duckdb.DuckDBPyConnection], T]
    ) -> T:
        connection = self._database.connection
        self._database.prepare(check_reads_only(connection, text))
        try:
            return _waited(lambda: action(connection), connection.interrupt, timeout_s)
        except duckdb.Error:
            connection.abort()
            raise


def _waited(action: Callable[[], T], interrupt: Callable[[], None], timeout_s: float | None) -> T:
    """Return what `action` returns, which DuckDB computes where no signal reaches it: in a thread.

    The thread has ended on return, whether the time was over or Ctrl-C came: one that still held the
    connection at the interpreter's end would make DuckDB complain of leaks.
    """
    go, done = threading.Event(), threading.Event()
    begun: list[bool] = []  # Ctrl-C may come while the thread is being started, and then it does nothing
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        go.wait()
        try:
            if begun:
                found.append(action())
        except BaseException as error:  # noqa: BLE001  # raised where the answer is awaited
            raised.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="sql", daemon=True)
    try:
        thread.start()
        begun.append(True)
        go.set()
        done.wait(timeout_s)  # not `join`: one that Ctrl-C interrupts takes the thread for ended
    finally:
        go.set()
        while begun and not done.is_set():
            interrupt()  # again, should it have come before the query began
            done.wait(_PATIENCE_S)
        with suppress(RuntimeError):  # it was never started
            thread.join()
    if raised:
        raise raised.pop()
    return found.pop()


def connect(root: Path, *, runs: bool = True, only: str | None = None) -> Sql:
    """Open the log at `root` for SQL; raises `DataMissing` if there is none, `CorruptLog` for damage.

    `only` is `log`, `latest` or a run's id: then the rows of orders are those of the log itself or that run.
    """
    return Sql(root, runs=runs, only=only)


def _fetch(source: Any, max_rows: int | None) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = source.fetchall() if max_rows is None else source.fetchmany(max_rows + 1)
    return rows


def _cursor(connection: duckdb.DuckDBPyConnection, text: str) -> tuple[list[str], Any]:
    """Return the columns of a statement and what its rows are fetched from, a few at a time."""
    cursor = connection.execute(text)
    description = cursor.description or []
    columns = [str(column[0]) for column in description]
    if not any(str(column[1]) in _AS_TEXT for column in description):
        return columns, cursor
    connection.abort()
    portable = _portable(connection.sql(text.strip().rstrip(";")))
    return columns, connection.execute(portable.sql_query())


def _pieces(cursor: Any) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(_STREAM_ROWS):
        yield [tuple(map(_plain, row)) for row in rows]


def _fetch_relation(relation: duckdb.DuckDBPyRelation, max_rows: int | None) -> list[tuple[Any, ...]]:
    # A relation has no fetchmany in DuckDB 2: it keeps no result between calls.
    return (relation if max_rows is None else relation.limit(max_rows + 1)).fetchall()


def _portable(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    kinds_found = [str(kind) for kind in relation.types]
    picked = [f"#{i}::VARCHAR" if k in _AS_TEXT else f"#{i}" for i, k in enumerate(kinds_found, 1)]
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
        raise UsageError(
            f"the query took longer than {timeout_s or 0:g} s and was stopped; narrow it, or give it longer "
            "(--timeout SECONDS)"
        ) from error
    except duckdb.PermissionException as error:
        raise UsageError(f"{_first_line(error)}; SQL here reads the log's own files only") from error
    except duckdb.CatalogException as error:
        said = _first_line(error)
        hint = f"; the views are {', '.join(names())}" if "Table with name" in said else ""
        raise UsageError(said + hint) from error
    except duckdb.Error as error:
        said = str(error).strip()
        if "pytz" in said:  # and a traceback
            said = "times with a zone inside lists cannot be shown; cast them: ::VARCHAR"
        raise UsageError(said) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
