"""Bringing market data into a log: which reader for which files, and what an import tells.

Composes the importers of `adapters.replay` with a held log. What a file means is the reader's affair;
what is new is decided in `adapters.replay.importing`. Files are described before the log is touched, so a
wrong argument leaves no empty log behind.
"""

from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import msgspec

from adapters.replay.action_files import csv_actions, lean_actions
from adapters.replay.importing import ImportResult, ImportWriter, import_sets
from adapters.replay.lean import lean_sets, parse_days
from adapters.replay.sample import import_sample
from adapters.replay.sample_names import DAYS
from adapters.replay.tables.options import TableOptions
from adapters.replay.tables.table import open_tables, plan_tables
from app.operation.writing import writing
from app.progress import Advance
from core.errors import DataMissing, LogLocked, UsageError
from core.events import Recovered, RowRejected
from core.ports import EntryReader
from eventstore.reading.reader import LogReader

FORMATS = ("lean", "csv", "parquet", "sample")
REJECTIONS_SHOWN = 10
_LOOKS, _LOOK_S = 600, 0.1


Job = Callable[[ImportWriter, EntryReader, Advance], ImportResult]


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks to import. Which fields count depends on `format`."""

    format: str
    root: Path | None = None
    symbol: str | None = None
    resolution: str = "tick"
    date: str | None = None
    files: tuple[Path, ...] = ()
    table: TableOptions = TableOptions()


class Imported(msgspec.Struct, frozen=True):
    """What an import did, and what was recovered when the log was opened for it."""

    result: ImportResult
    recovered: Recovered | None


def run_import(root: Path, request: ImportRequest, progress: Advance | None = None) -> Imported:
    """Import into the log at `root`, made if it is not there. Answers other processes meanwhile."""
    job = _job(request)
    with writing(root) as writer:

        def advance(done: int, total: int | None) -> None:
            writer.serve()
            if progress is not None:
                progress(done, total)

        result = job(writer.journal, LogReader(root), advance)
        return Imported(result, writer.journal.recovered)


def import_builtin_sample(root: Path, progress: Advance | None = None) -> Imported:
    """Make a log from the built-in sample."""
    return run_import(root, ImportRequest(format="sample"), progress)


def make_builtin_sample(root: Path, missing: Callable[[], bool], progress: Advance | None = None) -> None:
    """Make a log from the built-in sample, or let another process that holds the log make it.

    Raises `LogLocked` if that one has not after a minute: it does something else. Should it end before, what
    is `missing` is imported here.
    """
    for last in (*[False] * _LOOKS, True):
        if not missing():
            return
        try:
            import_builtin_sample(root, progress)
        except LogLocked:
            if last:
                raise
            sleep(_LOOK_S)
        else:
            return


def _job(request: ImportRequest) -> Job:
    """Read what is to be imported, as far as it can be known without the log."""
    jobs: dict[str, Callable[[ImportRequest], Job]] = {
        "lean": _lean,
        "sample": _sample,
        "csv": _tables,
        "parquet": _tables,
    }
    return jobs[request.format](request)


def _lean(request: ImportRequest) -> Job:
    if request.root is None or request.symbol is None:
        raise UsageError("--format lean needs --root FOLDER (the one that holds equity/) and --symbol NAME")
    if request.files:
        raise UsageError("--format lean finds its files by --root, --symbol and --date; name no FILE")
    days = None if request.date is None else parse_days(request.date)
    sets = lean_sets(request.root, request.symbol, request.resolution, days)
    actions = lean_actions(request.root, request.symbol)

    def job(writer: ImportWriter, reader: EntryReader, progress: Advance) -> ImportResult:
        before = import_sets(writer, reader, [actions]) if actions is not None else ImportResult()
        result = import_sets(writer, reader, sets, progress)
        return _with_actions(result, before)

    return job


def _with_actions(result: ImportResult, actions: ImportResult) -> ImportResult:
    """Tell of the actions beside the rows: who counts rows means those of market data."""
    result.actions = actions.read - actions.rejected
    result.rejected += actions.rejected
    result.read += actions.rejected
    result.rejections = [*actions.rejections, *result.rejections]
    result.first_seq = actions.first_seq or result.first_seq
    return result


def _sample(request: ImportRequest) -> Job:
    days = DAYS if request.date is None else tuple(request.date.split(".."))
    missing = [day for day in days if day not in DAYS]
    if missing:
        raise DataMissing(
            f"the built-in sample has no session on {missing[0]}; it holds {' and '.join(DAYS)}"
        )
    return lambda writer, reader, progress: import_sample(writer, reader, days, progress)


def _tables(request: ImportRequest) -> Job:
    if request.table.kind == "actions":
        return _actions(request)
    sets = [
        table.import_set() for table in open_tables(request.files, request.format, _table_options(request))
    ]
    return lambda writer, reader, progress: import_sets(writer, reader, sets, progress)


def _actions(request: ImportRequest) -> Job:
    if request.format != "csv" or not request.files:
        raise UsageError("--kind actions needs CSV files; next: tape import FILE.csv --kind actions")
    sets = [csv_actions(path, request.table.timezone) for path in request.files]

    def job(writer: ImportWriter, reader: EntryReader, progress: Advance) -> ImportResult:
        result = import_sets(writer, reader, sets, progress)
        result.actions = result.read - result.rejected
        return result

    return job


def _table_options(request: ImportRequest) -> TableOptions:
    return msgspec.structs.replace(request.table, instrument=request.symbol)


def describe(request: ImportRequest) -> list[str]:
    """Return in words how tables are understood, a line for each file; nothing for other formats."""
    if request.format not in {"csv", "parquet"} or request.table.kind == "actions":
        return []
    return [plan.describe() for plan in plan_tables(request.files, request.format, _table_options(request))]


def first_rejections(result: ImportResult) -> list[RowRejected]:
    """Return the rejected rows to show, by file and line: their log order is by stage of the check."""
    return sorted(result.rejections, key=lambda item: (item.file, item.line))[:REJECTIONS_SHOWN]


def repaired(recovered: Recovered) -> str:
    """Return in words what was repaired when the log was opened."""
    told = [f"a torn tail of {recovered.dropped_bytes} bytes was set aside in quarantine/"]
    if recovered.mark:
        told = [
            *(told if recovered.dropped_bytes else []),
            f"its high-water mark {recovered.mark}: written anew",
        ]
    return "; ".join(told)


def outcome(imported: Imported) -> dict[str, Any]:
    """Return what `import --json` prints; `rejections` are the first of the rejected rows."""
    result = imported.result
    shown = [
        {"file": item.file, "line": item.line, "reason": item.reason, "row": item.row}
        for item in first_rejections(result)
    ]
    found: dict[str, Any] = {
        name: getattr(result, name) for name in result.__struct_fields__ if name != "rejections"
    }
    recovered = imported.recovered
    return {
        **found,
        "rejections": shown,
        "recovered": None
        if recovered is None
        else {
            "dropped_bytes": recovered.dropped_bytes,
            "segment": recovered.segment,
            "mark": recovered.mark,
        },
    }
