"""`fetch --source NAME`: bars from a source that is no broker into the log, as a feed of its own.

What a source says is imported as a table is: each row once, a bad one rejected with its reason.
"""

import csv
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from adapters.ibkr.data.bars import size_of
from adapters.replay.tables.options import TableOptions
from app.composition.definitions import definitions_of
from app.data.definitions import definition
from app.data.importing import Imported, ImportRequest, run_import
from app.plugins.discovery import Found, find_plugin, place_of, source_file
from app.plugins.kinds import DATA_SOURCES
from app.progress import Advance
from core.errors import DataMissing, TapeError, UsageError, is_termination
from eventstore.layout import Layout
from eventstore.reading.reader import LogReader

_HEAD = ("ts", "open", "high", "low", "close", "volume")


class SourceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch, from which source. The exchange is the log's if it knows the symbol."""

    source: str
    symbol: str
    first: date
    last: date
    bar: str = "1min"
    exchange: str | None = None


def fetch_from(root: Path, request: SourceRequest, progress: Advance | None = None) -> Imported:
    """Fetch into the log at `root`; raises `UsageError` with file and line where a source fails."""
    size = size_of(request.bar)
    if request.first > request.last:
        raise UsageError(f"--from {request.first} is after --to {request.last}")
    found = find_plugin(DATA_SOURCES, request.source)
    exchange = request.exchange or _exchange(root, request.symbol)
    rows = _rows(found, request)
    name = found.name.rpartition(":")[2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}-{request.symbol}-{request.bar}-{request.first}..{request.last}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_HEAD, *rows])
        table = TableOptions(kind="bars", exchange=exchange, feed=f"{name}/{size.name}")
        return run_import(
            root, ImportRequest(format="csv", symbol=request.symbol, files=(path,), table=table), progress
        )


def _exchange(root: Path, symbol: str) -> str:
    held = definition(definitions_of(LogReader(root)), symbol) if Layout(root).exists() else None
    if held is None:
        raise UsageError(f"{symbol}: the log does not know it; say where it trades: --exchange NYSE")
    return held.exchange


def _rows(found: Found, request: SourceRequest) -> list[list[Any]]:
    try:
        said = found.item().bars(request.symbol, request.bar, request.first, request.last)
        rows = [[_text(row[0]), *row[1:]] for row in said]
    except (Exception, SystemExit) as error:
        if isinstance(error, TapeError) or is_termination(error):
            raise
        path = source_file(found.item)
        place = place_of(error, path.resolve()) if path else found.origin
        raise UsageError(f"data source {found.name}: {place}: {type(error).__name__}: {error}") from error
    if not rows:
        raise DataMissing(
            f"data source {found.name}: no bars of {request.symbol} from {request.first} to {request.last}"
        )
    return rows


def _text(at: datetime | date) -> str:
    if isinstance(at, datetime) and at.tzinfo is None:
        raise ValueError(f"the time {at} has no zone")
    return at.isoformat()
