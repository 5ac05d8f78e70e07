"""Market data of a live session: which instruments have a line, and their ticks as trades and quotes.

One feed for all (`ib/stream`): quotes are the best of each side as Interactive Brokers consolidates them.
Trades come tick by tick while there are such lines, else from the time-and-sales string (tick 233). A bid
of -1 or a size of 0 takes the side away. Pure but for its own table of lines; it sends nothing itself.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from adapters.ibkr.contracts import contract_of
from adapters.ibkr.encoder import Encoder
from adapters.ibkr.messages import ErrorMessage, Message
from adapters.ibkr.ticks import (
    MarketDataType,
    TickByTickLast,
    TickGeneric,
    TickPrice,
    TickSize,
    TickString,
)
from core.events import DataStateChanged, Event, FeedDefined, HaltChanged, InstrumentDefined, Quote, Trade

FEED = "ib/stream"
TIME_AND_SALES = "233"
_RT_VOLUME = 48
_HALTED = (49, 90)
_UNREPORTED = 2
_BID, _ASK, _BID_SIZE, _ASK_SIZE = 1, 2, 0, 3
_DELAYED = {66: _BID, 67: _ASK, 69: _BID_SIZE, 70: _ASK_SIZE}
_REFUSED = {
    10089: "needs a subscription",
    10167: "needs a subscription, delayed data are sent",
    10168: "needs a subscription",
    10186: "needs a subscription",
    10197: "a competing session has the data",
    101: "no market data line is free",
    200: "the broker knows no such contract",
    354: "needs a subscription",
}
"""What these codes say of a data request. 10090 is not among them: the other ticks go on."""


class Line(msgspec.Struct):
    """One instrument's subscriptions: the request ids of its quotes and, tick by tick, of its trades."""

    instrument: InstrumentDefined
    quotes_id: int
    trades_id: int | None
    state: str = ""
    heard_ts: int = 0


