"""The trading days of a run, and what equity was at the end of each; months and years follow from days.

A day is a session date of the exchanges whose instruments the run read (UTC dates if none is known). What
happens between the end of one day and that of the next belongs to the next.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.report.facts import Facts, Series
from core.clock import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS


class Day(msgspec.Struct, frozen=True):
    """A trading day: its date, midnight there, regular hours and the end of all its data (ns UTC)."""

    date: str
    midnight: int
    open: int
    close: int
    end: int


class DayResult(msgspec.Struct, frozen=True):
    """A day's outcome: equity at its end, and the change since the day before as amount and share."""

    date: str
    equity: float
    profit: float
    change: float | None
    traded: float = 0.0
    fills: int = 0


class MonthResult(msgspec.Struct, frozen=True):
    """A month's outcome (`2025-07`): the change as amount and as share of the equity before it."""

    month: str
    equity: float
    profit: float
    change: float | None


def days_of(facts: Facts) -> list[Day]:
    """Return the trading days from the first input of the run to the last."""
    if facts.first_ts is None or facts.last_ts is None:
        return []
    known = {item.instrument: item.exchange for item in facts.sessions.instruments()}
    exchanges = sorted({known[name] for name in facts.subscribed if name in known}) or sorted(
        set(known.values())
    )
    merged: dict[str, Day] = {}
    for exchange in exchanges:
        for session in facts.sessions.sessions(exchange):
            if session.begin <= facts.last_ts and facts.first_ts <= session.end:
                zone = _midnight(session.date, session.timezone)
                day = Day(session.date, zone, session.open, session.close, session.end)
                merged[session.date] = _joined(merged.get(session.date, day), day)
    return [merged[date] for date in sorted(merged)] or _utc_days(facts.first_ts, facts.last_ts)


def calendar_days(days: Sequence[Day]) -> int:
    """Return how many days there are from the first to the last, those without trading too."""
    if not days:
        return 0
    return (date.fromisoformat(days[-1].date) - date.fromisoformat(days[0].date)).days + 1


def _midnight(date: str, zone: str) -> int:
    from zoneinfo import ZoneInfo  # noqa: PLC0415

    moment = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * SECOND_NS


def _joined(one: Day, other: Day) -> Day:
    return Day(
        one.date,
        min(one.midnight, other.midnight),
        min(one.open, other.open),
        max(one.close, other.close),
        max(one.end, other.end),
    )


def _utc_days(first_ts: int, last_ts: int) -> list[Day]:
    found = []
    for number in range(first_ts // DAY_NS, last_ts // DAY_NS + 1):
        begin = number * DAY_NS
        date = datetime.fromtimestamp(begin // SECOND_NS, UTC).date().isoformat()
        found.append(Day(date, begin, begin, begin + DAY_NS, begin + DAY_NS))
    return found


def day_of(days: Sequence[Day], ts: int) -> int:
    """Return the index of the day of a time: the first that ends at or after it, else the last."""
    return min(bisect_left(days, ts, key=lambda day: day.end), len(days) - 1)


def day_results(
    days: Sequence[Day], equity: Series, start: float, traded: Sequence[float], fills: Sequence[int]
) -> list[DayResult]:
    """Return each day's outcome; days at whose end no equity is known are left out."""
    known = equity.known()
    results: list[DayResult] = []
    before = start
    for number, day in enumerate(days):
        until = day.end if number < len(days) - 1 else np.iinfo(np.int64).max
        place = int(np.searchsorted(known.times, until, side="right"))
        value = float(known.values[place - 1]) if place else start
        results.append(
            DayResult(day.date, value, value - before, _change(before, value), traded[number], fills[number])
        )
        before = value
    return results


def lean_samples(facts: Facts, days: Sequence[Day], equity: Series, start: float) -> NDArray[np.float64]:
    """Return the equity of which LEAN takes the drawdown of a run on minute bars, from `start` on.

    It takes a sample at the first minute that is more than four after the one before, and its value is that
    of the first minute after the one before: so of the second minute of a day and of every fifth from there,
    and of the first of all. US equities have bars from 4:00 to 20:00. Source: LEAN's published results, all
    of which this rule fits (`tests/published`).
    """
    times = [np.array([day.open + MINUTE_NS for day in days[:1]], dtype=np.int64)]
    for day in days:
        first, last = day.open, day.close
        if facts.all_hours:
            first, last = min(first, day.midnight + 4 * HOUR_NS), max(last, day.midnight + 20 * HOUR_NS)
        times.append(np.arange(first + 2 * MINUTE_NS, last + 1, 5 * MINUTE_NS, dtype=np.int64))
    known = equity.known()
    places = np.searchsorted(known.times, np.concatenate(times), side="right")
    return np.append(start, np.append(start, known.values)[places])


def month_results(results: Iterable[DayResult], start: float) -> list[MonthResult]:
    """Return each month's outcome, from the days in it."""
    ends: dict[str, float] = {result.date[:7]: result.equity for result in results}
    found: list[MonthResult] = []
    before = start
    for month, value in ends.items():
        found.append(MonthResult(month, value, value - before, _change(before, value)))
        before = value
    return found


def year_changes(months: Sequence[MonthResult], start: float) -> dict[str, float | None]:
    """Return each year's change as a share of the equity before it."""
    ends = {result.month[:4]: result.equity for result in months}
    found: dict[str, float | None] = {}
    before = start
    for year, value in ends.items():
        found[year] = _change(before, value)
        before = value
    return found


def _change(before: float, after: float) -> float | None:
    return after / before - 1 if before > 0 else None
