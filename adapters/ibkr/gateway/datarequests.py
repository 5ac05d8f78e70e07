"""Requests for market data and history: subscriptions, snapshots, bars, past ticks, real-time bars."""

from bisect import bisect_right
from collections.abc import Callable
from math import nan

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.clients import Client, Stream
from adapters.ibkr.gateway.contracts import Contract, read_contract
from adapters.ibkr.gateway.feeds import TICK_BY_TICK, Feeds
from adapters.ibkr.gateway.growing import TRADED, BarStream, grow
from adapters.ibkr.gateway.history import Candle, Frame, bar_date, quote_bars, spread_bars, trade_bars
from adapters.ibkr.gateway.requests import HistoryRequest
from adapters.ibkr.gateway.times import bar_ns, duration_ns, local_time, moment, stamp
from adapters.ibkr.gateway.trading import Refusal, Trading
from adapters.ibkr.gateway.wire import Cursor
from core.clock import DAY_NS, SECOND_NS
from core.events import Event, SessionScheduled
from projections.sessions import Sessions

Handler = Callable[[Client, Cursor], None]
LINES_MAX = 100
_GROWING = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_WHAT = _GROWING | {"ADJUSTED_LAST", "BID_ASK"}
_YIELDS = {"YIELD_BID", "YIELD_ASK", "YIELD_BID_ASK", "YIELD_LAST"}
_VOLATILITIES = {"HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"}
_NOT_RECORDED = frozenset({*_YIELDS, *_VOLATILITIES, "REBATE_RATE", "FEE_RATE", "AGGTRADES"})
_SCHEDULES = 165  # older clients cannot read them
_INVALID = "Error validating request.-'bX' : cause - "
_NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: "


