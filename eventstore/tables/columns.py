"""Lists of Python values to Arrow arrays and back, through their buffers.

pyarrow's own `pa.array` and `to_numpy` import pandas on first use (about 0.3 s and 40 MB, on a path
that never needs it), what encodes, decodes or filters imports its compute module (30 ms), and `to_pylist`
costs ten times as much as a numpy round trip. This module owns
the knowledge of Arrow's memory layout: validity bitmaps, offsets, 128-bit decimals. Values only: it
knows nothing of events and files.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise, repeat
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.money import CONTEXT, money

Rows: TypeAlias = Callable[[int, int], Iterable[Any]]
"""Gives the values of a column from a row up to another; what they have in common was looked up before."""

DECIMAL = pa.decimal128(38, 8)
DICTIONARY = pa.dictionary(pa.int32(), pa.string())
"""Texts of which there are few: which of them a row has, and each of them once."""
_SCALE = 8
_WORD = 16  # bytes of a decimal
_SAMPLE = 256
_NUMPY = {pa.int64(): np.int64, pa.float64(): np.float64, pa.int32(): np.int32}


def encode(values: Any, kind: pa.DataType) -> pa.Array:
    """Return values (a sequence with `None` allowed, or an int64 vector) as an array of a column type.

    An Arrow array is returned as it is.
    """
    if isinstance(values, pa.Array):
        return values
    if kind == pa.string():
        return _encode_strings(values)
    if kind == DICTIONARY:
        return _dictionary(values)
    if kind == DECIMAL:
        return _encode_decimals(values)
    if kind == pa.binary():
        return pa.array(values, kind)
    if kind == pa.bool_():
        valid = _validity(values)
        data: NDArray[Any] = np.packbits(np.array(values, dtype=np.bool_), bitorder="little")
    else:
        data, valid = _integers(values) if kind == pa.int64() else _floats(values)
    return _primitive(kind, data, len(values), valid)


class Encoder:
    """Encodes columns of several tables; one that equals the last of its name is not encoded again.

    The events that an order goes through name it, and their time, by the same objects.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, tuple[list[Any], pa.Array]] = {}

    def encode(self, name: str, values: Any, kind: pa.DataType) -> pa.Array:
        """Return `encode(values, kind)`."""
        if not isinstance(values, list) or kind == pa.float64():  # 0.0 equals -0.0, but is another value
            return encode(values, kind)
        known = self._last.get(name)
        if known is not None and known[0] == values and known[1].type == kind:
            return known[1]
        array = encode(values, kind)
        self._last[name] = values, array
        return array


def constant(value: Any, kind: pa.DataType, length: int) -> pa.Array:
    """Return a column that holds one value, or null, everywhere."""
    return pa.nulls(length, kind) if value is None else encode([value] * length, kind)


def spelled_out(column: pa.Array) -> pa.Array:
    """Return a column with its text in each row: of a dictionary, what it stands for."""
    if not isinstance(column, pa.DictionaryArray):
        return column
    table = [text.encode() for text in column.dictionary.to_pylist()]
    if not table:
        return pa.nulls(len(column), pa.string())
    if len(table) == 1 and not column.null_count:
        return _repeated(table[0], len(column))
    valid = validity(column.indices) if column.null_count else None
    places = indices_of(column)
    given = places if valid is None else places[valid]
    lengths = np.fromiter(map(len, table), np.int32, len(table))[places]
    if valid is not None:
        lengths[~valid] = 0
    data = b"".join(map(table.__getitem__, given.tolist()))
    return _texts(lengths, data, valid)


