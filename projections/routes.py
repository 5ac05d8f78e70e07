"""How our orders are known at the broker: reference, order id on the wire, permanent id, last word on each.

A permanent id identifies an order for ever, a reference identifies one attempt; an order id means
something only within one client and may be issued again, so it is asked last. Orders of others have no
route. What a connection must remember of orders is folded here, so that a restart loses none of it.
Nothing here decides whether an order may be sent again.

The broker speaks of its orders and executions of the last seven days. What came to its end before that, by
the time of what happened since, is forgotten; an order that may still fill never is, and nor is the highest
order id that was used.
"""

from typing import Any

import msgspec

from core.clock import DAY_NS
from core.events import (
    BrokerMessage,
    CommissionReported,
    FillCorrected,
    Filled,
    OrderAttempted,
    OrderBound,
    OrderResolved,
    OrderStatusChanged,
)
from projections.base import Projection, State
from projections.retold import Retold
from projections.retold import Told as ToldExecution

_ACKNOWLEDGING = frozenset(
    ("Submitted", "PreSubmitted", "PendingCancel", "Inactive", "Cancelled", "Filled", "PartiallyFilled")
)
_OVER = frozenset(("Cancelled", "Filled", "Rejected"))
_OVER_IN_BOOK = frozenset(("ended", "not_sent", "presumed_lost"))
KEPT_NS = 8 * DAY_NS
"""How long what has ended is known: a day longer than the broker tells of executions."""


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """The names under which an order last went to the broker."""

    order: str
    version: int
    attempt: int
    ref: str
    broker_id: int
    client_id: int
    parent_id: int = 0
    group: str = ""


class Told(msgspec.Struct, frozen=True, gc=False):
    """The last status of an order: the broker's word, for which version, with which text."""

    status: str
    version: int
    message: str


class Fate(msgspec.Struct, frozen=True, gc=False):
    """What reconciliation last found of an order, and since when it has said so."""

    outcome: str
    since_ts: int


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """The last numbered message about an order."""

    code: int
    text: str


class RoutesState(State, kw_only=True):
    """Snapshot of `Routes`."""

    attempts: list[Attempt]
    refs: dict[str, str]
    wires: list[tuple[int, int, str]]
    perms: dict[str, list[int]]
    told: dict[str, Told]
    fates: dict[str, Fate]
    annotations: dict[str, Annotation]
    highest: dict[int, int]
    last_fill_ts: int
    executions: dict[str, ToldExecution]
    ends: dict[str, int]
    latest_ts: int
    swept_ts: int


