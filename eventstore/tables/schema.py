"""How events become typed columns and columns become events again: one Arrow schema per event type.

Columns: `seq`, `recv` (absent in runs), `at` and `cause` (absent for market data, where `at` is
`seq` and nothing is a cause), the event's fields in order, and `extra` (JSON of fields that this
code does not know). Column types never change: a new meaning gets a new name. A column that a file
lacks, because its field is younger than the file, reads as the field's default. This module knows
neither directories nor the journal; it must never lose or alter a value on the way through.
"""

import typing
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cache, partial
from itertools import chain
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, overload

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import InvalidEvent
from core.events import BY_TAG, BY_TYPE, MARKET_DATA, Entry, Event, EventType, StrategyFailed, Unknown
from core.inputs import Table
from eventstore.tables import columns

SCHEMA_VERSION = 1
UNKNOWN = EventType("unknown", 1, "storage", Unknown)
ENVELOPE = frozenset({"seq", "recv", "at", "cause", "extra"})

_ARROW = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_(), bytes: pa.binary()}
_FEW = frozenset(("account", "strategy", "instrument", "venue", "currency", "profile", "rule"))
"""Texts that repeat: a session has few of each, as it has of what a `Literal` lists."""
# A field named like an envelope column needs a name of its own in the table.
_RENAMED: dict[tuple[type[Event], str], str] = {(StrategyFailed, "seq"): "input_seq"}


Values: TypeAlias = Sequence[Any] | NDArray[np.int64]
"""A column to be encoded."""

values_of = msgspec.structs.astuple
"""What a table holds of an event: its fields' values, in order."""


class Column(msgspec.Struct, frozen=True):
    """A field of an event as a column: its name in the table, Arrow type and whether it may be null.

    `default` is what it reads as where a file lacks it; `msgspec.NODEFAULT` if every file must have it.
    `few` tells texts that repeat.
    """

    field: str
    name: str
    type: pa.DataType
    nullable: bool
    default: Any
    few: bool = False


def kinds() -> list[EventType]:
    """Return every storable event type ordered by tag, the unknown type last."""
    return [*(BY_TAG[tag] for tag in sorted(BY_TAG)), UNKNOWN]


def kind_of(event_type: type[Event]) -> EventType:
    """Return how an event type is stored."""
    return UNKNOWN if event_type is Unknown else BY_TYPE[event_type]


def is_market_data(kind: EventType) -> bool:
    """Return whether the type is one of those without `at` and `cause` columns."""
    return kind.type in MARKET_DATA


@cache
def columns_of(event_type: type[Event]) -> tuple[Column, ...]:
    """Return the event's fields as columns, `ts` first; raises `TypeError` for an unstorable field."""
    hints = typing.get_type_hints(event_type)
    return tuple(
        _column(event_type, field.name, hints[field.name], field.default)
        for field in msgspec.structs.fields(event_type)
    )


@cache
def arrow_schema(kind: EventType, *, recv: bool = True) -> pa.Schema:
    """Return the schema of the type's table; `recv=False` is the form used in runs."""
    envelope = [pa.field("seq", pa.int64(), nullable=False)]
    if recv:
        envelope.append(pa.field("recv", pa.int64(), nullable=True))
    if not is_market_data(kind):
        envelope += [pa.field("at", pa.int64(), nullable=False), pa.field("cause", pa.int64())]
    body = [pa.field(c.name, c.type, nullable=c.nullable) for c in columns_of(kind.type)]
    extra = pa.field("extra", pa.string())
    metadata = {"tape.type": kind.tag, "tape.version": str(kind.version), "tape.schema": str(SCHEMA_VERSION)}
    return pa.schema([*envelope, *body, extra], metadata=metadata)


@cache
def run_schema(kind: EventType) -> pa.Schema:
    """Return the schema of rows on their way into a run: texts that repeat are dictionaries.

    A Parquet file holds them as dictionaries anyway: so they need not be looked up again row by row.
    """
    schema = arrow_schema(kind, recv=False)
    few = {c.name for c in columns_of(kind.type) if c.few}
    fields = [f.with_type(columns.DICTIONARY) if f.name in few else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)


def to_batch(
    kind: EventType,
    seqs: Values,
    recvs: Values | None,
    ats: Values,
    causes: Values,
    events: Sequence[Event],
) -> pa.RecordBatch:
    """Return the events as one typed batch; `recvs=None` is the form used in runs.

    The envelope may come as sequences, numpy vectors or Arrow arrays.

    Raises `InvalidEvent` for market data that is not an input: its table has no column to say so.
    """
    envelope: list[Values] = [seqs] if recvs is None else [seqs, recvs]
    if not is_market_data(kind):
        envelope += [ats, causes]
    elif list(ats) != list(seqs) or list(causes).count(None) != len(causes):
        raise InvalidEvent(f"{kind.tag} events must be inputs (at = seq, no cause): they are market data")
    schema = arrow_schema(kind, recv=recvs is not None)
    values = list(chain.from_iterable(map(values_of, events)))
    found = _encoded(kind, schema, envelope, values, columns.Encoder())
    return pa.RecordBatch.from_arrays(list(found.values()), schema=schema)


def run_columns(
    kind: EventType,
    envelope: Sequence[Values],
    values: list[Any],
    encoder: columns.Encoder,
) -> dict[str, pa.Array]:
    """Return events of a run column by column, as `run_schema` has them, of their `values_of` end to end.

    `envelope` are seqs, ats and causes. The `encoder`, which several types share, makes what they have in
    common once: it is the same array.
    """
    return _encoded(kind, run_schema(kind), envelope, values, encoder)