class MarketData:
    """The lines of a session. `events` turns a message into events; `requests` are for the caller to send."""

    def __init__(self, lines_max: int = 100, tick_by_tick_max: int = 3, *, delayed: bool = False) -> None:
        self._lines_max = lines_max
        self._tick_by_tick_max = tick_by_tick_max
        self._data_type = 3 if delayed else 1
        self.lines: dict[str, Line] = {}
        self._by_id: dict[int, Line] = {}
        self._routes: dict[type[Message], Callable[[Any, int], Iterable[Event]]] = {
            TickPrice: self._price,
            TickSize: self._size,
            TickByTickLast: self._trade,
            TickString: self._string,
            TickGeneric: self._generic,
            MarketDataType: self._type,
            ErrorMessage: self._error,
        }

    def feed(self, ts: int) -> FeedDefined:
        """Return what defines the feed."""
        return FeedDefined(ts, FEED, "Interactive Brokers", "tick", consolidated=True)

    def subscribe(
        self, wanted: Sequence[InstrumentDefined], requests: Encoder, take_id: Callable[[], int], ts: int
    ) -> tuple[list[bytes], list[Event]]:
        """Give each instrument a line, in this order, within the limit; return requests and events.

        Every instrument that gets none is told of by an event.
        """
        out, events = [requests.req_market_data_type(self._data_type)], list[Event]()
        for instrument in wanted:
            name = instrument.instrument
            if name in self.lines:
                continue
            if len(self.lines) >= self._lines_max:
                why = f"all {self._lines_max} market data lines are taken"
                events.append(DataStateChanged(ts, name, "left_out", why))
                continue
            out += self._open(instrument, requests, take_id)
        return out, events

    def resubscribe(self, requests: Encoder, take_id: Callable[[], int]) -> list[bytes]:
        """Return the requests that open every line again on a new connection."""
        known = [line.instrument for line in self.lines.values()]
        self.lines, self._by_id = {}, {}
        out = [requests.req_market_data_type(self._data_type)]
        for instrument in known:
            out += self._open(instrument, requests, take_id)
        return out

    def events(self, message: Message, ts: int) -> Iterable[Event]:
        """Return what a message says of market data; nothing if it speaks of something else."""
        route = self._routes.get(type(message))
        return route(message, ts) if route is not None else ()

    def speaks_of(self, req_id: int | None) -> str:
        """Return the instrument of a data request, or nothing."""
        line = self._by_id.get(req_id or 0)
        return line.instrument.instrument if line is not None else ""

    def _open(
        self, instrument: InstrumentDefined, requests: Encoder, take_id: Callable[[], int]
    ) -> list[bytes]:
        contract = contract_of(instrument)
        single = sum(line.trades_id is not None for line in self.lines.values()) < self._tick_by_tick_max
        line = Line(instrument, take_id(), take_id() if single else None)
        self.lines[instrument.instrument] = line
        self._by_id[line.quotes_id] = line
        out = [requests.req_mkt_data(line.quotes_id, contract, "" if single else TIME_AND_SALES)]
        if line.trades_id is not None:
            self._by_id[line.trades_id] = line
            out.append(requests.req_tick_by_tick(line.trades_id, contract, "AllLast"))
        return out

    def _price(self, said: TickPrice, ts: int) -> Iterable[Event]:
        kind = _DELAYED.get(said.tick_type, said.tick_type)
        line = self._by_id.get(said.req_id)
        if line is None or kind not in (_BID, _ASK) or said.price is None:
            return ()
        line.heard_ts = ts
        # -1 means that nobody shows a price; some products trade below zero, but then with a size.
        gone = not said.size or (said.price < 0 and line.instrument.kind in ("STK", "OPT", "FUT"))
        price, size = (None, 0.0) if gone else (said.price, said.size)
        return (self._quote(line, kind, price, size, ts),)

    def _size(self, said: TickSize, ts: int) -> Iterable[Event]:
        kind = _DELAYED.get(said.tick_type, said.tick_type)
        line = self._by_id.get(said.req_id)
        if line is None or kind not in (_BID_SIZE, _ASK_SIZE) or said.size is None:
            return ()
        line.heard_ts = ts
        return (self._quote(line, _BID if kind == _BID_SIZE else _ASK, None, said.size, ts),)

    def _quote(self, line: Line, kind: int, price: float | None, size: float | None, ts: int) -> Quote:
        name = line.instrument.instrument
        if kind == _BID:
            return Quote(ts, FEED, name, price, size, None, None)
        return Quote(ts, FEED, name, None, None, price, size)

    def _trade(self, said: TickByTickLast, ts: int) -> Iterable[Event]:
        line = self._by_id.get(said.req_id)
        if line is None or said.price is None or said.size is None:
            return ()
        line.heard_ts = ts
        suspicious = bool(said.attributes & _UNREPORTED)
        name = line.instrument.instrument
        return (Trade(ts, FEED, name, said.price, said.size, said.exchange, said.conditions, suspicious),)

    def _string(self, said: TickString, ts: int) -> Iterable[Event]:
        line = self._by_id.get(said.req_id)
        if line is None or said.tick_type != _RT_VOLUME or line.trades_id is not None:
            return ()
        price, size, *_ = said.text.split(";")
        if not price or not size:
            return ()  # a correction of the volume alone
        line.heard_ts = ts
        return (Trade(ts, FEED, line.instrument.instrument, float(price), float(size)),)

    def _generic(self, said: TickGeneric, ts: int) -> Iterable[Event]:
        line = self._by_id.get(said.req_id)
        if line is None or said.tick_type not in _HALTED or said.value is None:
            return ()
        halted = said.value > 0
        return (
            HaltChanged(
                ts, FEED, line.instrument.instrument, halted, "volatility" if said.value == 2 else ""
            ),
        )

    def _type(self, said: MarketDataType, ts: int) -> Iterable[Event]:
        line = self._by_id.get(said.req_id or 0)
        if line is None:
            return ()
        state = {1: "live", 2: "stale", 3: "delayed", 4: "delayed"}.get(said.kind, "refused")
        reason = {2: "frozen: the market is closed", 4: "frozen and delayed"}.get(said.kind, "")
        return self._changed(line, state, reason, ts)

    def _error(self, said: ErrorMessage, ts: int) -> Iterable[Event]:
        line = self._by_id.get(said.req_id or 0)
        if line is None or said.code not in _REFUSED:
            return ()
        return self._changed(line, "delayed" if said.code == 10167 else "refused", _REFUSED[said.code], ts)

    def _changed(self, line: Line, state: Any, reason: str, ts: int) -> Iterable[Event]:
        if line.state == state:
            return ()
        line.state = state
        return (DataStateChanged(ts, line.instrument.instrument, state, reason),)

    def stale(self, ts: int, after_ns: int) -> list[Event]:
        """Return events for lines that said nothing for `after_ns`, and for those that speak again."""
        out: list[Event] = []
        for line in self.lines.values():
            silent = line.heard_ts and ts - line.heard_ts > after_ns
            if silent and line.state == "live":
                out += self._changed(line, "stale", f"nothing for {(ts - line.heard_ts) / 1e9:.0f} s", ts)
            elif not silent and line.state == "stale":
                out += self._changed(line, "live", "", ts)
        return out

    def doubt(self, why: str, ts: int) -> list[Event]:
        """Return events that call every live line stale; a line that speaks again is live again."""
        out: list[Event] = []
        for line in self.lines.values():
            if line.state == "live":
                out += self._changed(line, "stale", why, ts)
                line.heard_ts = 0
        return out

    def renew(self, requests: Encoder, take_id: Callable[[], int]) -> list[bytes]:
        """Return the requests that end every line and open it again on the same connection."""
        ends: list[bytes] = []
        for line in self.lines.values():
            ends.append(requests.cancel_mkt_data(line.quotes_id))
            if line.trades_id is not None:
                ends.append(requests.cancel_tick_by_tick(line.trades_id))
        return [*ends, *self.resubscribe(requests, take_id)]
