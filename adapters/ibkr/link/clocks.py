"""The two clocks of a session at the broker: the time that events get, and the one that waiting goes by.

The only place of the client that reads a clock. The wall clock may be set at any moment, by hand or by NTP;
what waits goes by `elapsed_ns`, and what has a time goes by a `SteadyClock`, which never goes back: timers,
bars, equity samples and the steps of a halt follow the times of events, and all of them would stand still
until the wall clock is where it was.
"""

import time
from collections.abc import Callable

SLOWER = 2
"""After a step back time goes on so many times slower than it passes, until the wall clock has come up."""


def elapsed_ns() -> int:
    """Return the time since some moment, in ns, with the time that the machine slept, where it can be told.

    Linux leaves a suspend out of its monotonic clock: an answer from before it would count as a fresh one.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


class SteadyClock:
    """The wall clock (ns UTC) that follows it forward at once, and never goes back.

    Behind a wall clock that was set back it goes on at half the pace, so that it is right again after twice
    the step. What that makes of it until then is in the difference to the broker's clock.
    """

    def __init__(self, wall: Callable[[], int], elapsed: Callable[[], int]) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._told, self._told_at = wall(), elapsed()

    def __call__(self) -> int:
        """Return the time; not before the last one returned."""
        wall = self._wall()
        if wall >= self._told:
            self._told, self._told_at = wall, self._elapsed()
            return wall
        # Counted from the last whole step, so that no part of a nanosecond is lost however often it is asked.
        passed = max(0, self._elapsed() - self._told_at) // SLOWER
        self._told += passed
        self._told_at += passed * SLOWER
        return self._told