class Routes(Projection):
    """Finds an order by what the broker calls it, and tells what was last heard of it."""

    name = "routes"
    version = 4
    state_type = RoutesState

    def __init__(self) -> None:
        self.last_fill_ts = 0
        self._attempts: dict[str, Attempt] = {}
        self._by_ref: dict[str, str] = {}
        self._by_wire: dict[tuple[int, int], str] = {}
        self._by_perm: dict[int, str] = {}
        self._perms: dict[str, list[int]] = {}
        self._told: dict[str, Told] = {}
        self._fates: dict[str, Fate] = {}
        self._annotations: dict[str, Annotation] = {}
        self._highest: dict[int, int] = {}
        self._executions = Retold()
        self._ends: dict[str, int] = {}  # when an order came to its end, as far as was told
        self._latest_ts = self._swept_ts = 0
        super().__init__(
            {
                OrderAttempted: self._attempted,
                OrderBound: self._bound,
                OrderStatusChanged: self._status,
                OrderResolved: self._resolved,
                BrokerMessage: self._annotated,
                Filled: self._filled,
                FillCorrected: self._filled,
                CommissionReported: self._commission,
            }
        )

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

    def told(self, order: str) -> Told | None:
        """Return the order's last status, or `None` before any."""
        return self._told.get(order)

    def fate(self, order: str) -> Fate | None:
        """Return what reconciliation last found of the order, or `None`."""
        return self._fates.get(order)

    def lost(self) -> list[str]:
        """Return the orders that are presumed lost: should one be seen after all, it is to be cancelled."""
        return [order for order, fate in self._fates.items() if fate.outcome == "presumed_lost"]

    def annotation(self, order: str) -> Annotation | None:
        """Return the last numbered message about the order, or `None`."""
        return self._annotations.get(order)

    def fills(self, account: str, since_ts: int) -> list[ToldExecution]:
        """Return what was told of an account's executions from a time on; at most `KEPT_NS` back."""
        return [told for told in self._executions.values() if told.account == account and told.ts > since_ts]

    def execution(self, exec_id: str) -> ToldExecution | None:
        """Return what was told of an execution; `None` if nothing, or longer ago than it is told again."""
        return self._executions.get(exec_id)

    def acknowledged(self, order: str) -> bool:
        """Return whether the broker ever showed that it has the order."""
        told = self._told.get(order)
        return order in self._perms or (told is not None and told.status in _ACKNOWLEDGING)

    def next_id(self, client_id: int, offered: int) -> int:
        """Return the next order id to use: what the broker offers, unless a higher one was used before."""
        return max(offered, self._highest.get(client_id, 0) + 1)

    def _attempted(self, event: OrderAttempted, _seq: int) -> None:
        known = self._attempts.get(event.order)
        if known is not None and known.attempt != event.attempt:
            self._annotations.pop(event.order, None)  # it spoke of the attempt before
        self._attempts[event.order] = Attempt(
            event.order,
            event.version,
            event.attempt,
            event.ref,
            event.broker_id,
            event.client_id,
            event.parent_id,
            event.group,
        )
        self._by_ref[event.ref] = event.order
        self._by_wire[event.client_id, event.broker_id] = event.order
        self._highest[event.client_id] = max(self._highest.get(event.client_id, 0), event.broker_id)
        self._passed(event.order, event.ts, over=False)

    def _bound(self, event: OrderBound, _seq: int) -> None:
        known = self._perms.setdefault(event.order, [])
        if event.perm_id not in known:
            known.append(event.perm_id)
        self._by_perm[event.perm_id] = event.order

    def _status(self, event: OrderStatusChanged, _seq: int) -> None:
        self._told[event.order] = Told(event.status, event.version, event.message)
        if event.status not in _OVER:
            self._passed(event.order, event.ts, over=False)
        elif event.version == 1 or event.status != "Rejected":  # else a change was refused, not the order
            self._passed(event.order, event.ts, over=True)

    def _resolved(self, event: OrderResolved, _seq: int) -> None:
        known = self._fates.get(event.order)
        if known is None or known.outcome != event.outcome:
            self._fates[event.order] = Fate(event.outcome, event.ts)
        self._passed(event.order, event.ts, over=event.outcome in _OVER_IN_BOOK)

    def _annotated(self, event: BrokerMessage, _seq: int) -> None:
        if event.order:
            self._annotations[event.order] = Annotation(event.code, event.text)

    def _filled(self, event: Filled, _seq: int) -> None:
        self.last_fill_ts = max(self.last_fill_ts, event.ts)
        self._executions.filled(event)

    def _commission(self, event: CommissionReported, _seq: int) -> None:
        self._executions.commission(event)

    # What is forgotten

    def _passed(self, order: str, ts: int, *, over: bool) -> None:
        """Note whether an order has ended, and forget once a day what ended long ago."""
        self._ends.pop(order, None)
        if over:
            self._ends[order] = ts
        self._latest_ts = max(self._latest_ts, ts)
        if self._latest_ts - self._swept_ts >= DAY_NS:
            self._swept_ts = self._latest_ts
            self._forget(self._latest_ts - KEPT_NS)

    def _forget(self, before_ts: int) -> None:
        self._executions.forget(before_ts)
        gone = {order for order, ts in self._ends.items() if ts < before_ts}
        if not gone:
            return
        perms = [perm for order in gone for perm in self._perms.get(order, ())]
        for perm in perms:
            self._by_perm.pop(perm, None)
        by_order: tuple[dict[str, Any], ...] = (
            self._attempts, self._perms, self._told, self._fates, self._annotations, self._ends,
        )  # fmt: skip
        for known in by_order:
            for order in gone & known.keys():
                del known[order]
        self._by_ref = {ref: order for ref, order in self._by_ref.items() if order not in gone}
        self._by_wire = {wire: order for wire, order in self._by_wire.items() if order not in gone}

    def describe(self) -> str:
        """Return for example `routes: 3 orders, 2 bound`."""
        return f"routes: {len(self._attempts)} orders, {len(self._perms)} bound"

    def state(self) -> RoutesState:
        """Return a snapshot."""
        return RoutesState(
            applied_seq=self.applied_seq,
            attempts=list(self._attempts.values()),
            refs=dict(sorted(self._by_ref.items())),
            wires=[(*wire, order) for wire, order in sorted(self._by_wire.items())],
            perms={order: list(perms) for order, perms in sorted(self._perms.items())},
            told=dict(sorted(self._told.items())),
            fates=dict(sorted(self._fates.items())),
            annotations=dict(sorted(self._annotations.items())),
            highest=dict(sorted(self._highest.items())),
            last_fill_ts=self.last_fill_ts,
            executions=dict(sorted(self._executions.items())),
            ends=dict(sorted(self._ends.items())),
            latest_ts=self._latest_ts,
            swept_ts=self._swept_ts,
        )

    def restore(self, state: RoutesState) -> None:
        """Replace the state by a snapshot."""
        self._attempts = {attempt.order: attempt for attempt in state.attempts}
        self._by_ref = dict(state.refs)
        self._by_wire = {(client_id, broker_id): order for client_id, broker_id, order in state.wires}
        self._perms = {order: list(perms) for order, perms in state.perms.items()}
        self._by_perm = {perm: order for order, perms in state.perms.items() for perm in perms}
        self._told, self._fates = dict(state.told), dict(state.fates)
        self._annotations, self._highest = dict(state.annotations), dict(state.highest)
        self.last_fill_ts = state.last_fill_ts
        self._executions = Retold(state.executions)
        self._ends = dict(state.ends)
        self._latest_ts, self._swept_ts = state.latest_ts, state.swept_ts
        self.applied_seq = state.applied_seq
