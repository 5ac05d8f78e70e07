"""What servers of versions 163 to 200 write comes out as our messages; what is broken comes out as such."""

import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ibkr.wire.decoder import Decoder
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.messages import (
    AccountDownloadEnd,
    AccountSummary,
    AccountSummaryEnd,
    AccountTime,
    AccountValue,
    BadFrame,
    CommissionReport,
    CompletedOrder,
    CompletedOrdersEnd,
    ContractDetailsEnd,
    CurrentTime,
    ErrorMessage,
    Execution,
    ExecutionsEnd,
    HistoricalBar,
    HistoricalBars,
    HistoricalEnd,
    HistoricalUpdate,
    ManagedAccounts,
    NextValidId,
    OpenOrder,
    OpenOrdersEnd,
    OrderBound,
    OrderStatus,
    PnL,
    PositionsEnd,
    Untranslated,
)
from adapters.ibkr.wire.terms import Margin
from adapters.ibkr.wire.ticks import MarketDataType, SnapshotEnd, TickPrice, TickReqParams
from tests.ibkr import frames
from tests.ibkr.frames import E308, payload

VERSIONS = range(163, 201)
INSTALLATION = installed()
DECODERS = {version: Decoder(INSTALLATION, version) for version in VERSIONS}
SIGNS = ["2147483647", "9223372036854775807", E308, "1.7976931348623157e+308", str(2**127 - 1), "Infinity"]


def decoded(frame, version=200):
    """Decode one frame; it must be one message."""
    [message] = DECODERS[version].decode([frame])
    return message


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_order_is_read_at_each_version(version):
    said = decoded(
        frames.open_order(version, order_id=17, side="SELL", quantity="12.5", limit="144.78"), version
    )
    assert isinstance(said, OpenOrder)
    assert said.contract.con_id == 265598
    assert said.contract.symbol == "AAPL"
    terms = said.terms
    assert (terms.side, terms.quantity, terms.type, terms.limit) == (
        "SELL",
        Decimal("12.5"),
        "LMT",
        Decimal("144.78"),
    )
    assert (terms.order_id, terms.client_id, terms.perm_id) == (17, 7, 1_234_567_890)
    assert (terms.account, terms.order_ref, terms.tif) == ("DU1", "a-1-1", "DAY")
    assert said.state.status == "PreSubmitted"
    assert (said.state.change, said.state.commission) == (Margin(), None)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "write",
    [
        frames.open_order,
        frames.completed_order,
        frames.execution,
        frames.contract_details,
        frames.error,
        frames.symbol_samples,
        lambda version: frames.historical_data(version, [("1767364200", 1, 2, 0.5, 1.5, 100, 1.2, 7)]),
        lambda _: frames.order_status(),
        lambda _: frames.position(),
        lambda _: frames.portfolio_value(),
    ],
)
def test_a_message_is_read_to_its_last_field_and_bad_without_it(version, write):
    whole = write(version)
    assert BadFrame not in map(type, DECODERS[version].decode([whole]))
    shorter = whole[: whole[:-1].rindex(b"\0") + 1]
    said = DECODERS[version].decode([shorter])
    assert [type(message) for message in said] == [BadFrame]
    assert said[0].raw == shorter


@pytest.mark.parametrize("version", VERSIONS)
def test_a_completed_order_has_its_fill_and_permanent_id(version):
    said = decoded(frames.completed_order(version), version)
    assert isinstance(said, CompletedOrder)
    assert (said.terms.perm_id, said.terms.order_id, said.terms.client_id) == (1_234_567_890, None, None)
    assert said.terms.filled == Decimal(100)
    assert said.terms.parent_perm_id == 2_469_135_780
    assert (said.state.status, said.state.completed_status) == ("Filled", "Filled Size: 100")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_execution_is_read_at_each_version(version):
    said = decoded(frames.execution(version, req_id=3, price="144.75", shares="33"), version)
    assert isinstance(said, Execution)
    assert (said.exec_id, said.side, said.quantity, said.price) == (
        "0000e0d5.65f00001.01.01",
        "BOT",
        Decimal(33),
        Decimal("144.75"),
    )
    assert (said.req_id, said.order_id, said.perm_id, said.order_ref) == (3, 17, 1_234_567_890, "a-1-1")
    assert said.time == "20260102 10:31:22 US/Eastern"
    assert said.submitter == ("someone" if version >= 198 else "")


