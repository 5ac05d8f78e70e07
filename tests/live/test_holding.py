"""Orders asked for while the gateway is away: held, and out once; a real gateway over loopback."""

from collections.abc import Callable
from typing import Any

import pytest

from app.live.proving import prove
from app.replay.recorded import Recorded
from core.events import (
    HoldEnded,
    OrderHeld,
    OrderSent,
    RiskRefused,
    SessionEnded,
    SessionStarted,
)
from core.holds import HoldRule
from core.ports import Selection
from core.views import HELD
from eventstore.reading.reader import LogReader
from tests.live.rig import Books, Rig

Start = Callable[..., tuple[Rig, Any]]
Compare = Callable[[Any], Books]

AWAY = "ticks 100: reset"
"""The connection breaks; the drill orders 0.3 s after the last trade, before there is another connection.

On a slow machine it may order before, too: a market that comes late is silent for a while.
"""
SET_UP: dict[str, Any] = {
    "speed": 600,
    "settings": {"reconnect_interval_s": 1.0, "reconnect_cap_s": 2.0},
    "plan": "timer",
    "orders": 50,
}
HOUR = HoldRule(within_s=3600)


class HeldAndOver:
    """Whether an order was held, and is neither held nor at work any more."""

    def __init__(self) -> None:
        self._held = False

    def __call__(self, rig: Rig) -> bool:
        orders = rig.session.world.orders
        self._held = self._held or any(order.state == HELD for order in orders.orders())
        return bool(self._held and rig.session.client.ready and not orders.working())


def proved(root: Any) -> None:
    chosen = Selection(types=frozenset({SessionStarted, SessionEnded}))
    start, end = (e for batch in LogReader(root).entries(chosen) for e in batch)
    prove(root, Recorded(start.event, start.seq, end.seq))


def test_an_order_asked_for_while_away_goes_out_once_afterwards(start: Start, books: Compare) -> None:
    rig, gateway = start(AWAY, hold=HOUR, until=HeldAndOver(), **SET_UP)
    rig.run()
    held = [e.order for e in rig.events(OrderHeld)]
    assert held != []
    assert [(e.order, e.outcome) for e in rig.events(HoldEnded)] == [(order, "released") for order in held]
    assert rig.events(RiskRefused) == []
    assert [e.order for e in rig.events(OrderSent) if e.order in held] == held
    compared = books(gateway)
    assert compared.differences() == []
    assert compared.sent_twice() == []
    proved(rig.root)


def test_one_that_waits_too_long_expires_and_never_leaves(start: Start, books: Compare) -> None:
    rig, gateway = start(AWAY, hold=HoldRule(within_s=0.2), until=HeldAndOver(), **SET_UP)
    rig.run()
    ended = rig.events(HoldEnded)
    assert [e.order for e in ended] == [e.order for e in rig.events(OrderHeld)]
    expired = {e.order for e in ended if e.outcome == "expired"}  # the last may come right before the end
    assert expired
    assert [e.order for e in rig.events(OrderSent) if e.order in expired] == []
    assert books(gateway).differences() == []
    proved(rig.root)


@pytest.mark.parametrize("broken", ["forgets", "sends twice"])
def test_a_session_that_forgets_or_sends_twice_is_caught(broken: str, start: Start, books: Compare) -> None:
    def breaks(session: Any) -> None:
        loop_of = session._loop

        def loop(*given: Any) -> Any:
            made = loop_of(*given)
            holds = made._step.decisions.holds
            ready = holds.ready

            def again() -> list[Any]:
                return [] if broken == "forgets" else list(ready()) * 2

            holds.ready = again
            return made

        session._loop = loop

    def over(rig: Rig) -> bool:
        return rig.drill._trades > 400  # type: ignore[attr-defined]

    rig, gateway = start(AWAY, hold=HOUR, client=breaks, until=over, **SET_UP)
    rig.run()
    held = [e.order for e in rig.events(OrderHeld)]
    times = [[e.order for e in rig.events(OrderSent)].count(order) for order in held]
    compared = books(gateway)
    assert held
    assert times != [1] * len(held) or compared.sent_twice() or compared.differences()
