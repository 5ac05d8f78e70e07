"""Hashes over typed columns: one stream of values per column, so that batches may be cut anywhere.

Values enter as fixed-size little-endian bytes (a null as zeros, and a stream of validity beside it),
strings as their UTF-8 and a stream of lengths (-1 for a null). Nothing of Arrow's or Parquet's layout
takes part: the same rows give the same hash whatever wrote them.
"""

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eventstore.tables import columns

DIGEST_BYTES = 16

Column: TypeAlias = pa.Array | NDArray[np.int64]
"""What a stream takes: an array, or a vector of numbers, of which none can be missing: it has no shape."""

Stream: TypeAlias = tuple[Any, Any]
"""What a column has hashed to so far, its values and beside them their lengths or validity; never changed."""


class Hashing:
    """Moves streams on by columns: those that stand alike and take the same array are moved on once.

    The events that an order goes through name it, its account and its time by the same arrays.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Stream, Column, Stream]] = {}

    def after(self, stream: Stream, column: Column) -> Stream:
        """Return the stream with a column behind it."""
        key = id(stream), id(column)
        known = self._known.get(key)
        if known is None:
            values, shape = stream[0].copy(), stream[1].copy()
            _add(column, values, shape)
            # All three are kept: nothing else can get their ids.
            known = self._known[key] = stream, column, (values, shape)
        return known[2]


class TableFingerprint:
    """The hash of some columns of one event type; `update` takes the rows in order."""

    def __init__(self, tag: str, version: int, names: Iterable[str]) -> None:
        self._head = f"{tag} {version}"
        self._streams = dict.fromkeys(names, _EMPTY)
        self._rows = 0

    def update(self, rows: Mapping[str, Column], hashing: Hashing | None = None) -> None:
        """Add rows, column by column; several tables may share what moves them on."""
        hashing = hashing or Hashing()
        streams = self._streams
        self._rows += len(next(iter(rows.values())))
        for name, stream in streams.items():
            streams[name] = hashing.after(stream, rows[name])

    def digest(self, names: Collection[str] | None = None) -> bytes:
        """Return the hash of all rows so far, over all its columns or some of them."""
        whole = _new(f"{self._head} {self._rows}".encode())
        for name in sorted(self._streams if names is None else names):
            values, shape = self._streams[name]
            whole.update(name.encode() + b"\0" + values.digest() + shape.digest())
        return bytes(whole.digest())


def _new(data: bytes = b"") -> Any:
    return blake2b(data, digest_size=DIGEST_BYTES)


_EMPTY: Stream = (_new(), _new())


def _add(column: Column, values: Any, shape: Any) -> None:
    if isinstance(column, np.ndarray):
        values.update(column.astype("<i8").tobytes())
        return
    column = columns.spelled_out(column)
    valid = columns.validity(column) if column.null_count else None
    if column.type == pa.string():
        _, offsets, data = column.buffers()
        ends = np.frombuffer(offsets, np.int32, len(column) + 1, column.offset * 4)
        lengths = np.diff(ends) if valid is None else np.where(valid, np.diff(ends), -1)
        shape.update(lengths.astype("<i4").tobytes())
        if data is not None:
            values.update(memoryview(data)[int(ends[0]) : int(ends[-1])])
        return
    if column.type == pa.bool_():
        flags = columns.flags(column)
        values.update((flags if valid is None else flags & valid).tobytes())
    else:
        width = column.type.bit_width // 8
        begin, end = column.offset * width, (column.offset + len(column)) * width
        raw = memoryview(column.buffers()[1])[begin:end]
        if valid is None:
            values.update(raw)
        else:
            values.update(
                np.where(valid, np.frombuffer(raw, f"V{width}"), np.zeros(1, f"V{width}")).tobytes()
            )
    shape.update(b"\x01" * len(column) if valid is None else valid.tobytes())
