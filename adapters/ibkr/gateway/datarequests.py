"""Requests for market data: subscriptions, snapshots, tick by tick, bars in the making."""

from collections.abc import Callable

from adapters.ibkr.gateway import answers, requests
from adapters.ibkr.gateway.clients import Client, Stream
from adapters.ibkr.gateway.feeds import TICK_BY_TICK, Feeds
from adapters.ibkr.gateway.growing import BarStream, grow
from adapters.ibkr.gateway.historyrequests import GROWING, INVALID, HistoryRequests, check_what
from adapters.ibkr.gateway.times import BarLength
from adapters.ibkr.gateway.trading import Refusal, Trading
from adapters.ibkr.gateway.wire import Cursor
from core.clock import SECOND_NS
from core.events import Event

Handler = Callable[[Client, Cursor], None]
LINES_MAX = 100
_FIVE_SECONDS = BarLength("time", 5 * SECOND_NS)


class DataRequests:
    """Answers requests for market data and starts the clock for the first of them."""

    def __init__(
        self,
        feeds: Feeds,
        trading: Trading,
        history: HistoryRequests,
        now: Callable[[], int],
        start: Callable[[], None],
    ) -> None:
        self._feeds = feeds
        self._trading = trading
        self._history = history
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
            **self._history.routes(),
            25: _end_bars,
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
            raise Refusal(321, f"{INVALID}Invalid market data type {kind}")
        client.data_type = kind

    def _tick_by_tick(self, client: Client, cursor: Cursor) -> None:
        asked = requests.tick_by_tick(cursor, client.version)
        contract = self._trading.resolve(asked.contract)
        if asked.kind not in TICK_BY_TICK:
            raise Refusal(321, f"{INVALID}Invalid tick type {asked.kind!r}")
        self._new(client, asked.req_id)
        if asked.past > 0:
            self._history.before_stream(client, asked, contract)
        stream = Stream(asked.req_id, contract.instrument, asked.kind, ignore_size=asked.ignore_size)
        self._feeds.subscribe(client, stream, contract)
        self._start()

    def _depth(self, _client: Client, _cursor: Cursor) -> None:
        raise Refusal(354, "Requested market data is not subscribed. Market depth is not simulated.")

    # -- bars in the making --------------------------------------------------------------------

    def _real_time_bars(self, client: Client, cursor: Cursor) -> None:
        asked = requests.real_time_bars(cursor)
        contract = self._trading.resolve(asked.contract)
        check_what(asked.what, GROWING)
        frame = self._history.frame(contract, _FIVE_SECONDS, rth=asked.rth, date_format=2)
        client.bars[asked.req_id] = BarStream(asked.req_id, contract, frame, asked.what, real_time=True)
        self._start()

    def grow(self, client: Client, instrument: str, event: Event) -> None:
        """Add an event to the client's bars of the instrument and tell what is due."""
        grow(client, instrument, event, self._best)

    def _best(self, instrument: str) -> tuple[float, float]:
        return self._feeds.archive(instrument).best()


def _end_bars(client: Client, cursor: Cursor) -> None:
    cursor.skip(1)
    client.bars.pop(cursor.integer("reqId"), None)
