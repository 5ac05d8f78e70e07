"""Our fields against the official client, at every server version from 163 to 200.

What the gateway writes must be what ibapi's decoder reads, and what ibapi's client writes must be what the
gateway reads. The client library stands here as the other side of the wire; the gateway never imports it.
"""

import inspect
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from ibapi.client import EClient
from ibapi.const import UNSET_DOUBLE
from ibapi.contract import Contract as IbContract
from ibapi.decoder import Decoder
from ibapi.execution import ExecutionFilter
from ibapi.order import Order as IbOrder
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.contracts import Contracts
from adapters.ibkr.gateway.order_fields import Preview, Shown, completed_order, open_order
from adapters.ibkr.gateway.wire import Cursor, message
from core.events import InstrumentDefined

VERSIONS = range(163, 201)
D = Decimal
FUTURE = InstrumentDefined(
    0, "ZVF-202509", "ZVF", "FUT", "XCME", "USD", D(50), D("0.25"), "America/Chicago", None, "2025-09-19"
)
CONTRACT = Contracts([FUTURE]).by_instrument["ZVF-202509"]
ORDER = Shown(
    order_id=12,
    client_id=7,
    perm_id=1_400_000_001,
    parent_id=11,
    parent_perm_id=1_400_000_000,
    account="DU1000001",
    action="SELL",
    quantity=D("2.5"),
    type="LMT",
    limit=D("5210.25"),
    aux=None,
    tif="GTC",
    oca_group="pair",
    oca_type=1,
    order_ref="tape-1.2",
    outside_rth=True,
    status="Submitted",
    filled=D(1),
    completed_time="20250702 10:00:00 America/Chicago",
    completed_status="Filled Size",
)
TRAILING = msgspec.structs.replace(
    ORDER,
    type="TRAIL",
    limit=None,
    aux=D("1.25"),
    tif="GTD",
    oca_type=2,
    good_till="20250702 15:00:00 America/Chicago",
    trail_stop=D("5200.5"),
    trail_percent=D("1.5"),
)


class Listener(EWrapper):
    """Keeps what the decoder reports."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name in NAMES:
            return lambda *args: self.heard.append((name, args))
        return super().__getattribute__(name)


NAMES = {name for name, _ in inspect.getmembers(EWrapper, inspect.isfunction) if not name.startswith("_")}


def decoded(fields: Any, version: int) -> list[tuple[str, tuple[Any, ...]]]:
    """Let ibapi read a message; every field must be used up."""
    payload = message(fields)[4:]
    parts = tuple(payload.split(b"\0")[:-1])
    listener = Listener()
    decoder = Decoder(listener, version)
    decoder.interpret(parts[1:], int(parts[0]))
    return listener.heard


class Wire:
    """Stands where ibapi keeps its connection, and catches what it sends."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendMsg(self, data: bytes) -> None:  # noqa: N802
        self.sent.append(data)

    def isConnected(self) -> bool:  # noqa: N802
        return True


