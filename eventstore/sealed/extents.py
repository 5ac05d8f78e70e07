"""Counting what a table holds: the extents that `seal.json` states, per type, instrument and feed.

Vectorised over the columns of batches; a reader uses the result to skip whole files.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eventstore.manifests.manifest import Extent, TypeExtent
from eventstore.tables import columns


class Extents:
    """Adds up the extents of the batches of one event type."""

    def __init__(self) -> None:
        self._all: Extent | None = None
        self._groups: dict[str, dict[str, Extent]] = {"instrument": {}, "feed": {}}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch whose seqs ascend."""
        if not len(batch):
            return
        seqs, ts = columns.vector(batch.column("seq")), columns.vector(batch.column("ts"))
        extent = _extent(seqs, ts)
        self._all = extent if self._all is None else self._all.merge(extent)
        for name, known in self._groups.items():
            if name in batch.schema.names:
                _add_groups(known, batch.column(name), seqs, ts)

    def result(self) -> TypeExtent | None:
        """Return the extents, `None` if there was no row."""
        if self._all is None:
            return None
        return TypeExtent(self._all, *(dict(sorted(group.items())) for group in self._groups.values()))


def _extent(seqs: NDArray[Any], ts: NDArray[Any]) -> Extent:
    return Extent(len(seqs), int(seqs[0]), int(seqs[-1]), int(ts.min()), int(ts.max()))


def _add_groups(known: dict[str, Extent], column: pa.Array, seqs: NDArray[Any], ts: NDArray[Any]) -> None:
    encoded = column.dictionary_encode()
    codes = columns.vector(encoded.indices)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    names = encoded.dictionary.to_pylist()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[start:end]
        extent, name = _extent(seqs[rows], ts[rows]), names[codes[rows[0]]]
        known[name] = known[name].merge(extent) if name in known else extent


def merge(one: TypeExtent, other: TypeExtent) -> TypeExtent:
    """Return the extents of two tables of one type together."""
    return TypeExtent(
        one.all.merge(other.all),
        _merge_groups(one.instruments, other.instruments),
        _merge_groups(one.feeds, other.feeds),
    )


def _merge_groups(one: dict[str, Extent], other: dict[str, Extent]) -> dict[str, Extent]:
    both = dict(one)
    for name, extent in other.items():
        both[name] = both[name].merge(extent) if name in both else extent
    return dict(sorted(both.items()))