def test_a_live_execution_has_no_request():
    assert decoded(frames.execution(200)).req_id is None


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_has_its_code_text_and_time(version):
    said = decoded(
        frames.error(version, req_id=17, code=201, text="refus\\u00e9", advanced='{"8229":"x"}'), version
    )
    expected = ErrorMessage(
        17,
        201,
        "refusé",
        1_767_364_200_123 if version >= 194 else None,
        '{"8229":"x"}' if version >= 166 else "",
    )
    assert said == expected


def test_a_notice_speaks_of_no_request():
    assert decoded(frames.error(200)).req_id is None


@pytest.mark.parametrize("version", VERSIONS)
def test_contract_details_are_read_at_each_version(version):
    said = decoded(frames.contract_details(version), version)
    assert (said.req_id, said.contract.con_id, said.tick_size) == (8, 265598, Decimal("0.01"))
    assert (said.long_name, said.contract.primary_exchange) == ("APPLE INC — A", "NASDAQ")
    assert said.timezone == "US/Eastern"
    assert said.size_increment == (Decimal("0.0001") if version >= 164 else None)
    assert said.ids == (("ISIN", "US0378331005"),)


@pytest.mark.parametrize("version", VERSIONS)
def test_bars_of_one_answer_are_one_message(version):
    bars = [(str(1_767_364_200 + 60 * i), 1, 2, 0.5, 1.5, "100", "1.25", 7) for i in range(3)]
    said = DECODERS[version].decode([frames.historical_data(version, bars)])
    assert said[0] == HistoricalBars(
        9, tuple(HistoricalBar(bar[0], 1.0, 2.0, 0.5, 1.5, 100.0, 1.25, 7) for bar in bars)
    )
    ends = [HistoricalEnd(9, "20260102 09:30:00", "20260102 16:00:00")] if version < 196 else []
    assert said[1:] == ends


def test_an_answer_without_bars_is_its_end_alone():
    said = DECODERS[200].decode([frames.historical_data(200, []), payload(108, 9, "a", "b")])
    assert said == [HistoricalEnd(9, "a", "b")]


def test_bars_without_volume_keep_minus_one():
    said = decoded(frames.historical_data(200, [("20260102", 1, 2, 0.5, 1.5, -1, -1, -1)]))
    assert said.bars[0] == HistoricalBar("20260102", 1.0, 2.0, 0.5, 1.5, -1.0, -1.0, -1)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (payload(9, 1, 683), NextValidId(683)),
        (payload(15, 1, "DU1,DU2,"), ManagedAccounts(("DU1", "DU2"))),
        (payload(49, 1, 1_767_364_200), CurrentTime(1_767_364_200_000)),
        (payload(109, 1_767_364_200_123), CurrentTime(1_767_364_200_123)),
        (payload(53, 1), OpenOrdersEnd()),
        (payload(102), CompletedOrdersEnd()),
        (payload(55, 1, 4), ExecutionsEnd(4)),
        (payload(62, 1), PositionsEnd()),
        (payload(54, 1, "DU1"), AccountDownloadEnd("DU1")),
        (
            payload(6, 2, "NetLiquidation", "1000.5", "USD", "DU1"),
            AccountValue("DU1", "NetLiquidation", "1000.5", "USD"),
        ),
        (payload(8, 1, "09:31"), AccountTime("09:31")),
        (
            payload(63, 1, 6, "DU1", "BuyingPower", "4", "USD"),
            AccountSummary(6, "DU1", "BuyingPower", "4", "USD"),
        ),
        (payload(64, 1, 6), AccountSummaryEnd(6)),
        (payload(94, 6, "1.5", "-2.5", "3.5"), PnL(6, Decimal("1.5"), Decimal("-2.5"), Decimal("3.5"))),
        (payload(94, 6, E308, E308, E308), PnL(6, None, None, None)),
        (payload(52, 1, 8), ContractDetailsEnd(8)),
        (payload(58, 1, 5, 3), MarketDataType(5, 3)),
        (payload(81, 5, "0.01", "9c0001", 3), TickReqParams(5, Decimal("0.01"), "9c0001", 3)),
        (payload(57, 1, 5), SnapshotEnd(5)),
        (payload(100, 5_000_000_000, 7, 17), OrderBound(5_000_000_000, 7, 17)),
        (
            payload(90, 9, 7, "1767364200", 1, 1.5, 2, 0.5, "1.25", "100"),
            HistoricalUpdate(9, HistoricalBar("1767364200", 1.0, 2.0, 0.5, 1.5, 100.0, 1.25, 7)),
        ),
        (
            payload(59, 1, "0000e0d5.65f00001.01.01", "1.05", "USD", "12.5", E308, ""),
            CommissionReport("0000e0d5.65f00001.01.01", Decimal("1.05"), "USD", Decimal("12.5")),
        ),
    ],
)
def test_a_short_message_is_read(frame, expected):
    assert decoded(frame) == expected


