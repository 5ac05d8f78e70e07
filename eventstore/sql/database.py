"""The DuckDB behind SQL: one moment of a log as tables and views, each made when a statement names it.

DuckDB plans a view when it is made, and all of them take longer than most queries. Sealed files are
named one by one, so a query sees that moment or, where a compaction has replaced a file, an error:
`replaced` tells. Nothing outside the log's directory can be read, and nothing be written.
"""

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from core.errors import CorruptLog, UsageError
from core.events import BY_TAG, Entry, Event, EventType
from eventstore.codec import decode_records
from eventstore.layout import Layout
from eventstore.manifests.catalogue import Catalogue
from eventstore.manifests.manifest import SealedPart
from eventstore.reading.hot import HotSegment, hot_segments, only_hot
from eventstore.runs.reader import RunReader, list_runs
from eventstore.sql.sources import TypeSources, file_sets, literal, posix, raw_view, table_definition
from eventstore.sql.views import MACROS, VIEWS, events_view, names
from eventstore.tables.parquet import file_name
from eventstore.tables.schema import UNKNOWN, entries_to_batch, kind_of, kinds

_MAX_RETRIES = 20
_HOT_ROWS = 16_384
_TypedRows = dict[type[Event], list[pa.RecordBatch]]
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
    "failed": "BOOLEAN",
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
_SQL_OF = {view.name: view.sql for view in VIEWS}
_RAW_IN = {view.name: frozenset(re.findall(r"\braw\.(\w+)", view.sql)) for view in VIEWS}


class Tables(msgspec.Struct, frozen=True):
    """What the views stand on at one moment: sealed directories, and the rows of what is not sealed yet."""

    sealed: list[SealedPart]
    hot: _TypedRows


