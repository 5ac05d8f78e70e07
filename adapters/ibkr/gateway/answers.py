"""Answers: each message to a client as a function that returns its fields, gated by server version. Pure.

Owns the order of fields. `name_of` gives messages the names under which faults and logs speak of them.
The two long messages about orders are in order_fields.py.
"""

from collections.abc import Sequence
from decimal import Decimal
from zlib import crc32

import msgspec

from adapters.ibkr.gateway.contracts import Contract
from adapters.ibkr.gateway.wire import Value, text
from core.price_steps import steps_text

NAMES = {
    1: "tickPrice",
    2: "tickSize",
    3: "orderStatus",
    4: "error",
    5: "openOrder",
    6: "accountValue",
    7: "portfolio",
    8: "accountTime",
    9: "nextValidId",
    10: "contractDetails",
    11: "execDetails",
    15: "managedAccounts",
    17: "historicalData",
    19: "scannerParameters",
    20: "scannerData",
    45: "tickGeneric",
    46: "tickString",
    49: "currentTime",
    50: "realtimeBar",
    52: "contractDetailsEnd",
    53: "openOrderEnd",
    54: "accountDownloadEnd",
    55: "execDetailsEnd",
    57: "tickSnapshotEnd",
    58: "marketDataType",
    59: "commissionReport",
    61: "position",
    62: "positionEnd",
    63: "accountSummary",
    64: "accountSummaryEnd",
    71: "positionMulti",
    72: "positionMultiEnd",
    73: "accountUpdateMulti",
    74: "accountUpdateMultiEnd",
    75: "securityDefinitionOptionParameter",
    76: "securityDefinitionOptionParameterEnd",
    78: "familyCodes",
    79: "symbolSamples",
    80: "mktDepthExchanges",
    81: "tickReqParams",
    82: "smartComponents",
    85: "newsProviders",
    88: "headTimestamp",
    89: "histogramData",
    90: "historicalDataUpdate",
    93: "marketRule",
    94: "pnl",
    95: "pnlSingle",
    96: "historicalTicks",
    97: "historicalTicksBidAsk",
    98: "historicalTicksLast",
    99: "tickByTick",
    101: "completedOrder",
    102: "completedOrdersEnd",
    107: "userInfo",
    108: "historicalDataEnd",
    109: "currentTimeInMillis",
}

Fields = list[Value]


def error(version: int, req_id: int, code: int, message: str, ms: int) -> Fields:
    """Return an error or notice; `req_id` -1 concerns the session."""
    shown = text(message, version)
    if version >= 194:
        return [4, req_id, code, shown, "", ms]
    return [4, 2, req_id, code, shown, *([""] if version >= 166 else [])]


