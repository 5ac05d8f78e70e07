"""ib_async, a client that nobody here wrote: connects, streams, trades, cancels, reconciles."""

import asyncio
import copy
import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

ib_async = pytest.importorskip("ib_async")


@pytest.fixture
def ib(request: pytest.FixtureRequest) -> Iterator[object]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = ib_async.IB()
    client.RaiseRequestErrors = True
    yield client
    client.disconnect()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    asyncio.set_event_loop(None)


def connect(ib, gateway, client_id: int = 7):
    ib.connect(gateway.host, gateway.port, clientId=client_id, timeout=60)
    (contract,) = ib.qualifyContracts(ib_async.Stock("ZVXA", "SMART", "USD"))
    return contract


def wait(ib, condition, seconds: float = 60.0) -> None:
    """Let the client's loop run until something is so; fail if it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        ib.waitOnUpdate(timeout=1.0)


def test_it_connects_without_a_warning_or_a_timeout(ib, ib_gateway, caplog):
    caplog.set_level(logging.INFO)
    connect(ib, ib_gateway())
    assert ib.client.serverVersion() == 178
    assert ib.managedAccounts() == ["DU1000001"]
    assert {v.tag for v in ib.accountValues()} >= {"NetLiquidation", "AvailableFunds"}
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_it_streams_quotes_and_prints(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    ticker = ib.reqMktData(contract)
    prints = ib.reqTickByTickData(contract, "AllLast", numberOfTicks=5)
    wait(ib, lambda: ticker.bid > 0 and ticker.ask > ticker.bid and prints.tickByTicks)
    assert prints.tickByTicks[0].price > 0


def test_it_asks_for_history(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    bars = ib.reqHistoricalData(contract, "", "1 D", "5 mins", "TRADES", useRTH=False, formatDate=1)
    assert len(bars) > 5
    assert all(bar.low <= bar.close <= bar.high for bar in bars)
    assert ib.reqHeadTimeStamp(contract, "TRADES", useRTH=False)
    for size in ("1W", "1 month"):
        (whole,) = ib.reqHistoricalData(contract, "", "1 M", size, "TRADES", useRTH=False)
        assert (whole.date, whole.volume) == (date(2025, 7, 2), sum(bar.volume for bar in bars))
    end = datetime(2025, 7, 2, 13, 20, tzinfo=UTC)
    ticks = ib.reqHistoricalTicks(contract, "", end, 20, "BID_ASK", useRth=False)
    assert len(ticks) >= 20
    assert ticks[-1].time <= end


def test_it_trades_and_sees_the_result(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    trade = ib.placeOrder(contract, ib_async.MarketOrder("BUY", 100, orderRef="mine"))
    wait(ib, lambda: trade.fills and trade.fills[0].commissionReport.execId)
    assert trade.orderStatus.status == "Filled"
    assert trade.order.permId > 0
    assert [(p.contract.symbol, p.position) for p in ib.positions()] == [("ZVXA", 100.0)]
    assert [p.position for p in ib.portfolio()] == [100.0]


def test_it_cancels_an_order(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    trade = ib.placeOrder(contract, ib_async.LimitOrder("SELL", 100, 99.0))
    wait(ib, lambda: trade.orderStatus.status == "Submitted")
    ib.cancelOrder(trade.order)
    wait(ib, lambda: trade.orderStatus.status == "Cancelled")
    assert (trade.orderStatus.filled, ib.openTrades(), ib.positions()) == (0, [], [])


def test_it_sends_brackets(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    for order in ib.bracketOrder("BUY", 50, limitPrice=90.0, takeProfitPrice=99.0, stopLossPrice=70.0):
        ib.placeOrder(contract, order)
    wait(ib, lambda: sorted(t.orderStatus.status for t in ib.trades())[:1] == ["Filled"])
    wait(ib, lambda: {t.orderStatus.status for t in ib.openTrades()} == {"Submitted", "PreSubmitted"})
    assert [t.order.orderType for t in ib.openTrades()] == ["LMT", "STP"]
    assert [p.position for p in ib.positions()] == [50.0]


def seen_by_another(gateway):
    """Return the one open order as another client is shown it: the own one keeps what it sent."""
    other = ib_async.IB()
    try:
        other.connect(gateway.host, gateway.port, clientId=8, timeout=60)
        (trade,) = other.reqAllOpenOrders()
        return trade.order
    finally:
        other.disconnect()


KINDS = [
    ib_async.StopOrder("SELL", 100, 60.0),
    ib_async.StopLimitOrder("SELL", 100, 59.0, 60.0, outsideRth=True),
    ib_async.Order(action="SELL", totalQuantity=100, orderType="LIT", lmtPrice=99.0, auxPrice=98.0),
    ib_async.Order(action="SELL", totalQuantity=100, orderType="TRAIL", auxPrice=20.0),
    ib_async.Order(action="SELL", totalQuantity=100, orderType="TRAIL", trailingPercent=25.0),
    ib_async.Order(action="SELL", totalQuantity=100, orderType="MOC"),
    ib_async.MarketOrder("SELL", 100, tif="OPG"),
    ib_async.LimitOrder("SELL", 100, 99.0, tif="GTD", goodTillDate="20250702-19:00:00"),
]


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_it_places_each_type_of_order_changes_it_and_cancels_it(ib, ib_gateway, kind):
    gateway = ib_gateway()
    contract, order = connect(ib, gateway), copy.copy(KINDS[kind])
    trade = ib.placeOrder(contract, order)
    wait(ib, lambda: trade.orderStatus.status in ("Submitted", "PreSubmitted"))
    shown = seen_by_another(gateway)
    same = ("orderType", "totalQuantity", "outsideRth", "trailingPercent")
    assert [getattr(shown, name) for name in same] == [getattr(order, name) for name in same]
    assert shown.tif == (order.tif or "DAY")
    assert shown.goodTillDate == (order.goodTillDate and "20250702 15:00:00 America/New_York")
    order.totalQuantity = 60
    ib.placeOrder(contract, order)
    wait(ib, lambda: trade.orderStatus.remaining == 60)
    ib.cancelOrder(order)
    wait(ib, lambda: trade.orderStatus.status == "Cancelled")


@pytest.mark.parametrize(("tif", "limit", "end"), [("IOC", 60.0, "Cancelled"), ("FOK", 99.0, "Filled")])
def test_its_orders_that_must_fill_at_once_end(ib, ib_gateway, tif, limit, end):
    contract = connect(ib, ib_gateway())
    trade = ib.placeOrder(contract, ib_async.LimitOrder("BUY", 100, limit, tif=tif))
    wait(ib, trade.isDone)
    assert trade.orderStatus.status == end


def test_a_fill_of_one_of_its_oca_orders_ends_the_others(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    orders = [ib_async.LimitOrder("SELL", 100, 99.0), ib_async.MarketOrder("SELL", 100)]
    trades = [ib.placeOrder(contract, order) for order in ib.oneCancelsAll(orders, "pair", 2)]
    wait(ib, lambda: all(trade.isDone() for trade in trades))
    assert [trade.orderStatus.status for trade in trades] == ["Cancelled", "Filled"]


def test_a_cancel_of_its_bracket_cancels_the_exits(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    bracket = ib.bracketOrder("BUY", 50, limitPrice=60.0, takeProfitPrice=99.0, stopLossPrice=50.0)
    trades = [ib.placeOrder(contract, order) for order in bracket]
    wait(ib, lambda: [t.orderStatus.status for t in trades] == ["Submitted", "PreSubmitted", "PreSubmitted"])
    ib.cancelOrder(trades[0].order)
    wait(ib, lambda: {t.orderStatus.status for t in trades} == {"Cancelled"})
    assert (ib.openTrades(), ib.fills()) == ([], [])


def test_it_previews_margins(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    state = ib.whatIfOrder(contract, ib_async.MarketOrder("BUY", 10))
    assert float(state.initMarginChange) > 0
    assert state.commission == 1.0


def test_it_reconciles_after_a_reconnect(ib, ib_gateway):
    gateway = ib_gateway()
    contract = connect(ib, gateway)
    filled = ib.placeOrder(contract, ib_async.MarketOrder("BUY", 100, orderRef="filled"))
    resting = ib.placeOrder(contract, ib_async.LimitOrder("SELL", 100, 99.0, tif="GTC", orderRef="resting"))
    wait(ib, lambda: filled.isDone() and resting.orderStatus.status == "Submitted")
    ib.disconnect()
    gateway.stop()
    again = ib_gateway()
    other = ib_async.IB()
    try:
        other.connect(again.host, again.port, clientId=7, timeout=60)
        assert [t.order.orderRef for t in other.openTrades()] == ["resting"]
        assert [f.execution.orderRef for f in other.fills()] == ["filled"]
        assert [f.commissionReport.commission for f in other.fills()] == [1.0]
        assert [p.position for p in other.positions()] == [100.0]
        assert other.openTrades()[0].order.permId == resting.order.permId
        assert other.client.getReqId() > resting.order.orderId
    finally:
        other.disconnect()


def test_a_refused_order_ends_as_refused(ib, ib_gateway):
    contract = connect(ib, ib_gateway())
    trade = ib.placeOrder(
        contract, ib_async.Order(action="BUY", totalQuantity=1, orderType="PEG MID", auxPrice=1)
    )
    wait(ib, trade.isDone)
    assert trade.log[-1].errorCode == 387
