"""Each callback of `ibapi` that we use, as a message of ours; the rest is kept as `Untranslated`.

Functions take a callback's arguments in its order. Nothing of `ibapi` is imported: its objects are
read by attribute. It must never raise for an unset value, and never let one through.
"""

from collections.abc import Callable, Sequence
from typing import Any

from adapters.ibkr.wire import messages as said
from adapters.ibkr.wire import ticks
from adapters.ibkr.wire.contracts import read_contract
from adapters.ibkr.wire.messages import Message
from adapters.ibkr.wire.order_fields import read_order, read_state
from adapters.ibkr.wire.values import amount, identity, integer, number, size, tick_number
from core.money import ZERO


def _request(req_id: int) -> int | None:
    """Return the id of a request; `None` for −1, which stands for none."""
    return None if req_id == -1 else integer(req_id)


def _error(req_id: int, *rest: Any) -> Message:
    """Take all three shapes: (id, code, text), (…, advanced) and (id, time, code, text, advanced)."""
    time_ms, code, text, advanced = rest if len(rest) == 4 else (0, *rest, "")[:4]
    return said.ErrorMessage(_request(req_id), code, text, integer(time_ms) or None, advanced or "")


def _tick_price(req_id: int, tick_type: int, price: float, attrib: Any) -> Message:
    bits = _bits(attrib.canAutoExecute, attrib.pastLimit, attrib.preOpen)
    return ticks.TickPrice(req_id, tick_type, number(price), None, bits)


def _tick_by_tick_last(
    req_id: int,
    kind: int,
    time_s: int,
    price: float,
    shares: Any,
    attrib: Any,
    exchange: str,
    conditions: str,
) -> Message:
    bits = _bits(attrib.pastLimit, attrib.unreported)
    return ticks.TickByTickLast(req_id, kind, time_s, number(price), size(shares), bits, exchange, conditions)


def _tick_by_tick_bid_ask(
    req_id: int, time_s: int, bid: float, ask: float, bid_size: Any, ask_size: Any, attrib: Any
) -> Message:
    bits = _bits(attrib.bidPastLow, attrib.askPastHigh)
    return ticks.TickByTickBidAsk(
        req_id, time_s, number(bid), number(ask), size(bid_size), size(ask_size), bits
    )


def _open_order(order_id: int, contract: Any, order: Any, state: Any) -> Message:
    order.orderId = order_id
    return said.OpenOrder(read_contract(contract), read_order(order), read_state(state))


def _order_status(
    order_id: int,
    status: str,
    filled: Any,
    remaining: Any,
    average_price: float,
    perm_id: int,
    parent_id: int,
    last_price: float,
    client_id: int,
    why_held: str,
    price_cap: float | None = None,
) -> Message:
    return said.OrderStatus(
        identity(order_id),
        status,
        amount(filled),
        amount(remaining),
        amount(average_price),
        identity(perm_id),
        identity(parent_id),
        amount(last_price),
        integer(client_id),
        why_held,
        amount(price_cap) or None,
    )


def _execution(req_id: int, contract: Any, fill: Any) -> Message:
    return said.Execution(
        req_id=_request(req_id),
        order_id=identity(fill.orderId),
        contract=read_contract(contract),
        exec_id=fill.execId,
        time=fill.time,
        account=fill.acctNumber,
        exchange=fill.exchange,
        side=fill.side,
        quantity=amount(fill.shares),
        price=amount(fill.price),
        perm_id=identity(fill.permId),
        client_id=integer(fill.clientId),
        total_quantity=amount(fill.cumQty),
        average_price=amount(fill.avgPrice),
        order_ref=fill.orderRef,
        liquidation=bool(fill.liquidation),
        last_liquidity=identity(fill.lastLiquidity),
        pending_price_revision=bool(getattr(fill, "pendingPriceRevision", False)),
        submitter=getattr(fill, "submitter", ""),
    )


def commission_report(fields: Sequence[bytes]) -> Message:
    """Decode message 59 from its fields: `ibapi` reads an empty amount as 0, which is not unknown."""
    _, _, exec_id, paid, currency, realised, *_ = fields
    return said.CommissionReport(
        exec_id.decode(), amount(tick_number(paid)), currency.decode(), amount(tick_number(realised))
    )


def _contract_details(req_id: int, details: Any) -> Message:
    return said.ContractDetails(
        req_id=_request(req_id),
        contract=read_contract(details.contract),
        tick_size=amount(details.minTick),
        price_magnifier=details.priceMagnifier,
        long_name=details.longName,
        order_types=details.orderTypes,
        exchanges=details.validExchanges,
        timezone=details.timeZoneId,
        hours=details.tradingHours,
        liquid_hours=details.liquidHours,
        contract_month=details.contractMonth,
        last_trade_date=getattr(details.contract, "lastTradeDate", "") or details.realExpirationDate,
        underlying_con_id=identity(details.underConId),
        underlying_symbol=details.underSymbol,
        market_rules=details.marketRuleIds,
        stock_type=details.stockType,
        category=details.category,
        size_min=amount(details.minSize),
        size_increment=amount(details.sizeIncrement),
        ids=tuple((item.tag, item.value) for item in details.secIdList or ()),
    )


