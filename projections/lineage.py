"""Where an order came from and what became of it: the entries behind `why`.

Joins by order id and execId only. It keeps whole entries, so it is folded when somebody asks, not in the
loop of a long replay.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from core.events import (
    BY_TAG,
    BY_TYPE,
    CancelIntended,
    CancelSendStarted,
    CancelSent,
    CommissionReported,
    CompositeSignal,
    Entry,
    Event,
    FillCorrected,
    Filled,
    HoldEnded,
    ModifyIntended,
    OrderAmended,
    OrderAttempted,
    OrderBound,
    OrderHeld,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderSendStarted,
    OrderSent,
    OrderSized,
    OrderStatusChanged,
    RiskApproved,
    RiskRefused,
    SendFailed,
    TimerFired,
)
from projections.base import ENCODER, Projection, State

_ORDER_TYPES: tuple[type[Event], ...] = (
    OrderIntended,
    ModifyIntended,
    CancelIntended,
    RiskApproved,
    RiskRefused,
    OrderSendStarted,
    CancelSendStarted,
    OrderSent,
    SendFailed,
    OrderStatusChanged,
    OrderAttempted,
    OrderBound,
    CancelSent,
    OrderAmended,
    OrderResolved,
    OrderRetried,
    OrderHeld,
    HoldEnded,
)
_EXECUTION_TYPES: tuple[type[Event], ...] = (Filled, FillCorrected, CommissionReported)


class Link(msgspec.Struct, frozen=True):
    """One entry in a snapshot; `body` is the event as canonical msgpack. `recv` is not part of a state."""

    seq: int
    at: int
    cause: int | None
    tag: str
    body: bytes


class LineageState(State, kw_only=True):
    """Snapshot of `Lineage`, in processing order."""

    links: list[Link]


class Lineage(Projection):
    """The entries of each order, and which inputs led to it."""

    name = "lineage"
    version = 2
    state_type = LineageState

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._by_seq: dict[int, Entry] = {}
        self._by_order: dict[str, list[Entry]] = {}
        self._by_execution: dict[str, list[Entry]] = {}
        self._order_of: dict[str, str] = {}
        super().__init__({})
        self._takers: dict[type[Event], Callable[[Any], None]] = {
            **dict.fromkeys(_ORDER_TYPES, self._of_order),
            **dict.fromkeys(_EXECUTION_TYPES, self._of_execution),
            **dict.fromkeys((TimerFired, CompositeSignal, OrderSized), self._note),
        }

    @property
    def folds(self) -> frozenset[type[Event]]:
        """The event types whose entries are kept."""
        return frozenset(self._takers)

    def take(self, entry: Entry) -> None:
        """Keep an entry, whole: where it was made, and at what, is what is asked about."""
        taker = self._takers.get(type(entry.event))
        if taker is not None:
            taker(entry)

    def orders(self) -> list[str]:
        """Return the ids of all orders, oldest first."""
        return list(self._by_order)

    def executions(self) -> list[str]:
        """Return the ids of all executions whose order is known, oldest first."""
        return list(self._order_of)

    def entry(self, seq: int) -> Entry | None:
        """Return the folded entry of that seq, or `None`: market data are not folded here."""
        return self._by_seq.get(seq)

    def chain(self, order_or_exec_id: str) -> list[Entry]:
        """Return all entries of an order by seq; empty if the id is unknown.

        Of an execution id: that execution alone, with what its order went through. The composite signal and
        the sizing that an intent follows from are among them.
        """
        order = self._order(order_or_exec_id)
        entries = {entry.seq: entry for entry in self._by_order.get(order, ())}
        for entry in list(entries.values()):
            cause = self._by_seq.get(entry.cause or 0)
            while cause is not None and type(cause.event) in (CompositeSignal, OrderSized):
                entries[cause.seq] = cause
                cause = self._by_seq.get(cause.cause or 0)
        for exec_id, owner in self._order_of.items():
            if owner == order and order_or_exec_id in (order, exec_id):
                entries.update((entry.seq, entry) for entry in self._by_execution[exec_id])
        return [entries[seq] for seq in sorted(entries)]

    def trail(self, entry: Entry) -> list[int]:
        """Return the seqs of the inputs that led to an entry of an order, nearest first: as a rule one tick.

        In a run an intent may be made at a fill or a timer, which is itself an event of the run and was made
        at an earlier input. The trail ends where it leaves what is folded here, and at the order's own news.
        """
        order, trail = self._owner(entry), [entry.seq]
        while 0 < entry.at != entry.seq and entry.at not in trail:
            found = self._by_seq.get(entry.at)
            if found is not None and self._owner(found) == order:
                break
            trail.append(entry.at)
            if found is None:
                break
            entry = found
        return trail[1:]

    def _owner(self, entry: Entry) -> str | None:
        event: Any = entry.event
        if type(event) in _EXECUTION_TYPES:
            return self._order_of.get(event.exec_id)
        return event.order if type(event) in _ORDER_TYPES else None

    def _order(self, order_or_exec_id: str) -> str:
        if order_or_exec_id in self._by_order:
            return order_or_exec_id
        return self._order_of.get(order_or_exec_id, order_or_exec_id)

    def _note(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._by_seq[entry.seq] = entry

    def _of_order(self, entry: Any) -> None:
        self._note(entry)
        self._by_order.setdefault(entry.event.order, []).append(entry)

    def _of_execution(self, entry: Any) -> None:
        event: Filled | FillCorrected | CommissionReported = entry.event
        self._note(entry)
        self._by_execution.setdefault(event.exec_id, []).append(entry)
        # A commission report may lack the order; the fill knows it.
        if event.order and (event.exec_id not in self._order_of or type(event) is not CommissionReported):
            self._order_of[event.exec_id] = event.order

    def describe(self) -> str:
        """Return for example `lineage: 12 orders, 9 executions, 77 entries`."""
        orders, executions = len(self._by_order), len(self._by_execution)
        return f"lineage: {orders} orders, {executions} executions, {len(self._entries)} entries"

    def state(self) -> LineageState:
        """Return a snapshot."""
        return LineageState(applied_seq=self.applied_seq, links=[_link(entry) for entry in self._entries])

    def restore(self, state: LineageState) -> None:
        """Replace the state by a snapshot."""
        for held in (self._entries, self._by_seq, self._by_order, self._by_execution, self._order_of):
            held.clear()
        for link in state.links:
            event = msgspec.msgpack.decode(link.body, type=BY_TAG[link.tag].type)
            self.apply(Entry(link.seq, None, link.at, link.cause, event))
        self.applied_seq = state.applied_seq


def _link(entry: Entry) -> Link:
    tag = BY_TYPE[type(entry.event)].tag
    return Link(entry.seq, entry.at, entry.cause, tag, ENCODER.encode(entry.event))
