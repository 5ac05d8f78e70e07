"""A demo at a pace: what a lock step brings is held until its time has come, N times faster than it happened.

Holds events, never drops or reorders them, and lets the loop go on looking at the operator while it waits.
Hours in which nothing happens are not waited for.
"""

import time
from collections.abc import Callable

from app.live.source import Link
from core.clock import MINUTE_NS
from core.events import Event

GAP_NS = MINUTE_NS
"""Session time without any event that is waited for, at most."""


class PacedLink:
    """A `Link` that lets session time pass `speed` times as fast as real time."""

    def __init__(
        self,
        link: Link,
        speed: float,
        *,
        monotonic: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._link = link
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep
        self._held: list[Event] = []
        self._hurry = False
        self._holding = False
        self._began_ns, self._began_ts = monotonic(), link.now
        self._last_ts = link.now  # when something last happened
        self.now = link.now

    def hurry(self) -> bool:
        """Wait no more, since the session is to end; return whether something is still held."""
        self._hurry = True
        return bool(self._held)

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what is due; waits at most `timeout_s`."""
        if not self._holding:
            self._held = self._link.inputs(timeout_s)
            self._holding = True
            if self._link.now - self._last_ts > GAP_NS:
                self._began_ns, self._began_ts = self._monotonic(), self._link.now
            self._last_ts = self._link.now if self._held else self._last_ts
        wait_s = self._wait_s()
        if wait_s > 0:
            self._sleep(min(wait_s, timeout_s))
            if wait_s > timeout_s:
                return []
        events, self._held, self._holding = self._held, [], False
        self.now = self._link.now
        return events

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited to be sent."""
        return self._link.leave()

    def _wait_s(self) -> float:
        if self._hurry:
            return 0.0
        due_ns = (self._link.now - self._began_ts) / self._speed
        return (due_ns - (self._monotonic() - self._began_ns)) / 1e9
