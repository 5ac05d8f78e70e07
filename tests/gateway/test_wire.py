"""The wire's alphabet: frames, fields, sentinels, the handshake's offer."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.gateway.wire import (
    UNSET_DOUBLE,
    BadFrame,
    Cursor,
    Frames,
    client_range,
    fields_of,
    message,
    number,
    text,
    unset,
)
from tests.gateway.raw import frame


@given(st.lists(st.lists(st.text("abc.-019", max_size=9), min_size=1, max_size=5), max_size=6), st.data())
def test_frames_come_out_whole_whatever_the_pieces(messages, data):
    stream = b"API\0" + b"".join(frame(*fields) for fields in messages)
    frames, found = Frames(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += frames.feed(stream[:cut])
        stream = stream[cut:]
    assert [fields_of(payload) for payload in found] == messages


def test_a_stream_that_does_not_begin_with_the_sign_is_refused():
    with pytest.raises(BadFrame, match="expected b'API"):
        Frames().feed(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_an_impossible_length_is_refused(length):
    frames = Frames()
    frames.feed(b"API\0")
    with pytest.raises(BadFrame, match="expected 1 to"):
        frames.feed(length + b"rest")


def test_a_payload_without_its_last_nul_is_refused():
    with pytest.raises(BadFrame, match="does not end in a NUL"):
        fields_of(b"49\x001")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (100.0, "100"),
        (83.91, "83.91"),
        (1e-05, "0.00001"),
        (-1.0, "-1"),
        (float("nan"), UNSET_DOUBLE),
        (Decimal("1E+2"), "100"),
        (Decimal("0.00000001"), "0.00000001"),
    ],
)
def test_numbers_have_neither_exponent_nor_idle_zeros(value, shown):
    assert number(value) == shown


def test_values_become_fields():
    assert message([1, True, None, "x", 2.5]) == frame(1, 1, "", "x", 2.5)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "1.7976931348623157e+308",
        "1.7976931348623157E308",
        "2147483647",
        "9223372036854775807",
        "Infinity",
    ],
)
def test_every_spelling_of_unset_is_understood(shown):
    assert unset(shown)
    assert Cursor([shown]).decimal("price") is None
    assert Cursor([shown]).integer("id", 7) == 7


def test_zero_is_not_unset():
    assert Cursor(["0"]).decimal("price") == 0


def test_a_field_that_is_no_number_is_named():
    with pytest.raises(BadFrame, match="orderId: expected an integer, not 'x'"):
        Cursor(["x"]).integer("orderId")


def test_text_outside_ascii_is_escaped_from_version_153_on():
    assert text("M\u00fcnchen", 153) == "M\\xfcnchen"
    assert text("M\u00fcnchen", 152) == "M?nchen"


@pytest.mark.parametrize(
    ("offer", "versions"),
    [(b"v100..200", (100, 200)), (b"v157 +PACEAPI", (157, 157)), (b"v100..226\0", (100, 226))],
)
def test_the_offer_of_versions_is_read(offer, versions):
    assert client_range(offer) == versions


def test_an_offer_that_is_none_is_refused():
    with pytest.raises(BadFrame, match="expected such as v100"):
        client_range(b"hello")
