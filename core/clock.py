"""Time as numbers: nanoseconds since 1970 UTC, and an exchange's clock. Nothing here reads a clock."""

import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from core.errors import UsageError

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 86_400 * SECOND_NS
NEVER = (1 << 63) - 1
_CLOCK = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


def from_datetime(moment: datetime) -> int:
    """Return an aware datetime as ns, exact to the microsecond."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND_NS + delta.microseconds * 1_000


def local(day: str, clock: str, timezone: str) -> int:
    """Return when it is `clock` (`HH:MM` or `HH:MM:SS`) on `day` (`YYYY-MM-DD`) in `timezone`, in ns."""
    # fromisoformat alone would take 15.55 for a time just after three, and drop an offset
    if not _CLOCK.fullmatch(clock):
        raise UsageError(f"clock {clock!r}: expected a time of day such as 15:55 or 15:55:30")
    try:
        moment = datetime.combine(date.fromisoformat(day), time.fromisoformat(clock), ZoneInfo(timezone))
    except ValueError as error:
        raise UsageError(
            f"{day} {clock}: expected a date and a time of day such as 2025-07-02 15:55"
        ) from error
    return from_datetime(moment)


def wall(ts: int, timezone: str) -> datetime:
    """Return `ts` as a datetime in `timezone`, exact to the microsecond."""
    seconds, nanos = divmod(ts, SECOND_NS)
    return datetime.fromtimestamp(seconds, ZoneInfo(timezone)).replace(microsecond=nanos // 1000)


def iso(ts: int, timezone: str = "UTC") -> str:
    """Return `ts` as ISO 8601 in `timezone`, with as many fractional digits as are needed (3, 6 or 9)."""
    seconds, nanos = divmod(ts, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, ZoneInfo(timezone) if timezone != "UTC" else UTC)
    fraction = f"{nanos:09d}"
    while len(fraction) > 3 and fraction.endswith("000"):
        fraction = fraction[:-3]
    offset = moment.strftime("%z")
    suffix = "Z" if timezone == "UTC" else f"{offset[:3]}:{offset[3:]}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction}{suffix}"
