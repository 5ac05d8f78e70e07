"""What a log or a run holds, for tests that look at it."""

from pathlib import Path
from typing import Any

from core.events import Event
from core.ports import Entries, entries_of
from eventstore.reading.reader import LogReader


def events_of(source: Path | Entries, *types: type[Event]) -> list[Any]:
    """Return the events of these types, in order, or all: of a reader, a run, or the log in a directory."""
    reader = LogReader(source) if isinstance(source, Path) else source
    return [entry.event for entry in entries_of(reader, frozenset(types) or None)]
