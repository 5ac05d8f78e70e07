"""Requests for market data and history: subscriptions, snapshots, bars, past ticks, real-time bars."""

from bisect import bisect_right
from collections.abc import Callable

import msgspec

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.answers import Fields
from adapters.ibkr.gateway.clients import Client, Stream
from adapters.ibkr.gateway.contracts import Contract, read_contract
from adapters.ibkr.gateway.feeds import TICK_BY_TICK, Feeds
from adapters.ibkr.gateway.history import Candle, Frame, bar_date, quote_bars, trade_bars
from adapters.ibkr.gateway.requests import HistoryRequest
from adapters.ibkr.gateway.times import bar_ns, duration_ns, moment, stamp
from adapters.ibkr.gateway.trading import Refusal, Trading
from adapters.ibkr.gateway.wire import Cursor
from core.clock import DAY_NS, SECOND_NS
from core.events import Bar, Event, SessionScheduled, Trade
from projections.sessions import Sessions

Handler = Callable[[Client, Cursor], None]
LINES_MAX = 100
_WHAT = {"TRADES", "MIDPOINT", "BID", "ASK", "ADJUSTED_LAST"}
_NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: "


class BarStream(msgspec.Struct):
    """Bars kept up to date for a client: the one in the making is told once a second."""

    req_id: int
    contract: Contract
    length_ns: int
    date_format: int
    real_time: bool = False
    candle: Candle | None = None
    told_second: int = 0


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
            raise Refusal(321, f"Error validating request.-'bX' : cause - Invalid market data type {kind}")
        client.data_type = kind

    def _tick_by_tick(self, client: Client, cursor: Cursor) -> None:
        asked = requests.tick_by_tick(cursor)
        contract = self._trading.resolve(asked.contract)
        if asked.kind not in TICK_BY_TICK:
            raise Refusal(321, f"Error validating request.-'bX' : cause - Invalid tick type {asked.kind!r}")
        self._new(client, asked.req_id)
        self._feeds.subscribe(client, Stream(asked.req_id, contract.instrument, asked.kind), contract)
        self._start()

    def _depth(self, _client: Client, _cursor: Cursor) -> None:
        raise Refusal(354, "Requested market data is not subscribed. Market depth is not simulated.")

    # -- bars ----------------------------------------------------------------------------------

    def _history(self, client: Client, cursor: Cursor) -> None:
        asked = requests.history(cursor, client.version)
        contract = self._trading.resolve(asked.contract)
        if asked.what not in _WHAT:
            raise Refusal(321, f"Error validating request.-'bX' : cause - whatToShow {asked.what!r}")
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
                asked.req_id, contract, length, asked.date_format, candle=candle
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

    def _session(self, contract: Contract) -> Callable[[int], SessionScheduled | None]:
        return lambda ts: self._sessions.session(contract.calendar, ts)

    def _candles(self, contract: Contract, asked: HistoryRequest, frame: Frame) -> list[Candle]:
        archive = self._feeds.archive(contract.instrument)
        if asked.what in ("TRADES", "ADJUSTED_LAST"):
            return trade_bars(archive, frame)
        return quote_bars(archive, frame, asked.what)

    def _row(self, c: Candle, asked: HistoryRequest, contract: Contract, length: int) -> Fields:
        date = bar_date(c.start, length, contract.timezone, asked.date_format)
        traded = asked.what in ("TRADES", "ADJUSTED_LAST")
        tail: Fields = [c.volume, round(c.wap, 6), c.count] if traded else [-1, -1, -1]
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
        cursor.skip(1)
        req_id, wanted = cursor.integer("reqId"), read_contract(cursor)
        contract = self._trading.resolve(wanted)
        client.bars[req_id] = BarStream(req_id, contract, 5 * SECOND_NS, 2, real_time=True)
        self._start()

    # -- bars that grow ------------------------------------------------------------------------

    def grow(self, client: Client, instrument: str, event: Event) -> None:
        """Add a print to the client's bars of the instrument and tell what is due."""
        if not isinstance(event, Trade | Bar) or (isinstance(event, Trade) and event.suspicious):
            return
        for stream in client.bars.values():
            if isinstance(stream, BarStream) and stream.contract.instrument == instrument:
                self._grow(client, stream, event)

    def _grow(self, client: Client, stream: BarStream, event: Trade | Bar) -> None:
        if isinstance(event, Trade):
            ts, values = event.ts, (event.price,) * 4
            volume = event.size
        else:
            ts, values, volume = event.start, (event.open, event.high, event.low, event.close), event.volume
        start = ts - ts % stream.length_ns
        candle = stream.candle
        if candle is None or start > candle.start:
            if candle is not None and stream.real_time:
                client.post([50, 3, stream.req_id, candle.start // SECOND_NS, *_values(candle)])
            elif candle is not None:
                self._tell(client, stream, candle)
            candle = stream.candle = Candle(start, *values)
        candle.take(values[1], values[2], values[3], volume, 1)
        second = ts // SECOND_NS
        if not stream.real_time and second != stream.told_second:
            stream.told_second = second
            self._tell(client, stream, candle)

    def _tell(self, client: Client, stream: BarStream, c: Candle) -> None:
        date = bar_date(c.start, stream.length_ns, stream.contract.timezone, stream.date_format)
        prices = [c.open, c.close, c.high, c.low]
        client.post([90, stream.req_id, c.count, date, *prices, round(c.wap, 6), c.volume])


def _values(c: Candle) -> Fields:
    return [c.open, c.high, c.low, c.close, c.volume, round(c.wap, 6), c.count]


def _end_bars(client: Client, cursor: Cursor) -> None:
    cursor.skip(1)
    client.bars.pop(cursor.integer("reqId"), None)