def sent(version: int, call: str, *args: Any) -> Cursor:
    """Return the fields that ibapi sends, behind the message's id."""
    listener = Listener()
    client = EClient(listener)
    client.conn = wire = Wire()  # type: ignore[assignment]
    client.serverVersion_ = version
    client.setConnState(EClient.CONNECTED)
    getattr(client, call)(*args)
    assert listener.heard == []
    (data,) = wire.sent
    return Cursor(data[4:-1].decode().split("\0"), 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_open_order_is_read_field_by_field(version):
    preview = Preview(tuple(f"{n}.5" for n in range(9)), "1.25", "USD", what_if=True, warning="careful")
    ((name, (order_id, contract, order, state)),) = decoded(
        open_order(CONTRACT, ORDER, version, preview), version
    )
    assert (name, order_id, contract.localSymbol, contract.multiplier) == ("openOrder", 12, "ZVFU5", "50")
    assert (order.action, order.totalQuantity, order.orderType) == ("SELL", D("2.5"), "LMT")
    assert (order.lmtPrice, order.tif, order.ocaGroup, order.ocaType) == (5210.25, "GTC", "pair", 1)
    assert (order.account, order.orderRef, order.clientId) == ("DU1000001", "tape-1.2", 7)
    assert (order.permId, order.parentId, order.outsideRth) == (1_400_000_001, 11, True)
    assert (order.whatIf, state.status, state.warningText) == (True, "Submitted", "careful")
    assert (state.initMarginBefore, state.equityWithLoanAfter) == ("0.5", "8.5")
    assert (state.commissionAndFees, state.commissionAndFeesCurrency) == (1.25, "USD")


@pytest.mark.parametrize("missing", [20, 60, 100])
def test_an_open_order_one_field_short_is_not_read(missing):
    fields = open_order(CONTRACT, ORDER, 200)
    short = [*fields[:missing], *fields[missing + 1 :]]
    try:
        heard = decoded(short, 200)
    except (ValueError, TypeError, ArithmeticError):
        return
    assert heard != decoded(fields, 200)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_completed_order_is_read_field_by_field(version):
    ((name, (contract, order, state)),) = decoded(completed_order(CONTRACT, ORDER, version), version)
    assert (name, contract.symbol, order.permId) == ("completedOrder", "ZVF", 1_400_000_001)
    assert (order.orderRef, order.filledQuantity, order.parentPermId) == ("tape-1.2", D(1), 1_400_000_000)
    assert (state.status, state.completedStatus) == ("Submitted", "Filled Size")
    assert state.completedTime == "20250702 10:00:00 America/Chicago"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_execution_is_read_field_by_field(version):
    told = answers.Execution(
        order_id=12,
        exec_id="0000e0d5.65000001.01.02",
        time="20250702 09:31:00 America/Chicago",
        account="DU1000001",
        exchange="CME",
        side="SLD",
        shares=D("2.5"),
        price=D("5210.25"),
        perm_id=9,
        client_id=7,
        cumulative=D(4),
        average=5210.5,
        order_ref="tape-1.2",
        revising=True,
    )
    ((name, (req_id, contract, execution)),) = decoded(answers.execution(3, CONTRACT, told, version), version)
    assert (name, req_id, contract.conId) == ("execDetails", 3, CONTRACT.con_id)
    assert (execution.execId, execution.time) == (told.exec_id, told.time)
    assert (execution.shares, execution.price, execution.cumQty) == (D("2.5"), 5210.25, D(4))
    assert (execution.avgPrice, execution.orderRef, execution.side) == (5210.5, "tape-1.2", "SLD")
    assert execution.pendingPriceRevision is (version >= 178)


@pytest.mark.parametrize("version", VERSIONS)
def test_contract_details_are_read_field_by_field(version):
    hours = answers.Hours("20250702:0830-20250702:1515", "20250702:0830-20250702:1515")
    ((name, (req_id, details)),) = decoded(answers.contract_details(5, CONTRACT, hours, version), version)
    assert (name, req_id, details.contract.conId) == ("contractDetails", 5, CONTRACT.con_id)
    assert (details.minTick, details.contract.multiplier, details.timeZoneId) == (
        0.25,
        "50",
        "America/Chicago",
    )
    assert (details.tradingHours, details.marketRuleIds) == (hours.trading, "250000")
    assert details.contract.lastTradeDateOrContractMonth == "20250919"


@pytest.mark.parametrize("version", VERSIONS)
def test_errors_are_read_at_every_version(version):
    ((name, args),) = decoded(answers.error(version, 12, 201, "no\u00e9", 1_751_463_000_000), version)
    assert name == "error"
    assert (args[0], args[2], args[3]) == (12, 201, "no\u00e9")
    assert args[1] == (1_751_463_000_000 if version >= 194 else 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_order_status_is_read_at_every_version(version):
    fields = answers.order_status(12, "Filled", D(2), D(0), 83.5, 9, 11, 83.25, 7, version)
    ((name, args),) = decoded(fields, version)
    assert (name, *args) == ("orderStatus", 12, "Filled", D(2), D(0), 83.5, 9, 11, 83.25, 7, "", 0.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_bars_and_their_end_are_read_at_every_version(version):
    row = ["20250702 09:30:00 UTC", 1.0, 2.0, 0.5, 1.5, 100.0, 1.25, 3]
    heard = [
        each for fields in answers.bars(4, "a", "b", [row], version) for each in decoded(fields, version)
    ]
    assert [name for name, _ in heard] == ["historicalData", "historicalDataEnd"]
    bar = heard[0][1][1]
    assert (bar.date, bar.open, bar.close, bar.volume, bar.barCount) == (row[0], 1.0, 1.5, D(100), 3)
    assert heard[1][1] == (4, "a", "b")


@pytest.mark.parametrize("version", VERSIONS)
def test_symbol_samples_are_read_at_every_version(version):
    ((name, (req_id, found)),) = decoded(answers.symbol_samples(4, [CONTRACT, CONTRACT], version), version)
    assert (name, req_id, [each.contract.symbol for each in found]) == ("symbolSamples", 4, ["ZVF", "ZVF"])


def ib_order(**given: Any) -> IbOrder:
    order = IbOrder()
    for key, value in {
        "action": "BUY",
        "totalQuantity": D(100),
        "orderType": "LMT",
        "lmtPrice": 83.5,
        **given,
    }.items():
        assert hasattr(order, key)
        setattr(order, key, value)
    return order


def ib_contract() -> IbContract:
    contract = IbContract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "ZVXA", "STK", "SMART", "USD"
    return contract


@pytest.mark.parametrize("version", VERSIONS)
def test_an_order_of_the_official_client_is_understood(version):
    order = ib_order(
        tif="GTC", orderRef="r", parentId=3, transmit=False, ocaGroup="g", ocaType=1, whatIf=True
    )
    found = requests.place_order(sent(version, "placeOrder", 12, ib_contract(), order), version)
    assert (found.order_id, found.contract.symbol, found.contract.kind) == (12, "ZVXA", "STK")
    assert (found.action, found.quantity, found.type, found.limit) == ("BUY", D(100), "LMT", D("83.5"))
    assert (found.aux, found.tif, found.order_ref, found.parent_id) == (None, "GTC", "r", 3)
    assert (found.transmit, found.oca_group, found.oca_type, found.what_if) == (False, "g", 1, True)
    assert found.unsupported == ()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"hidden": True}, "hidden"),
        ({"allOrNone": True}, "allOrNone"),
        ({"algoStrategy": "Twap"}, "algorithms"),
        ({"goodAfterTime": "20250703 10:00:00"}, "goodAfterTime"),
        ({"hedgeType": "D"}, "hedge orders"),
        ({"discretionaryAmt": 0.5}, "discretionary amount"),
    ],
)
def test_what_is_not_simulated_is_named(given, name):
    cursor = sent(200, "placeOrder", 12, ib_contract(), ib_order(**given))
    assert requests.place_order(cursor, 200).unsupported == (name,)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cancel_of_the_official_client_is_understood(version):
    assert requests.cancel_order(sent(version, "cancelOrder", 12, OrderCancel()), version) == 12


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_for_executions_are_understood(version):
    wanted = ExecutionFilter()
    wanted.symbol, wanted.side, wanted.clientId = "ZVXA", "BUY", 7
    if version >= 200:
        wanted.lastNDays, wanted.specificDates = 3, [20250702, 20250703]
    found = requests.executions(sent(version, "reqExecutions", 5, wanted), version)
    assert (found.req_id, found.symbol, found.side, found.client_id) == (5, "ZVXA", "BUY", 7)
    assert (found.days, found.dates) == ((3, ("20250702", "20250703")) if version >= 200 else (None, ()))


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_for_data_are_understood(version):
    contract = ib_contract()
    stream = requests.market_data(sent(version, "reqMktData", 3, contract, "233,236", False, False, []))
    assert (stream.req_id, stream.generic, stream.snapshot) == (3, {"233", "236"}, False)
    asked = sent(version, "reqTickByTickData", 4, contract, "AllLast", 9, True)
    tick = requests.tick_by_tick(asked, version)
    assert (tick.req_id, tick.kind, tick.contract.symbol) == (4, "AllLast", "ZVXA")
    assert (tick.past, tick.ignore_size) == (9, True)
    past = ("20250702-13:30:00", "", 50, "BID_ASK", 1, True, [])
    wanted = requests.history_ticks(sent(version, "reqHistoricalTicks", 7, contract, *past))
    assert (wanted.start, wanted.end, wanted.count, wanted.what) == (*past[:2], 50, "BID_ASK")
    assert (wanted.rth, wanted.ignore_size) == (True, True)
    live = requests.real_time_bars(sent(version, "reqRealTimeBars", 8, contract, 5, "BID", True, []))
    assert (live.what, live.rth) == ("BID", True)
    args = (5, contract, "", "1 D", "5 mins", "TRADES", 1, 2, True, [])
    past = requests.history(sent(version, "reqHistoricalData", *args), version)
    assert (past.req_id, past.bar_size, past.duration, past.keep_up) == (5, "5 mins", "1 D", True)
    details = requests.contract_details(sent(version, "reqContractDetails", 6, contract))
    assert (details.req_id, details.contract.symbol) == (6, "ZVXA")