def _symbol_samples(req_id: int, samples: Sequence[Any]) -> Message:
    return said.SymbolSamples(
        _request(req_id),
        tuple(
            said.SymbolSample(
                read_contract(item.contract),
                getattr(item.contract, "description", ""),
                tuple(item.derivativeSecTypes),
            )
            for item in samples
        ),
    )


def _historical_bar(bar: Any) -> said.HistoricalBar:
    return said.HistoricalBar(
        bar.date,
        number(bar.open),
        number(bar.high),
        number(bar.low),
        number(bar.close),
        size(bar.volume),
        size(bar.wap),
        integer(bar.barCount),
    )


def _pnl(req_id: int, day: float, unrealised: float | None, realised: float | None) -> Message:
    return said.PnL(_request(req_id), amount(day), amount(unrealised), amount(realised))


def _portfolio(contract: Any, quantity: Any, price: Any, value: Any, cost: Any, *rest: Any) -> Message:
    unrealised, realised, account = rest
    return said.PortfolioValue(
        account,
        read_contract(contract),
        amount(quantity),
        amount(price),
        amount(value),
        amount(cost),
        amount(unrealised),
        amount(realised),
    )


def _bits(*flags: bool) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


TRANSLATIONS: dict[str, Callable[..., Message]] = {
    "nextValidId": said.NextValidId,
    "managedAccounts": lambda text: said.ManagedAccounts(tuple(name for name in text.split(",") if name)),
    "error": _error,
    "currentTime": lambda time_s: said.CurrentTime(time_s * 1000),
    "currentTimeInMillis": said.CurrentTime,
    "tickPrice": _tick_price,
    "tickSize": lambda req_id, tick_type, shares: ticks.TickSize(req_id, tick_type, size(shares)),
    "tickString": ticks.TickString,
    "tickGeneric": lambda req_id, tick_type, value: ticks.TickGeneric(req_id, tick_type, number(value)),
    "tickByTickAllLast": _tick_by_tick_last,
    "tickByTickBidAsk": _tick_by_tick_bid_ask,
    "tickByTickMidPoint": lambda req_id, time_s, price: ticks.TickByTickMidPoint(
        req_id, time_s, number(price)
    ),
    "marketDataType": lambda req_id, kind: ticks.MarketDataType(_request(req_id), kind),
    "tickReqParams": lambda req_id, step, key, permissions: ticks.TickReqParams(
        _request(req_id), amount(step), key, permissions
    ),
    "tickSnapshotEnd": lambda req_id: ticks.SnapshotEnd(_request(req_id)),
    "openOrder": _open_order,
    "openOrderEnd": said.OpenOrdersEnd,
    "completedOrder": lambda contract, order, state: said.CompletedOrder(
        read_contract(contract), read_order(order, completed=True), read_state(state)
    ),
    "completedOrdersEnd": said.CompletedOrdersEnd,
    "orderStatus": _order_status,
    "orderBound": lambda perm_id, client_id, order_id: said.OrderBound(
        identity(perm_id), integer(client_id), identity(order_id)
    ),
    "execDetails": _execution,
    "execDetailsEnd": lambda req_id: said.ExecutionsEnd(_request(req_id)),
    "position": lambda account, contract, quantity, cost: said.Position(
        account, read_contract(contract), amount(quantity), amount(cost)
    ),
    "positionEnd": said.PositionsEnd,
    "updateAccountValue": lambda key, value, currency, account: said.AccountValue(
        account, key, value, currency
    ),
    "updatePortfolio": _portfolio,
    "updateAccountTime": said.AccountTime,
    "accountDownloadEnd": said.AccountDownloadEnd,
    "accountSummary": lambda req_id, account, tag, value, currency: said.AccountSummary(
        _request(req_id), account, tag, value, currency
    ),
    "accountSummaryEnd": lambda req_id: said.AccountSummaryEnd(_request(req_id)),
    "pnl": _pnl,
    "contractDetails": _contract_details,
    "bondContractDetails": _contract_details,
    "contractDetailsEnd": lambda req_id: said.ContractDetailsEnd(_request(req_id)),
    "marketRule": lambda rule, steps: said.MarketRule(
        rule, tuple((amount(one.lowEdge) or ZERO, amount(one.increment) or ZERO) for one in steps)
    ),
    "symbolSamples": _symbol_samples,
    "historicalData": lambda req_id, bar: said.HistoricalBars(_request(req_id), (_historical_bar(bar),)),
    "historicalDataEnd": lambda req_id, start, end: said.HistoricalEnd(_request(req_id), start, end),
    "historicalDataUpdate": lambda req_id, bar: said.HistoricalUpdate(_request(req_id), _historical_bar(bar)),
}
