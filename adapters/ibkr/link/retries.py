"""When the next attempt to connect is due, and when there is none any more. Pure: times are passed in.

The wait doubles from attempt to attempt up to a cap and is spread by chance, so that several clients of one
gateway do not come back together. Attempts while the gateway restarts as planned do not count. It connects
to nothing itself.
"""

from collections.abc import Callable
from typing import Literal

from core.clock import SECOND_NS

Ending = Literal["unreachable", "wedged", "id_in_use", "lost"]
"""How an attempt ended: nobody answers, somebody is deaf, our client id is taken, or it broke early."""

SPREAD = 0.25
"""A wait is up to this share longer."""


class Retries:
    """The attempts since the link was last usable. `chance` returns a number from 0 to 1."""

    def __init__(
        self,
        interval_s: float,
        attempts_max: int,
        *,
        cap_s: float,
        id_in_use_wait_s: float,
        chance: Callable[[], float],
    ) -> None:
        self.attempt = 0
        self.due_ns = 0
        self._interval_s = interval_s
        self._attempts_max = attempts_max
        self._cap_s = max(cap_s, interval_s)
        self._id_in_use_wait_s = id_in_use_wait_s
        self._chance = chance

    @property
    def exhausted(self) -> bool:
        """Whether the last allowed attempt has failed."""
        return self.attempt >= self._attempts_max

    def succeeded(self) -> None:
        """Begin to count anew: the link is usable."""
        self.attempt = 0

    def failed(self, ending: Ending, now_ns: int, *, excused: bool) -> None:
        """Note an attempt that failed; `excused` ones do not count."""
        if not excused:
            self.attempt += 1
        self._wait(self._backoff_s(ending), now_ns)

    def lost(self, now_ns: int) -> None:
        """Note that a usable link is gone: the first attempt follows after the plain interval."""
        self._wait(self._interval_s, now_ns)

    def _backoff_s(self, ending: Ending) -> float:
        if ending == "wedged":
            return self._cap_s  # each connection that it accepts may make it worse
        base_s = max(self._interval_s, self._id_in_use_wait_s if ending == "id_in_use" else 0.0)
        return min(base_s * 2.0 ** min(max(self.attempt - 1, 0), 16), max(self._cap_s, base_s))

    def _wait(self, wait_s: float, now_ns: int) -> None:
        self.due_ns = now_ns + round(wait_s * (1 + SPREAD * self._chance()) * SECOND_NS)
