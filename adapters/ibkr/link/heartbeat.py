"""Whether the other side still answers: pings, their answers, and how old the last one is.

Pure: times are passed in (monotonic, ns). A connection can look open for minutes after the process at its
other end has stopped, so an order needs an answer that is fresh; what to do without one is for others.
"""

import msgspec

from core.clock import SECOND_NS

_MS = 1_000_000


class Pong(msgspec.Struct, frozen=True):
    """What an answer told: how far the broker's clock is ahead of ours, and how long the answer took."""

    skew_ms: int
    round_trip_ms: int


class Heartbeat:
    """The pings of one connection after the other; `opened` begins a new one."""

    def __init__(self, every_s: float, deadline_s: float, fresh_s: float) -> None:
        self._every_ns = round(every_s * SECOND_NS)
        self._deadline_ns = round(deadline_s * SECOND_NS)
        self._fresh_ns = round(fresh_s * SECOND_NS)
        self._asked_ns: int | None = None
        self._heard_ns: int | None = None
        self._begun_ns: int | None = None
        self.pong: Pong | None = None

    def opened(self) -> None:
        """Forget everything: a new connection has answered nothing yet."""
        self._asked_ns = self._heard_ns = self._begun_ns = None
        self.pong = None

    def due(self, now_ns: int, *, wanted: bool = False) -> bool:
        """Return whether to ask now; `wanted` if something waits for a fresh answer."""
        if self._asked_ns is not None:
            return False
        return wanted or self._begun_ns is None or now_ns - self._begun_ns >= self._every_ns

    def asked(self, now_ns: int) -> None:
        """Note that a ping left."""
        self._asked_ns = self._begun_ns = now_ns

    def answered(self, now_ns: int, wall_ns: int, server_ms: int, *, whole_seconds: bool) -> Pong | None:
        """Take an answer; `None` if nothing was asked. The clocks are compared half-way of the round trip."""
        if self._asked_ns is None:
            return None
        round_trip_ns = now_ns - self._asked_ns
        self._heard_ns, self._asked_ns = now_ns, None
        told_ms = server_ms + (500 if whole_seconds else 0)
        skew_ms = told_ms - (wall_ns - round_trip_ns // 2) // _MS
        self.pong = Pong(skew_ms, round_trip_ns // _MS)
        return self.pong

    def fresh(self, now_ns: int) -> bool:
        """Return whether the last answer is young enough for an order to leave."""
        return self._heard_ns is not None and now_ns - self._heard_ns < self._fresh_ns

    def late(self, now_ns: int) -> bool:
        """Return whether an answer is overdue."""
        return self._asked_ns is not None and now_ns - self._asked_ns > self._deadline_ns

    def next_ns(self) -> int:
        """Return when something is to be done: a ping sent, or an answer missed."""
        if self._asked_ns is not None:
            return self._asked_ns + self._deadline_ns + 1
        return 0 if self._begun_ns is None else self._begun_ns + self._every_ns
