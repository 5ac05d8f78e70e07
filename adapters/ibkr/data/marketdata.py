"""Market data of a live session: its lines, the state of every instrument's data, its bars, what was missed.

What ticks mean is `ticks.py`'s, which lines are open `lines.py`'s, how gaps are filled `backfill.py`'s. It
sends nothing itself, and what it cannot tell for certain it calls not live: the gate takes no entries then.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

import msgspec

from adapters.ibkr.data.backfill import Backfill
from adapters.ibkr.data.barmaking import BarMaker, bar_feed
from adapters.ibkr.data.lines import Line, Lines, TakeId
from adapters.ibkr.data.refusals import ELSEWHERE, REFUSALS, SINGLE_TRADES_REFUSED, Refusal
from adapters.ibkr.data.staleness import Hours, Staleness
from adapters.ibkr.data.ticks import FEED, Emit, Ticks
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import ErrorMessage, Message
from adapters.ibkr.wire.ticks import MarketDataType
from core.clock import SECOND_NS
from core.events import DataState, DataStateChanged, Event, FeedDefined, InstrumentDefined, Quote

_TYPES: dict[int, tuple[DataState, str]] = {
    1: ("live", ""),
    2: ("stale", "frozen: the last prices before the close"),
    3: ("delayed", "delayed by the broker, usually 15 minutes"),
    4: ("delayed", "delayed and frozen"),
}
_SKEW_LEAST_MS = 1000


class DataLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the login may have, and when silence counts. `stale_after` holds seconds by instrument."""

    lines_max: int = 100
    tick_by_tick_max: int = 3
    delayed: bool = False
    stale_after_s: float = 60.0
    stale_after: Mapping[str, float] = {}
    backfill: bool = True

    @classmethod
    def of(cls, link: LinkSettings) -> Self:
        """Return the limits that a link's settings name."""
        return cls(
            lines_max=link.lines_max,
            tick_by_tick_max=link.tick_by_tick_max,
            delayed=link.delayed_data,
            stale_after_s=link.stale_after_s,
            stale_after=link.stale_after,
            backfill=link.backfill,
        )