def test_a_position_and_its_value_are_exact():
    said = decoded(frames.position(quantity="-12.5", cost="144.7512345"))
    assert (said.account, said.quantity, said.average_cost) == (
        "DU1",
        Decimal("-12.5"),
        Decimal("144.7512345"),
    )
    value = decoded(frames.portfolio_value())
    assert (value.price, value.value, value.account) == (Decimal("145.5"), Decimal(14550), "DU1")


def test_a_what_if_answer_has_its_margins():
    margins = [str(100.25 * i) for i in range(9)]
    said = decoded(frames.open_order(200, what_if=True, margins=margins, commission="1.05"))
    assert said.terms.what_if
    assert said.state.change == Margin(
        initial=Decimal("300.75"), maintenance=Decimal(401), equity=Decimal("501.25")
    )
    assert said.state.commission == Decimal("1.05")


@pytest.mark.parametrize("sign", ["", E308, "1.7976931348623157E+308"])
def test_a_commission_that_is_not_known_is_not_zero(sign):
    assert decoded(payload(59, 1, "e.01", sign, "USD", sign, E308, "")).amount is None


def test_an_order_of_no_client_has_no_order_id():
    assert decoded(frames.open_order(200, order_id=0)).terms.order_id is None
    assert decoded(frames.order_status(perm_id=0)).perm_id is None


