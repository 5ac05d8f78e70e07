"""Contracts: our instruments as Interactive Brokers' clients name them, and back. Pure.

An instrument without a conId gets one that follows from its id alone, so that it is the same in every
session. Owns the names of exchanges on the wire; knows nothing of messages' order of fields.
"""

from collections.abc import Iterable
from decimal import Decimal
from zlib import crc32

import msgspec

from adapters.ibkr.gateway.wire import Cursor, number
from core.events import InstrumentDefined
from core.price_steps import PriceSteps, steps_of

_MICS = {
    "XNYS": "NYSE",
    "XNAS": "NASDAQ",
    "ARCX": "ARCA",
    "XASE": "AMEX",
    "BATS": "BATS",
    "XCME": "CME",
    "XCBT": "CBOT",
    "XNYM": "NYMEX",
    "XCEC": "COMEX",
    "XCBO": "CBOE",
    "XEUR": "EUREX",
    "XETR": "IBIS",
    "XLON": "LSE",
}
_MONTHS = "FGHJKMNQUVXZ"
_CON_ID_BASE, _CON_ID_SPAN = 700_000_000, 99_999_989


class Wanted(msgspec.Struct, frozen=True):
    """A contract as a request describes it; empty or 0 leaves a part open."""

    con_id: int = 0
    symbol: str = ""
    kind: str = ""
    expiry: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    expired: bool = False

    @property
    def shown(self) -> str:
        """The contract in a few words, for messages."""
        name = self.local_symbol or self.symbol or f"conId {self.con_id}"
        return " ".join(part for part in (name, self.kind, self.expiry, self.exchange) if part)


def read_contract(cursor: Cursor, *, expirable: bool = False) -> Wanted:
    """Read the contract's fields in the order in which requests carry them.

    `expirable` says that the request goes on with a flag that includes expired contracts.
    """
    return Wanted(
        con_id=cursor.integer("conId"),
        symbol=cursor.text("symbol"),
        kind=cursor.text("secType"),
        expiry=cursor.text("lastTradeDateOrContractMonth"),
        strike=cursor.decimal("strike"),
        right=cursor.text("right"),
        multiplier=cursor.text("multiplier"),
        exchange=cursor.text("exchange"),
        primary=cursor.text("primaryExchange"),
        currency=cursor.text("currency"),
        local_symbol=cursor.text("localSymbol"),
        trading_class=cursor.text("tradingClass"),
        expired=cursor.boolean("includeExpired") if expirable else False,
    )


class Contract(msgspec.Struct, frozen=True):
    """An instrument under the names of the wire."""

    instrument: str
    con_id: int
    symbol: str
    kind: str
    expiry: str
    strike: Decimal
    right: str
    multiplier: str
    exchange: str
    primary: str
    currency: str
    local_symbol: str
    trading_class: str
    tick_size: Decimal
    steps: PriceSteps
    timezone: str
    description: str
    calendar: str

    def fields(self) -> list[str]:
        """Return the contract as most answers carry it: conId to tradingClass, without primary exchange."""
        return [
            str(self.con_id),
            self.symbol,
            self.kind,
            self.expiry,
            number(self.strike),
            self.right,
            self.multiplier,
            self.exchange,
            self.currency,
            self.local_symbol,
            self.trading_class,
        ]

    def expired(self, today: str) -> bool:
        """Return whether the last trade date (or month) is over on a date such as `20250702`."""
        return bool(self.expiry) and self.expiry < today[: len(self.expiry)]

    def matches(self, wanted: Wanted) -> bool:
        """Return whether the contract is one that `wanted` describes."""
        if wanted.con_id:
            return wanted.con_id == self.con_id
        exchange = wanted.exchange.upper()
        return (
            _same(wanted.symbol, self.symbol)
            and (not wanted.kind or wanted.kind == self.kind)
            and self.expiry.startswith(wanted.expiry.replace("-", ""))
            and (not wanted.strike or wanted.strike == self.strike)
            and (wanted.right in ("", "?", "0") or wanted.right[:1] == self.right[:1])
            and (not exchange or exchange in {"SMART", self.exchange, self.primary, self.calendar})
            and _same(wanted.primary, self.primary)
            and _same(wanted.currency, self.currency)
            and _same(wanted.local_symbol, self.local_symbol)
            and (not wanted.multiplier or wanted.multiplier in (self.multiplier, "1", "1.0"))
        )