class DataRequests:
    """Answers requests for market data and starts the clock for the first of them."""

    def __init__(
        self,
        feeds: Feeds,
        trading: Trading,
        sessions: Sessions,
        now: Callable[[], int],
        start: Callable[[], None],
    ) -> None:
        self._feeds = feeds
        self._trading = trading
        self._sessions = sessions
        self._now = now
        self._start = start
        self.forced_type = 0  # a fault: data of this type, whatever was asked for

    def routes(self) -> dict[int, Handler]:
        """Return the handlers by request id."""
        return {
            1: self._market_data,
            2: self._cancel,
            59: self._data_type,
            97: self._tick_by_tick,
            98: lambda client, cursor: self._end(client, cursor.integer("reqId")),
            20: self._history,
            25: _end_bars,
            87: self._head,
            90: lambda _client, _cursor: None,
            96: self._past_ticks,
            50: self._real_time_bars,
            51: _end_bars,
            10: self._depth,
            11: lambda _client, _cursor: None,
        }

    # -- streams -------------------------------------------------------------------------------

    def _market_data(self, client: Client, cursor: Cursor) -> None:
        asked = requests.market_data(cursor)
        contract = self._trading.resolve(asked.contract)
        data_type = self.forced_type or (1 if client.data_type in (1, 2) else client.data_type)
        stream = Stream(asked.req_id, contract.instrument, "ticks", asked.generic, data_type)
        if asked.snapshot:
            self._feeds.first(client, stream, contract)
            client.post([57, 1, asked.req_id])
            return
        self._new(client, asked.req_id)
        if self.forced_type in (3, 4):
            message = "Requested market data is not subscribed. Displaying delayed market data."
            ms = self._now() // 1_000_000
            client.post(answers.error(client.version, asked.req_id, 10167, message, ms))
        self._feeds.subscribe(client, stream, contract)
        self._start()

    def _new(self, client: Client, req_id: int) -> None:
        if req_id in client.streams:
            raise Refusal(322, f"Error processing request.-'bX' : cause - Duplicate ticker id {req_id}")
        if self._feeds.lines >= LINES_MAX:
            raise Refusal(101, "Max number of tickers has been reached")

    def _cancel(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        self._end(client, cursor.integer("reqId"))

    def _end(self, client: Client, req_id: int) -> None:
        if self._feeds.unsubscribe(client, req_id) is None:
            raise Refusal(300, f"Can't find EId with tickerId:{req_id}")

    def _data_type(self, client: Client, cursor: Cursor) -> None:
        cursor.skip(1)
        kind = cursor.integer("marketDataType")
        if kind not in (1, 2, 3, 4):
            raise Refusal(321, f"{_INVALID}Invalid market data type {kind}")
        client.data_type = kind

    def _tick_by_tick(self, client: Client, cursor: Cursor) -> None:
        asked = requests.tick_by_tick(cursor)
        contract = self._trading.resolve(asked.contract)
        if asked.kind not in TICK_BY_TICK:
            raise Refusal(321, f"{_INVALID}Invalid tick type {asked.kind!r}")
        self._new(client, asked.req_id)
        self._feeds.subscribe(client, Stream(asked.req_id, contract.instrument, asked.kind), contract)
        self._start()

    def _depth(self, _client: Client, _cursor: Cursor) -> None:
        raise Refusal(354, "Requested market data is not subscribed. Market depth is not simulated.")

    # -- bars ----------------------------------------------------------------------------------

    def _history(self, client: Client, cursor: Cursor) -> None:
        asked = requests.history(cursor, client.version)
        contract = self._trading.resolve(asked.contract)
        if asked.what == "SCHEDULE" and client.version >= _SCHEDULES:
            self._schedule(client, asked, contract)
            return
        if asked.what in _NOT_RECORDED:
            raise Refusal(162, f"{_NO_DATA}{contract.symbol}@{contract.exchange} {asked.what.title()}")
        _check_what(asked.what, _GROWING | TRADED if asked.keep_up else _WHAT)
        length = bar_ns(asked.bar_size)
        end = min(moment(asked.end, contract.timezone), self._now() + 1) if asked.end else self._now() + 1
        begin = self._begin(contract, asked, end)
        candles = self._candles(
            contract, asked, Frame(length, begin, end, asked.rth, self._session(contract))
        )
        if not candles and not asked.keep_up:
            raise Refusal(162, f"{_NO_DATA}{contract.symbol}@{contract.exchange} {asked.what.title()}")
        rows = [self._row(c, asked, contract, length) for c in candles]
        first, last = stamp(begin, contract.timezone), stamp(end, contract.timezone)
        for fields in answers.bars(asked.req_id, first, last, rows, client.version):
            client.post(fields)
        if asked.keep_up:
            candle = candles[-1] if candles else None
            client.bars[asked.req_id] = BarStream(
                asked.req_id, contract, length, asked.date_format, asked.what, candle=candle
            )
            self._start()

    def _begin(self, contract: Contract, asked: HistoryRequest, end: int) -> int:
        """Return where the window begins: days count as sessions, the running one among them."""
        length = duration_ns(asked.duration)
        days, rest = divmod(length, DAY_NS)
        if rest:
            return end - length
        begins = [s.begin for s in self._sessions.sessions(contract.calendar)]
        index = bisect_right(begins, end - 1) - days
        return begins[max(index, 0)] if begins else end - length

    def _schedule(self, client: Client, asked: HistoryRequest, contract: Contract) -> None:
        """Answer with the sessions that begin in the window, in the time of the exchange."""
        if bar_ns(asked.bar_size) != DAY_NS:
            raise Refusal(321, f"{_INVALID}SCHEDULE is told for bars of 1 day only")
        zone, now = contract.timezone, self._now() + 1
        end = moment(asked.end, zone) if asked.end else now
        begin = self._begin(contract, asked, end)
        found = [s for s in self._sessions.sessions(contract.calendar) if begin <= s.begin < end]
        spans = [(s.open, s.close) if asked.rth else (s.begin, s.end) for s in found]

        def shown(ts: int) -> str:
            return f"{local_time(ts, zone):%Y%m%d-%H:%M:%S}"

        first, last = (spans[0][0], spans[-1][1]) if spans else (begin, end)
        rows = [(shown(a), shown(b), s.date.replace("-", "")) for (a, b), s in zip(spans, found, strict=True)]
        head: Fields = [106, asked.req_id, shown(first), shown(last), zone, len(rows)]
        client.post([*head, *(value for row in rows for value in row)])

    def _session(self, contract: Contract) -> Callable[[int], SessionScheduled | None]:
        return lambda ts: self._sessions.session(contract.calendar, ts)

    def _candles(self, contract: Contract, asked: HistoryRequest, frame: Frame) -> list[Candle]:
        archive = self._feeds.archive(contract.instrument)
        if asked.what in TRADED:
            return trade_bars(archive, frame)
        if asked.what == "BID_ASK":
            return spread_bars(archive, frame)
        return quote_bars(archive, frame, asked.what)

    def _row(self, c: Candle, asked: HistoryRequest, contract: Contract, length: int) -> Fields:
        date = bar_date(c.start, length, contract.timezone, asked.date_format)
        tail: Fields = [c.volume, round(c.wap, 6), c.count] if asked.what in TRADED else [-1, -1, -1]
        return [date, c.open, c.high, c.low, c.close, *tail]

    def _head(self, client: Client, cursor: Cursor) -> None:
        req_id, wanted = cursor.integer("reqId"), read_contract(cursor)
        contract = self._trading.resolve(wanted)
        cursor.skip(3)
        first = self._feeds.archive(contract.instrument).first_ts()
        if first is None:
            raise Refusal(162, f"{_NO_DATA}{contract.symbol}@{contract.exchange}")
        epoch = cursor.integer("formatDate") == 2
        client.post([88, req_id, str(first // SECOND_NS) if epoch else stamp(first, "UTC")[:17]])

    def _past_ticks(self, client: Client, cursor: Cursor) -> None:
        asked = requests.history_ticks(cursor)
        contract = self._trading.resolve(asked.contract)
        archive, count = self._feeds.archive(contract.instrument), min(asked.count or 1000, 1000)
        begin = moment(asked.start, contract.timezone) if asked.start else 0
        end = moment(asked.end, contract.timezone) if asked.end else self._now() + 1
        end = min(end, self._now() + 1)

        def some(found: list[Fields]) -> list[Fields]:
            return found[:count] if asked.start else found[-count:]

        rows: list[Fields]
        if asked.what == "BID_ASK":
            quotes = archive.quotes(begin, end)
            rows = some([[t // SECOND_NS, 0, b, a, bs, as_] for t, b, bs, a, as_ in quotes])
            kind = 97
        else:
            rows = some([[t // SECOND_NS, 0, c, s, "", ""] for t, _, _, _, c, s in archive.rows(begin, end)])
            kind = 98 if asked.what == "TRADES" else 96
            rows = rows if kind == 98 else [row[:4] for row in rows]
        client.post([kind, asked.req_id, len(rows), *(value for row in rows for value in row), True])

    def _real_time_bars(self, client: Client, cursor: Cursor) -> None:
        asked = requests.real_time_bars(cursor)
        contract = self._trading.resolve(asked.contract)
        _check_what(asked.what, _GROWING)
        client.bars[asked.req_id] = BarStream(
            asked.req_id, contract, 5 * SECOND_NS, 2, asked.what, real_time=True
        )
        self._start()

    def grow(self, client: Client, instrument: str, event: Event) -> None:
        """Add an event to the client's bars of the instrument and tell what is due."""
        grow(client, instrument, event, self._best)

    def _best(self, instrument: str) -> tuple[float, float]:
        archive = self._feeds.archive(instrument)
        return (archive.bids[-1], archive.asks[-1]) if archive.bids else (nan, nan)


def _check_what(what: str, known: frozenset[str]) -> None:
    if what not in known:
        expected = ", ".join(sorted(known))
        raise Refusal(321, f"{_INVALID}whatToShow {what!r} is not simulated: expected one of {expected}")


def _end_bars(client: Client, cursor: Cursor) -> None:
    cursor.skip(1)
    client.bars.pop(cursor.integer("reqId"), None)
