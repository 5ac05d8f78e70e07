"""Exchange calendars and wall clocks at the edge: dates in, `SessionScheduled` events and ns UTC out.

The calendar package pulls in pandas, so it is imported inside functions only: nothing that merely
replays a log pays for it, and the built-in sample does not need it.
"""

import difflib
import warnings
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from core.clock import DAY_NS, MINUTE_NS, SECOND_NS
from core.errors import UsageError
from core.events import SessionScheduled

_BUCKET_NS = 15 * MINUTE_NS
_EPOCH = date(1970, 1, 1)
CONTINUOUS = "24/7"
"""The exchange that never closes: each day of a time zone is a session, midnight to midnight."""
UNLISTED = "unlisted"
"""For instruments whose exchange was not given: sessions as for `24/7`, but regular hours are unknown."""

_MICS = {
    "AMEX": "XASE",
    "ARCA": "ARCX",
    "ASX": "XASX",
    "BATS": "BATS",
    "CBOE": "XCBF",
    "CBOT": "CMES",
    "CFE": "XCBF",
    "CME": "CMES",
    "COMEX": "CMES",
    "EUREX": "XEUR",
    "EURONEXT": "XPAR",
    "GLOBEX": "CMES",
    "HKEX": "XHKG",
    "IBIS": "XETR",
    "ICE": "IEPA",
    "ISLAND": "XNAS",
    "JPX": "XTKS",
    "LSE": "XLON",
    "NASDAQ": "XNAS",
    "NYMEX": "CMES",
    "NYSE": "XNYS",
    "SEHK": "XHKG",
    "SIX": "XSWX",
    "TSX": "XTSE",
    "XETRA": "XETR",
}
"""Exchanges by the names that people and Interactive Brokers use. Futures of CME Group keep one calendar."""


def exchange_code(name: str) -> str:
    """Return the code under which an exchange is known here: `XNYS` for `NYSE`; a code stays what it is."""
    return _MICS.get(name.strip().upper(), name.strip())