def order_status(
    order_id: int,
    status: str,
    filled: Decimal,
    remaining: Decimal,
    average: float,
    perm_id: int,
    parent_id: int,
    last_price: float,
    client_id: int,
    version: int,
) -> Fields:
    """Return how far an order has come."""
    gated: Fields = [] if version >= 131 else [6]
    cap: Fields = [0.0] if version >= 131 else []
    return [
        3,
        *gated,
        order_id,
        status,
        filled,
        remaining,
        average,
        perm_id,
        parent_id,
        last_price,
        client_id,
        "",
        *cap,
    ]


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution as it is told on the wire: `exec_id` ends in its revision."""

    order_id: int
    exec_id: str
    time: str
    account: str
    exchange: str
    side: str
    shares: Decimal
    price: Decimal
    perm_id: int
    client_id: int
    cumulative: Decimal
    average: float
    order_ref: str
    revising: bool = False


def execution(req_id: int, contract: Contract, told: Execution, version: int) -> Fields:
    """Return an execution; `req_id` -1 is a live one."""
    fields: Fields = [11, *([] if version >= 136 else [10]), req_id, told.order_id, *contract.fields()]
    fields += [told.exec_id, told.time, told.account, told.exchange, told.side, told.shares, told.price]
    fields += [told.perm_id, told.client_id, 0, told.cumulative, told.average, told.order_ref, "", ""]
    fields += [""] if version >= 103 else []  # model code
    fields += [2] if version >= 136 else []  # liquidity: removed
    fields += [told.revising] if version >= 178 else []
    fields += [""] if version >= 198 else []  # submitter
    return fields


def commission(exec_id: str, amount: Value, currency: str, realised: Value, yielded: Value) -> Fields:
    """Return what an execution cost."""
    return [59, 1, exec_id, amount, currency, realised, yielded, ""]


def position(account: str, contract: Contract, quantity: Decimal, average: Decimal) -> Fields:
    """Return one position; `average` is per share with multiplier, as IB counts it."""
    return [61, 3, account, *contract.fields(), quantity, average]


def position_multi(
    req_id: int, account: str, contract: Contract, quantity: Decimal, average: Decimal
) -> Fields:
    """Return one position of an account for a request."""
    return [71, 1, req_id, account, *contract.fields(), quantity, average, ""]


def portfolio(account: str, contract: Contract, told: Sequence[Value]) -> Fields:
    """Return one position valued: `told` is quantity, price, value, average cost, open and realised P&L."""
    c = contract
    named: Fields = [c.con_id, c.symbol, c.kind, c.expiry, c.strike, c.right, c.multiplier]
    return [
        7,
        8,
        *named,
        c.primary or c.exchange,
        c.currency,
        c.local_symbol,
        c.trading_class,
        *told,
        account,
    ]


_LADDERS = 1_000_000_000
"""Market rules of several steps have ids from here on."""
_ORDER_TYPES = "DAY,FOK,GTC,GTD,IOC,LIT,LMT,MKT,MOC,OPG,STP,STPLMT,TRAIL,WHATIF"
"""What the gateway takes, in the names that contract details use."""


class Hours(msgspec.Struct, frozen=True):
    """Trading and liquid hours as text, such as `20250702:0930-20250702:1600;20250704:CLOSED`."""

    trading: str
    liquid: str


def contract_details(req_id: int, c: Contract, hours: Hours, version: int) -> Fields:
    """Return one contract in full."""
    fields: Fields = [10, *([8] if version < 164 else []), req_id, c.symbol, c.kind, c.expiry]
    fields += [c.expiry] if version >= 182 else []
    fields += [c.strike, c.right, c.exchange, c.currency, c.local_symbol, c.trading_class, c.trading_class]
    fields += [c.con_id, c.tick_size]
    fields += [1] if 110 <= version < 164 else []
    exchanges = list(dict.fromkeys([c.exchange, c.primary or c.exchange]))
    fields += [c.multiplier, _ORDER_TYPES, ",".join(exchanges)]
    fields += [1, 0, text(c.description or c.symbol, version), c.primary, c.expiry[:6], "", "", ""]
    fields += [c.timezone, hours.trading, hours.liquid, "", 0, 0]
    fields += [1] if version >= 121 else []  # aggregated group
    fields += ["", ""] if version >= 122 else []  # underlying
    fields += [",".join(str(rule_id(c)) for _ in exchanges)] if version >= 126 else []
    fields += [c.expiry] if version >= 134 else []
    fields += ["COMMON" if c.kind == "STK" else ""] if version >= 152 else []
    fields += [1] if version == 163 else []
    fields += [1, 1, 1] if version >= 164 else []
    fields += [0] if version >= 186 else []  # reasons of ineligibility
    return fields


def rule_id(contract: Contract) -> int:
    """Return the market rule of a contract: its only step in units of 1e-6, or a hash of all its steps."""
    pairs = contract.steps.pairs
    if len(pairs) == 1:
        return int(pairs[0][1] * 1_000_000)
    return _LADDERS + crc32(steps_text(pairs).encode()) % _LADDERS


def symbol_samples(req_id: int, found: Sequence[Contract], version: int) -> Fields:
    """Return contracts that match a pattern."""
    fields: Fields = [79, req_id, len(found)]
    for c in found:
        fields += [c.con_id, c.symbol, c.kind, c.primary or c.exchange, c.currency, 0]
        fields += [text(c.description, version), ""] if version >= 176 else []
    return fields


def bars(req_id: int, start: str, end: str, rows: Sequence[Sequence[Value]], version: int) -> list[Fields]:
    """Return bars (date, open, high, low, close, volume, wap, count) and their end."""
    fields: Fields = [17, *([] if version >= 124 else [3]), req_id]
    fields += [start, end] if version < 196 else []
    fields.append(len(rows))
    for row in rows:
        fields += [*row[:-1], *([] if version >= 124 else ["false"]), row[-1]]
    return [fields, [108, req_id, start, end]] if version >= 196 else [fields]
