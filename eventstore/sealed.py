"""Reading the tables of one sealed directory in seq order, skipping all that a selection cannot hold.

A table is read row group by row group, never as a whole. Whole tables are skipped by the extents of
`seal.json`, row groups by the statistics in the file.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from core.events import BY_TAG, BY_TYPE, Entry, EventType, Unknown
from core.ports import Selection
from eventstore import columns
from eventstore.archive import walk_segment
from eventstore.codec import decode_records
from eventstore.layout import ARCHIVE_NAME
from eventstore.manifest import SealedPart
from eventstore.merging import Rows, merge
from eventstore.parquet import TypedFile, file_name
from eventstore.schema import UNKNOWN, columns_of, to_entries, to_events
from eventstore.selecting import bounds_overlap, mask, may_hold, wants

_CONVERT_ROWS = 8_192
"""So many events at a time stay in the processor's cache while they are built and used (measured)."""

Check = Callable[[SealedPart, str], None]
Convert = Callable[[EventType, pa.RecordBatch], list[Any]]


def read_sealed(part: SealedPart, selection: Selection, check: Check, *, as_entries: bool) -> Iterator[Rows]:
    """Yield the selected rows of a directory in seq order: entries, or bare events.

    `check` is called with each file before it is opened. Raises `CorruptLog`, and `FileNotFoundError`
    if the directory was replaced by a compaction.
    """
    convert: Convert = to_entries if as_entries else to_events
    kinds = [kind for tag in part.manifest.types if (kind := _kind(tag)) and _wanted(kind, part, selection)]
    for kind in kinds:
        check(part, file_name(kind))
    streams = [_read(part, kind, selection, convert) for kind in kinds]
    foreign = frozenset(tag for tag in part.manifest.types if _kind(tag) is None)
    if foreign and as_entries and (selection.types is None or Unknown in selection.types):
        check(part, ARCHIVE_NAME)
        streams.append(_read_archived(part, foreign, selection))
    return merge(streams)


def _read_archived(part: SealedPart, tags: frozenset[str], selection: Selection) -> Iterator[Rows]:
    """Yield events of types that a newer program sealed: their tables cannot be read, their journal can."""
    for segment in part.manifest.segments:
        for block in walk_segment(part.path, part.manifest, segment):
            found = [e for e in decode_records(block.payload) if _tag(e) in tags and wants(selection, e)]
            if found:
                seqs = np.fromiter((e.seq for e in found), np.int64, len(found))
                yield Rows(seqs, np.fromiter((e.event.ts for e in found), np.int64, len(found)), found)


def _tag(entry: Entry) -> str:
    event = entry.event
    return event.tag if isinstance(event, Unknown) else BY_TYPE[type(event)].tag


def _kind(tag: str) -> EventType | None:
    return UNKNOWN if tag == UNKNOWN.tag else BY_TAG.get(tag)


def _wanted(kind: EventType, part: SealedPart, selection: Selection) -> bool:
    if selection.types is not None and kind.type not in selection.types:
        return False
    return may_hold(selection, part.manifest.types[kind.tag])


def _read(part: SealedPart, kind: EventType, selection: Selection, convert: Convert) -> Iterator[Rows]:
    with TypedFile(part.path / file_name(kind), kind) as table:
        wanted = table.names if convert is to_entries else ["seq", *(c.name for c in columns_of(kind.type))]
        for group in range(table.groups):
            if bounds_overlap(selection, table.bounds(group, "seq"), table.bounds(group, "ts")):
                for batch in table.read(group, wanted):
                    yield from _select(kind, batch, selection, convert)


def _select(kind: EventType, batch: pa.RecordBatch, selection: Selection, convert: Convert) -> Iterator[Rows]:
    keep = mask(selection, batch)
    if keep is not None:
        batch = columns.keep_rows(batch, keep)
    for start in range(0, len(batch), _CONVERT_ROWS):
        some = batch.slice(start, _CONVERT_ROWS)
        seqs, ts = columns.vector(some.column("seq")), columns.vector(some.column("ts"))
        yield Rows(seqs, ts, convert(kind, some))
