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
from core.events import DataState, InstrumentDefined

LINES_PER_S = 20
TIME_AND_SALES = "233"

TakeId = Callable[[], int]


class Line(msgspec.Struct):
    """One instrument's subscriptions: the request ids of its quotes and, tick by tick, of its trades.

    `base` is the state that the broker declared, `state` the one last told. `sold` is the last trade of the
    time-and-sales string: its time in ms, and the day's volume with it. `taken` tells
    that another session has the data.
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
    taken: bool = False
    queued: bool = False
    bars: list[BarMaker] = []


class Lines:
    """The lines of a session, within the limits of the login."""

    def __init__(self, lines_max: int, tick_by_tick_max: int) -> None:
        self.by_name: dict[str, Line] = {}
        self.by_id: dict[int, Line] = {}
        self.lines_max = lines_max
        self._tick_by_tick_max = tick_by_tick_max
        self._pacer: Pacer[str] = Pacer(LINES_PER_S, LINES_PER_S)
        self._data_type_due = True

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
        line.quotes_id, line.opened_ts = take_id(), ts
        line.bid_size = line.ask_size = None
        for maker in line.bars:
            maker.since = ts
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
