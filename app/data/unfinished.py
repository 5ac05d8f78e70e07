"""Imports that were begun and never ended: a part of their rows is in the log, and looks like all of them.

Reads the frames of imports alone. What is missing is brought by the same import, run again.
"""

from pathlib import PurePath
from typing import Any

import msgspec

from core.events import Event, ImportFinished, ImportStarted
from core.ports import EntryReader, entries_of

_FRAMES: frozenset[type[Event]] = frozenset({ImportStarted, ImportFinished})


def unfinished(reader: EntryReader) -> list[ImportStarted]:
    """Return the imports that did not end, oldest first."""
    begun: dict[str, ImportStarted] = {}
    for entry in entries_of(reader, _FRAMES):
        if isinstance(entry.event, ImportStarted):
            begun[entry.event.digest] = entry.event
        elif isinstance(entry.event, ImportFinished):
            begun.pop(entry.event.digest, None)
    return list(begun.values())


def worded(started: ImportStarted) -> str:
    """Return what to tell a user of an import that did not end."""
    files = msgspec.json.decode(started.files, type=list[dict[str, Any]])
    names = [PurePath(str(file["name"])).name for file in files]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return (
        f"the import of {shown or 'data'} into {started.feed} did not end: only a part of its rows is there"
    )