class Database:
    """An in-memory DuckDB over the log as it was when this was made; `prepare` before each statement."""

    def __init__(self, layout: Layout, *, runs: bool, only: RunReader | None = None) -> None:
        """Take all runs, or `only` one: then all but market data and signals are that run's."""
        self._root = layout.root
        self._tables = snapshot(layout)
        self._hot = frozenset(kind_of(event_type).tag for event_type in self._tables.hot)
        self._only = only
        self._runs = [only] if only is not None else list_runs(layout.root) if runs else []
        self._run_files = _files_of(self._runs)
        self._made: set[str] = set()
        self.connection = duckdb.connect(":memory:")
        try:
            self.connection.execute("CREATE SCHEMA raw; CREATE SCHEMA hot;" + MACROS)
            _lock_down(self.connection, self._root)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the connection."""
        self.connection.close()

    def prepare(self, named: Collection[str] | None) -> None:
        """Make the tables and views that a statement names (`trades`, `raw.trade`); `None`: all of them."""
        for name in names() if named is None else sorted(named):
            if name.startswith(("raw.", "hot.")):
                self._need_raw([name[4:]])
            elif name in names() and name not in self._made:
                self._made.add(name)
                self._make(name)
        if named is None:
            self._need_raw(kind.tag for kind in kinds())

    def replaced(self) -> bool:
        """Return whether files of that moment are gone: then look at the log anew."""
        directories = [part.path for part in self._tables.sealed] + [run.path for run in self._runs]
        return not all(path.is_dir() for path in directories)

    def owners(self, view: str) -> list[str]:
        """Return whose rows a view of orders, or what became of them, has: runs by id, and `log`."""
        kinds_in = [BY_TAG[tag] for tag in _RAW_IN.get(view, ()) if tag in BY_TAG]
        tags = {kind.tag for kind in kinds_in if kind.event_class != "market"}
        parts = self._tables.sealed
        own = bool(tags & self._hot) or any(tags.intersection(part.manifest.types) for part in parts)
        files = {file_name(BY_TAG[tag]) for tag in tags}
        return [*(["log"] if own else []), *(run.id for run in self._runs if files.intersection(run.files))]

    def check_files(self, said: str) -> None:
        """Raise `CorruptLog` for a file of that moment that is gone, of another size, or damaged and named.

        DuckDB checks nothing of its own: `said` is what it complained of.
        """
        sealed = [(part.path, part.manifest.files, part.check) for part in self._tables.sealed]
        for directory, files, check in [*sealed, *((run.path, run.files, run.check) for run in self._runs)]:
            for name, expected in files.items():
                path = directory / name
                if posix(path) in said or not path.is_file() or path.stat().st_size != expected.size:
                    _check(path, check)

    def _make(self, name: str) -> None:
        if name == "runs":
            self._make_runs()
        elif name == "events":
            present = [kind.tag for kind in kinds() if not self._sources(kind).empty]
            self._need_raw(present or [kind.tag for kind in kinds()])
            self.connection.execute(f"CREATE VIEW events AS {events_view(present)}")
        else:
            self._need_raw(_RAW_IN[name])
            self.connection.execute(f"CREATE VIEW {name} AS {_SQL_OF[name]}")

    def _need_raw(self, tags: Iterable[str]) -> None:
        for tag in tags:
            kind = UNKNOWN if tag == UNKNOWN.tag else BY_TAG.get(tag)
            if kind is None or f"raw.{tag}" in self._made:
                continue
            self._made.add(f"raw.{tag}")
            if tag in self._hot:
                _load_hot(self.connection, kind, self._tables.hot.pop(kind.type))
            self.connection.execute(raw_view(kind, self._sources(kind)))

    def _sources(self, kind: EventType) -> TypeSources:
        parts = [part for part in self._tables.sealed if kind.tag in part.manifest.types]
        files = [(posix(part.path / file_name(kind)), part.manifest.fields.get(kind.tag)) for part in parts]
        found = TypeSources(
            sealed=file_sets(kind, files),
            hot_table=f"hot.{kind.tag}" if kind.tag in self._hot else None,
            runs=file_sets(kind, self._run_files.get(kind.tag, [])),
        )
        if self._only is None or kind.event_class == "market":
            return found
        if "session" in self._only.summary:  # the proof of a session: what happened in it is in the log
            first, last = self._only.summary["content"]
            return msgspec.structs.replace(found, runs=(), bounds=(first, last))
        return msgspec.structs.replace(found, sealed=(), hot_table=None)

    def _make_runs(self) -> None:
        fields = ", ".join(f"{name} {kind}" for name, kind in _RUN_COLUMNS.items())
        self.connection.execute(f"CREATE TABLE runs ({fields})")
        rows = [_run_row(run.id, run.summary) for run in self._runs]
        if rows:
            marks = ", ".join("?" for _ in _RUN_COLUMNS)
            self.connection.executemany(f"INSERT INTO runs VALUES ({marks})", rows)  # noqa: S608


def snapshot(layout: Layout) -> Tables:
    """Return sealed parts and decoded hot entries that together hold each event exactly once.

    The hot journal is read first and the sealed directories are listed second: events only ever move
    from hot to sealed, so none can be missed, and what shows up in both is taken from sealed.
    """
    for _ in range(_MAX_RETRIES):
        segments = hot_segments(layout)
        try:
            rows = {segment.path: _typed_rows(segment) for segment in segments}
        except FileNotFoundError:
            continue  # sealed and unlinked while it was being read: look again
        sealed = Catalogue(layout.root).parts()
        hot = only_hot(segments, sealed, lambda part: part)
        _check_tiling(layout.root, sealed, hot)
        return Tables(sealed, _together(rows[segment.path] for segment in hot))
    raise UsageError(f"{layout.root}: its files keep vanishing while they are read; try again")


def _check_tiling(root: Path, sealed: Sequence[SealedPart], hot: Sequence[HotSegment]) -> None:
    """Raise `CorruptLog` if seqs are in no file; a hot segment ends where the next file begins."""
    spans = [*((part.first_seq, part.last_seq + 1) for part in sealed)]
    spans += [(segment.first_seq, 0) for segment in hot]
    expected = 1
    for first, after in sorted(spans):
        if 0 < expected < first:
            raise CorruptLog(f"{root}: seqs {expected}..{first - 1} are in no file: run `tape verify`")
        expected = after


def _typed_rows(segment: HotSegment) -> _TypedRows:
    """Return what a segment holds as typed rows, a fifth of what it takes as entries."""
    found: _TypedRows = {}
    held: dict[type[Event], list[Entry]] = {}
    for block in segment.blocks():
        for entry in decode_records(block.payload):
            kind = type(entry.event)
            some = held.setdefault(kind, [])
            some.append(entry)
            if len(some) == _HOT_ROWS:
                found.setdefault(kind, []).append(entries_to_batch(kind_of(kind), some))
                some.clear()
    for kind, some in held.items():
        if some:
            found.setdefault(kind, []).append(entries_to_batch(kind_of(kind), some))
    return found


def _together(segments: Iterable[_TypedRows]) -> _TypedRows:
    found: _TypedRows = {}
    for rows in segments:
        for kind, batches in rows.items():
            found.setdefault(kind, []).extend(batches)
    return found


def _load_hot(connection: duckdb.DuckDBPyConnection, kind: EventType, batches: list[pa.RecordBatch]) -> None:
    connection.execute(table_definition(kind, f"hot.{kind.tag}"))
    connection.register("arriving", pa.Table.from_batches(batches))
    connection.execute(f"INSERT INTO hot.{kind.tag} BY NAME SELECT * FROM arriving")  # noqa: S608
    connection.unregister("arriving")


def _files_of(runs: Sequence[RunReader]) -> _RunFiles:
    found: _RunFiles = {}
    for run in runs:
        fields = run.summary.get("fields", {})
        for kind in kinds():
            path = run.path / file_name(kind)
            if path.name in run.files or path.exists():
                found.setdefault(kind.tag, []).append((posix(path), fields.get(kind.tag)))
    return found


def _check(path: Path, check: Callable[[str], None]) -> None:
    try:
        check(path.name)
    except OSError as error:
        why = error.strerror or str(error)
        raise CorruptLog(f"{path}: cannot be read: {why}: run `tape verify`") from error


def _run_row(run: str, summary: dict[str, Any]) -> list[Any]:
    failed = "strategy_failed" in summary.get("types", {})
    simple = {**summary, "run": run, "failed": failed, "document": msgspec.json.encode(summary).decode()}
    return [_run_value(simple.get(name)) for name in _RUN_COLUMNS]


def _run_value(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def _spill_directory() -> Path:
    # Machines in containers may share the directory, and their processes' numbers are often the same.
    return Path(tempfile.gettempdir()) / f"truetape-sql-{os.getpid()}-{secrets.token_hex(4)}"


def _lock_down(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    # Sealed files never change, so their footers are read once, not once a query and a scan.
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute(f"SET allowed_directories = [{literal(posix(root))}]")
    # What does not fit goes to the system's temporary directory, within a limit: the log needs the disk.
    connection.execute("SET memory_limit = '50%'")
    connection.execute(f"SET temp_directory = {literal(posix(_spill_directory()))}")
    connection.execute("SET max_temp_directory_size = '4GiB'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
