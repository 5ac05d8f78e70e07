"""Bar mode: fills on bars, by the numbered rules of docs/fills.md.

Trade bars fill limits, stops and limit-if-touched orders; quote bars, where there are any, fill
stop-limits and trailing stops, on the side that the order would take. What is looked at is the last bar
of each kind: a slice in which nothing traded shows the bar before it.
"""

from typing import NamedTuple

from core.events import Bar
from core.matching.order import Resting
from core.matching.ticks import follow, satisfies
from core.views import BookView

STALE_NS = 3_600_000_000_000
"""Prices older than this are too old for a market order to fill at."""


_ON_QUOTES = frozenset({"STP LMT", "TRAIL"})


class _Range(NamedTuple):
    """What an order looks at in a bar."""

    high: float
    low: float
    close: float


def fills_on_arrival(order: Resting) -> bool:
    """Return whether an order may fill in the slice in which it arrives, at the close."""
    return order.opens is None and (order.type == "MKT" or order.immediate)


def close_in_bars(order: Resting, book: BookView, ts: int) -> float | None:
    """Return what a market order gets at the close of a bar, or `None` while prices are missing or stale.

    The close of the quote bar's other side, or of the trade bar where there are no quotes.
    """
    best = book.ask if order.side == "BUY" else book.bid
    quoted = book.quote_bar
    if best is not None and (quoted is None or quoted.ts + STALE_NS >= ts):
        return best if satisfies(order, best) else None
    mark = book.mark
    if best is not None or mark is None or _traded_ts(book) + STALE_NS < ts:
        return None
    return mark if satisfies(order, mark) else None


def _traded_ts(book: BookView) -> int:
    """Return when the mark was traded: a trade's time or a bar's end, the later."""
    last, bar = book.last, book.bar
    return max(0 if last is None else last.ts, 0 if bar is None else bar.ts)


def match_open_bar(order: Resting, bar: Bar, session_open: int | None) -> float | None:
    """Return the open of the first bar at or after `order.opens`, or `None` before it.

    A bar that began earlier counts if that was before the session opened: nothing traded until then.
    """
    assert order.opens is not None
    begins = bar.start >= order.opens or session_open == order.opens
    return bar.open if bar.ts > order.opens and begins else None


def match_bar(order: Resting, bar: Bar, book: BookView, ts: int | None = None) -> float | None:
    """Return the price at which `order` fills while `bar` is its instrument's last trade bar, or `None`.

    `ts` is the end of the slice, by default the bar's. A trailing stop that does not fill is moved, and a
    stop-limit or limit-if-touched notes that it triggered.
    """
    kind = order.type
    if kind == "MKT":
        return close_in_bars(order, book, bar.ts if ts is None else ts)
    if bar.ts <= order.created_ts and kind not in _ON_QUOTES:
        return None
    if kind == "LMT":
        return _limit(order, bar)
    if kind == "STP":
        return _stop(order, bar)
    if kind == "LIT":
        return _if_touched(order, bar, book)
    seen = _side(order, bar, book)
    if seen is None:
        return None
    return _trailing(order, seen) if kind == "TRAIL" else _stop_limit(order, seen)


def _side(order: Resting, bar: Bar, book: BookView) -> _Range | None:
    """Return the side of the last quote bar that the order would take, else the trade bar.

    `None` if it ended before the order came: what an order cannot have met fills nothing.
    """
    quoted = book.quote_bar
    if quoted is not None:
        if order.side == "BUY":
            high, low, close = quoted.ask_high, quoted.ask_low, quoted.ask_close
        else:
            high, low, close = quoted.bid_high, quoted.bid_low, quoted.bid_close
        if high is not None and low is not None and close is not None:
            return _Range(high, low, close) if quoted.ts > order.created_ts else None
    return _Range(bar.high, bar.low, bar.close) if bar.ts > order.created_ts else None


def _limit(order: Resting, bar: Bar) -> float | None:
    assert order.limit is not None
    if order.side == "BUY":
        return min(bar.open, order.limit) if bar.low < order.limit else None
    return max(bar.open, order.limit) if bar.high > order.limit else None


def _stop(order: Resting, bar: Bar) -> float | None:
    assert order.stop is not None
    if order.side == "BUY":
        return max(bar.open, order.stop) if bar.high >= order.stop else None
    return min(bar.open, order.stop) if bar.low <= order.stop else None


def _stop_limit(order: Resting, seen: _Range) -> float | None:
    assert order.stop is not None and order.limit is not None  # noqa: PT018
    if order.side == "BUY":
        order.triggered = order.triggered or seen.high > order.stop
        return min(seen.high, order.limit) if order.triggered and seen.close < order.limit else None
    order.triggered = order.triggered or seen.low < order.stop
    return max(seen.low, order.limit) if order.triggered and seen.close > order.limit else None


def _trailing(order: Resting, seen: _Range) -> float | None:
    buys = order.side == "BUY"
    if order.stop is not None:
        if buys and seen.high >= order.stop:
            return max(order.stop, seen.close)
        if not buys and seen.low <= order.stop:
            return min(order.stop, seen.close)
    follow(order, seen.low if buys else seen.high)
    return None


def _if_touched(order: Resting, bar: Bar, book: BookView) -> float | None:
    assert order.stop is not None
    buys = order.side == "BUY"
    order.triggered = order.triggered or (bar.low <= order.stop if buys else bar.high >= order.stop)
    if not order.triggered:
        return None
    best = book.ask if buys else book.bid
    price = bar.close if best is None else best
    return price if satisfies(order, price) else None
