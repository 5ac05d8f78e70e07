"""Requests with many fields, read into structs: orders, market data, history, executions. Pure.

Owns the order of fields by server version. Small requests (an id, a flag) are read where they are
answered. What the gateway does not simulate is read all the same, so that it can be refused by name.
"""

from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.gateway.contracts import Wanted, read_contract
from adapters.ibkr.gateway.wire import BadFrame, Cursor, unset

_DAYS_MAX = 3660
OVERNIGHT = ("REL", "PEG BENCH", "PEGBENCH")


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a client sent it; `unsupported` names what it asks for and the gateway has not."""

    order_id: int
    contract: Wanted
    action: str
    quantity: Decimal | None
    type: str
    limit: Decimal | None
    aux: Decimal | None
    tif: str
    oca_group: str
    oca_type: int
    account: str
    order_ref: str
    transmit: bool
    parent_id: int
    outside_rth: bool
    what_if: bool
    unsupported: tuple[str, ...]
    good_till: str = ""
    trail_stop: Decimal | None = None
    trail_percent: Decimal | None = None


def place_order(cursor: Cursor, version: int) -> PlaceOrder:
    """Read request 3."""
    if version < 145:
        cursor.skip(1)
    order_id = cursor.integer("orderId")
    contract = read_contract(cursor)
    cursor.skip(2)  # secIdType, secId
    told: dict[str, Any] = {
        "action": cursor.text("action"),
        "quantity": cursor.decimal("totalQuantity"),
        "type": cursor.text("orderType"),
        "limit": cursor.decimal("lmtPrice"),
        "aux": cursor.decimal("auxPrice"),
        "tif": cursor.text("tif"),
        "oca_group": cursor.text("ocaGroup"),
        "account": cursor.text("account"),
    }
    cursor.skip(2)  # openClose, origin
    told |= {
        "order_ref": cursor.text("orderRef"),
        "transmit": cursor.boolean("transmit"),
        "parent_id": cursor.integer("parentId"),
    }
    cursor.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    told["outside_rth"] = cursor.boolean("outsideRth")
    rest = Details(hidden=cursor.boolean("hidden"))
    if contract.kind == "BAG":
        rest.refuse("combination legs")
    else:
        _details(cursor, version, told["type"], rest)
    return PlaceOrder(
        order_id=order_id,
        contract=contract,
        oca_type=rest.oca_type,
        what_if=rest.what_if,
        unsupported=tuple(rest.unsupported),
        good_till=rest.good_till,
        trail_stop=rest.trail_stop,
        trail_percent=rest.trail_percent,
        **told,
    )


class Details:
    """What the many optional fields of an order say that matters here."""

    def __init__(self, *, hidden: bool) -> None:
        self.unsupported: list[str] = []
        self.oca_type = 0
        self.what_if = False
        self.good_till = ""
        self.trail_stop: Decimal | None = None
        self.trail_percent: Decimal | None = None
        if hidden:
            self.refuse("hidden")

    def refuse(self, what: str) -> None:
        """Note something that the gateway does not simulate."""
        self.unsupported.append(what)

    def given(self, shown: str, what: str) -> None:
        """Note a field that is set and not simulated; 0 counts as not set."""
        if not unset(shown) and shown not in ("0", "0.0", "false"):
            self.refuse(what)


def _details(cursor: Cursor, version: int, kind: str, rest: Details) -> None:
    cursor.skip(1)  # sharesAllocation
    rest.given(cursor.text("discretionaryAmt"), "discretionary amount")
    rest.given(cursor.text("goodAfterTime"), "goodAfterTime")
    rest.good_till = cursor.text("goodTillDate")
    cursor.skip(3 + (version < 177) + (version >= 103))  # FA group, method, percentage, profile; modelCode
    cursor.skip(3)  # shortSaleSlot, designatedLocation, exemptCode
    rest.oca_type = cursor.integer("ocaType")
    cursor.skip(2)  # rule80A, settlingFirm
    if cursor.boolean("allOrNone"):
        rest.refuse("allOrNone")
    rest.given(cursor.text("minQty"), "minQty")
    cursor.skip(4)  # percentOffset, eTradeOnly, firmQuoteOnly, nbboPriceCap
    cursor.skip(9)  # auctionStrategy, box and peg prices (5), overridePercentageConstraints, volatility (2)
    neutral = cursor.text("deltaNeutralOrderType")
    cursor.skip(1 + (8 if neutral else 0))
    cursor.skip(2)  # continuousUpdate, referencePriceType
    rest.trail_stop = cursor.decimal("trailStopPrice")
    rest.trail_percent = cursor.decimal("trailingPercent")
    cursor.skip(2)  # scale sizes
    increment = cursor.decimal("scalePriceIncrement")
    if increment:
        rest.refuse("scale orders")
        cursor.skip(7)
    cursor.skip(3)  # scaleTable, activeStartTime, activeStopTime
    if cursor.text("hedgeType"):
        rest.refuse("hedge orders")
        cursor.skip(1)
    cursor.skip(4)  # optOutSmartRouting, clearing account and intent, notHeld
    if cursor.boolean("deltaNeutralContract"):
        rest.refuse("delta-neutral contract")
        cursor.skip(3)
    if cursor.text("algoStrategy"):
        rest.refuse("algorithms")
        cursor.skip(2 * cursor.integer("algoParamsCount"))
    cursor.skip(1)  # algoId
    rest.what_if = cursor.boolean("whatIf")
    cursor.skip(4)  # orderMiscOptions, solicited, randomizeSize, randomizePrice
    if version >= 102 and kind not in OVERNIGHT and cursor.integer("conditionsCount"):
        rest.refuse("conditions")


class MarketDataRequest(msgspec.Struct, frozen=True):
    """A streaming or snapshot request; `generic` are the extra tick types asked for."""

    req_id: int
    contract: Wanted
    generic: frozenset[str]
    snapshot: bool


def market_data(cursor: Cursor) -> MarketDataRequest:
    """Read request 1, whose first field is its version."""
    cursor.skip(1)
    req_id = cursor.integer("reqId")
    contract = read_contract(cursor)
    if contract.kind == "BAG":
        return MarketDataRequest(req_id, contract, frozenset(), snapshot=False)
    if cursor.boolean("deltaNeutralContract"):
        cursor.skip(3)
    generic = frozenset(part.strip() for part in cursor.text("genericTickList").split(",") if part.strip())
    once = cursor.boolean("snapshot")
    regulatory = cursor.boolean("regulatorySnapshot") if cursor.rest() else False
    return MarketDataRequest(req_id, contract, generic, once or regulatory)


class TickByTickRequest(msgspec.Struct, frozen=True):
    """A tick-by-tick request; `kind` is `Last`, `AllLast`, `BidAsk` or `MidPoint`.

    `past` is how many ticks of the past are to come first.
    """

    req_id: int
    contract: Wanted
    kind: str
    past: int = 0
    ignore_size: bool = False


def tick_by_tick(cursor: Cursor, version: int) -> TickByTickRequest:
    """Read request 97."""
    req_id, contract, kind = cursor.integer("reqId"), read_contract(cursor), cursor.text("tickType")
    if version < 140:
        return TickByTickRequest(req_id, contract, kind)
    past = cursor.integer("numberOfTicks")
    return TickByTickRequest(req_id, contract, kind, past, cursor.boolean("ignoreSize"))


class HistoryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for bars."""

    req_id: int
    contract: Wanted
    end: str
    bar_size: str
    duration: str
    rth: bool
    what: str
    date_format: int
    keep_up: bool


