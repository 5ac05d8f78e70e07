"""Writes small files in LEAN's layout, and reads back what an import appended."""

import zipfile
from pathlib import Path

from adapters.replay.importing import ImportResult, ImportWriter, Progress, import_sets
from adapters.replay.lean import Days, lean_sets
from core.events import Entry, Event, ImportResumed
from core.ports import EntryReader


def write_zip(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(path.stem + ".csv", (2020, 1, 1, 0, 0, 0)), text)


def write_day(
    root: Path,
    trades: str | None = None,
    quotes: str | None = None,
    day: str = "20131007",
    symbol: str = "abc",
) -> Path:
    folder = root / "equity" / "usa" / "tick" / symbol
    for kind, text in (("trade", trades), ("quote", quotes)):
        if text is not None:
            write_zip(folder / f"{day}_{kind}.zip", text)
    return root


def ticks(count: int) -> tuple[str, str]:
    """Texts of `count` trades and `4 * count` quotes with many equal times, some of them bad rows."""
    trades = [f"{34200000 + i * 70},{1000000 + i},{100 + i},N,0,{int(i % 50 == 7)}" for i in range(count)]
    quotes = [f"{34200000 + i * 35 // 2},{999900 + i},{i % 9 * 100},0,0,Q,1,0" for i in range(4 * count)]
    trades[count // 2] = "34200000,bad,1,N,0,0"
    quotes[count] = "nonsense"
    return "\n".join(trades), "\n".join(quotes)


def entries(reader: EntryReader) -> list[Entry]:
    return [entry for batch in reader.entries() for entry in batch]


def events(reader: EntryReader) -> list[Event]:
    return [entry.event for entry in entries(reader)]


def without_frames(found: list[Event]) -> list[Event]:
    """The events without what tells only that an import was interrupted, or the log closed and opened."""
    return [
        e for e in found if type(e).__name__ not in {ImportResumed.__name__, "Recovered", "SegmentSealed"}
    ]


def import_lean(
    writer: ImportWriter,
    reader: EntryReader,
    root: Path,
    symbol: str,
    resolution: str,
    days: Days | None = None,
    progress: Progress | None = None,
) -> ImportResult:
    """Import a symbol's files of one resolution, as `tape import --format lean` does."""
    return import_sets(writer, reader, lean_sets(root, symbol, resolution, days), progress)
