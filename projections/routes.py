"""How our orders are known at the broker: reference, order id on the wire, permanent id, executions.

A permanent id identifies an order for ever, a reference identifies one attempt; an order id means
something only within one client and may be issued again, so it is asked last. Orders of others have no
route. Nothing here decides whether an order may be sent again.
"""

from typing import Any

import msgspec

from core.events import Filled, OrderAttempted, OrderBound
from projections.base import Projection, State


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """The names under which an order last went to the broker."""

    order: str
    version: int
    attempt: int
    ref: str
    broker_id: int
    client_id: int


class RoutesState(State, kw_only=True):
    """Snapshot of `Routes`."""

    attempts: list[Attempt]
    refs: dict[str, str]
    perms: dict[str, list[int]]
    fills: dict[str, str]
    highest: dict[int, int]


class Routes(Projection):
    """Finds an order by what the broker calls it."""

    name = "routes"
    state_type = RoutesState

    def __init__(self) -> None:
        self._attempts: dict[str, Attempt] = {}
        self._by_ref: dict[str, str] = {}
        self._by_wire: dict[tuple[int, int], str] = {}
        self._by_perm: dict[int, str] = {}
        self._perms: dict[str, list[int]] = {}
        self._fills: dict[str, str] = {}
        self._highest: dict[int, int] = {}
        super().__init__({OrderAttempted: self._attempted, OrderBound: self._bound, Filled: self._filled})

    def attempt(self, order: str) -> Attempt | None:
        """Return the latest attempt to place an order, or `None` if there was none."""
        return self._attempts.get(order)

    def attempts(self) -> list[Attempt]:
        """Return the latest attempt of each order, in order of its first one."""
        return list(self._attempts.values())

    def perm_ids(self, order: str) -> list[int]:
        """Return the permanent ids that the broker gave an order: one, unless something went wrong."""
        return list(self._perms.get(order, ()))

    def find(self, *, perm_id: int | None, ref: str) -> str | None:
        """Return the order with this permanent id, else with this reference; `None` if it is not ours."""
        known = self._by_perm.get(perm_id) if perm_id else None
        return known or self._by_ref.get(ref)

    def on_wire(self, client_id: int, broker_id: int) -> str | None:
        """Return the order that last went out under an order id of a client."""
        return self._by_wire.get((client_id, broker_id))

    def order_of(self, exec_id: str) -> str | None:
        """Return the order of an execution, or `None` if the execution is unknown."""
        return self._fills.get(exec_id)

    def next_id(self, client_id: int, offered: int) -> int:
        """Return the next order id to use: what the broker offers, unless a higher one was used before."""
        return max(offered, self._highest.get(client_id, 0) + 1)

    def _attempted(self, entry: Any) -> None:
        event: OrderAttempted = entry.event
        self._attempts[event.order] = Attempt(
            event.order, event.version, event.attempt, event.ref, event.broker_id, event.client_id
        )
        self._by_ref[event.ref] = event.order
        self._by_wire[event.client_id, event.broker_id] = event.order
        self._highest[event.client_id] = max(self._highest.get(event.client_id, 0), event.broker_id)

    def _bound(self, entry: Any) -> None:
        event: OrderBound = entry.event
        known = self._perms.setdefault(event.order, [])
        if event.perm_id not in known:
            known.append(event.perm_id)
        self._by_perm[event.perm_id] = event.order

    def _filled(self, entry: Any) -> None:
        event: Filled = entry.event
        self._fills[event.exec_id] = event.order

    def describe(self) -> str:
        """Return for example `routes: 3 orders, 2 bound`."""
        return f"routes: {len(self._attempts)} orders, {len(self._perms)} bound"

    def state(self) -> RoutesState:
        """Return a snapshot."""
        return RoutesState(
            applied_seq=self.applied_seq,
            attempts=list(self._attempts.values()),
            refs=dict(sorted(self._by_ref.items())),
            perms={order: list(perms) for order, perms in sorted(self._perms.items())},
            fills=dict(sorted(self._fills.items())),
            highest=dict(sorted(self._highest.items())),
        )

    def restore(self, state: RoutesState) -> None:
        """Replace the state by a snapshot."""
        self._attempts = {attempt.order: attempt for attempt in state.attempts}
        self._by_ref = dict(state.refs)
        self._by_wire = {(a.client_id, a.broker_id): a.order for a in state.attempts}
        self._perms = {order: list(perms) for order, perms in state.perms.items()}
        self._by_perm = {perm: order for order, perms in state.perms.items() for perm in perms}
        self._fills, self._highest = dict(state.fills), dict(state.highest)
        self.applied_seq = state.applied_seq
