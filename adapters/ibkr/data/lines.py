"""Market data lines: which instruments have one, under which request ids, and which wait for theirs.

Owns the order (what is held first), the limit and the pace: at most 20 lines are opened in any second. Pure
but for its own table; the requests that it returns are for the caller to send. What ticks mean is
`marketdata.py`'s.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from adapters.ibkr.data.barmaking import BarMaker
from adapters.ibkr.link.pacing import Lane, Pacer
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from core.clock import NEVER
from core.events import DataState, InstrumentDefined

LINES_PER_S = 20
TIME_AND_SALES = "233"

TakeId = Callable[[], int]
_NO_DATA = frozenset({"refused", "left_out"})


class Line(msgspec.Struct):
    """One instrument's subscriptions: the request ids of its quotes and, tick by tick, of its trades.

    `base` is the state that the broker declared, `state` the one last told. `sold` is the last trade of the
    time-and-sales string: its time in ms, and the day's volume with it; `sold_from` is when the line was
    opened by the broker's clock, which gives those times. `taken` tells
    that another session has the data. `away_ts` is since when nothing can have been heard, and `away_why`
    says for what reason; `None` while data come. `doubted` tells that a data farm was lost, perhaps this
    line's, and is not back yet. `known`: it was open before in this session.
    """

    instrument: InstrumentDefined
    name: str
    quotes_id: int | None = None
    trades_id: int | None = None
    single: bool = True
    base: DataState = "live"
    state: DataState | None = None
    opened_ts: int = 0
    heard_ts: int = 0
    bid_size: float | None = None
    ask_size: float | None = None
    halted: bool = False
    sold: tuple[int, float] = (0, 0.0)
    sold_from: int = 0
    taken: bool = False
    queued: bool = False
    bars: list[BarMaker] = []
    away_ts: int | None = None
    away_why: str = ""
    doubted: bool = False
    known: bool = False

    def away(self, why: str) -> None:
        """Take that nothing can be heard any more since the last that was; no running bar is whole now."""
        if self.away_ts is None and self.opened_ts and self.state not in _NO_DATA:
            self.away_ts, self.away_why = max(self.heard_ts, self.opened_ts), why
        for maker in self.bars:
            maker.since = NEVER

    def back(self, ts: int) -> tuple[int, str] | None:
        """Take that all is heard again from `ts` on; return since when it was not, and why."""
        gone, why = self.away_ts, self.away_why
        self.away_ts, self.away_why = None, ""
        for maker in self.bars:
            maker.since = ts
        return None if gone is None else (gone, why)


class Lines:
    """The lines of a session, within the limits of the login."""

    def __init__(self, lines_max: int, tick_by_tick_max: int) -> None:
        self.by_name: dict[str, Line] = {}
        self.by_id: dict[int, Line] = {}
        self.lines_max = lines_max
        self.ahead_ns = 0
        """How far the broker's clock is ahead of the one that `ts` is of."""
        self._tick_by_tick_max = tick_by_tick_max
        self._pacer: Pacer[str] = Pacer(LINES_PER_S, LINES_PER_S)
        self._data_type_due = True
        self._opened: list[Line] = []

    @property
    def waiting(self) -> bool:
        """Whether lines wait to be opened."""
        return self._pacer.waiting(Lane.DATA) > 0

    def want(self, wanted: Sequence[InstrumentDefined], first: Iterable[str]) -> list[InstrumentDefined]:
        """Queue every instrument for a new connection, those named in `first` before the others.

        Returns those for which the limit leaves no line. What was known of a line's trades stays, so that
        none is counted again.
        """
        self.lost()
        urgent = frozenset(first)
        ordered = sorted(wanted, key=lambda i: i.instrument not in urgent)  # stable: else in order
        known, self.by_name = self.by_name, {}
        for instrument in ordered[: self.lines_max]:
            name = instrument.instrument
            line = known.get(name)
            if line is None:
                line = Line(instrument, name)
            line.instrument = instrument
            self.by_name[name] = line
            self.reopen(line)
        return ordered[self.lines_max :]

    def lost(self) -> None:
        """Forget all subscriptions: the connection that had them is gone."""
        self.by_id.clear()
        self._pacer.drain()
        self._data_type_due = True
        for line in self.by_name.values():
            line.quotes_id = line.trades_id = None
            line.queued = False

    def take_opened(self) -> list[Line]:
        """Return the lines that were opened since the last call."""
        opened, self._opened = self._opened, []
        return opened

    def reopen(self, line: Line) -> None:
        """Queue a line to be asked for, once."""
        if line.queued:
            return
        line.queued = True
        self._pacer.offer(Lane.DATA, line.name)

    def due(self, data_type: int, requests: Encoder, take_id: TakeId, ts: int, now_ns: int) -> list[bytes]:
        """Return the requests of the lines whose turn it is; `now_ns` is monotonic, `ts` their time."""
        out: list[bytes] = []
        for name in self._pacer.take(now_ns):
            if self._data_type_due:
                self._data_type_due = False
                out.append(requests.req_market_data_type(data_type))
            line = self.by_name[name]
            line.queued = False
            out += self._open(line, requests, take_id, ts)
        return out

    def _open(self, line: Line, requests: Encoder, take_id: TakeId, ts: int) -> list[bytes]:
        out = self._close(line, requests)
        singles = sum(other.trades_id is not None for other in self.by_name.values())
        single = line.single and singles < self._tick_by_tick_max
        contract = contract_of(line.instrument)
        line.quotes_id, line.opened_ts, line.sold_from = take_id(), ts, ts + self.ahead_ns
        line.bid_size = line.ask_size = None
        line.doubted = False
        self._opened.append(line)
        self.by_id[line.quotes_id] = line
        # Time and sales only where trades do not come one by one: a trade must not be counted twice.
        out.append(requests.req_mkt_data(line.quotes_id, contract, "" if single else TIME_AND_SALES))
        if single:
            line.trades_id = take_id()
            self.by_id[line.trades_id] = line
            out.append(requests.req_tick_by_tick(line.trades_id, contract, "AllLast"))
        return out

    def _close(self, line: Line, requests: Encoder) -> list[bytes]:
        out: list[bytes] = []
        if line.quotes_id is not None:
            out.append(requests.cancel_mkt_data(line.quotes_id))
            self.by_id.pop(line.quotes_id, None)
        if line.trades_id is not None:
            out.append(requests.cancel_tick_by_tick(line.trades_id))
            self.by_id.pop(line.trades_id, None)
        line.quotes_id = line.trades_id = None
        return out
