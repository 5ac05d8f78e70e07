"""Where bars begin and end: their length on the clock of the exchange, its sessions, weeks and months. Pure.

Bars of hours or less begin at multiples of their length since midnight of the exchange, and never before the
session (or, of regular hours, its open): the first bar of an hour from 09:30 is half as long, as at TWS. Bars
of a day are sessions, those of a week or month all sessions whose dates are in it; they bear the date of the
last session that they hold.
"""

from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from adapters.ibkr.gateway.times import BarLength, local_time, moment, stamp
from core.clock import NEVER, SECOND_NS
from core.events import SessionScheduled

SessionAt = Callable[[int], SessionScheduled | None]
"""Returns the session that a time belongs to."""


class Span(msgspec.Struct, frozen=True):
    """What one bar has of a session: from `begin` until before `until`.

    `period` is the same for all spans of one bar, and `None` outside the hours that were asked for.
    """

    period: int | None
    begin: int
    until: int
    label: str = ""


class Frame(msgspec.Struct, frozen=True):
    """What bars to build: their length, regular hours only or all, and how their times are written."""

    length: BarLength
    rth: bool
    session: SessionAt
    timezone: str
    date_format: int = 1

    def span(self, ts: int) -> Span:
        """Return what bar a time belongs to."""
        session = self.session(ts)
        if session is None:
            if self.rth:
                return Span(None, ts, ts + 1)
            begin, until, shown = 0, NEVER, f"{local_time(ts, self.timezone):%Y-%m-%d}"
        elif not self.rth:
            begin, until, shown = session.begin, session.end, session.date
        elif not session.open <= ts < session.close:
            return Span(None, ts, session.open if ts < session.open else ts + 1)
        else:
            begin, until, shown = session.open, session.close, session.date
        if self.length.unit == "time":
            return self._clocked(ts, begin, max(until, ts + 1))
        if session is None:
            begin = moment(shown.replace("-", ""), self.timezone)
            until = moment(_next_day(shown), self.timezone)
        return Span(_period(shown, self.length.unit), begin, max(until, ts + 1), shown.replace("-", ""))

    def _clocked(self, ts: int, begin: int, until: int) -> Span:
        length = self.length.ns
        midnight = moment(f"{local_time(ts, self.timezone):%Y%m%d}", self.timezone)
        start = ts - (ts - midnight) % length
        first = max(begin, start)
        shown = str(first // SECOND_NS) if self.date_format == 2 else stamp(first, self.timezone)
        return Span(first, first, min(start + length, until), shown)

    def whole(self, begin: int, end: int) -> int:
        """Return where the first whole bar of a window begins; of one that holds none, where its bar does."""
        if self.length.unit == "time":
            span = self.span(begin)
            if span.period is None or span.begin >= begin:
                return begin
            return span.until if span.until < end else span.begin
        return begin


def first_date(unit: str, shown: str) -> str:
    """Return the first date (`2025-07-02`) of the week or month that a date is in, or the date itself."""
    found = date.fromisoformat(shown)
    if unit == "week":
        found -= timedelta(days=found.weekday())
    elif unit == "month":
        found = found.replace(day=1)
    return found.isoformat()


def _period(shown: str, unit: str) -> int:
    return date.fromisoformat(first_date(unit, shown)).toordinal()


def _next_day(shown: str) -> str:
    return f"{date.fromisoformat(shown) + timedelta(days=1):%Y%m%d}"
