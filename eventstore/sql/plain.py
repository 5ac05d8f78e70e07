"""`log/views.sql`: the same views for plain DuckDB, without any of our code.

Over what is sealed, and the runs there were when it was written; the hot tail is not in it. Paths are
relative to the log's directory, so it may be copied elsewhere: `cd LOG; duckdb -init views.sql`.
Beside it, `schema/` holds an empty typed file per event type, since a pattern that matches no file is an
error in DuckDB. Written by the sealing process and by a replay, which holds no lock: each file is built
under a name of its own outside `tmp/`, and appears by rename.
"""

import io
import os
import secrets
from collections.abc import Set
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from core.events import EventType
from eventstore.files import Files, publish
from eventstore.layout import Layout
from eventstore.sql.sources import FileSet, TypeSources, raw_view
from eventstore.sql.views import MACROS, VIEWS, events_view
from eventstore.tables.parquet import file_name
from eventstore.tables.schema import arrow_schema, kinds

_HEADER = """-- Views over the sealed part of this log, for plain DuckDB (2.0 or later).
-- In this directory: duckdb -init views.sql
-- Not in it: what is not sealed yet (`tape seal` seals it, `tape sql` shows it).
-- A column that an older file does not have is null here; `tape sql` shows its default.
"""


_MAX_RETRIES = 10
_RUNS = "runs/[0-9a-zA-Z]*"
"""Not those that are being built: their directories start with a dot."""


def write_views_sql(root: Path, files: Files | None = None, *, renew_schema: bool = True) -> Path:
    """Write `views.sql` and the empty typed files, where they are missing or out of date; return its path.

    Without `renew_schema` typed files that are there are left alone. Needs no lock: any number of
    processes may do it at once.
    """
    files, layout = files or Files(), Layout(Path(root))
    layout.schema.mkdir(exist_ok=True)
    there = frozenset() if renew_schema else frozenset(path.name for path in layout.schema.iterdir())
    for kind in kinds():
        if (name := file_name(kind)) not in there:
            _put(files, layout, layout.schema / name, _empty_file(kind))
    # Again if it is out of date by then: whoever began before a first run was published may end last.
    for _ in range(_MAX_RETRIES):
        if not _put(files, layout, layout.views_sql, views_sql(layout).encode()):
            break
    return layout.views_sql


def refresh_views_sql(root: Path) -> None:
    """Write `views.sql` if that is possible: nothing of ours reads it, so nothing fails for want of it."""
    with suppress(OSError):
        write_views_sql(root, renew_schema=False)


def views_sql(layout: Layout) -> str:
    """Return the script: one `raw` view per event type, then the views that people use."""
    return _script(frozenset(path.name for path in layout.root.glob(f"{_RUNS}/*.parquet")))


@lru_cache(maxsize=4)  # a process that replays a log again and again asks for one of them
def _script(in_runs: Set[str]) -> str:
    statements = [_HEADER + "CREATE SCHEMA IF NOT EXISTS raw", MACROS.rstrip(";")]
    statements += [raw_view(kind, _sources(kind, in_runs)) for kind in kinds()]
    statements += [
        f"-- A row is {view.row}.\nCREATE OR REPLACE VIEW {view.name} AS\n{view.sql.strip()}"
        for view in VIEWS
    ]
    statements.append(f"CREATE OR REPLACE VIEW events AS\n{events_view(())}")
    return ";\n\n".join(statements) + ";\n"


def _sources(kind: EventType, in_runs: Set[str]) -> TypeSources:
    name = file_name(kind)
    # One pattern for `schema/` and `sealed/*/`: it always matches a file.
    log = f"s*/**/{name}"
    runs = [FileSet([f"{_RUNS}/{name}", f"schema/{name}"], mixed=True)] if name in in_runs else []
    return TypeSources(sealed=[FileSet([log], mixed=True)], runs=runs)


def _put(files: Files, layout: Layout, target: Path, data: bytes) -> bool:
    """Make `target` hold `data`, by way of a file that no other process knows; return whether it did not."""
    with suppress(FileNotFoundError):
        if target.read_bytes() == data:
            return False
    # In the log's own directory, where hidden names mean nothing: a leftover is seen by no pattern.
    scratch = layout.root / f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        if target == layout.views_sql:
            publish(files, data, target, scratch)
        else:  # dozens of files that are compared each time: not worth a sync each
            scratch.write_bytes(data)
            files.rename(scratch, target)
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    return True


@cache
def _empty_file(kind: EventType) -> bytes:
    buffer = io.BytesIO()
    pq.ParquetWriter(buffer, arrow_schema(kind)).close()  # write_table would import pandas
    return buffer.getvalue()
