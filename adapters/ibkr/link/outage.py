"""How long the link has been of no use, and when that calls for somebody. Pure: times are passed in.

Two clocks: since when orders cannot leave, whatever the cause, and since when the gateway itself has been cut
off from the exchanges' side. Neither runs while the gateway restarts as planned.
"""

from core.clock import SECOND_NS


class Outage:
    """Since when something is wrong; a new one begins when the one before has ended."""

    def __init__(self, alarm_after_s: float, patience_s: float) -> None:
        self._alarm_after_ns = round(alarm_after_s * SECOND_NS)
        self._patience_ns = round(patience_s * SECOND_NS)
        self._unusable_ns: int | None = None
        self._upstream_ns: int | None = None
        self._alarmed = False

    @property
    def upstream_lost(self) -> bool:
        """Whether the gateway says that it is cut off."""
        return self._upstream_ns is not None

    def unusable(self, now_ns: int) -> None:
        """Note that orders cannot leave; what began earlier goes on."""
        if self._unusable_ns is None:
            self._unusable_ns = now_ns

    def usable(self) -> None:
        """Note that orders may leave again."""
        self._unusable_ns, self._alarmed = None, False

    def upstream(self, now_ns: int, *, lost: bool) -> bool:
        """Note what the gateway says of its own connection; return whether that is news."""
        news = lost != self.upstream_lost
        if news:
            self._upstream_ns = now_ns if lost else None
        return news

    def excused(self, now_ns: int) -> None:
        """Begin the clocks anew: what is going on is planned."""
        self._unusable_ns = None if self._unusable_ns is None else now_ns
        self._upstream_ns = None if self._upstream_ns is None else now_ns

    def alarm(self, now_ns: int) -> float | None:
        """Return for how many seconds orders cannot leave, once an outage, when that is too long."""
        if self._alarmed or self._unusable_ns is None or now_ns - self._unusable_ns < self._alarm_after_ns:
            return None
        self._alarmed = True
        return (now_ns - self._unusable_ns) / SECOND_NS

    def hopeless(self, now_ns: int) -> bool:
        """Return whether the gateway has been cut off for so long that a new connection is worth trying."""
        return self._upstream_ns is not None and now_ns - self._upstream_ns > self._patience_ns
