"""Events to bytes and back: the one place that knows how a record is laid out.

A record is the msgpack array ``[tag, version, seq, recv, at, cause, body]``; `ts` is the body's first
field, so it is not repeated. Bodies of market data are arrays, all others maps. A payload is one array
of records. Reading is typed in one pass; only a payload that this code does not fully know takes the
slower path, where unknown types keep their body byte for byte and old versions are upcast.
It must never touch files, nor change the meaning of a stored tag, version or field position.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import itemgetter
from typing import Any, Literal, Union

import msgspec

from core.errors import CorruptLog, InvalidEvent
from core.events import BY_TAG, BY_TYPE, Entry, Event, Unknown
from eventstore.checks import body_ts, check

__all__ = [
    "Record",
    "canonical",
    "check",
    "decode_records",
    "encode_bodies",
    "encode_into",
    "encode_records",
    "learned",
    "record",
    "upcasts",
    "write_record",
]

Record = tuple[str, int, int, int | None, int, int | None, Event]
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

upcasts: dict[tuple[str, int], Upcast] = {}
"""`(tag, version)` to the pure function that turns its body into that of `version + 1`."""

_encoder = msgspec.msgpack.Encoder()
write_record = _encoder.encode_into
"""`encode_into` without its care for `Unknown` and errors, for the one caller that has its own."""
_canonical_encoder = msgspec.msgpack.Encoder(order="deterministic")
_RawRecord = tuple[str, int, int, int | None, int, int | None, msgspec.Raw]
_raw_decoder = msgspec.msgpack.Decoder(list[_RawRecord])
_plain_decoder = msgspec.msgpack.Decoder()
_event_of = itemgetter(6)
_MAX_FIXARRAY, _MAX_ARRAY16 = 15, 0xFFFF


def record(seq: int, recv: int | None, at: int, cause: int | None, event: Event) -> Record:
    """Return the record of `event`; raises `InvalidEvent` for a type without `@event`."""
    known = BY_TYPE.get(type(event))
    if known is not None:
        return (known.tag, known.version, seq, recv, at, cause, event)
    if type(event) is Unknown:
        return (event.tag, event.version, seq, recv, at, cause, event)
    raise InvalidEvent(
        f"{type(event).__name__} is not a registered event type: declare it with @event(tag, class)"
    )


def encode_records(records: list[Record]) -> bytes:
    """Return the payload of `records`: one msgpack array."""
    return _encoder.encode(_with_raw_bodies(records))


def encode_into(buffer: bytearray, one: Record) -> None:
    """Append one record, without the array header of a payload, to `buffer`; all of it or nothing."""
    length = len(buffer)
    try:
        _encoder.encode_into(one if type(one[6]) is not Unknown else _raw(one), buffer, -1)
    except (TypeError, ValueError, OverflowError) as error:
        del buffer[length:]
        raise InvalidEvent(f"{one[6]!r} cannot be stored: {error}") from error


def encode_bodies(buffer: bytearray, records: list[Record]) -> None:
    """Append many records, without an array header, to `buffer`; all of them or nothing."""
    try:
        payload = encode_records(records)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidEvent(f"an event cannot be stored: {error}") from error
    buffer += memoryview(payload)[header_length(len(records)) :]


def header_length(count: int) -> int:
    """Return how many bytes the msgpack header of an array of `count` elements takes."""
    return 1 if count <= _MAX_FIXARRAY else 3 if count <= _MAX_ARRAY16 else 5


def array_header(count: int) -> bytes:
    """Return the msgpack header of an array of `count` elements."""
    if count <= _MAX_FIXARRAY:
        return bytes((0x90 | count,))
    return b"\xdc" + count.to_bytes(2, "big") if count <= _MAX_ARRAY16 else b"\xdd" + count.to_bytes(4, "big")


def canonical(tag: str, version: int, seq: int, at: int, cause: int | None, event: Event) -> bytes:
    """Return the deterministic bytes of an event for hashes: everything but `recv`."""
    body = msgspec.Raw(event.body) if type(event) is Unknown else event
    return _canonical_encoder.encode((tag, version, seq, at, cause, body))


def decode_records(payload: bytes | memoryview) -> list[Entry]:
    """Return the entries of a payload, in order.

    Raises `CorruptLog` if the bytes are no records at all. Types and versions newer than this code
    come back as `Unknown`; re-encoding one gives the same bytes.
    """
    try:
        decoded = _typed_decoder().decode(payload)
    except (msgspec.MsgspecError, ValueError):
        return _decode_in_two_stages(payload)
    return [Entry(r.seq, r.recv, r.at, r.cause, r.body) for r in decoded]


def learned(entry: Entry) -> Entry:
    """Return an entry that was kept as `Unknown` with its own type, if that is known by now."""
    event = entry.event
    if type(event) is not Unknown or event.tag not in BY_TAG:
        return entry
    _typed_decoder()
    own = _body(event.tag, event.version, entry.seq, msgspec.Raw(event.body))
    return Entry(entry.seq, entry.recv, entry.at, entry.cause, own)


def _raw(one: Record) -> tuple[Any, ...]:
    event = one[6]
    return (*one[:6], msgspec.Raw(event.body) if type(event) is Unknown else event)


def _with_raw_bodies(records: Sequence[Record]) -> Sequence[tuple[Any, ...]]:
    # One pass in C over the types; a list with an unknown event is rare.
    if Unknown in set(map(type, map(_event_of, records))):
        return [_raw(one) for one in records]
    return records


class _Typed:
    """The decoder for all registered types; rebuilt when a type was registered since."""

    decoder: msgspec.msgpack.Decoder[Any]
    bodies: dict[str, msgspec.msgpack.Decoder[Any]]
    registered = -1

    @classmethod
    def build(cls) -> None:
        structs = [_record_struct(tag, known.version, known.type) for tag, known in BY_TAG.items()]
        cls.decoder = msgspec.msgpack.Decoder(list[Union[tuple(structs)]])  # type: ignore[misc]  # noqa: UP007
        cls.bodies = {tag: msgspec.msgpack.Decoder(known.type) for tag, known in BY_TAG.items()}
        cls.registered = len(BY_TAG)


def _typed_decoder() -> msgspec.msgpack.Decoder[Any]:
    if _Typed.registered != len(BY_TAG):
        _Typed.build()
    return _Typed.decoder


def _record_struct(tag: str, version: int, body: type[Event]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any]] = [
        # A literal makes the decoder itself refuse any other version.
        ("version", Literal[version]),
        ("seq", int),
        ("recv", int | None),
        ("at", int),
        ("cause", int | None),
        ("body", body),
    ]
    return msgspec.defstruct(f"Record_{tag}", fields, tag=tag, array_like=True, gc=False)


def _decode_in_two_stages(payload: bytes | memoryview) -> list[Entry]:
    try:
        raw = _raw_decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptLog(f"a payload of {len(payload)} bytes is not an array of records: {error}") from error
    return [
        Entry(seq, recv, at, cause, _body(tag, version, seq, body))
        for tag, version, seq, recv, at, cause, body in raw
    ]


def _body(tag: str, version: int, seq: int, body: msgspec.Raw) -> Event:
    known = BY_TAG.get(tag)
    if known is None or version > known.version:
        return _unknown(tag, version, seq, body)
    try:
        data = bytes(body) if version == known.version else _upcast(tag, version, known.version, body)
        event: Event = _Typed.bodies[tag].decode(data)
    except (msgspec.MsgspecError, ValueError, KeyError) as error:
        raise CorruptLog(f"seq {seq}: the body of {tag} v{version} cannot be read: {error}") from error
    return event


def _upcast(tag: str, version: int, wanted: int, body: msgspec.Raw) -> bytes:
    """Bring a body to version `wanted`. Array bodies are shown to upcasts as maps by field name."""
    missing = [v for v in range(version, wanted) if (tag, v) not in upcasts]
    if missing:
        raise KeyError(f"no upcast from version {missing[0]} is registered")
    fields = BY_TAG[tag].type.__struct_fields__
    stored = _plain_decoder.decode(body)
    as_map: dict[str, Any] = dict(zip(fields, stored, strict=False)) if isinstance(stored, list) else stored
    new = reduce(lambda value, v: upcasts[tag, v](value), range(version, wanted), as_map)
    if BY_TAG[tag].type.__struct_config__.array_like:
        return _encoder.encode([new[name] for name in fields if name in new])
    return _encoder.encode(new)


def _unknown(tag: str, version: int, seq: int, body: msgspec.Raw) -> Unknown:
    ts = body_ts(_plain_decoder.decode(body))
    if ts is None:
        raise CorruptLog(f"seq {seq}: the body of {tag} v{version} has no time in its first field")
    return Unknown(ts=ts, tag=tag, version=version, body=bytes(body))