def _encoded(
    kind: EventType,
    schema: pa.Schema,
    envelope: Sequence[Values],
    values: list[Any],
    encoder: columns.Encoder,
) -> dict[str, pa.Array]:
    # Cutting columns out of one list costs less than one pass over the events a field, and less than a zip,
    # which would keep a tuple an event for the collector to walk.
    width = len(columns_of(kind.type))
    fields = [values[place::width] for place in range(width)]
    *wanted, extra = schema
    found = {
        f.name: encoder.encode(f.name, v, f.type) for f, v in zip(wanted, (*envelope, *fields), strict=True)
    }
    return {**found, extra.name: pa.nulls(len(envelope[0]), extra.type)}


def entries_to_batch(kind: EventType, entries: Sequence[Entry], *, recv: bool = True) -> pa.RecordBatch:
    """Return entries of one type as one typed batch."""
    envelope = list(zip(*((e.seq, e.recv, e.at, e.cause, e.event) for e in entries), strict=True))
    seqs, recvs, ats, causes, events = envelope or [(), (), (), (), ()]
    return to_batch(kind, seqs, recvs if recv else None, ats, causes, events)


class Events(Table):
    """The events of a batch, built when they are asked for; string columns may be dictionary-encoded.

    Nothing is kept of what was built.
    """

    __slots__ = ("_columns", "_length", "_ts", "_type")

    def __init__(self, kind: EventType, batch: pa.RecordBatch) -> None:
        self._type = kind.type
        self._length = len(batch)
        self._ts, *self._columns = (cut(batch.column(name)) for name, cut in _plan(kind.type))

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Event: ...

    @overload
    def __getitem__(self, place: slice) -> list[Event]: ...

    def __getitem__(self, place: int | slice) -> Event | list[Event]:
        if isinstance(place, slice):
            start, stop, step = place.indices(self._length)
            return self._built(start, max(start, stop)) if step == 1 else list(self)[place]
        at = range(self._length)[place]
        return self._built(at, at + 1)[0]

    def __iter__(self) -> Iterator[Event]:
        return self.build(0, self._length)[0]

    def build(self, start: int, stop: int) -> tuple[Iterator[Event], Callable[[], int]]:
        """Return what builds the events of these rows one by one, and what tells how many are left."""
        times: Any = self._ts(start, stop)
        cells: list[Any] = [iter(column(start, stop)) for column in self._columns]
        counted = [cell for cell in cells if hasattr(cell, "__length_hint__")]
        if not counted:  # numbers are made one at a time, and cannot tell: texts can, which market data have
            times = iter(list(times))
            counted = [times]
        return map(self._type, times, *cells), counted[0].__length_hint__

    def place_of(self, event: Event, stop: int) -> int:
        """Return the last row before `stop` that holds this event; it is there."""
        times: Any = self._ts(0, stop)
        ts, place = event.ts, stop - 1
        while times[place] != ts:
            place -= 1
        # As a rule it is the only one of its time.
        while place and times[place - 1] == ts and self[place] != event:
            place -= 1
        return place

    def _built(self, start: int, stop: int) -> list[Event]:
        return list(self.build(start, stop)[0])


def to_events(kind: EventType, batch: pa.RecordBatch) -> Sequence[Event]:
    """Return the batch's events, which are built as they are asked for."""
    return Events(kind, batch)


def to_entries(kind: EventType, batch: pa.RecordBatch) -> list[Entry]:
    """Return the batch's entries; market data get `at = seq` back."""
    seqs = columns.numbers(batch.column("seq"))
    nothing = [None] * len(seqs)
    recvs = columns.numbers(batch.column("recv")) if "recv" in batch.schema.names else nothing
    ats, causes = seqs, nothing
    if not is_market_data(kind):
        ats, causes = columns.numbers(batch.column("at")), columns.numbers(batch.column("cause"))
    return list(map(Entry, seqs, recvs, ats, causes, to_events(kind, batch)))


def fields_of(kind: EventType) -> list[str]:
    """Return the columns that hold the event's fields: what a manifest says that a table has."""
    return [column.name for column in columns_of(kind.type)]


def dictionary_columns(kind: EventType) -> list[str]:
    """Return the string columns, which are dictionary-encoded in Parquet and read as dictionaries."""
    return [c.name for c in columns_of(kind.type) if c.type == pa.string()]


Cut = Callable[[pa.Array], columns.Rows]


@cache
def _plan(event_type: type[Event]) -> tuple[tuple[str, Cut], ...]:
    return tuple((c.name, _cut(c.type)) for c in columns_of(event_type))


def _cut(kind: pa.DataType) -> Cut:
    # One function per column, chosen once: the choice must not be made again for every batch.
    if kind == pa.string():
        return columns.rows_of_strings
    if kind in {pa.int64(), pa.float64()}:
        return columns.rows_of_numbers
    if kind == pa.bool_():
        return columns.rows_of_booleans
    return partial(columns.rows_of, columns.decimals if kind == columns.DECIMAL else columns.anything)


def _column(event_type: type[Event], name: str, hint: Any, default: Any) -> Column:
    inner, nullable = _without_none(hint)
    listed = typing.get_origin(inner) is Literal
    if listed:
        inner = str
    arrow = columns.DECIMAL if inner is Decimal else _ARROW.get(inner)
    column = _RENAMED.get((event_type, name), name)
    if arrow is None or column in ENVELOPE:
        raise TypeError(f"{event_type.__name__}.{name}: {hint!r} has no column type, or its name is taken")
    few = listed or (inner is str and name in _FEW)
    return Column(field=name, name=column, type=arrow, nullable=nullable, default=default, few=few)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) not in {Union, UnionType}:
        return hint, False
    rest = [argument for argument in typing.get_args(hint) if argument is not NoneType]
    return (rest[0], True) if len(rest) == 1 else (hint, True)
