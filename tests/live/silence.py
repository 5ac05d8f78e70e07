"""Silence that takes no time and needs no luck: the client's clock leaps once its gateway has fallen silent.

Deadlines may then be as long as any machine needs.
"""

from collections.abc import Callable
from typing import Any

from adapters.ibkr.link.clocks import elapsed_ns
from adapters.ibkr.link.heartbeat import Pong
from app.live.session import LiveSession
from core.clock import SECOND_NS
from tests.live.rig import Rig

DEADLINE_S = 60.0
ALERT = {"heartbeat_s": 0.1, "pong_deadline_s": DEADLINE_S, "pong_fresh_s": 0.2}
"""A link that asks often. It does not run in lock step, where the market waits instead."""
_SILENCES = ("deaf", "mute")


class Silence:
    """Ends a session whose link was lost to silence and is usable again; `client` gives it the clock.

    Once the fault was played no answer is fresh any more, one that is still on its way neither, and only then
    may the drill order: by time alone it would take a busy machine for a silent gateway. When the drill has
    ordered, silence lasts longer than any deadline. Without `leaves` it ends when the drill has ordered.
    """

    def __init__(
        self, broken: Callable[[LiveSession], None] = lambda _: None, *, leaves: bool = True
    ) -> None:
        self.gateway: Any = None
        self.lost = False
        self._silent = False
        self._broken = broken
        self._leaves = leaves
        self._ahead_ns = 0

    def clock(self) -> int:
        """Return the client's monotonic time."""
        return elapsed_ns() + self._ahead_ns

    def client(self, session: LiveSession) -> None:
        """Let a session go by the clock, and hold its drill's timers back."""
        session.client._monotonic = session.client._connection._monotonic = self.clock
        session.seated[0].strategy.may_order = False  # type: ignore[attr-defined]
        heartbeat = session.client._connection.heartbeat
        answered = heartbeat.answered

        def aged(*args: Any, **given: Any) -> Pong | None:
            pong = answered(*args, **given)
            if self._silent and not self.lost:
                self._ahead_ns += SECOND_NS
            return pong

        heartbeat.answered = aged  # type: ignore[method-assign]
        self._broken(session)

    def __call__(self, rig: Rig) -> bool:
        if not self._silent and any(do in fault for fault in self.gateway.fired for do in _SILENCES):
            self._silent = rig.drill.may_order = True  # type: ignore[attr-defined]
            self._ahead_ns += SECOND_NS
        ordered = rig.drill.wanted >= rig.drill.params.orders  # type: ignore[attr-defined]
        if self.lost or not self._leaves:
            return bool(ordered) and (not self._leaves or (rig.session.client.ready and rig.settled()))
        # Before the silence the connection may not be open yet: to connect takes a busy machine its time.
        self.lost = self._silent and not rig.session.client._connection.is_open()
        if ordered and self._silent and not self.lost:
            self._ahead_ns += round((DEADLINE_S + 1) * SECOND_NS)
        return False
