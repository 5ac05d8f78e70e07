"""The gateway's daily restart: when being disconnected is expected, and orders sent may vanish.

Pure: time is passed in. A window may pass midnight; both ends are on the clock of its time zone, so that it
follows daylight saving time.
"""

import re
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from core.clock import SECOND_NS

_FORM = re.compile(r"([0-2][0-9]:[0-5][0-9])-([0-2][0-9]:[0-5][0-9]) (\S+)")
MARGIN_NS = 60 * SECOND_NS
"""How much earlier than the window orders stop, and how much later they go on."""


class RestartWindow(msgspec.Struct, frozen=True):
    """A daily window; the default is none. Make one with `parse`."""

    begin_s: int = 0
    end_s: int = 0
    timezone: str = "UTC"

    def contains(self, ts: int, margin_ns: int = 0) -> bool:
        """Return whether the time `ts` (ns UTC) lies in the window, widened by a margin on both sides."""
        if self.begin_s == self.end_s:
            return False
        now = datetime.fromtimestamp(ts / SECOND_NS, UTC).astimezone(ZoneInfo(self.timezone))
        margin_s = margin_ns // SECOND_NS
        at_s = now.hour * 3600 + now.minute * 60 + now.second
        length_s = (self.end_s - self.begin_s) % 86_400 + 2 * margin_s
        return (at_s - self.begin_s + margin_s) % 86_400 < length_s


def parse(text: str) -> RestartWindow:
    """Return the window of a text such as `23:40-23:59 America/New_York`; empty for none.

    Raises `ValueError` with what was expected.
    """
    if not text:
        return RestartWindow()
    found = _FORM.fullmatch(text)
    expected = "expected times and a zone such as 23:40-23:59 America/New_York"
    if found is None:
        raise ValueError(expected)
    begin, end, zone = found.groups()
    try:
        ZoneInfo(zone)
        begin_s, end_s = _seconds(begin), _seconds(end)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(f"{expected} ({error})") from error
    if begin_s == end_s:
        raise ValueError(f"{expected}; the window is empty")
    return RestartWindow(begin_s, end_s, zone)


def _seconds(clock: str) -> int:
    parsed = time.fromisoformat(clock)
    return parsed.hour * 3600 + parsed.minute * 60