def trailing(order: Any) -> tuple[Any, ...]:
    amounts = (order.auxPrice, order.trailStopPrice, order.trailingPercent)
    return (*amounts, order.tif, order.goodTillDate, order.ocaGroup, order.ocaType, order.outsideRth)


TRAILING_TOLD = (1.25, 5200.5, 1.5, "GTD", "20250702 15:00:00 America/Chicago", "pair", 2, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_trailing_order_with_an_end_is_told_field_by_field(version):
    ((_, (_, _, order, _)),) = decoded(open_order(CONTRACT, TRAILING, version), version)
    assert trailing(order) == TRAILING_TOLD
    ((_, (_, order, state)),) = decoded(completed_order(CONTRACT, TRAILING, version), version)
    assert trailing(order) == TRAILING_TOLD
    assert (order.parentPermId, state.completedStatus) == (1_400_000_000, "Filled Size")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "given",
    [
        {"orderType": "STP LMT", "lmtPrice": 83.5, "auxPrice": 84.0, "outsideRth": True},
        {"orderType": "LIT", "lmtPrice": 83.5, "auxPrice": 84.0, "tif": "GTD"},
        {"orderType": "TRAIL", "auxPrice": 0.5, "trailStopPrice": 80.25, "tif": "GTC"},
        {"orderType": "TRAIL", "trailingPercent": 2.5, "ocaGroup": "g", "ocaType": 3},
        {"orderType": "MOC"},
        {"orderType": "MKT", "tif": "OPG"},
        {"orderType": "LMT", "lmtPrice": 83.5, "tif": "FOK"},
    ],
)
def test_each_type_of_order_of_the_official_client_is_understood(version, given):
    given = {"lmtPrice": UNSET_DOUBLE, "goodTillDate": "", **given}
    if given.get("tif") == "GTD":
        given["goodTillDate"] = "20250702-19:00:00"
    found = requests.place_order(sent(version, "placeOrder", 12, ib_contract(), ib_order(**given)), version)
    amounts = {
        "lmtPrice": found.limit,
        "auxPrice": found.aux,
        "trailStopPrice": found.trail_stop,
        "trailingPercent": found.trail_percent,
    }
    assert {k: v for k, v in amounts.items() if v is not None} == {
        k: D(str(given[k])) for k in amounts if given.get(k, UNSET_DOUBLE) != UNSET_DOUBLE
    }
    assert (found.type, found.tif) == (given["orderType"], given.get("tif", ""))
    assert (found.good_till, found.outside_rth) == (given["goodTillDate"], given.get("outsideRth", False))
    assert (found.oca_group, found.oca_type) == (given.get("ocaGroup", ""), given.get("ocaType", 0))
    assert found.unsupported == ()
