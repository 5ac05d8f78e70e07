"""`log/views.sql`: the same views for plain DuckDB, without any of our code.

Over what is sealed, and the runs there were when it was written; the hot tail is not in it. Paths are
relative to the log's directory, so it may be copied elsewhere: `cd LOG; duckdb -init views.sql`.
Beside it, `schema/` holds an empty typed file per event type, since a pattern that matches no file is an
error in DuckDB. Written by the sealing process, never by a reader.
"""

import io
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from core.events import EventType
from eventstore.files import Files, publish
from eventstore.layout import Layout
from eventstore.parquet import file_name
from eventstore.schema import arrow_schema, kinds
from eventstore.sources import FileSet, TypeSources, raw_view
from eventstore.views import MACROS, VIEWS, events_view

_HEADER = """-- Views over the sealed part of this log, for plain DuckDB (2.0 or later).
-- In this directory: duckdb -init views.sql
-- Not in it: what is not sealed yet (`tape seal` seals it, `tape sql` shows it).
-- A column that an older file does not have is null here; `tape sql` shows its default.
"""


def write_views_sql(root: Path, files: Files | None = None) -> Path:
    """Write `views.sql` and the empty typed files, where they are missing or out of date; return its path."""
    files, layout = files or Files(), Layout(Path(root))
    layout.tmp.mkdir(parents=True, exist_ok=True)  # runs alone, as a fixture replays them, have none
    for kind in kinds():
        _write_schema_file(layout, kind, files)
    text = views_sql(layout).encode()
    if not layout.views_sql.exists() or layout.views_sql.read_bytes() != text:
        publish(files, text, layout.views_sql, layout.tmp / "views.sql")
    return layout.views_sql


def views_sql(layout: Layout) -> str:
    """Return the script: one `raw` view per event type, then the views that people use."""
    statements = [_HEADER + "CREATE SCHEMA IF NOT EXISTS raw", MACROS.rstrip(";")]
    statements += [raw_view(kind, _sources(layout, kind)) for kind in kinds()]
    statements += [f"CREATE OR REPLACE VIEW {view.name} AS\n{view.sql.strip()}" for view in VIEWS]
    statements.append(f"CREATE OR REPLACE VIEW events AS\n{events_view(())}")
    return ";\n\n".join(statements) + ";\n"


def _sources(layout: Layout, kind: EventType) -> TypeSources:
    name = file_name(kind)
    # One pattern for `schema/` and `sealed/*/`: it always matches a file.
    log = f"s*/**/{name}"
    # Not those that are being built: their directories start with a dot.
    in_runs = f"runs/[0-9a-zA-Z]*/{name}"
    runs = [FileSet([in_runs, f"schema/{name}"], mixed=True)] if any(layout.root.glob(in_runs)) else []
    return TypeSources(sealed=[FileSet([log], mixed=True)], runs=runs)


def _write_schema_file(layout: Layout, kind: EventType, files: Files) -> None:
    target = layout.schema / file_name(kind)
    if target.exists() and target.read_bytes() == _empty_file(kind):
        return
    layout.schema.mkdir(exist_ok=True)
    scratch = layout.tmp / f"schema-{file_name(kind)}"
    scratch.unlink(missing_ok=True)
    scratch.write_bytes(_empty_file(kind))
    files.rename(scratch, target)


@cache
def _empty_file(kind: EventType) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(arrow_schema(kind).empty_table(), buffer)
    return buffer.getvalue()
