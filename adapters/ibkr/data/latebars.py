"""Bars of what was missed, from the answers of the broker's history: which are asked for, and what they make.

They lie where the live bars of their length lie, and are made of the smaller bars that the broker has by the
code that makes all bars (`core.consolidating`). Nothing is told of bars that could not be read but why.
"""

import msgspec

from adapters.ibkr.data.barmaking import BarMaker, grid_of, live_feed
from adapters.ibkr.data.bars import SIZES, Ask, BarSize, trade_bars
from adapters.ibkr.data.lines import Line
from adapters.ibkr.data.staleness import Hours
from adapters.ibkr.wire.messages import HistoricalBar
from core.clock import MINUTE_NS, NEVER, SECOND_NS
from core.consolidating import TradeBars
from core.events import Bar, InstrumentDefined, LateBarReported
from core.resolutions import resolution_of

_SECONDS = ("30sec", "15sec", "10sec", "5sec", "1sec")


class Job(msgspec.Struct):
    """Bars of one line and length to be asked for: those that start in `begin`..`end`.

    `asks` are the questions left; the first is under way while there is a `req_id`. `got` is what its answer
    says so far, `kept` what those before it said.
    """

    line: Line
    resolution: str
    begin: int
    end: int
    asks: list[Ask] = []
    got: list[HistoricalBar] = []
    kept: list[HistoricalBar] = []
    req_id: int | None = None
    asked_ns: int = 0
    not_before_ns: int = 0
    tries: int = 0

    @property
    def feed(self) -> str:
        """The feed of the live bars that these stand for."""
        return live_feed(self.resolution)

    @property
    def maker(self) -> BarMaker | None:
        """What makes the live bars of this length; `None` if nobody hears of them."""
        return next((maker for maker in self.line.bars if maker.resolution == self.resolution), None)

    @property
    def told_ts(self) -> int:
        """Up to where live bars were told."""
        return 0 if self.maker is None else self.maker.last_ts

    def keep(self) -> None:
        """Take that the question under way is answered."""
        self.kept += self.got
        self.asks, self.got, self.req_id, self.tries = self.asks[1:], [], None, 0

    def bars(self, hours: Hours, ts: int) -> tuple[list[LateBarReported], list[str]]:
        """Return the bars, in order, and what is wrong with those that are none."""
        size = size_for(self.resolution)
        name = self.line.name
        found = sorted(trade_bars(self.kept, None, size, self.feed, name).items())
        inside = [bar for start, bar in found if self.begin <= start < self.end]
        small = [bar for bar in inside if not isinstance(bar, str) and bar.ts <= ts]
        bad = [bar for bar in inside if isinstance(bar, str)]
        if size.seconds * SECOND_NS != resolution_of(self.resolution).length_ns:
            small = self._together(small, hours)
        return [self._late(bar) for bar in small], bad

    def _together(self, small: list[Bar], hours: Hours) -> list[Bar]:
        made: list[Bar] = []
        bars = TradeBars(self.feed, self.line.name, grid_of(self.resolution, self.line.instrument, hours))
        for bar in small:
            if bar.start >= bars.due:
                made.append(bars.over())
            bars.bar(bar)
        return made if bars.due == NEVER else [*made, bars.over()]

    def _late(self, bar: Bar) -> LateBarReported:
        told = self.maker is not None and self.maker.take_late(bar)
        prices = (bar.open, bar.high, bar.low, bar.close)
        return LateBarReported(bar.ts, bar.start, bar.feed, bar.instrument, *prices, bar.volume, told)


def size_for(resolution: str) -> BarSize:
    """Return the size of bars to ask for, from which those of a resolution are made."""
    length_s = resolution_of(resolution).length_ns // SECOND_NS
    if length_s % 60 == 0:
        return SIZES["1min"]
    return next(SIZES[name] for name in _SECONDS if length_s % SIZES[name].seconds == 0)


def whole(
    instrument: InstrumentDefined, resolution: str, hours: Hours, begin: int, end: int
) -> tuple[int, int]:
    """Return a span with the bars in full that were running at both of its ends."""
    if resolution_of(resolution).length_ns == MINUTE_NS:  # of all hours, whatever is told of them
        return begin // MINUTE_NS * MINUTE_NS, -(-end // MINUTE_NS) * MINUTE_NS
    grid = grid_of(resolution, instrument, hours)
    first, last = grid.window(begin), grid.window(end)
    if last is not None and last.start < end:
        end = last.end
    return begin if first is None else first.start, end
