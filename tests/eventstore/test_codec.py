"""Records: golden bytes for ever, unknown types byte for byte, old versions upcast (I11)."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CorruptLog, InvalidEvent
from core.events import BY_TAG, BY_TYPE, Bar, Entry, Event, Quote, QuoteBar, Trade, Unknown
from core.events.base import EventType, event
from eventstore import codec
from eventstore.codec import (
    Record,
    canonical,
    check,
    decode_records,
    encode_bodies,
    encode_into,
    encode_records,
    record,
    upcasts,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "records.json"


def value_of(name: str, hint: Any) -> Any:
    """A fixed value for a field, by its type."""
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    choices = [arg for arg in get_args(hint) if arg is not type(None)]
    if choices:
        return value_of(name, choices[0])
    if hint is Decimal:
        return Decimal("12.345")
    if hint is bool:
        return True
    return {int: 1_751_463_000_000_000_000, float: 101.25, str: f"{name} ü"}[hint]


def example(kind: type[Event], *, full: bool) -> Event:
    """One event of a type: every field set, or only those without a default (and no optional value)."""
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if not full and not field.required:
            continue
        hint = hints[field.name]
        optional = type(None) in get_args(hint)
        values[field.name] = None if optional and not full else value_of(field.name, hint)
    return kind(**values)


def golden_records() -> dict[str, str]:
    """What the file must hold for the types that exist now: a record in hex for each (type, version)."""
    found = {}
    for tag, known in sorted(BY_TAG.items()):
        if tag.startswith("test"):
            continue  # registered by a test
        for full in (True, False):
            one = record(
                1_000, 1_751_463_000_123_456_789, 998, None if full else 999, example(known.type, full=full)
            )
            found[f"{tag} v{known.version} {'full' if full else 'minimal'}"] = encode_records([one]).hex()
    return found


@pytest.fixture
def golden() -> dict[str, str]:
    records: dict[str, str] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return records


def test_the_bytes_of_every_type_are_those_in_the_golden_file(golden: dict[str, str]) -> None:
    now = golden_records()
    missing = {key: now[key] for key in now.keys() - golden.keys()}
    assert not missing, f"new types: add these lines to {GOLDEN.name}: {json.dumps(missing, indent=1)}"
    assert {key: golden[key] for key in now} == now


def test_golden_records_are_read_for_ever(golden: dict[str, str]) -> None:
    for key, data in golden.items():
        (entry,) = decode_records(bytes.fromhex(data))
        assert not isinstance(entry.event, Unknown), key
        tag, version, extent = key.split()
        if extent == "earlier":  # the same version before fields were added at its end
            full = example(BY_TAG[tag].type, full=True)
            added = {f.name: f.default for f in msgspec.structs.fields(full) if not f.required}
            assert entry.event == msgspec.structs.replace(full, **added), key
        elif BY_TAG[tag].version == int(version[1:]):
            assert entry.event == example(BY_TAG[tag].type, full=extent == "full"), key


def test_the_golden_check_catches_a_changed_field(
    monkeypatch: pytest.MonkeyPatch, golden: dict[str, str]
) -> None:
    class Renamed(Event, frozen=True, gc=False):
        instrument: str
        cost: float

    monkeypatch.setitem(BY_TAG, "halt", EventType("halt", 1, "market", Renamed))
    monkeypatch.setitem(BY_TYPE, Renamed, BY_TAG["halt"])
    with pytest.raises(AssertionError):
        test_the_bytes_of_every_type_are_those_in_the_golden_file(golden)


def test_entries_survive_a_round_trip_in_order() -> None:
    events = [example(known.type, full=full) for known in BY_TAG.values() for full in (True, False)]
    records = [record(n, None, n, None, e) for n, e in enumerate(events, 1)]
    expected = [Entry(n, None, n, None, e) for n, e in enumerate(events, 1)]
    assert decode_records(encode_records(records)) == expected


def unknown(tag: str = "moon", version: int = 1, ts: int = 5) -> Unknown:
    return Unknown(ts, tag, version, msgspec.msgpack.encode({"ts": ts, "phase": [None, 1.5, b"\x00"]}))


def test_an_unknown_type_keeps_its_bytes_and_its_neighbours() -> None:
    trade = example(Trade, full=True)
    records: list[Record] = [record(1, 7, 1, None, trade), record(2, 7, 2, None, unknown())]
    payload = encode_records(records)
    entries = decode_records(payload)
    assert [e.event for e in entries] == [trade, unknown()]
    again = [record(e.seq, e.recv, e.at, e.cause, e.event) for e in entries]
    assert encode_records(again) == payload


def test_a_newer_version_of_a_known_type_is_unknown_byte_for_byte() -> None:
    newer = unknown("commission", 2)
    payload = encode_records([record(1, None, 1, None, newer)])
    (entry,) = decode_records(payload)
    assert entry.event == newer
    assert encode_records([record(1, None, 1, None, entry.event)]) == payload


def test_an_unknown_field_of_a_known_version_is_passed_over() -> None:
    body = msgspec.msgpack.encode({"ts": 1, "strategy": "s", "name": "t", "added_later": [1, 2]})
    payload = msgspec.msgpack.encode([("timer_fired", 1, 1, None, 1, None, msgspec.Raw(body))])
    (entry,) = decode_records(payload)
    assert entry.event == BY_TAG["timer_fired"].type(1, "s", "t")  # type: ignore[call-arg]


@pytest.fixture
def spin() -> Iterator[type[Event]]:
    """A type at version 3 whose first version called `speed` `velocity`, and had no `axis` until 3."""

    @event("test_spin", "market", version=3)
    class Spin(Event, frozen=True, gc=False):
        speed: float
        axis: str

    upcasts["test_spin", 1] = lambda body: {"ts": body["ts"], "speed": body["velocity"]}
    upcasts["test_spin", 2] = lambda body: {**body, "axis": "z"}
    yield Spin
    del BY_TAG["test_spin"], BY_TYPE[Spin], upcasts["test_spin", 1], upcasts["test_spin", 2]


def test_an_old_version_is_brought_up_step_by_step(spin: type[Event]) -> None:
    payload = msgspec.msgpack.encode(
        [
            ("test_spin", 1, 1, None, 1, None, {"ts": 1, "velocity": 2.5}),
            ("test_spin", 2, 2, None, 2, None, {"ts": 2, "speed": 3.5}),
            ("test_spin", 3, 3, None, 3, None, {"ts": 3, "speed": 4.5, "axis": "x"}),
        ]
    )
    found = [msgspec.structs.astuple(e.event) for e in decode_records(payload)]
    assert found == [(1, 2.5, "z"), (2, 3.5, "z"), (3, 4.5, "x")]


def test_an_old_array_body_is_shown_to_its_upcast_by_field_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BY_TAG, "trade", EventType("trade", 2, "market", Trade))
    monkeypatch.setattr(codec._Typed, "registered", -1)
    monkeypatch.setitem(upcasts, ("trade", 1), lambda body: {**body, "price": body["price"] / 100})
    payload = msgspec.msgpack.encode([("trade", 1, 1, None, 1, None, [9, "f", "SPY", 6_000.0, 1.0])])
    assert [e.event for e in decode_records(payload)] == [Trade(9, "f", "SPY", 60.0, 1.0)]
    codec._Typed.registered = -1


def test_a_missing_upcast_is_named(spin: type[Event]) -> None:
    del upcasts["test_spin", 2]
    payload = msgspec.msgpack.encode([("test_spin", 1, 8, None, 8, None, {"ts": 1, "velocity": 1.0})])
    with pytest.raises(CorruptLog, match=r"seq 8.*test_spin v1.*no upcast from version 2"):
        decode_records(payload)
    upcasts["test_spin", 2] = lambda body: body


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\x91\xc0",
        msgspec.msgpack.encode({"a": 1}),
        msgspec.msgpack.encode([[1, 2, 3]]),
    ],
)
def test_bytes_that_are_no_records_are_a_typed_refusal(payload: bytes) -> None:
    with pytest.raises(CorruptLog, match="not an array of records"):
        decode_records(payload)


def test_a_body_that_does_not_fit_its_type_names_the_seq() -> None:
    payload = msgspec.msgpack.encode([("trade", 1, 42, None, 42, None, [1, "f", None, 1.0, 1.0])])
    with pytest.raises(CorruptLog, match="seq 42: the body of trade v1 cannot be read"):
        decode_records(payload)


@given(st.binary(max_size=200))
def test_no_bytes_give_an_untyped_error(data: bytes) -> None:
    try:
        decode_records(data)
    except CorruptLog:
        return
    assert decode_records(data) == decode_records(bytes(data))


@given(
    st.builds(
        Quote,
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.text(max_size=5),
        st.text(max_size=5),
        *(st.none() | st.floats(0, 1e300) for _ in range(4)),
    )
)
def test_any_quote_that_passes_the_check_reads_back_equal(quote: Quote) -> None:
    check(quote)
    payload = encode_records([record(1, 2, 1, None, quote)])
    assert decode_records(payload) == [Entry(1, 2, 1, None, quote)]


def test_singly_and_together_give_the_same_bytes() -> None:
    events = [example(known.type, full=True) for known in BY_TAG.values()] + [unknown()]
    records = [record(n, n, n, None, e) for n, e in enumerate(events * 3, 1)]
    singly, together = bytearray(), bytearray()
    for one in records:
        encode_into(singly, one)
    encode_bodies(together, records)
    assert singly == together
    assert codec.array_header(len(records)) + singly == encode_records(records)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_array_headers_are_those_of_msgpack(count: int) -> None:
    header = codec.array_header(count)
    assert msgspec.msgpack.encode([None] * count) == header + b"\xc0" * count
    assert len(header) == codec.header_length(count)


def test_the_canonical_form_leaves_out_recv_and_nothing_else() -> None:
    trade = example(Trade, full=True)
    base = canonical("trade", 1, 5, 4, None, trade)
    assert base == canonical("trade", 1, 5, 4, None, trade)
    others = [
        canonical("trade", 2, 5, 4, None, trade),
        canonical("trade", 1, 6, 4, None, trade),
        canonical("trade", 1, 5, 5, None, trade),
        canonical("trade", 1, 5, 4, 3, trade),
        canonical("trade", 1, 5, 4, None, example(Trade, full=False)),
    ]
    assert len({base, *others}) == 6
    assert canonical("moon", 1, 5, 4, None, unknown()).endswith(unknown().body)


def test_an_unregistered_type_has_no_record() -> None:
    with pytest.raises(InvalidEvent, match="not a registered event type"):
        record(1, None, 1, None, Event(1))


@pytest.mark.parametrize("kind", [Trade, Quote, Bar, QuoteBar])
def test_quick_and_full_checks_agree(kind: type[Event]) -> None:
    good = example(kind, full=True)
    if isinstance(good, Bar | QuoteBar):
        good = msgspec.structs.replace(good, start=good.ts - 1)
    check(good)
    for field in msgspec.structs.fields(kind):
        for value in (float("nan"), float("inf"), -float("inf"), object(), 1 << 70):
            if isinstance(value, float) and field.type is str:
                continue
            with pytest.raises(InvalidEvent):
                check(msgspec.structs.replace(good, **{field.name: value}))