class MarketData:
    """The data of a session. `ticks` and `events` turn messages into events; `due` says what to send.

    `held` names the instruments with a position now: they get the first lines. `bars` says of which
    instruments bars are to be made, and of which resolutions.
    """

    def __init__(
        self,
        limits: DataLimits,
        hours: Hours,
        held: Callable[[], Iterable[str]] = lambda: (),
        bars: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._lines = Lines(limits.lines_max, limits.tick_by_tick_max)
        self._by_id = self._lines.by_id
        self._data_type = 3 if limits.delayed else 1
        self._staleness = Staleness(hours, limits.stale_after_s, limits.stale_after)
        self._hours = hours
        self.backfill = Backfill(hours, active=limits.backfill)
        self._held = held
        self._bars = bars
        self._makers: list[BarMaker] = []
        self._looked_ts = 0
        self.ticks = Ticks(self._by_id, self._speaks).routes
        """What comes by the thousand, by type: called with the message, its time, and where events go."""

    @property
    def lines(self) -> Mapping[str, Line]:
        """The lines by instrument."""
        return self._lines.by_name

    @property
    def opening(self) -> bool:
        """Whether lines wait to be asked for."""
        return self._lines.waiting

    def feed(self, ts: int) -> FeedDefined:
        """Return what defines the feed."""
        return FeedDefined(ts, FEED, "Interactive Brokers", "tick", consolidated=True)

    def broker_ahead(self, skew_ms: int) -> None:
        """Take how far the broker's clock is ahead of the session's, where it gives the times of trades.

        Less than a second is not told from what the question for the time took.
        """
        self._lines.ahead_ns = skew_ms * 1_000_000 if abs(skew_ms) >= _SKEW_LEAST_MS else 0

    # -- lines ---------------------------------------------------------------------------------

    def begin(self, wanted: Sequence[InstrumentDefined], ts: int) -> list[Event]:
        """Queue a line for each instrument of a new connection; tell of those that get none.

        What is held comes first, then the order given; the limit leaves out the rest.
        """
        why = f"all {self._lines.lines_max} market data lines are taken ([ibkr] market_data_lines)"
        left_out = self._lines.want(wanted, self._held())
        out: list[Event] = [DataStateChanged(ts, one.instrument, "left_out", why) for one in left_out]
        return [*out, *self.doubt("what was subscribed is lost", ts), *self._make_bars(ts)]

    def _make_bars(self, ts: int) -> list[Event]:
        """Begin all bars anew; what was running is not whole any more."""
        feeds = {r: bar_feed(r, ts) for name in self.lines for r in self._bars.get(name, ())}
        self._makers = []
        for name, line in self.lines.items():
            told = {maker.resolution: maker.last_ts for maker in line.bars}
            line.bars = [BarMaker(r, line.instrument, self._hours, ts) for r in self._bars.get(name, ())]
            for maker in line.bars:
                maker.last_ts = told.get(maker.resolution, 0)
            self._makers += line.bars
        return list(feeds.values())

    def doubt(self, why: str, ts: int) -> list[Event]:
        """Call stale what is live or delayed; the next tick of a line ends the doubt."""
        out: list[Event] = []
        for line in self.lines.values():
            line.away(why)
            line.doubted = True
            if line.state in ("live", "delayed"):
                self._tell(line, "stale", why, ts, out.append)
        return out

    def renew(self) -> None:
        """Queue the lines that were in doubt, and those that another session had, to be asked for again."""
        for line in self.lines.values():
            if line.doubted:  # what came meanwhile may have been under way already
                line.away("its data farm was lost")
            if line.state == "stale" or line.taken or line.doubted:
                line.taken = False
                self._lines.reopen(line)

    def lost(self, why: str) -> None:
        """Forget the subscriptions of a connection that ended."""
        self.cut_off(why)
        self._lines.lost()
        self.backfill.lost()

    def cut_off(self, why: str) -> None:
        """Take that no data can come for now; subscriptions stay."""
        for line in self.lines.values():
            line.away(why)

    def restored(self, ts: int) -> list[Event]:
        """Take that data come again for the subscriptions that stayed; tell what was missed."""
        return [event for line in self.lines.values() for event in self._back(line, ts)]

    def _opened(self, line: Line, ts: int) -> list[Event]:
        """Tell what a line has missed that is open now: for strategies of bars, the day so far as well."""
        if line.known:
            return self._back(line, ts)
        line.known = True
        day = self._hours.session(line.instrument.exchange, ts)
        if not line.bars or day is None or not day.open < ts < day.close:
            return self._back(line, ts)
        line.back(ts)
        return self.backfill.found(line, day.open, ts, "the session began in the middle of the day", ts)

    def _back(self, line: Line, ts: int) -> list[Event]:
        gap = line.back(ts)
        return [] if gap is None else self.backfill.found(line, gap[0], ts, gap[1], ts)

    def fill(
        self, requests: Encoder, take_id: TakeId, ts: int, now_ns: int
    ) -> tuple[list[bytes], list[Event]]:
        """Return questions about what was missed, and what lines that were opened anew have missed."""
        told = [event for line in self._lines.take_opened() for event in self._opened(line, ts)]
        asked, failed = self.backfill.due(requests, take_id, ts, now_ns)
        return asked, [*told, *failed]

    def due(self, requests: Encoder, take_id: TakeId, ts: int, now_ns: int) -> list[bytes]:
        """Return requests for the lines whose turn it is, at most 20 lines in any second."""
        return self._lines.due(self._data_type, requests, take_id, ts, now_ns)

    def bars_over(self, ts: int) -> bool:
        """Return whether any bar is over at `ts`."""
        return any(0 < maker.due_ts <= ts for maker in self._makers)

    def finish_bars(self, ts: int, emit: Emit) -> None:
        """Tell the bars that are over at `ts`; to be called before anything later is told."""
        for maker in self._makers:
            bar = maker.over(ts) if maker.due_ts else None
            if bar is not None:
                emit(bar)

    def speaks_of(self, req_id: int | None) -> str:
        """Return the instrument of a data request, or nothing."""
        line = self._by_id.get(req_id or 0)
        return line.name if line is not None else self.backfill.speaks_of(req_id)

    # -- states --------------------------------------------------------------------------------

    def _speaks(self, line: Line, ts: int, emit: Emit, *, delayed: bool) -> None:
        """Tell that data come that were not there, or not known to be there."""
        line.taken = False
        if delayed and line.base == "live":
            line.base = "delayed"
        self._tell(line, line.base, "", ts, emit)
        if line.away_ts is not None:
            for event in self._back(line, ts):
                emit(event)

    # -- everything else -----------------------------------------------------------------------

    def events(self, message: Message, ts: int) -> list[Event]:
        """Return what a message that is no tick says of market data."""
        out: list[Event] = []
        if type(message) is MarketDataType:
            self._type(message, ts, out.append)
        elif type(message) is ErrorMessage:
            self._error(message, ts, out.append)
        return out

    def _type(self, said: MarketDataType, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id or 0)
        if line is None or said.kind not in _TYPES:
            return
        line.base, why = _TYPES[said.kind]
        self._tell(line, line.base, why, ts, emit)

    def _error(self, said: ErrorMessage, ts: int, emit: Emit) -> None:
        line = self._by_id.get(said.req_id or 0)
        if line is None:
            return
        if said.code in SINGLE_TRADES_REFUSED and said.req_id == line.trades_id:
            line.single = False
            self._lines.reopen(line)
        elif said.code in REFUSALS:
            line.taken = said.code == ELSEWHERE
            if line.taken:
                line.away("another session of the login had its data")
            self._refused(line, REFUSALS[said.code], ts, emit)

    def _refused(self, line: Line, refusal: Refusal, ts: int, emit: Emit) -> None:
        before = line.state
        if refusal.state == "delayed":
            line.base = "delayed"
        self._tell(line, refusal.state, refusal.text, ts, emit)
        if refusal.state != "delayed" and before in ("live", "delayed", "stale"):
            # What was shown is no price any more.
            line.bid_size = line.ask_size = 0.0
            emit(Quote(ts, FEED, line.name, None, 0.0, None, 0.0))

    def _tell(self, line: Line, state: DataState, why: str, ts: int, emit: Emit) -> None:
        if line.state != state:
            line.state = state
            emit(DataStateChanged(ts, line.name, state, why))

    def watch(self, ts: int) -> list[Event]:
        """Return events for lines that are silent in their regular hours; looks at most once a second."""
        if ts - self._looked_ts < SECOND_NS:
            return []
        self._looked_ts = ts
        out: list[Event] = []
        for line in self.lines.values():
            if line.quotes_id is None or line.state not in ("live", "delayed", None):
                continue
            since = max(line.heard_ts, line.opened_ts)
            silent_s = self._staleness.silent_s(line.instrument, since, ts)
            if silent_s is not None:
                self._tell(line, "stale", f"nothing for {silent_s:.0f} s", ts, out.append)
        return out
