"""Times and durations as Interactive Brokers' requests and answers write them. Pure.

Dates in requests come as `20250702-13:30:00` (UTC), `20250702 09:30:00 America/New_York`, or without a zone,
which means the instrument's. Answers name the zone.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.ibkr.gateway.wire import BadFrame, whole
from core.clock import DAY_NS, SECOND_NS, from_datetime

_MOMENT = re.compile(r"(\d{8})[- ]{1,2}(\d{1,2}:\d{2}(?::\d{2})?)(?: (\S+))?")
_DURATION = re.compile(r"\s*(\d+)\s*([SDWMY])\s*", re.IGNORECASE)
_UNIT_NS = {"S": SECOND_NS, "D": DAY_NS, "W": 7 * DAY_NS, "M": 31 * DAY_NS, "Y": 366 * DAY_NS}
_BAR = re.compile(r"\s*(\d+)\s*(sec|min|hour|day|week|month|[SDWM])s?\s*", re.IGNORECASE)
_LEGAL = {"sec": "1 5 10 15 30", "s": "1 5 10 15 30", "min": "1 2 3 5 10 15 20 30", "hou": "1 2 3 4 8"}
"""How many of a unit a bar may have; of those not named here, one."""
_LAST_NS = 230 * 366 * DAY_NS
_LONGEST_NS = 50 * 366 * DAY_NS  # from any time since 2020, it begins after 1970
_SIZES = (
    "1 secs, 5 secs, 10 secs, 15 secs, 30 secs, 1 min, 2 mins, 3 mins, 5 mins, 10 mins, 15 mins, 20 mins, "
    "30 mins, 1 hour, 2 hours, 3 hours, 4 hours, 8 hours, 1 day, 1W, 1M"
)
_BAR_NS = {
    "sec": SECOND_NS,
    "s": SECOND_NS,
    "min": 60 * SECOND_NS,
    "hour": 3600 * SECOND_NS,
    "day": DAY_NS,
    "d": DAY_NS,
    "week": 7 * DAY_NS,
    "w": 7 * DAY_NS,
    "month": 31 * DAY_NS,
    "m": 31 * DAY_NS,
}


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


def duration_ns(shown: str) -> int:
    """Return how long `1 D`, `3600 S` or `2 W` is, in ns; raises `BadFrame`."""
    match = _DURATION.fullmatch(shown)
    count = 0 if match is None else whole(match[1]) or 0
    length = 0 if match is None else count * _UNIT_NS[match[2].upper()]
    if not 0 < length <= _LONGEST_NS:
        raise BadFrame(f"duration {shown[:40]!r}: expected such as 1 D, 3600 S or 2 W")
    return length


def bar_ns(shown: str) -> int:
    """Return how long a bar of `1 min`, `5 secs` or `1 day` is, in ns; raises `BadFrame` for another."""
    match = _BAR.fullmatch(shown)
    unit = "" if match is None else match[2].lower()
    count = 0 if match is None else whole(match[1]) or 0
    if str(count) not in _LEGAL.get(unit[:3], "1").split():
        raise BadFrame(f"Historical data bar size setting {shown!r} is invalid. Legal ones are: {_SIZES}")
    return count * _BAR_NS[unit]