def zone(name: str) -> ZoneInfo:
    """Return a time zone by IANA name; raises `UsageError` for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"--timezone {name!r} is not a known time zone; use an IANA name such as America/New_York or UTC"
        ) from error


def utc_ns(wall_ns: NDArray[np.int64], timezone: ZoneInfo) -> NDArray[np.int64]:
    """Return ns UTC for wall-clock ns since 1970 in `timezone`.

    Of the two readings of a repeated hour the first is taken; a time that a change of clocks skips is
    read with the offset before the change.
    """
    if not len(wall_ns):
        return wall_ns
    # Offsets change at quarter hours only, so one look-up for each distinct quarter hour is enough.
    buckets, places = np.unique(wall_ns // _BUCKET_NS, return_inverse=True)
    offsets = [_offset_ns(int(bucket) * (_BUCKET_NS // SECOND_NS), timezone) for bucket in buckets]
    return wall_ns - np.array(offsets, dtype=np.int64)[places]


class Changes(NamedTuple):
    """Where clocks change: times that a change skips, and times that it repeats, with the second reading."""

    skipped: NDArray[np.bool_]
    repeated: NDArray[np.bool_]
    second_ns: NDArray[np.int64]


def changes_of(wall_ns: NDArray[np.int64], timezone: ZoneInfo) -> Changes | None:
    """Return which wall-clock times a change of clocks skips or repeats; `None` if it touches none."""
    buckets, places = np.unique(wall_ns // _BUCKET_NS, return_inverse=True)
    seconds = [int(bucket) * (_BUCKET_NS // SECOND_NS) for bucket in buckets]
    first, second = (
        np.array([_offset_ns(at, timezone, fold) for at in seconds], dtype=np.int64) for fold in (0, 1)
    )
    if np.array_equal(first, second):
        return None
    # As PEP 495 has it: of a time that is skipped, the first reading has the smaller offset.
    return Changes((first < second)[places], (first > second)[places], wall_ns - second[places])


def _offset_ns(wall_seconds: int, timezone: ZoneInfo, fold: int = 0) -> int:
    wall = datetime(1970, 1, 1, tzinfo=timezone) + timedelta(seconds=wall_seconds)
    offset = wall.replace(fold=fold).utcoffset()
    assert offset is not None
    return round(offset.total_seconds()) * SECOND_NS


def midnight_ns(day: date, timezone: ZoneInfo) -> int:
    """Return the ns UTC at which `day` begins in `timezone`."""
    begin = datetime(day.year, day.month, day.day, tzinfo=timezone)
    return round(begin.timestamp()) * SECOND_NS


def days_since_epoch(day: date) -> int:
    """Return the number of days from 1970-01-01 to `day`."""
    return (day - _EPOCH).days


def local_dates(ts: NDArray[np.int64], timezone: ZoneInfo) -> list[date]:
    """Return the distinct dates, sorted, on which the times `ts` (ns UTC) fall in `timezone`."""
    quarters = np.unique(ts // _BUCKET_NS)
    seconds = (quarters * (_BUCKET_NS // SECOND_NS)).tolist()
    return sorted({datetime.fromtimestamp(second, timezone).date() for second in seconds})


def sessions(exchange: str, first: date, last: date, timezone: str = "UTC") -> list[SessionScheduled]:
    """Return the sessions of an exchange (`XNYS`, or `NYSE`) from `first` to `last` inclusive.

    `24/7` and `unlisted` schedule each day of `timezone`, which becomes part of their name unless it is UTC.
    Raises `UsageError` for an exchange without a calendar.
    """
    exchange = exchange_code(exchange)
    if exchange in {CONTINUOUS, UNLISTED}:
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        code = exchange if timezone == "UTC" else f"{exchange} {timezone}"
        return [_whole_day(code, day, zone(timezone), timezone) for day in days]
    require_calendar(exchange)
    return list(_calendar_sessions(exchange, first, last))


@lru_cache(maxsize=8)
def require_calendar(exchange: str) -> None:
    """Raise `UsageError` if nothing is known of when an exchange is open."""
    if exchange in {CONTINUOUS, UNLISTED}:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see below
        from exchange_calendars import get_calendar_names  # noqa: PLC0415  (pulls in pandas)

        if exchange not in get_calendar_names(include_aliases=True):
            raise UsageError(_unknown_exchange(exchange, get_calendar_names()))


def _whole_day(code: str, day: date, tz: ZoneInfo, timezone: str) -> SessionScheduled:
    begin, end = midnight_ns(day, tz), midnight_ns(day + timedelta(days=1), tz)
    return SessionScheduled(begin, code, day.isoformat(), timezone, begin, begin, end, end)


# Making a calendar takes tenths of a second, and a set of files asks for the same one twice.
@lru_cache(maxsize=8)
def _calendar_sessions(exchange: str, first: date, last: date) -> tuple[SessionScheduled, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the calendar package has not caught up with pandas 3
        import exchange_calendars  # noqa: PLC0415  (pulls in pandas)

        # The package refuses a calendar without any session, so ask for a fortnight more on each side.
        margin = timedelta(days=14)
        try:
            calendar = exchange_calendars.get_calendar(exchange, start=first - margin, end=last + margin)
        except ValueError as error:
            raise UsageError(f"--exchange {exchange}: no calendar for {first}..{last}: {error}") from error
        labels = [label.date() for label in calendar.schedule.index]
        opens, closes = calendar.opens_nanos.tolist(), calendar.closes_nanos.tolist()
        timezone = str(calendar.tz)
    tz = ZoneInfo(timezone)
    return tuple(
        _session(exchange, day, timezone, tz, open_ns, close_ns)
        for day, open_ns, close_ns in zip(labels, opens, closes, strict=True)
        if first <= day <= last
    )


def _session(
    exchange: str, day: date, timezone: str, tz: ZoneInfo, open_ns: int, close_ns: int
) -> SessionScheduled:
    """Give a session the data around it: its whole local day, or 24 hours if it opens the evening before."""
    begin, end = midnight_ns(day, tz), midnight_ns(day + timedelta(days=1), tz)
    if open_ns < begin:
        begin, end = open_ns, max(close_ns, open_ns + DAY_NS)
    return SessionScheduled(begin, exchange, day.isoformat(), timezone, begin, open_ns, close_ns, end)


def _unknown_exchange(exchange: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(exchange.upper(), [*known, *_MICS], n=3)
    hint = (
        f"did you mean {', '.join(near)}?"
        if near
        else "use a name such as NYSE, CME or LSE, or an ISO 10383 code"
    )
    return f"--exchange {exchange!r} has no trading calendar; {hint} (24/7 for instruments that never close)"
