"""Bars from the trades of a live session, told as soon as they are over. Pure.

Bars lie on multiples of their length since 1970 UTC, as the broker's do. A bar without a trade is none, and
the one that was running when the line was opened is not told: it would not be whole. Suspicious trades do not
count.
"""

import msgspec

from core.clock import MINUTE_NS, SECOND_NS
from core.events import Bar, FeedDefined, Trade

LENGTHS = {"second": SECOND_NS, "minute": MINUTE_NS, "hour": 60 * MINUTE_NS}
"""The bars that can be made, by the resolution that a subscription names."""
_NAMES = {"second": "1sec", "minute": "1min", "hour": "1hour"}


def bar_feed(resolution: str, ts: int) -> FeedDefined:
    """Return what defines the feed of live bars of a resolution."""
    about = "bars of what was traded during sessions"
    name = f"ib/live/{_NAMES[resolution]}"
    return FeedDefined(ts, name, "Interactive Brokers", resolution, consolidated=True, description=about)


class BarMaker(msgspec.Struct):
    """One instrument's bars of one length, from `since` on; `due_ts` is when the running one is over."""

    feed: str
    instrument: str
    length_ns: int
    since: int
    due_ts: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0

    def take(self, trade: Trade) -> None:
        """Count a trade; the bar before its own must have been told."""
        price = trade.price
        if trade.suspicious:
            return
        if not self.due_ts:
            self.due_ts = (trade.ts // self.length_ns + 1) * self.length_ns
            self.open = self.high = self.low = price
            self.volume = 0.0
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += trade.size

    def over(self, ts: int) -> Bar | None:
        """Return the bar that is over at `ts`, if there is one, and begin anew."""
        if not self.due_ts or ts < self.due_ts:
            return None
        end, self.due_ts = self.due_ts, 0
        start = end - self.length_ns
        if start < self.since:
            return None
        prices = (self.open, self.high, self.low, self.close)
        return Bar(end, start, self.feed, self.instrument, *prices, self.volume)
