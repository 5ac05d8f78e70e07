"""Times as the broker writes them, to ns since 1970 UTC and back.

Seen: `20230224  12:04:56` (no zone), `20250708 02:35:00 America/New_York`, `20250708-02:35:00` (UTC), and
zone names of an age before tz names. A time without a zone is taken in the given one: the login's.
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.clock import SECOND_NS, from_datetime

_TIME = re.compile(r"(\d{8})(-| +)(\d{2}:\d{2}:\d{2})(?: +(.+)|(Z))?")
_OLD_NAMES = {
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "US/Eastern": "America/New_York",
    "CST": "America/Chicago",
    "US/Central": "America/Chicago",
    "PST": "America/Los_Angeles",
    "GMT": "UTC",
    "Greenwich Mean Time": "UTC",
    "British Summer Time": "Europe/London",
    "MET": "Europe/Berlin",
    "JST": "Asia/Tokyo",
    "HKT": "Asia/Hong_Kong",
}


def parse_time(text: str, zone: str = "UTC", *, near: int | None = None) -> int | None:
    """Return ns since 1970 UTC; `None` for what is no time.

    Of a time that clocks repeat, the reading next to `near` is meant, without it the first.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    day, dash, clock, named, utc = match.groups()
    place = "UTC" if dash == "-" or utc else named or zone
    try:
        known = ZoneInfo(_OLD_NAMES.get(place, place))
    except (ZoneInfoNotFoundError, ValueError):
        known = ZoneInfo("UTC")
    moment = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=known)
    readings = [from_datetime(moment.replace(fold=fold)) for fold in (0, 1)]
    return readings[0] if near is None else min(readings, key=lambda reading: abs(reading - near))


def utc_text(ts: int) -> str:
    """Return the form in which requests give a time: `20250702-14:30:00`."""
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).strftime("%Y%m%d-%H:%M:%S")
