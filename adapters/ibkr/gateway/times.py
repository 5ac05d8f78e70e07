"""Times and durations as Interactive Brokers' requests and answers write them. Pure.

Dates in requests come as `20250702-13:30:00` (UTC), `20250702 09:30:00 America/New_York`, or without a zone,
which means the instrument's. Answers name the zone.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from adapters.ibkr.gateway.wire import BadFrame, whole
from core.clock import DAY_NS, SECOND_NS, from_datetime

_MOMENT = re.compile(r"(\d{8})[- ]{1,2}(\d{1,2}:\d{2}(?::\d{2})?)(?: (\S+))?")
_DURATION = re.compile(r"\s*(\d+)\s*([SDWMY])\s*", re.IGNORECASE)
_UNIT_NS = {"S": SECOND_NS, "D": DAY_NS, "W": 7 * DAY_NS, "M": 31 * DAY_NS, "Y": 366 * DAY_NS}
_LAST_NS = 230 * 366 * DAY_NS
_LONGEST_NS = 50 * 366 * DAY_NS  # from any time since 2020, it begins after 1970
_DAY_S, _YEAR_DAYS = 86_400, 365
_SIZES = (
    *(f"{count} secs" for count in (1, 5, 10, 15, 30)),
    *("1 min", *(f"{count} mins" for count in (2, 3, 5, 10, 15, 20, 30))),
    *("1 hour", *(f"{count} hours" for count in (2, 3, 4, 8))),
    *("1 day", "1W", "1M"),
)
"""The sizes of bars as the broker names them; it takes no other spelling but those in `_ALSO`."""
_ALSO = {"1 week": "1W", "1 month": "1M"}
_SECONDS = {"secs": 1, "min": 60, "mins": 60, "hour": 3600, "hours": 3600}
_PERIODS: dict[str, Literal["day", "week", "month"]] = {"1 day": "day", "1W": "week", "1M": "month"}


class BarLength(msgspec.Struct, frozen=True):
    """How long a bar is: `ns` if it is a time of the clock, else a session or all of a week or month."""

    unit: Literal["time", "day", "week", "month"]
    ns: int = 0


class Duration(msgspec.Struct, frozen=True):
    """How far a request goes back: so many of `S`, `D` (sessions), `W`, `M` or `Y`."""

    count: int
    unit: str

    def since(self, shown: str) -> str:
        """Return the date (`2025-07-02`) that lies so many weeks, months or years before another one."""
        last = date.fromisoformat(shown)
        if self.unit == "W":
            return (last - timedelta(weeks=self.count)).isoformat()
        months = last.year * 12 + last.month - 1 - self.count * (12 if self.unit == "Y" else 1)
        year, month = divmod(months, 12)
        return date(year, month + 1, min(last.day, monthrange(year, month + 1)[1])).isoformat()


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """Return a time zone; raises `BadFrame` for a name that there is not."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadFrame(f"time zone {name!r}: expected such as UTC or America/New_York") from error


def local_time(ts: int, timezone: str) -> datetime:
    """Return nanoseconds as a time of a zone, to the second below."""
    return datetime.fromtimestamp(ts // SECOND_NS, zone(timezone))


def stamp(ts: int, timezone: str) -> str:
    """Return `20250702 09:30:00 America/New_York`."""
    return f"{local_time(ts, timezone):%Y%m%d %H:%M:%S} {timezone}"


def day(ts: int, timezone: str) -> str:
    """Return the date `20250702` in a zone."""
    return f"{local_time(ts, timezone):%Y%m%d}"


def zoned(shown: str) -> bool:
    """Return whether a request's time names its zone: one of UTC (`20250702-13:30:00`) does."""
    match = _MOMENT.fullmatch(shown.strip())
    return match is None or match[3] is not None or shown.strip()[8] == "-"


def moment(shown: str, timezone: str) -> int:
    """Return what a request's time means, in ns; raises `BadFrame` for one that means nothing."""
    text = shown.strip()
    if re.fullmatch(r"\d{8}", text):
        text += " 00:00:00"
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise BadFrame(f"time {shown!r}: expected such as 20250702-13:30:00 or 20250702 09:30:00 UTC")
    dashed = text[8] == "-"
    where = UTC if dashed and match[3] is None else zone(match[3] or timezone)
    clock = match[2] if match[2].count(":") == 2 else f"{match[2]}:00"
    try:
        found = from_datetime(
            datetime.strptime(f"{match[1]} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=where)
        )
    except (ValueError, OverflowError) as error:
        raise BadFrame(f"time {shown!r}: {error}") from error
    if not 0 <= found <= _LAST_NS:
        raise BadFrame(f"time {shown!r}: expected one from 1970 to 2200")
    return found


def span_ns(shown: str) -> int:
    """Return how long `1 D`, `3600 S` or `2 W` is on the clock, in ns; raises `BadFrame`."""
    found = _duration(shown)
    return found.count * _UNIT_NS[found.unit]


def _duration(shown: str) -> Duration:
    match = _DURATION.fullmatch(shown)
    count = 0 if match is None else whole(match[1]) or 0
    if match is None or not 0 < count * _UNIT_NS[match[2].upper()] <= _LONGEST_NS:
        raise BadFrame(f"duration {shown[:40]!r}: expected such as 1 D, 3600 S or 2 W")
    return Duration(count, match[2].upper())


def duration(shown: str) -> Duration:
    """Return how far back a request goes; raises `BadFrame`, also for lengths that the broker refuses."""
    found = _duration(shown)
    count, unit = found.count, found.unit
    if unit == "S" and count > _DAY_S:
        raise BadFrame(
            "Historical data requests for durations longer than 86400 seconds must be made in days."
        )
    if unit == "D" and count > _YEAR_DAYS:
        raise BadFrame("Historical data requests for durations longer than 365 days must be made in years.")
    return found


def bar_length(shown: str) -> BarLength:
    """Return how long a bar of `1 min`, `5 secs` or `1W` is; raises `BadFrame` for another."""
    name = _ALSO.get(shown.strip(), shown.strip())
    if name not in _SIZES:
        legal = ", ".join(_SIZES)
        raise BadFrame(
            f"Historical data bar size setting is invalid. Legal ones are: {legal} (not {shown!r})"
        )
    if name in _PERIODS:
        return BarLength(_PERIODS[name])
    count, unit = name.split()
    return BarLength("time", int(count) * _SECONDS[unit] * SECOND_NS)
