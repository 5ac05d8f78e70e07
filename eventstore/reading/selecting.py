"""What a `Selection` means for many entries, a batch of columns, and the extents of a whole file.

They must agree with `Selection.holds`, which says it of one entry: a test compares them.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.events import Entry
from core.ports import Selection
from eventstore.manifests.manifest import Extent, TypeExtent
from eventstore.tables import columns


def chosen(selection: Selection, entries: list[Entry]) -> list[Entry]:
    """Return the entries, in seq order, that the selection holds, as `Selection.holds` says one by one."""
    # Each condition is looked at only where there is one, and once for all entries: a fifth of the cost.
    if selection.types is not None:
        types = selection.types
        entries = [entry for entry in entries if type(entry.event) in types]
    if entries and entries[0].seq < selection.first_seq:
        first = selection.first_seq
        entries = [entry for entry in entries if entry.seq >= first]
    if entries and selection.last_seq is not None and entries[-1].seq > selection.last_seq:
        last = selection.last_seq
        entries = [entry for entry in entries if entry.seq <= last]
    if selection.begin_ts is not None:
        begin = selection.begin_ts
        entries = [entry for entry in entries if entry.event.ts >= begin]
    if selection.end_ts is not None:
        end = selection.end_ts
        entries = [entry for entry in entries if entry.event.ts < end]
    for name, allowed in (("feed", selection.feeds), ("instrument", selection.instruments)):
        if allowed is not None:
            entries = [entry for entry in entries if getattr(entry.event, name, None) in allowed]
    return entries


def may_hold(selection: Selection, extent: TypeExtent) -> bool:
    """Return whether a table with this extent can hold anything of the selection."""
    if not _overlaps(selection, extent.all):
        return False
    if selection.feeds is not None and not _any(selection, selection.feeds, extent.feeds):
        return False
    return selection.instruments is None or _any(selection, selection.instruments, extent.instruments)


def mask(selection: Selection, batch: pa.RecordBatch) -> NDArray[np.bool_] | None:
    """Return which rows of a batch the selection holds; `None` means all of them."""
    parts = [*_seq_masks(selection, batch), *_ts_masks(selection, batch)]
    for name, allowed in (("feed", selection.feeds), ("instrument", selection.instruments)):
        if allowed is not None:
            parts.append(_membership(batch, name, allowed))
    if not parts:
        return None
    together: NDArray[np.bool_] = np.logical_and.reduce(parts)
    return None if together.all() else together


def bounds_overlap(selection: Selection, seqs: tuple[int, int] | None, ts: tuple[int, int] | None) -> bool:
    """Return whether rows with these least and greatest seqs and times can be in the selection."""
    if seqs is not None:
        if seqs[1] < selection.first_seq:
            return False
        if selection.last_seq is not None and seqs[0] > selection.last_seq:
            return False
    if ts is None:
        return True
    after = selection.begin_ts is not None and ts[1] < selection.begin_ts
    before = selection.end_ts is not None and ts[0] >= selection.end_ts
    return not (after or before)


def _overlaps(selection: Selection, extent: Extent) -> bool:
    return bounds_overlap(selection, (extent.first_seq, extent.last_seq), (extent.first_ts, extent.last_ts))


def _any(selection: Selection, wanted: frozenset[str], found: dict[str, Extent]) -> bool:
    return any(name in found and _overlaps(selection, found[name]) for name in wanted)


def _seq_masks(selection: Selection, batch: pa.RecordBatch) -> list[NDArray[Any]]:
    seqs = columns.vector(batch.column("seq"))
    masks = []
    if len(seqs) and seqs[0] < selection.first_seq:
        masks.append(seqs >= selection.first_seq)
    if len(seqs) and selection.last_seq is not None and seqs[-1] > selection.last_seq:
        masks.append(seqs <= selection.last_seq)
    return masks


def _ts_masks(selection: Selection, batch: pa.RecordBatch) -> list[NDArray[Any]]:
    masks = []
    ts = columns.vector(batch.column("ts"))
    if selection.begin_ts is not None:
        masks.append(ts >= selection.begin_ts)
    if selection.end_ts is not None:
        masks.append(ts < selection.end_ts)
    return masks


def _membership(batch: pa.RecordBatch, name: str, allowed: frozenset[str]) -> NDArray[np.bool_]:
    if name not in batch.schema.names:
        return np.zeros(len(batch), np.bool_)
    column = batch.column(name)
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    member = np.array([value in allowed for value in column.dictionary.to_pylist()], np.bool_)
    found: NDArray[np.bool_] = member[columns.indices_of(column)] if len(column) else np.zeros(0, np.bool_)
    return found
