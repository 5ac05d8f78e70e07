"""Names of bar resolutions: `minute`, `5m`, `1h`, `1d`. Pure."""

import re

import msgspec

from core.clock import SECOND_NS
from core.errors import UsageError

RESOLUTIONS = ("tick", "second", "minute", "hour", "daily")
"""What a feed may be, finest first."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FEEDS = {"second": "1s", "minute": "1m", "hour": "1h", "daily": "1d"}
_PERIOD = re.compile(r"([1-9][0-9]{0,3})(s|m|h|d)")


class Resolution(msgspec.Struct, frozen=True):
    """A length of bars: its short name (`5m`), its length, and the feed resolution that means it, if any."""

    name: str
    length_ns: int
    feed: str | None

    @property
    def daily(self) -> bool:
        """Whether a bar is a whole session."""
        return self.name == "1d"


def resolution_of(name: str) -> Resolution:
    """Return what `minute`, `5m`, `1h` or `1d` means; raises `UsageError` for anything else.

    Ticks have no length. The longest is one day, which is one session.
    """
    short = _FEEDS.get(name, name)
    found = _PERIOD.fullmatch(short)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not found or length > _UNITS["d"] or (length == _UNITS["d"] and found[2] != "d"):
        raise UsageError(
            f"resolution {name!r}: expected tick, second, minute, hour, daily, or a length such as 30s, 5m, "
            f"2h or 1d"
        )
    feed = next((feed for feed, known in _FEEDS.items() if known == short), None)
    return Resolution(short, length * SECOND_NS, feed)


def check_length(name: str) -> None:
    """Raise `ValueError` for a length of bars that is none: a key's check in a configuration."""
    try:
        resolution_of(name)
    except UsageError:
        raise ValueError("expected a length such as 30s, 5m, 2h or 1d") from None