def _same(wanted: str, known: str) -> bool:
    return not wanted or wanted.upper() == known.upper()


class Contracts:
    """All contracts of a log, by instrument and by conId; `today` (`20250702`) says which have expired."""

    def __init__(self, definitions: Iterable[InstrumentDefined], today: str = "") -> None:
        self._today = today
        self._by_id: dict[int, Contract] = {}
        self.by_instrument: dict[str, Contract] = {}
        known = sorted(definitions, key=lambda item: (item.con_id is None, item.instrument))
        for definition in known:
            contract = _contract(definition, self._con_id(definition))
            self._by_id[contract.con_id] = contract
            self.by_instrument[contract.instrument] = contract

    def _con_id(self, definition: InstrumentDefined) -> int:
        if definition.con_id is not None:
            return definition.con_id
        number_ = crc32(definition.instrument.encode())
        while (con_id := _CON_ID_BASE + number_ % _CON_ID_SPAN) in self._by_id:
            number_ += 1
        return con_id

    def find(self, wanted: Wanted) -> list[Contract]:
        """Return the contracts that a request describes, by instrument id; empty if it describes none.

        Expired futures are found if the request includes them, expired options never, as at IB.
        """
        if not (wanted.con_id or wanted.symbol or wanted.local_symbol):
            return []
        if wanted.kind == "CONTFUT" and not wanted.con_id:
            return self._front(wanted)
        found = [c for _, c in sorted(self.by_instrument.items()) if c.matches(wanted)]
        return [c for c in found if not c.expired(self._today) or (wanted.expired and c.kind == "FUT")]

    def _front(self, wanted: Wanted) -> list[Contract]:
        """Return the future that ends next, as the continuous one that it stands for."""
        found = self.find(msgspec.structs.replace(wanted, kind="FUT", expiry="", expired=False))
        found.sort(key=lambda c: c.expiry)
        return [msgspec.structs.replace(c, kind="CONTFUT") for c in found[:1]]

    def options(self, symbol: str) -> list[Contract]:
        """Return the options on a symbol that have not expired."""
        mine = [c for c in self.by_instrument.values() if c.kind == "OPT" and c.symbol == symbol]
        return [c for c in mine if not c.expired(self._today)]

    def by_con_id(self, con_id: int) -> Contract | None:
        """Return the contract of a conId."""
        return self._by_id.get(con_id)

    def like(self, pattern: str) -> list[Contract]:
        """Return contracts whose symbol begins with the pattern or whose description holds it."""
        text = pattern.upper()
        found = [
            c
            for _, c in sorted(self.by_instrument.items())
            if c.symbol.upper().startswith(text) or text in c.description.upper()
        ]
        return found[:16]


def _contract(definition: InstrumentDefined, con_id: int) -> Contract:
    kind = definition.kind
    home = _MICS.get(definition.exchange, definition.exchange)
    expiry = (definition.expiry or "").replace("-", "")
    listed = kind in ("STK", "ETF")
    steps = steps_of(definition)
    return Contract(
        instrument=definition.instrument,
        con_id=con_id,
        symbol=definition.symbol,
        kind=kind,
        expiry=expiry,
        strike=definition.strike or Decimal(0),
        right=definition.right or "",
        multiplier="" if definition.multiplier == 1 else number(definition.multiplier),
        exchange="SMART" if listed or kind == "OPT" else home,
        primary=home if listed else "",
        currency=definition.currency,
        local_symbol=_local_symbol(definition, expiry),
        trading_class=definition.symbol,
        tick_size=steps.smallest if definition.price_steps else definition.tick_size,
        steps=steps,
        timezone=definition.timezone,
        description=definition.description,
        calendar=definition.exchange,
    )


def _local_symbol(definition: InstrumentDefined, expiry: str) -> str:
    if definition.kind == "FUT" and len(expiry) >= 6:
        return f"{definition.symbol}{_MONTHS[int(expiry[4:6]) - 1]}{expiry[3]}"
    if definition.kind == "OPT" and definition.strike is not None:
        strike = f"{int(definition.strike * 1000):08d}"
        return f"{definition.symbol:<6}{expiry[2:]}{(definition.right or '')[:1]}{strike}"
    if definition.kind == "CASH":
        return f"{definition.symbol}.{definition.currency}"
    return definition.symbol
