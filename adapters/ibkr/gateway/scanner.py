"""Market scanners over the day's instruments: who rose, fell or traded most by now, told every 30 seconds.

Ranks what is recorded, nothing else. Changes count from the close of the session before.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract, Contracts
from adapters.ibkr.gateway.feeds import Feeds
from adapters.ibkr.gateway.terms import Refusal
from adapters.ibkr.gateway.wire import Cursor, whole
from core.clock import SECOND_NS
from core.views import QuotesView

Handler = Callable[[Client, Cursor], None]
EVERY_S = 30
ROWS_MAX = 50
_KINDS = {"STK": ("STK",), "ETF": ("ETF",), "STOCK": ("STK",), "FUT.US": ("FUT",), "FUT": ("FUT",)}
_SERVICE = "Historical Market Data Service"


class Standing(msgspec.Struct, frozen=True):
    """How an instrument stands: its last price, changes in per cent, and what was traded."""

    contract: Contract
    price: float
    change: float | None
    since_open: float | None
    volume: float


Rank = Callable[[Standing], float | None]
_CODES: Mapping[str, Rank] = {
    "TOP_PERC_GAIN": lambda s: s.change,
    "TOP_PERC_LOSE": lambda s: None if s.change is None else -s.change,
    "TOP_OPEN_PERC_GAIN": lambda s: s.since_open,
    "TOP_OPEN_PERC_LOSE": lambda s: None if s.since_open is None else -s.since_open,
    "MOST_ACTIVE": lambda s: s.volume or None,
    "HOT_BY_VOLUME": lambda s: s.volume or None,
}
_FILTERS: Mapping[str, Callable[[Standing, float], bool]] = {
    "priceAbove": lambda s, value: s.price >= value,
    "priceBelow": lambda s, value: s.price <= value,
    "volumeAbove": lambda s, value: s.volume >= value,
    "changePercAbove": lambda s, value: s.change is not None and s.change >= value,
    "changePercBelow": lambda s, value: s.change is not None and s.change <= value,
}


class Scan(msgspec.Struct, frozen=True):
    """A scan that a client subscribed to."""

    req_id: int
    rows: int
    kinds: tuple[str, ...]
    code: str
    filters: tuple[tuple[str, float], ...]


class Scanner:
    """Answers scanner subscriptions."""

    def __init__(
        self,
        contracts: Contracts,
        feeds: Feeds,
        quotes: QuotesView,
        now: Callable[[], int],
        day: Iterable[str],
    ) -> None:
        self._contracts = contracts
        self._feeds = feeds
        self._quotes = quotes
        self._now = now
        self._day = tuple(day)
        self._told = 0

    def routes(self) -> dict[int, Handler]:
        """Return the handlers by request id."""
        return {
            22: self._subscribe,
            23: self._cancel,
            24: lambda client, _: client.post([19, 1, _parameters()]),
        }

    def _subscribe(self, client: Client, cursor: Cursor) -> None:
        scan = read_scan(cursor, client.version)
        client.scans[scan.req_id] = scan
        self._tell(client, scan)

    def _cancel(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        req_id = cursor.integer("reqId")
        if client.scans.pop(req_id, None) is not None:
            raise Refusal(162, f"{_SERVICE} error message:API scanner subscription cancelled: {req_id}")

    def tick(self, clients: Iterable[Client]) -> None:
        """Tell subscribers anew, every 30 seconds of the day."""
        turn = self._now() // (EVERY_S * SECOND_NS)
        if turn == self._told:
            return
        self._told = turn
        for client in clients:
            for scan in client.scans.values():
                assert isinstance(scan, Scan)
                self._tell(client, scan)

    def _tell(self, client: Client, scan: Scan) -> None:
        found = self._found(scan)
        fields: Fields = [20, 3, scan.req_id, len(found)]
        for rank, standing in enumerate(found):
            c = standing.contract
            fields += [rank, c.con_id, c.symbol, c.kind, c.expiry, c.strike, c.right, c.exchange, c.currency]
            fields += [c.local_symbol, c.trading_class, c.trading_class, "", "", "", ""]
        client.post(fields)

    def _found(self, scan: Scan) -> list[Standing]:
        rank = _CODES[scan.code]
        mine = [s for s in self._standings() if s.contract.kind in scan.kinds]
        mine = [s for s in mine if all(_FILTERS[name](s, value) for name, value in scan.filters)]
        ranked = [(value, s) for s in mine if (value := rank(s)) is not None]
        ranked.sort(key=lambda pair: (-pair[0], pair[1].contract.symbol))
        return [s for _, s in ranked[: scan.rows]]

    def _standings(self) -> Iterable[Standing]:
        for instrument in self._day:
            archive, last = self._feeds.archive(instrument), self._quotes.mark(instrument)
            if last is not None:
                close, opened = self._feeds.closes.get(instrument), archive.open
                contract = self._contracts.by_instrument[instrument]
                yield Standing(contract, last, _change(last, close), _change(last, opened), archive.volume)


def _change(price: float, base: float | None) -> float | None:
    return None if not base else (price / base - 1) * 100


def read_scan(cursor: Cursor, version: int) -> Scan:
    """Read request 22; raises `Refusal` for a scan or filter that is not simulated."""
    if version < 143:
        cursor.skip(1)
    req_id, rows = cursor.integer("reqId"), cursor.integer("numberOfRows", -1)
    kind, _location, code = (cursor.text(name) for name in ("instrument", "locationCode", "scanCode"))
    given: dict[str, Decimal | None] = {
        "priceAbove": cursor.decimal("abovePrice"),
        "priceBelow": cursor.decimal("belowPrice"),
        "volumeAbove": cursor.decimal("aboveVolume"),
    }
    cursor.skip(14)  # capitalisation, ratings, maturity, coupons, options, settings, types of stock
    filters = {name: float(value) for name, value in given.items() if value}
    if version >= 143:
        filters |= _options(cursor.text("filterOptions"))
    unknown = [] if code in _CODES else [f"scan code {code}: expected one of {', '.join(_CODES)}"]
    unknown += [] if kind in _KINDS else [f"instrument {kind}: expected one of {', '.join(_KINDS)}"]
    unknown += [
        f"filter {name}: expected one of {', '.join(_FILTERS)}" for name in filters if name not in _FILTERS
    ]
    if unknown:
        raise Refusal(162, f"{_SERVICE} error message:not simulated: {'; '.join(unknown)}")
    shown = ROWS_MAX if rows <= 0 else min(rows, ROWS_MAX)
    return Scan(req_id, shown, _KINDS[kind], code, tuple(filters.items()))


def _options(shown: str) -> dict[str, float]:
    """Return filters written as `priceAbove=5;volumeAbove=100;`."""
    found: dict[str, float] = {}
    for part in filter(None, shown.split(";")):
        name, _, value = part.partition("=")
        number = whole(value)
        try:
            found[name] = float(value) if number is None else float(number)
        except ValueError:
            raise Refusal(162, f"{_SERVICE} error message:filter {part!r}: expected a number") from None
    return found


def _parameters() -> str:
    types = "".join(f"<ScanType><scanCode>{code}</scanCode></ScanType>" for code in _CODES)
    kinds = "".join(f"<Instrument><type>{kind}</type></Instrument>" for kind in _KINDS)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ScanParameterResponse>'
        f"<InstrumentList>{kinds}</InstrumentList><LocationTree/><ScanTypeList>{types}</ScanTypeList>"
        "</ScanParameterResponse>"
    )