def from_numpy(
    values: NDArray[np.int64] | NDArray[np.float64], valid: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return an int64 or float64 vector as an Arrow array without copying it; null where not `valid`."""
    kind = pa.int64() if values.dtype == np.int64 else pa.float64()
    return _primitive(kind, np.ascontiguousarray(values), len(values), valid)


def take_rows(batch: pa.RecordBatch, rows: NDArray[np.intp]) -> pa.RecordBatch:
    """Return the rows of a batch at these positions.

    Numbers, flags and dictionaries go through numpy, see above.
    """
    arrays = [_kept(column, rows) for column in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _kept(column: pa.Array, rows: NDArray[np.intp]) -> pa.Array:
    if isinstance(column, pa.DictionaryArray):
        return pa.DictionaryArray.from_arrays(_kept(column.indices, rows), column.dictionary, safe=False)
    if column.type not in _NUMPY and column.type != pa.bool_():
        return column.take(_primitive(pa.int64(), rows.astype(np.int64), len(rows), None))
    valid = validity(column)[rows] if column.null_count else None
    if column.type == pa.bool_():
        data: NDArray[Any] = np.packbits(flags(column)[rows], bitorder="little")
    else:
        data = vector(column)[rows]
    return _primitive(column.type, data, len(rows), valid)


def vector(column: pa.Array) -> NDArray[Any]:
    """Return the values of an int64, int32 or float64 column as a view; nulls hold anything."""
    dtype = _NUMPY[column.type]
    if not len(column):
        return np.empty(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * np.dtype(dtype).itemsize)


def validity(column: pa.Array) -> NDArray[np.bool_]:
    """Return where the column is not null."""
    bitmap = column.buffers()[0]
    return np.ones(len(column), np.bool_) if bitmap is None else _bits(bitmap, column.offset, len(column))


def indices_of(column: pa.DictionaryArray) -> NDArray[Any]:
    """Return the dictionary positions of a column without nulls."""
    return vector(column.indices)


def numbers(column: pa.Array) -> list[Any]:
    """Return an int64 or float64 column as a list, `None` where it is null."""
    return list(rows_of_numbers(column)(0, len(column)))


def rows_of_numbers(column: pa.Array) -> Rows:
    """Return what gives rows of an int64 or float64 column."""
    if column.null_count == len(column):
        return _same(None)
    values = vector(column)
    if not column.null_count:
        return lambda start, stop: values[start:stop].data  # which gives plain numbers, one at a time
    valid = validity(column)

    def rows(start: int, stop: int) -> list[Any]:
        out = np.full(stop - start, None, dtype=object)
        out[valid[start:stop]] = values[start:stop][valid[start:stop]]
        return out.tolist()

    return rows


def strings(column: pa.Array) -> list[Any]:
    """Return a string column, dictionary-encoded or not, as a list; equal values are one object."""
    return list(rows_of_strings(column)(0, len(column)))


def rows_of_strings(column: pa.Array) -> Rows:
    """Return what gives rows of a string column, see `strings`."""
    if column.null_count == len(column):
        return _same(None)
    if not isinstance(column, pa.DictionaryArray):
        return rows_of(_plain_strings, column)
    values: list[Any] = column.dictionary.to_pylist()
    if column.null_count:
        indices = np.where(validity(column.indices), vector(column.indices), len(values))
        values = [*values, None]
    elif len(values) == 1:
        return _same(values[0])
    else:
        indices = vector(column.indices)
    table = np.empty(len(values), dtype=object)
    table[:] = values
    return lambda start, stop: cast("list[Any]", table[indices[start:stop]].tolist())


def distinct_texts(column: pa.Array) -> int:
    """Return how many values a string column has, dictionary-encoded or not; null is one of them."""
    if not isinstance(column, pa.DictionaryArray):
        return len(set(_plain_texts(column)))
    given = indices_of(column)[validity(column.indices)]
    return len(np.unique(given)) + bool(column.null_count)


def decimals(column: pa.Array) -> list[Any]:
    """Return a decimal column as canonical amounts (100, not 100.00000000)."""
    if column.null_count == len(column):
        return [None] * len(column)
    # Arrow's own dictionary_encode would import its compute module.
    low, high = (
        np.frombuffer(column.buffers()[1], "<i8", 2 * len(column), column.offset * 16).reshape(-1, 2).T
    )
    valid = validity(column) if column.null_count else np.ones(len(column), np.bool_)
    if not np.array_equal(high[valid], low[valid] >> 63):  # amounts beyond 92 billion, one by one
        return [value if value is None else money(value) for value in column.to_pylist()]
    distinct, places = np.unique(low[valid], return_inverse=True)
    table = np.empty(len(distinct), dtype=object)
    table[:] = [money(Decimal(int(unscaled)).scaleb(-_SCALE, CONTEXT)) for unscaled in distinct]
    out = np.full(len(column), None, dtype=object)
    out[valid] = table[places]
    return out.tolist()


def rows_of_booleans(column: pa.Array) -> Rows:
    """Return what gives rows of a boolean column."""
    if column.null_count:
        return rows_of(anything, column)
    found = flags(column)
    return lambda start, stop: found[start:stop].data


def flags(column: pa.Array) -> NDArray[np.bool_]:
    """Return the values of a boolean column; nulls hold anything."""
    return _bits(column.buffers()[1], column.offset, len(column))


def anything(column: pa.Array) -> list[Any]:
    """Return any column as a list, by the slow way."""
    return cast("list[Any]", column.to_pylist())


def rows_of(whole: Callable[[pa.Array], list[Any]], column: pa.Array) -> Rows:
    """Return what gives rows of a column by converting each piece on its own, as `whole` does."""
    return lambda start, stop: whole(column.slice(start, stop - start))


def _plain_strings(column: pa.Array) -> list[Any]:
    found, known = _plain_texts(column), dict[Any, Any]()
    return list(map(known.setdefault, found, found))


def _plain_texts(column: pa.Array) -> list[Any]:
    """Return the values of a string column that is not dictionary-encoded, each an object of its own."""
    if not len(column):
        return []
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32, len(column) + 1, column.offset * 4)
    raw = b"" if data is None else bytes(memoryview(data)[ends[0] : ends[-1]])
    spans = pairwise((ends - ends[0]).tolist())
    text = raw.decode()
    found: list[Any]
    if len(text) == len(raw):  # each character is a byte
        found = [text[start:end] for start, end in spans]
    else:
        found = [raw[start:end].decode() for start, end in spans]
    if column.null_count:
        found = [value if given else None for value, given in zip(found, validity(column), strict=True)]
    return found


def _same(value: Any) -> Rows:
    return lambda start, stop: repeat(value, stop - start)


def _encode_strings(values: Sequence[Any]) -> pa.Array:
    if _is_constant(values) and values[0] is not None:
        return _repeated(values[0].encode(), len(values))
    sample = values[:_SAMPLE]
    if len(set(sample)) > len(sample) // 2:
        try:
            return _string_array(list(values))  # mostly distinct (ids, reasons): a dictionary gains nothing
        except TypeError:  # a None among them: looking for one first would cost as much as the joining
            pass
    return spelled_out(_dictionary(values))


def _is_constant(values: Sequence[Any]) -> bool:
    return bool(values) and values[0] is values[-1] and values.count(values[0]) == len(values)


def _repeated(text: bytes, length: int) -> pa.Array:
    offsets = np.arange(length + 1, dtype=np.int32) * np.int32(len(text))
    return pa.Array.from_buffers(
        pa.string(), length, [None, pa.py_buffer(offsets), pa.py_buffer(text * length)]
    )


def _texts(lengths: NDArray[np.int32], data: bytes, valid: NDArray[np.bool_] | None) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(lengths), buffers)


def _dictionary(values: Sequence[Any]) -> pa.DictionaryArray:
    # Distinct values are few, often one: each is converted once.
    if _is_constant(values):
        given = values[0] is not None
        valid = None if given else np.zeros(len(values), np.bool_)
        return _coded(np.zeros(len(values), np.int32), valid, _string_array([values[0]] if given else []))
    distinct = dict.fromkeys(values)
    valid = _validity(values) if None in distinct else None
    distinct.pop(None, None)
    table = list(distinct)
    place = {value: index for index, value in enumerate(table)}
    if valid is not None:
        place[None] = 0
    indices = np.fromiter(map(place.__getitem__, values), np.int32, len(values))
    return _coded(indices, valid, _string_array(table))


def _coded(
    indices: NDArray[np.int32], valid: NDArray[np.bool_] | None, table: pa.Array
) -> pa.DictionaryArray:
    places = _primitive(pa.int32(), indices, len(indices), valid)
    return pa.DictionaryArray.from_arrays(places, table, safe=False)


def _integers(values: Any) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    if isinstance(values, np.ndarray):
        return values, None
    if _is_constant(values):  # a version, as a rule, or a time that no order names
        given = values[0] is not None
        data = np.full(len(values), values[0] if given else 0, dtype=np.int64)
        return data, None if given else np.zeros(len(values), np.bool_)
    try:
        return np.fromiter(values, np.int64, len(values)), None
    except TypeError:  # None is no integer; asking first would cost as much as the conversion
        filled = [0 if value is None else value for value in values]
        return np.array(filled, dtype=np.int64), _validity(values)


def _floats(values: Sequence[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    data = np.array(values, dtype=np.float64)  # None becomes NaN, which no event may hold
    valid = ~np.isnan(data)
    return data, None if valid.all() else valid


def _string_array(values: list[Any]) -> pa.Array:
    text = "".join(values)
    encoded = values if text.isascii() else [value.encode() for value in values]
    return _texts(np.fromiter(map(len, encoded), np.int32, len(values)), text.encode(), None)


def _encode_decimals(values: Sequence[Any]) -> pa.Array:
    if _is_constant(values):
        return _decimal_array([values[0]], np.zeros(len(values), np.int32))
    # By object: equal amounts mostly are the same, and to hash one costs ten times as much as to name it.
    names = list(map(id, values))
    table = dict(zip(names, values, strict=True))
    place = {name: index for index, name in enumerate(table)}
    return _decimal_array(list(table.values()), np.fromiter(map(place.__getitem__, names), np.int32))


def _decimal_array(table: list[Any], places: NDArray[np.int32]) -> pa.Array:
    """Return the amounts of a table, `None` allowed, at these places."""
    words = b"".join(
        bytes(_WORD) if value is None else _unscaled(value).to_bytes(_WORD, "little", signed=True)
        for value in table
    )
    data = np.frombuffer(words, f"V{_WORD}")[places]
    valid = _validity(table)
    return _primitive(DECIMAL, data, len(places), None if valid is None else valid[places])


def _unscaled(value: Decimal) -> int:
    scaled = value.scaleb(_SCALE, CONTEXT)
    unscaled = int(scaled)
    if unscaled != scaled:
        raise ValueError(
            f"{value} has more than {_SCALE} decimals: amounts are quantised when an event is made"
        )
    return unscaled


def _primitive(
    kind: pa.DataType, data: NDArray[Any], length: int, valid: NDArray[np.bool_] | None
) -> pa.Array:
    return pa.Array.from_buffers(kind, length, [_bitmap(valid), pa.py_buffer(data)])


def _bitmap(valid: NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _validity(values: Sequence[Any]) -> NDArray[np.bool_] | None:
    if None not in values:
        return None
    return np.array([value is not None for value in values], dtype=np.bool_)


def _bits(bitmap: pa.Buffer, offset: int, length: int) -> NDArray[np.bool_]:
    if not length:
        return np.empty(0, np.bool_)
    packed = np.frombuffer(bitmap, np.uint8, (offset + length + 7) // 8 - offset // 8, offset // 8)
    unpacked = np.unpackbits(packed, bitorder="little")[offset % 8 : offset % 8 + length]
    return unpacked.view(np.bool_)
