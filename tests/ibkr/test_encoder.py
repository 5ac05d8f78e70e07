"""Requests, field by field as a server reads them, at the versions where they change."""

from decimal import Decimal

import msgspec
import pytest
from ibapi.client import EClient

from adapters.ibkr.wire import encoder as encoding
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.terms import Contract, OrderTerms
from core.errors import UnsendableRequest

INSTALLATION = installed()
AAPL = Contract(
    con_id=265598, symbol="AAPL", kind="STK", exchange="SMART", primary_exchange="NASDAQ", currency="USD"
)
LIMIT = OrderTerms(
    side="BUY",
    quantity=Decimal("12.5"),
    type="LMT",
    limit=Decimal("144.78"),
    account="DU1",
    order_ref="a-1-1",
)
UNSET = "1.7976931348623157e+308"


def at(version):
    return Encoder(INSTALLATION, version)


def sent(request):
    """Split the one frame of a request into its fields."""
    assert int.from_bytes(request[:4], "big") == len(request) - 4
    assert request[-1:] == b"\0"
    return request[4:-1].decode().split("\0")


NEWEST = at(200)
REQUESTS = [
    (NEWEST.start_api(7), ["71", "2", "7", ""]),
    (NEWEST.req_current_time(), ["49", "1"]),
    (NEWEST.req_open_orders(), ["5", "1"]),
    (NEWEST.req_all_open_orders(), ["16", "1"]),
    (NEWEST.req_completed_orders(), ["99", "0"]),
    (NEWEST.req_positions(), ["61", "1"]),
    (NEWEST.req_account_updates("DU1"), ["6", "2", "1", "DU1"]),
    (NEWEST.req_account_updates("DU1", subscribe=False), ["6", "2", "0", "DU1"]),
    (NEWEST.req_market_data_type(3), ["59", "1", "3"]),
    (NEWEST.cancel_mkt_data(5), ["2", "2", "5"]),
    (NEWEST.cancel_tick_by_tick(5), ["98", "5"]),
    (NEWEST.cancel_historical_data(5), ["25", "1", "5"]),
]


@pytest.mark.parametrize(("request_bytes", "expected"), REQUESTS)
def test_a_short_request_is_written(request_bytes, expected):
    assert sent(request_bytes) == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (163, ["4", "1", "17"]),
        (168, ["4", "1", "17"]),
        (169, ["4", "1", "17", ""]),
        (191, ["4", "1", "17", ""]),
        (192, ["4", "17", "", "", "2147483647"]),
        (200, ["4", "17", "", "", "2147483647"]),
    ],
)
def test_a_cancel_is_written_at_each_version(version, expected):
    assert sent(at(version).cancel_order(17)) == expected


@pytest.mark.parametrize(
    ("version", "expected"), [(163, ["58", "1"]), (191, ["58", "1"]), (192, ["58", "", "2147483647"])]
)
def test_a_global_cancel_is_written_at_each_version(version, expected):
    assert sent(at(version).global_cancel()) == expected


def test_a_cancel_with_the_wrong_kind_of_argument_is_never_taken_as_sent():
    wrong = msgspec.structs.replace(INSTALLATION, cancel_order_takes_text=True)
    with pytest.raises(UnsendableRequest, match="cancelOrder cannot be sent"):
        Encoder(wrong, 200).cancel_order(17)


def test_the_official_client_writes_nothing_for_that_mistake():
    told = []

    class Wrapper:
        def error(self, *arguments):
            told.append(arguments)

    client = EClient(Wrapper())
    client.conn, client.serverVersion_ = encoding._Written(), 200
    client.setConnState(EClient.CONNECTED)
    try:
        client.cancelOrder(
            17, ""
        )  # most releases return as if all were well, and tell the wrapper of error 515
    except AttributeError as error:
        told.append(error)
    assert client.conn.data == b""
    assert "'str' object has no attribute" in str(told)


