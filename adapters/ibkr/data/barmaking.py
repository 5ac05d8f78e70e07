"""Bars from the trades of a live session, told as soon as they are over. Pure.

They are made as in a replay (`core.consolidating`): on the exchange's session, in regular hours, where the
log knows them; else on multiples of their length. A bar without a trade is none, and the one that was running
when the line was opened is not told: it would not be whole.
"""

from adapters.ibkr.data.staleness import Hours
from core.clock import NEVER
from core.consolidating import Grid, TradeBars
from core.events import Bar, FeedDefined, InstrumentDefined, SessionScheduled, Trade
from core.resolutions import RESOLUTIONS, Resolution, resolution_of

_UNITS = {"s": "sec", "m": "min", "h": "hour", "d": "day"}


def live_feed(resolution: str) -> str:
    """Return the name of the feed of live bars: `ib/live/5min` for `5m`."""
    name = resolution_of(resolution).name
    return f"ib/live/{name[:-1]}{_UNITS[name[-1]]}"


def bar_feed(resolution: str, ts: int) -> FeedDefined:
    """Return what defines the feed of live bars of a resolution."""
    about = "bars of what was traded during sessions"
    level = _level(resolution_of(resolution))
    return FeedDefined(
        ts, live_feed(resolution), "Interactive Brokers", level, consolidated=True, description=about
    )


def _level(resolution: Resolution) -> str:
    """Return the coarsest resolution of a feed that is not above a length, as for bars of the broker."""
    known = [name for name in RESOLUTIONS[1:] if resolution_of(name).length_ns <= resolution.length_ns]
    return known[-1]


def grid_of(resolution: str, instrument: InstrumentDefined, hours: Hours) -> Grid:
    """Return where the bars of an instrument lie."""

    def session(ts: int) -> SessionScheduled | None:
        return hours.session(instrument.exchange, ts)

    return Grid(resolution_of(resolution), session)


class BarMaker:
    """One instrument's bars of one resolution, from `since` on; `last_ts` is the end of the last one told."""

    def __init__(self, resolution: str, instrument: InstrumentDefined, hours: Hours, since: int) -> None:
        self.resolution = resolution_of(resolution).name
        self.grid = grid_of(resolution, instrument, hours)
        self._bars = TradeBars(live_feed(resolution), instrument.instrument, self.grid)
        self.since = since
        self.last_ts = 0

    @property
    def due_ts(self) -> int:
        """When the running bar is over; 0 without one."""
        return 0 if self._bars.due == NEVER else self._bars.due

    def take(self, trade: Trade) -> None:
        """Count a trade; the bar before its own must have been told."""
        self._bars.trade(trade)

    def over(self, ts: int) -> Bar | None:
        """Return the bar that is over at `ts`, if there is one, and begin anew."""
        if ts < self._bars.due:
            return None
        bar = self._bars.over()
        if bar.start < self.since:
            return None
        self.last_ts = bar.ts
        return bar

    def take_late(self, bar: Bar) -> bool:
        """Return whether a bar that was missed is one of these, and older than none that was told."""
        if bar.start < self.last_ts or self.grid.window(bar.start) is None:
            return False
        self.last_ts = bar.ts
        return True
