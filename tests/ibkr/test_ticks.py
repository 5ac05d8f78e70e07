"""Our decoder of ticks says what ibapi's says, on the same frames, well-formed or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.wire import decoder as decoding
from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.messages import BadFrame
from adapters.ibkr.wire.ticks import (
    DIRECT,
    TickByTickBidAsk,
    TickByTickLast,
    TickByTickMidPoint,
    TickGeneric,
    TickPrice,
    TickSize,
    TickString,
)
from tests.ibkr.frames import E308, payload

VERSIONS = (163, 176, 187, 200)
DECODERS = {version: Decoder(installed(), version) for version in VERSIONS}

PRICES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.decimals(-1000, 100_000, places=4).map(str),
    st.sampled_from([E308, "-1", "-1.0", "0", "0.0", "1e-9", "Infinity", "nan"]),
)
SIZES = st.one_of(
    st.integers(-1, 2**31).map(str),
    st.decimals(0, 100_000, places=6).map(str),
    st.sampled_from(["0", E308, "1e40", "2147483647", "9223372036854775807"]),
)
IDS = st.integers(-1, 2**31 - 2).map(str)
TYPES = st.integers(0, 105).map(str)
MASKS = st.integers(0, 7).map(str)
TEXTS = st.text("abc ;,.:123", max_size=12)
ESCAPED = st.lists(st.sampled_from(["\\u00e9", "\\n", "x", "7"]), max_size=4).map("".join)
SECONDS = st.integers(0, 2**33).map(str)


def fields(*parts):
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map(
        lambda values: payload(*values)
    )


WELL_FORMED = st.one_of(
    fields("1", "6", IDS, TYPES, PRICES, SIZES, MASKS),
    fields("2", "6", IDS, TYPES, SIZES),
    fields("46", "6", IDS, TYPES, TEXTS | ESCAPED),
    fields("45", "6", IDS, TYPES, PRICES),
    fields("99", IDS, st.sampled_from("12"), SECONDS, PRICES, SIZES, st.sampled_from("0123"), TEXTS, TEXTS),
    fields("99", IDS, "3", SECONDS, PRICES, PRICES, SIZES, SIZES, st.sampled_from("0123")),
    fields("99", IDS, "4", SECONDS, PRICES),
)
WILD = st.lists(
    st.sampled_from(["1", "2", "45", "46", "99"]) | IDS | PRICES | SIZES | TEXTS | st.just(""), max_size=11
).map(lambda values: payload(*values))


@given(WELL_FORMED, st.sampled_from(VERSIONS))
def test_a_tick_is_what_ibapi_makes_of_it(frame, version):
    decoder = DECODERS[version]
    assert [DIRECT[frame.partition(b"\0")[0]](frame.split(b"\0"))] == decoder.general(frame)


@given(WELL_FORMED | WILD, st.sampled_from(VERSIONS))
def test_any_tick_frame_is_read_as_ibapi_reads_it(frame, version):
    if b"\0\0" in frame:
        return  # an empty number is unset for us, 0 for ibapi: tested below
    decoder = DECODERS[version]
    assert decoder.decode([frame]) == decoder.general(frame)


def test_the_comparison_catches_a_decoder_that_mixes_up_bid_and_ask(monkeypatch):
    def mixed_up(parts):
        said = DIRECT[b"99"](parts)
        return TickByTickBidAsk(
            said.req_id, said.time_s, said.ask, said.bid, said.bid_size, said.ask_size, said.attributes
        )

    monkeypatch.setitem(decoding._DIRECT, b"99", mixed_up)
    frame = payload(99, 9001, 3, 1_767_364_200, "100.25", "100.26", "3", "5", 0)
    assert DECODERS[200].decode([frame]) != DECODERS[200].general(frame)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_price_comes_with_its_size(version):
    said = DECODERS[version].decode(
        [payload(1, 6, 9001, 1, "100.25", "300", 5), payload(1, 6, 9001, 6, "101", "7", 0)]
    )
    assert said == [TickPrice(9001, 1, 100.25, 300.0, 5), TickPrice(9001, 6, 101.0, None, 0)]


def test_each_kind_of_tick_is_read():
    said = DECODERS[200].decode(
        [
            payload(2, 6, 9001, 0, "12.5"),
            payload(46, 6, 9001, 45, "1767364200"),
            payload(46, 6, 9001, 84, "caf\\u00e9"),
            payload(45, 6, 9001, 49, "1.0"),
            payload(99, 9001, 1, 1_767_364_200, "100.25", "33", 2, "ARCA", " T"),
            payload(99, 9001, 3, 1_767_364_200, "100.25", "100.26", "3", "5", 1),
            payload(99, 9001, 4, 1_767_364_200, "100.255"),
        ]
    )
    assert said == [
        TickSize(9001, 0, 12.5),
        TickString(9001, 45, "1767364200"),
        TickString(9001, 84, "café"),
        TickGeneric(9001, 49, 1.0),
        TickByTickLast(9001, 1, 1_767_364_200, 100.25, 33.0, 2, "ARCA", " T"),
        TickByTickBidAsk(9001, 1_767_364_200, 100.25, 100.26, 3.0, 5.0, 1),
        TickByTickMidPoint(9001, 1_767_364_200, 100.255),
    ]


def test_an_empty_price_is_unset_for_us_and_zero_for_ibapi():
    frame = payload(1, 6, 9001, 1, "", "300", 0)
    assert DECODERS[200].decode([frame]) == [TickPrice(9001, 1, None, 300.0, 0)]
    assert DECODERS[200].general(frame) == [TickPrice(9001, 1, 0.0, 300.0, 0)]


@pytest.mark.parametrize("price", ["nan", "Infinity", "-Infinity", E308])
def test_a_price_that_is_no_number_is_unset(price):
    assert DECODERS[200].decode([payload(1, 6, 9001, 1, price, "300", 0)]) == [
        TickPrice(9001, 1, None, 300.0, 0)
    ]


def test_a_tick_that_we_do_not_expect_is_left_to_ibapi():
    longer = payload(1, 6, 9001, 1, "100.25", "300", 0, "a new field")
    assert DECODERS[200].decode([longer]) == [TickPrice(9001, 1, 100.25, 300.0, 0)]


@pytest.mark.parametrize("frame", [TICK := payload(1, 6, 9001, 1, "100.25", "300", 0), TICK + b"7\0"])
def test_a_tick_whose_end_is_missing_is_bad(frame):
    assert [type(said) for said in DECODERS[200].decode([frame[:-1]])] == [BadFrame]
