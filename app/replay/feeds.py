"""Which recorded feed a replay reads for a subscription, and on which dates there is one.

Of each instrument the finest feed with data is taken unless a subscription names another. Of two equally
fine ones an imported feed comes before one that sessions recorded, which may have gaps.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date

from adapters.replay.streams import Span
from app.replay.period import Period
from core.clock import SECOND_NS
from core.errors import DataMissing
from core.ports import Coverage
from core.resolutions import RESOLUTIONS, Resolution, resolution_of
from core.strategy import Subscription
from projections.sessions import Sessions

_SIZED = re.compile(r"/(\d+)(sec|min|hour|day)(?:/|$)")
_SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86_400}


class Feeds:
    """The feeds of one log: what each covers, by its imports and recorded sessions."""

    def __init__(self, coverage: Sequence[Coverage], spans: Sequence[Span], sessions: Sessions) -> None:
        self._coverage = coverage
        self._spans = spans
        self._sessions = sessions

    def choose(self, subscription: Subscription, begin: int, end: int, *, makes: bool) -> str | None:
        """Return the feed for a subscription between two times (ns, the end exclusive); `None` without data.

        If bars can be made (`makes`), that may be a finer feed than the one asked for.
        """
        feeds = {
            c.feed
            for c in self._coverage
            if c.instrument == subscription.instrument
            and c.first_ts < end
            and c.last_ts >= begin
            and self._holds(c, begin, end)
        }
        if subscription.feed is not None:
            feeds &= {subscription.feed}
            if not makes or subscription.resolution is None:
                return subscription.feed if feeds else None
        imported = {span.feed for span in self._spans}
        ranked = sorted((RESOLUTIONS.index(self.resolution(f)), f not in imported, f) for f in feeds)
        wanted = subscription.resolution
        if wanted not in (None, *RESOLUTIONS) or (wanted in RESOLUTIONS[1:] and makes):
            return self._made_of(resolution_of(str(wanted)), [f for _, _, f in ranked], makes=makes)
        found = [f for r, _, f in ranked if wanted in (None, RESOLUTIONS[r])]
        return found[0] if found else None

    def _made_of(self, wanted: Resolution, feeds: Sequence[str], *, makes: bool) -> str | None:
        """Return the feed of this resolution, or the finest of which its bars can be made."""
        lengths = {feed: self.length(feed) for feed in feeds}
        native = [feed for feed in feeds if lengths[feed] == wanted.length_ns]
        if native or not makes:
            return native[0] if native else None
        return next((f for f in feeds if not lengths[f] or wanted.length_ns % lengths[f] == 0), None)

    def resolution(self, feed: str) -> str:
        """Return what a feed holds: `tick`, or the name of its bars."""
        known = self._sessions.feed(feed)
        return known.resolution if known else RESOLUTIONS[0]

    def length(self, feed: str) -> int:
        """Return the length of a feed's bars in ns, 0 for ticks: by name (`ib/5min`), or resolution."""
        sized = _SIZED.search(feed)
        if sized is not None:
            return int(sized[1]) * _SECONDS[sized[2]] * SECOND_NS
        resolution = self.resolution(feed)
        return 0 if resolution == "tick" else resolution_of(resolution).length_ns

    def dates(self, instruments: Iterable[str], feed: str | None = None) -> list[str]:
        """Return the session dates for which there may be data of any of the instruments (in a feed)."""
        found = set()
        for instrument in instruments:
            mine = [c for c in self._coverage if c.instrument == instrument and feed in (None, c.feed)]
            for session in self._sessions.sessions(self._sessions.instrument(instrument).exchange):
                if any(c.first_ts < session.end and c.last_ts >= session.begin for c in mine):
                    found.add(session.date)
        return sorted(found)

    def missing(self, period: Period, subscription: Subscription) -> DataMissing:
        """Return the error that says so, with the nearest dates."""
        what = subscription.feed or subscription.resolution or ""
        label = f"{subscription.instrument} {what}".strip()
        days = self.dates([subscription.instrument], subscription.feed)
        if not days:
            return DataMissing(f"no data of {label} in this log; next: tape import --help")
        others = [day for day in days if not period.first <= day <= period.last] or days
        near = sorted(
            others, key=lambda day: abs((date.fromisoformat(day) - date.fromisoformat(period.first)).days)
        )
        return DataMissing(
            f"no data of {label} for {period}; the nearest dates are {', '.join(sorted(near[:4]))}"
        )

    def _holds(self, coverage: Coverage, begin: int, end: int) -> bool:
        # What a feed covers may have a hole of days; its imports tell where.
        return any(
            span.feed in ("", coverage.feed)
            and coverage.first_seq <= span.last_seq
            and coverage.last_seq >= span.first_seq
            and (span.first_ts is None or span.first_ts < end)
            and (span.last_ts is None or span.last_ts >= begin)
            for span in self._spans
        )
