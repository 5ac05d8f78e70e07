"""Reading the tables of one sealed directory in seq order, skipping all that a selection cannot hold.

A table is read row group by row group, never as a whole. Whole tables are skipped by the extents of
`seal.json`, row groups by the statistics in the file. Events that were sealed as `Unknown` come as their
own type once the program has learned it; the views and the coverage of a log do not show them as such.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from core.events import BY_TAG, BY_TYPE, Entry, EventType, Unknown
from core.ports import Selection
from eventstore.codec import decode_records, learned
from eventstore.layout import ARCHIVE_NAME
from eventstore.manifests.manifest import SealedPart
from eventstore.reading.merging import Rows, as_rows, merge
from eventstore.reading.selecting import bounds_overlap, mask, may_hold
from eventstore.sealed.archive import walk_segment
from eventstore.tables import columns
from eventstore.tables.parquet import TypedFile, file_name
from eventstore.tables.schema import UNKNOWN, columns_of, to_entries, to_events

_CONVERT_ROWS = 8_192
"""So many rows are a chunk: where streams are merged, that many events of each are built at a time."""
_CONVERT_ROWS_FIRST = 1_024
"""So many are built first of a batch, then twice as many each time: the first event waits for few others."""

Check = Callable[[SealedPart, str], None]
Convert = Callable[[EventType, pa.RecordBatch], Sequence[Any]]


def read_sealed(part: SealedPart, selection: Selection, check: Check, *, as_entries: bool) -> Iterator[Rows]:
    """Yield the selected rows of a directory in seq order: entries, or bare events.

    `check` is called with each file before it is opened. Raises `CorruptLog`, and `FileNotFoundError`
    if the directory was replaced by a compaction.
    """
    convert: Convert = to_entries if as_entries else to_events
    kinds = [k for tag in part.manifest.types if (k := BY_TAG.get(tag)) and _wanted(k, part, selection)]
    for kind in kinds:
        check(part, file_name(kind))
    streams = [_read(part, kind, selection, convert) for kind in kinds]
    if UNKNOWN.tag in part.manifest.types:
        check(part, file_name(UNKNOWN))
        streams.append(_read_unknown(part, selection, as_entries=as_entries))
    foreign = frozenset(part.manifest.types) - set(BY_TAG) - {UNKNOWN.tag}
    if foreign and as_entries and (selection.types is None or Unknown in selection.types):
        check(part, ARCHIVE_NAME)
        streams.append(_read_archived(part, foreign, selection))
    return merge(streams)


def _read_unknown(part: SealedPart, selection: Selection, *, as_entries: bool) -> Iterator[Rows]:
    """Yield what was sealed as `Unknown`; which types are among it is not known before each is looked at."""
    with TypedFile(part.path / file_name(UNKNOWN), UNKNOWN) as table:
        for group in range(table.groups):
            if not bounds_overlap(selection, table.bounds(group, "seq"), table.bounds(group, "ts")):
                continue
            for batch in table.read(group):
                found = [e for e in map(learned, to_entries(UNKNOWN, batch)) if selection.holds(e)]
                if found:
                    yield as_rows(found, as_entries=as_entries)


def _read_archived(part: SealedPart, tags: frozenset[str], selection: Selection) -> Iterator[Rows]:
    """Yield events of types that a newer program sealed: their tables cannot be read, their journal can."""
    for segment in part.manifest.segments:
        for block in walk_segment(part.path, part.manifest, segment):
            found = [e for e in decode_records(block.payload) if _tag(e) in tags and selection.holds(e)]
            if found:
                yield as_rows(found, as_entries=True)


def _tag(entry: Entry) -> str:
    event = entry.event
    return event.tag if isinstance(event, Unknown) else BY_TYPE[type(event)].tag


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
    places = None if keep is None else np.flatnonzero(keep)
    count = len(batch) if places is None else len(places)
    start, rows = 0, _CONVERT_ROWS_FIRST
    while start < count:
        # Taken a part at a time: what is copied then stays in the processor's cache until it is converted.
        if places is None:
            some = batch.slice(start, rows)
        else:
            some = columns.take_rows(batch, places[start : start + rows])
        start, rows = start + rows, min(2 * rows, _CONVERT_ROWS)
        seqs, ts = columns.vector(some.column("seq")), columns.vector(some.column("ts"))
        yield Rows(seqs, ts, convert(kind, some))
