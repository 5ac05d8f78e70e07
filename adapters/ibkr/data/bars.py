"""Historical bars: which sizes there are, how to ask for a span of them, and what an answer says. Pure.

The broker gives a bar's start; ours carry start and end. A price of -1 is none. It must never make up a bar:
what is not in the answer is missing, and the gap report says so.
"""

from collections.abc import Iterator, Sequence

import msgspec

from adapters.ibkr.wire.messages import HistoricalBar
from adapters.ibkr.wire.times import utc_text
from core.clock import SECOND_NS
from core.errors import UsageError
from core.events import Bar, QuoteBar, SessionScheduled

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class BarSize(msgspec.Struct, frozen=True):
    """A size of bars: our name, the broker's, its length, and the most seconds that one request may cover."""

    name: str
    asked: str
    seconds: int
    span_s: int

    @property
    def resolution(self) -> str:
        """The resolution of a feed of such bars."""
        for least, resolution in ((_DAY, "daily"), (_HOUR, "hour"), (_MINUTE, "minute")):
            if self.seconds >= least:
                return resolution
        return "second"


def _sizes() -> Iterator[BarSize]:
    for count, span_s in ((1, 1800), (5, 3600), (10, 14_400), (15, 14_400), (30, 28_800)):
        yield BarSize(f"{count}sec", f"{count} secs", count, span_s)  # "1 sec" is refused since 2023
    for count in (1, 2, 3, 5, 10, 15, 20, 30):
        yield BarSize(f"{count}min", f"{count} min{'s' if count > 1 else ''}", count * _MINUTE, _DAY)
    for count in (1, 2, 3, 4, 8):
        yield BarSize(f"{count}hour", f"{count} hour{'s' if count > 1 else ''}", count * _HOUR, _DAY)
    yield BarSize("1day", "1 day", _DAY, _DAY)


SIZES = {size.name: size for size in _sizes()}
"""The sizes by our names: `5sec`, `1min`, `1hour`, `1day`."""


def size_of(name: str) -> BarSize:
    """Return a size; raises `UsageError` naming those there are."""
    if name not in SIZES:
        raise UsageError(f"--bar {name}: expected one of {', '.join(SIZES)}")
    return SIZES[name]


class Ask(msgspec.Struct, frozen=True):
    """One request for bars: those that start in `begin`..`end` (ns UTC, end exclusive)."""

    begin: int
    end: int
    size: BarSize
    what: str
    regular_hours: bool

    @property
    def until(self) -> str:
        """The end as the broker reads it."""
        return utc_text(self.end)

    @property
    def duration(self) -> str:
        """The length as the broker reads it: seconds up to a day, else days."""
        if self.size.seconds >= _DAY:
            return "1 D"
        return f"{-(-(self.end - self.begin) // SECOND_NS)} S"


def asks(session: SessionScheduled, size: BarSize, what: str, *, regular_hours: bool) -> list[Ask]:
    """Return the requests that cover one session, oldest first."""
    begin, end = (session.open, session.close) if regular_hours else (session.begin, session.end)
    step = size.span_s * SECOND_NS
    if size.seconds >= _DAY:
        return [Ask(session.begin, end, size, what, regular_hours)]
    spans = [(start, min(start + step, end)) for start in range(begin, end, step)]
    return [Ask(start, stop, size, what, regular_hours) for start, stop in spans]


def starts(bar: HistoricalBar, session: SessionScheduled | None, size: BarSize) -> int | None:
    """Return when a bar starts; `None` for a day's bar of another day, or a time that is none.

    Only bars of a day need the session.
    """
    if size.seconds >= _DAY:
        assert session is not None
        return session.open if bar.time == session.date.replace("-", "") else None
    return int(bar.time) * SECOND_NS if bar.time.isdecimal() else None


def trade_bars(
    answer: Sequence[HistoricalBar],
    session: SessionScheduled | None,
    size: BarSize,
    feed: str,
    instrument: str,
) -> dict[int, Bar | str]:
    """Return bars of trades by their start; a bar that cannot be one is given as the reason why.

    Only bars of a day need the session.
    """
    found: dict[int, Bar | str] = {}
    for said in answer:
        start = starts(said, session, size)
        if start is not None:
            found[start] = _trade_bar(said, start, _end(start, session, size), feed, instrument)
    return found


def _trade_bar(said: HistoricalBar, start: int, end: int, feed: str, instrument: str) -> Bar | str:
    prices = (said.open, said.high, said.low, said.close)
    o, h, low, c = prices
    if o is None or h is None or low is None or c is None:
        return "a price is missing"
    if not low <= min(o, c) <= max(o, c) <= h:
        return f"open {o}, high {h}, low {low}, close {c} contradict each other"
    volume = said.volume if said.volume is not None and said.volume > 0 else 0.0
    return Bar(end, start, feed, instrument, o, h, low, c, volume)


def quote_bars(
    bids: Sequence[HistoricalBar],
    offers: Sequence[HistoricalBar],
    session: SessionScheduled,
    size: BarSize,
    feed: str,
    instrument: str,
) -> dict[int, QuoteBar | str]:
    """Return bars of bids and offers together, by their start; a side without a bar is `None`."""
    sides = [{starts(said, session, size): said for said in side} for side in (bids, offers)]
    found: dict[int, QuoteBar | str] = {}
    for start in sorted(key for key in {**sides[0], **sides[1]} if key is not None):
        bid, ask = (_side(side.get(start)) for side in sides)
        if bid[0] is None and ask[0] is None:
            found[start] = "neither side has prices"
            continue
        found[start] = QuoteBar(_end(start, session, size), start, feed, instrument, *bid, None, *ask, None)
    return found


def _side(said: HistoricalBar | None) -> tuple[float | None, float | None, float | None, float | None]:
    if said is None or any(p is None or p < 0 for p in (said.open, said.high, said.low, said.close)):
        return (None, None, None, None)
    return (said.open, said.high, said.low, said.close)


def _end(start: int, session: SessionScheduled | None, size: BarSize) -> int:
    if size.seconds < _DAY:
        return start + size.seconds * SECOND_NS
    assert session is not None
    return session.close