def history(cursor: Cursor, version: int) -> HistoryRequest:
    """Read request 20."""
    if version < 124:
        cursor.skip(1)
    req_id = cursor.integer("reqId")
    contract = read_contract(cursor, expirable=True)
    end, bar_size, duration = cursor.text("endDateTime"), cursor.text("barSize"), cursor.text("duration")
    rth, what, date_format = cursor.boolean("useRTH"), cursor.text("whatToShow"), cursor.integer("formatDate")
    return HistoryRequest(
        req_id=req_id,
        contract=contract,
        end=end,
        bar_size=bar_size,
        duration=duration,
        rth=rth,
        what=what.upper(),
        date_format=date_format,
        keep_up=version >= 124 and contract.kind != "BAG" and cursor.boolean("keepUpToDate"),
    )


class RealTimeRequest(msgspec.Struct, frozen=True):
    """A request for bars of five seconds."""

    req_id: int
    contract: Wanted
    what: str
    rth: bool


def real_time_bars(cursor: Cursor) -> RealTimeRequest:
    """Read request 50, whose first field is its version."""
    cursor.skip(1)
    req_id, contract = cursor.integer("reqId"), read_contract(cursor)
    cursor.skip(1)  # barSize: there is one
    return RealTimeRequest(req_id, contract, cursor.text("whatToShow").upper(), cursor.boolean("useRTH"))


class HistoryTicksRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for past ticks."""

    req_id: int
    contract: Wanted
    start: str
    end: str
    count: int
    what: str
    rth: bool
    ignore_size: bool


def history_ticks(cursor: Cursor) -> HistoryTicksRequest:
    """Read request 96."""
    req_id, contract = cursor.integer("reqId"), read_contract(cursor, expirable=True)
    return HistoryTicksRequest(
        req_id=req_id,
        contract=contract,
        start=cursor.text("startDateTime"),
        end=cursor.text("endDateTime"),
        count=cursor.integer("numberOfTicks"),
        what=cursor.text("whatToShow").upper(),
        rth=cursor.boolean("useRth"),
        ignore_size=cursor.boolean("ignoreSize"),
    )


class ContractRequest(msgspec.Struct, frozen=True):
    """A request for contract details."""

    req_id: int
    contract: Wanted


def contract_details(cursor: Cursor) -> ContractRequest:
    """Read request 9, whose first field is its version."""
    cursor.skip(1)
    return ContractRequest(cursor.integer("reqId"), read_contract(cursor, expirable=True))


class ExecutionsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for executions; empty fields filter nothing."""

    req_id: int
    client_id: int
    account: str
    time: str
    symbol: str
    kind: str
    exchange: str
    side: str
    days: int | None
    dates: tuple[str, ...]


def executions(cursor: Cursor, version: int) -> ExecutionsRequest:
    """Read request 7, whose first field is its version."""
    cursor.skip(1)
    req_id, client_id = cursor.integer("reqId"), cursor.integer("clientId")
    texts = {name: cursor.text(name) for name in ("account", "time", "symbol", "kind", "exchange", "side")}
    days: int | None = None
    dates: tuple[str, ...] = ()
    if version >= 200:
        last = cursor.integer("lastNDays", -1)
        if last > _DAYS_MAX:
            raise BadFrame(f"lastNDays: expected at most {_DAYS_MAX}, not {last}")
        days = None if last < 0 else last
        dates = tuple(cursor.text("specificDate") for _ in range(cursor.integer("specificDatesCount")))
    return ExecutionsRequest(req_id=req_id, client_id=client_id, days=days, dates=dates, **texts)


def cancel_order(cursor: Cursor, version: int) -> int:
    """Read request 4 and return the order id."""
    if version < 192:
        cursor.skip(1)
    order_id = cursor.integer("orderId", -1)
    if order_id < 0:
        raise BadFrame("orderId: expected the id of the order to cancel")
    return order_id