def numbers(value):
    """Yield all numbers in a message."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.astuple(value)
    if isinstance(value, tuple):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        yield value


def is_known(number):
    return math.isfinite(number) and abs(number) < 1e12 and number != 2**31 - 1


@pytest.mark.parametrize("version", VERSIONS)
def test_no_unset_number_passes_for_a_number(version):
    unset = [
        frames.open_order(version, unset=E308, stop=E308, limit=E308, quantity=E308, margins=[E308] * 9),
        frames.open_order(version, unset=E308, commission=E308),
        frames.completed_order(version, unset=E308, filled=E308),
        frames.order_status(unset=E308),
        frames.execution(version, price=E308, shares=E308),
        frames.historical_data(version, [("20260102", E308, E308, E308, E308, E308, E308, 2147483647)]),
        frames.position(quantity=E308, cost=E308),
        frames.portfolio_value(unset=E308),
        payload(59, 1, "e.01", E308, "USD", E308, E308, ""),
        payload(94, 6, E308, E308, E308),
        payload(1, 6, 9001, 1, E308, E308, 0),
        payload(2, 6, 9001, 0, "9223372036854775807"),
        payload(45, 6, 9001, 49, E308),
        payload(99, 9001, 1, 1_767_364_200, E308, E308, 0, "", ""),
        payload(99, 9001, 3, 1_767_364_200, E308, E308, E308, E308, 0),
        payload(81, 5, E308, "", 3),
    ]
    said = DECODERS[version].decode(unset)
    assert [message for message in said if isinstance(message, BadFrame | Untranslated)] == []
    found = [number for message in said for number in numbers(message)]
    assert found
    assert [number for number in found if not is_known(number)] == []


def test_the_walk_over_numbers_would_see_one():
    assert [is_known(number) for number in numbers(PnL(6, Decimal(E308), None, None))] == [True, False]


@pytest.mark.parametrize("sign", SIGNS)
def test_each_sign_for_unset_is_known_in_a_size(sign):
    said = decoded(payload(3, 17, "Submitted", sign, sign, "0", 1, 0, "0", 7, "", "0"))
    assert isinstance(said, OrderStatus | BadFrame)
    if isinstance(said, OrderStatus):
        assert (said.filled, said.remaining) == (None, None)


@pytest.mark.parametrize("price", ["-1", "-1.0", "0"])
def test_a_quote_of_minus_one_or_size_zero_is_kept_as_said(price):
    assert decoded(payload(1, 6, 9001, 1, price, "0", 0)) == TickPrice(9001, 1, float(price), 0.0, 0)


BROKEN = [
    b"",
    b"\0",
    b"abc",
    b"9",
    payload("nine", 1, 683),
    payload(9, 1),
    payload(9, 1, "soon"),
    payload(9, 1, 683, "more"),
    payload(777, 1, 2),
    payload(0, 1),
    payload(-1, 1),
    payload(1, 6, 9001, "bid", "100.25", "300", 0),
    payload(1, 6, 9001, 1, "1OO.25", "300", 0),
    payload(1, 6, 9001),
    payload(2, 6, 9001, 0, "many"),
    payload(99, 9001, 1, "noon", 1, 1, 0, "", ""),
    payload(3, "seventeen"),
    payload(11, -1, 17, "x"),
    payload(17, 9, 3, "20260102"),
    payload(5, 17, 1),
    payload(59, 1, "e.01", "much", "USD", "0", "0", ""),
    payload(61, 3, "DU1", *frames.CONTRACT, "1e40", "1"),
    frames.open_order(200)[:-1],
    frames.execution(200) + b"unended",
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_frame_is_told_with_its_bytes_and_the_stream_goes_on(broken):
    around = [payload(9, 1, 1), broken, payload(9, 1, 2)]
    before, said, after = DECODERS[200].decode(around)
    assert (before, after) == (NextValidId(1), NextValidId(2))
    assert isinstance(said, BadFrame)
    assert said.raw == broken
    assert len(said.reason) > 10


def test_the_reason_names_the_first_error_not_the_last():
    assert decoded(payload(11, -1, 17)).reason == "BadMessage: no more fields"
    assert "invalid literal for int()" in decoded(payload(9, 1, "soon")).reason


def test_bars_of_a_truncated_answer_do_not_count():
    bars = [(str(1_767_364_200 + 60 * i), 1, 2, 0.5, 1.5, "100", "1.25", 7) for i in range(3)]
    whole = frames.historical_data(200, bars)
    assert isinstance(decoded(whole[: whole[:-1].rindex(b"\0") + 1]), BadFrame)


def test_what_nobody_uses_is_kept_with_its_bytes():
    frame = payload(85, 1, "BZ", "Benzinga")
    assert decoded(frame) == Untranslated("newsProviders", 85, frame)


@given(st.binary(max_size=80))
def test_no_bytes_at_all_make_the_decoder_raise(frame):
    assert isinstance(DECODERS[200].decode([frame]), list)


FIELD = st.sampled_from(["", "0", "1", "-1", "5", "1e3", "abc", E308, "2147483647", "DU1", "\\u00e9", "é"])


@given(st.sampled_from(sorted(DECODERS[200]._known)), st.lists(FIELD, max_size=40))
@pytest.mark.filterwarnings("ignore:invalid escape")
def test_no_fields_of_a_known_message_make_the_decoder_raise(message_id, fields):
    said = DECODERS[200].decode([payload(message_id, *fields)])
    assert said or message_id == 17


def test_the_decoder_that_lets_errors_through_would_be_caught():
    class Trusting(Decoder):
        def decode(self, frame_list):
            for frame in frame_list:
                head, _, rest = frame.partition(b"\0")
                self._ibapi.interpret(rest.split(b"\0")[:-1], int(head))

    with pytest.raises(ValueError, match="invalid literal"):
        Trusting(INSTALLATION, 200).decode([payload(9, 1, "soon")])
