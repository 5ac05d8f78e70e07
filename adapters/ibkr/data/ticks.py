"""What ticks mean: trades, quotes, halts, of the one feed `ib/stream`.

Quotes are the best of each side as Interactive Brokers consolidates them. Trades come tick by tick while
there are such lines, else from the time-and-sales string (tick 233), never from both. A bid of -1 or a size
of 0 takes the side away. Ticks come by the thousand: each costs one look-up of its line, and nothing else
hears of it unless it ends a doubt about its line.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from adapters.ibkr.data.lines import Line
from adapters.ibkr.wire.messages import Message
from adapters.ibkr.wire.ticks import TickByTickLast, TickGeneric, TickPrice, TickSize, TickString
from core.events import Event, HaltChanged, Quote, Trade

FEED = "ib/stream"
_RT_VOLUME = (48, 77)
_HALTED = (49, 90)
_UNREPORTED = 2
_BID, _ASK, _DELAYED_BID, _DELAYED_ASK = 1, 2, 66, 67
_BID_SIZE, _ASK_SIZE, _DELAYED_BID_SIZE, _DELAYED_ASK_SIZE = 0, 3, 69, 70
_DELAYED = frozenset(range(66, 77))
_SIDES = {_BID: True, _ASK: False, _DELAYED_BID: True, _DELAYED_ASK: False}
_SIZES = {_BID_SIZE: True, _ASK_SIZE: False, _DELAYED_BID_SIZE: True, _DELAYED_ASK_SIZE: False}
"""Tick types of a side, delayed ones with them; true for the bid."""
_NEVER_NEGATIVE = frozenset({"STK", "OPT", "CASH"})
"""Kinds whose price is never below zero; a future's, an index's or a spread's may be."""

Emit = Callable[[Event], None]
Tick = Callable[[Any, int, Emit], None]


class Speaks(Protocol):
    """Told of data that come of a line that was not there, or not known to be there."""

    def __call__(self, line: Line, ts: int, emit: Emit, *, delayed: bool) -> None:
        """Tell what follows."""


class Ticks:
    """The ticks of the lines in `by_id`; `routes` has what reads each type of message."""

    def __init__(self, by_id: Mapping[int, Line], speaks: Speaks) -> None:
        self._by_id = by_id
        self._speaks = speaks
        self.routes: dict[type[Message], Tick] = {
            TickPrice: self._price,
            TickSize: self._size,
            TickByTickLast: self._trade,
            TickString: self._string,
            TickGeneric: self._generic,
        }

    def _price(self, said: TickPrice, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id)
        if line is None:
            return
        line.heard_ts = ts
        kind = said.tick_type
        if line.state != line.base or kind in _DELAYED:
            self._speaks(line, ts, emit, delayed=kind in _DELAYED)
        is_bid = _SIDES.get(kind)
        if is_bid is None or said.price is None:
            return
        price: float | None = said.price
        size = said.size
        # -1 means that nobody shows a price; some products trade below zero, but then with a size.
        if not size or (said.price < 0 and line.instrument.kind in _NEVER_NEGATIVE):
            price, size = None, 0.0
        if is_bid:
            line.bid_size = size
            emit(Quote(ts, FEED, line.name, price, size, None, None))
        else:
            line.ask_size = size
            emit(Quote(ts, FEED, line.name, None, None, price, size))

    def _size(self, said: TickSize, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id)
        if line is None:
            return
        line.heard_ts = ts
        kind = said.tick_type
        if line.state != line.base:
            self._speaks(line, ts, emit, delayed=kind in _DELAYED)
        is_bid, size = _SIZES.get(kind), said.size
        # The size that came with a price is told again by itself, and is no news then.
        if is_bid is None or size is None or size == (line.bid_size if is_bid else line.ask_size):
            return
        if is_bid:
            line.bid_size = size
            emit(Quote(ts, FEED, line.name, None, size, None, None))
        else:
            line.ask_size = size
            emit(Quote(ts, FEED, line.name, None, None, None, size))

    def _trade(self, said: TickByTickLast, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id)
        if line is None or said.price is None or said.size is None:
            return
        line.heard_ts = ts
        if line.state != line.base:
            self._speaks(line, ts, emit, delayed=False)
        suspicious = bool(said.attributes & _UNREPORTED)
        trade = Trade(ts, FEED, line.name, said.price, said.size, said.exchange, said.conditions, suspicious)
        for maker in line.bars:
            maker.take(trade)
        emit(trade)

    def _string(self, said: TickString, ts: int, emit: Emit) -> None:
        if said.tick_type not in _RT_VOLUME:
            return
        line = self._by_id.get(said.req_id)
        if line is None or line.trades_id is not None:
            return
        line.heard_ts = ts
        price, size, time_ms, volume, *_ = said.text.split(";")
        if not price or not size or not float(size):
            return  # a change of the volume alone
        sold = (int(time_ms), float(volume or 0))
        known, line.sold = line.sold, max(line.sold, sold)
        # A subscription begins with the trade before it, and repeats come: each trade counts once.
        if sold <= known or (sold[0] + 1) * 1_000_000 <= line.sold_from:
            return
        if line.state != line.base:
            self._speaks(line, ts, emit, delayed=said.tick_type == _RT_VOLUME[1])
        trade = Trade(ts, FEED, line.name, float(price), float(size))
        for maker in line.bars:
            maker.take(trade)
        emit(trade)

    def _generic(self, said: TickGeneric, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id)
        if line is None or said.tick_type not in _HALTED or said.value is None:
            return
        halted = said.value > 0  # -1: unknown
        if halted != line.halted:
            line.halted = halted
            why = {1.0: "by its venue", 2.0: "for volatility"}.get(said.value, "")
            emit(HaltChanged(ts, FEED, line.name, halted, why))
