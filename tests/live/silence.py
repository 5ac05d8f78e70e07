"""Silence that takes no time and needs no luck: the client's clock leaps once its gateway has fallen silent.

Deadlines may then be as long as any machine needs.
"""

from collections.abc import Callable
from typing import Any

from adapters.ibkr.link.clocks import elapsed_ns
from app.live.session import LiveSession
from core.clock import SECOND_NS
from tests.live.rig import Rig

DEADLINE_S = 60.0
ALERT = {"heartbeat_s": 0.1, "pong_deadline_s": DEADLINE_S, "pong_fresh_s": 0.2}
"""A link that asks often. It does not run in lock step, where the market waits instead."""


class Silence:
    """Ends a session whose link was lost to silence and is usable again; `client` gives it the clock.

    Once the fault was played no answer is fresh any more, and when the drill has ordered, silence lasts
    longer than any deadline. Without `leaves` it ends when the drill has ordered.
    """

    def __init__(
        self, broken: Callable[[LiveSession], None] = lambda _: None, *, leaves: bool = True
    ) -> None:
        self.gateway: Any = None
        self.lost = False
        self._broken = broken
        self._leaves = leaves
        self._ahead_ns = 0

    def clock(self) -> int:
        """Return the client's monotonic time."""
        return elapsed_ns() + self._ahead_ns

    def client(self, session: LiveSession) -> None:
        """Let a session go by the clock."""
        session.client._monotonic = session.client._connection._monotonic = self.clock
        self._broken(session)

    def __call__(self, rig: Rig) -> bool:
        ordered = rig.drill.wanted >= rig.drill.params.orders  # type: ignore[attr-defined]
        if self.lost or not self._leaves:
            self._age(rig)
            return bool(ordered) and (not self._leaves or (rig.session.client.ready and rig.settled()))
        self.lost = not rig.session.client._connection.is_open()
        if ordered and self.gateway.fired and not self.lost:
            self._ahead_ns += round((DEADLINE_S + 1) * SECOND_NS)
        else:
            self._age(rig)
        return False

    def _age(self, rig: Rig) -> None:
        heartbeat = rig.session.client._connection.heartbeat
        if self.gateway.fired and not self.lost and heartbeat.fresh(self.clock()):
            self._ahead_ns += SECOND_NS