@pytest.mark.parametrize(("version", "more"), [(199, []), (200, ["3", "0"])])
def test_executions_of_several_days_are_asked_for_where_the_server_can(version, more):
    request = sent(at(version).req_executions(4, account="DU1", last_days=3))
    assert request == ["7", "3", "4", "0", "DU1", "", "", "", "", "", *more]


@pytest.mark.parametrize(("version", "expected"), [(196, ["49", "1"]), (197, ["105"])])
def test_the_clock_is_asked_for_in_ms_where_the_server_can(version, expected):
    assert sent(at(version).req_current_time_in_millis()) == expected


def test_market_data_are_asked_for_by_contract():
    assert sent(NEWEST.req_mkt_data(5, AAPL, "233")) == [
        *("1", "11", "5", "265598", "AAPL", "STK", "", "", "", "", "SMART", "NASDAQ", "USD", "", ""),
        *("0", "233", "0", "0", ""),
    ]
    assert sent(NEWEST.req_mkt_data(5, AAPL, snapshot=True))[-3:] == ["1", "0", ""]


def test_single_trades_are_asked_for_by_contract():
    assert sent(NEWEST.req_tick_by_tick(5, AAPL, "BidAsk", ignore_size=True))[-3:] == ["BidAsk", "0", "1"]


def test_bars_are_asked_for_in_epoch_seconds():
    request = sent(
        NEWEST.req_historical_data(9, AAPL, end="20260102-16:00:00", duration="1 D", bar_size="1 min")
    )
    assert request[:3] == ["20", "9", "265598"]
    assert request[-8:] == ["20260102-16:00:00", "1 min", "1 D", "1", "TRADES", "2", "0", ""]


def test_contract_details_are_asked_for_by_option():
    option = Contract(
        symbol="AAPL",
        kind="OPT",
        expiry="20261218",
        strike=Decimal(250),
        right="C",
        exchange="SMART",
        currency="USD",
    )
    request = sent(NEWEST.req_contract_details(8, option))
    assert request[:10] == ["9", "8", "8", "0", "AAPL", "OPT", "20261218", "250.0", "C", ""]


@pytest.mark.parametrize("version", range(163, 201))
def test_an_order_is_written_at_each_version(version):
    request = sent(at(version).place_order(17, AAPL, LIMIT))
    assert request[:3] == ["3", "17", "265598"]
    assert request[16:22] == ["BUY", "12.5", "LMT", "144.78", "", "DAY"]
    assert request[23] == "DU1"
    assert request[26:29] == ["a-1-1", "1", "0"]


def test_a_stop_order_has_its_price_in_its_own_field():
    stop = OrderTerms(side="SELL", quantity=Decimal(100), type="STP", stop=Decimal("140.05"), tif="GTC")
    assert sent(NEWEST.place_order(17, AAPL, stop))[16:22] == ["SELL", "100", "STP", "", "140.05", "GTC"]


def test_a_child_that_waits_names_its_parent_and_is_not_transmitted():
    child = msgspec.structs.replace(LIMIT, parent_id=16, transmit=False, what_if=True)
    assert sent(NEWEST.place_order(17, AAPL, child))[26:29] == ["a-1-1", "0", "16"]


def test_a_text_that_the_protocol_cannot_carry_is_refused_before_anything_is_written():
    with pytest.raises(UnsendableRequest, match="reqAccountUpdates cannot be sent at protocol version 200"):
        NEWEST.req_account_updates("société")
    assert sent(NEWEST.req_account_updates("DU1")) == ["6", "2", "1", "DU1"]


def test_a_request_for_which_ibapi_writes_nothing_and_says_nothing_is_not_taken_as_sent():
    with pytest.raises(UnsendableRequest, match="nothing was written"):
        NEWEST._request("msgLoopTmo")


def test_a_request_that_the_server_is_too_old_for_is_refused():
    other = msgspec.structs.replace(LIMIT, algo="Adaptive")
    encoder = at(40)
    with pytest.raises(UnsendableRequest, match="nothing was sent"):
        encoder.place_order(17, AAPL, other)
