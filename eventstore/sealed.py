"""Reading the tables of one sealed directory in seq order, skipping all that a selection cannot hold.

A table is read row group by row group, never as a whole. Whole tables are skipped by the extents of
`seal.json`, row groups by the statistics in the file.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from core.events import BY_TAG, EventType
from core.ports import Selection
from eventstore import columns
from eventstore.manifest import SealedPart
from eventstore.merging import Rows, merge
from eventstore.parquet import TypedFile, file_name
from eventstore.schema import UNKNOWN, columns_of, to_entries, to_events
from eventstore.selecting import bounds_overlap, mask, may_hold

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
    return merge([_read(part, kind, selection, convert) for kind in kinds])


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
        batch = batch.filter(columns.mask_array(keep))
    for start in range(0, len(batch), _CONVERT_ROWS):
        some = batch.slice(start, _CONVERT_ROWS)
        seqs, ts = columns.vector(some.column("seq")), columns.vector(some.column("ts"))
        yield Rows(seqs, ts, convert(kind, some))
