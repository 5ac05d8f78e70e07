"""Orders and executions: a join by key, never a state machine that refuses a fact.

Facts may arrive late, twice or out of order: a fill before its status, a fill after `Cancelled`. Each
event notes its fact in the order's record, and the state shown is derived from the facts. Filled
quantities come from executions alone. Orders of others have no strategy: they are here because they count
for risk. Nothing here decides, sends or counts time.
"""

from collections.abc import Callable
from itertools import chain, islice
from operator import attrgetter
from typing import Any, get_args

from core.events import (
    BreakAccepted,
    CancelIntended,
    CancelSendStarted,
    CancelSent,
    CommissionReported,
    Event,
    ExternalOrderReported,
    FillCorrected,
    Filled,
    HoldEnded,
    ModifyIntended,
    OrderAmended,
    OrderHeld,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    OrderType,
    RiskApproved,
    RiskRefused,
    SendFailed,
    TimeInForce,
)
from core.order_rules import order_type
from projections.base import Projection, State
from projections.executions import ExecutionRecord
from projections.fills import plain_fill
from projections.idset import Ids, IdsState
from projections.order_book import OrderBook, by_age
from projections.records import APPROVED, SENDING, SUBMITTED, TERMINAL, OrderRecord

AT_WORK = frozenset(
    ("PendingSubmit", "ApiPending", "PreSubmitted", "Submitted", "PendingCancel", "ApiPendingCancel")
)
"""The broker's words for an order that may still fill; in any other, an order of others has ended."""
_TYPES = frozenset(get_args(OrderType))
_TIFS = frozenset(get_args(TimeInForce))
_ALL = 1 << 62  # as a number of orders to keep
_EXECUTIONS = attrgetter("executions")
_NOTES: dict[type[Event], Callable[[OrderRecord, Any], None]] = {
    RiskRefused: OrderRecord.refused,
    ModifyIntended: OrderRecord.modify,
    CancelIntended: OrderRecord.cancel,
    CancelSendStarted: OrderRecord.cancel,
    CancelSent: OrderRecord.cancel,
    SendFailed: OrderRecord.send_failed,
    OrderAmended: OrderRecord.amended,
    OrderResolved: OrderRecord.resolve,
    OrderRetried: OrderRecord.retried,
    OrderHeld: OrderRecord.hold,
    HoldEnded: OrderRecord.hold_ended,
}
"""What a record makes of an event that says no more than how its order stands now."""


class OrdersState(State, kw_only=True):
    """Snapshot of `Orders`, sorted by id; with a window also what it is about to forget, oldest first."""

    orders: list[OrderRecord]
    executions: list[ExecutionRecord]
    idle: list[str]
    unfilled: list[str]
    forgotten: IdsState


class Orders(OrderBook, Projection):
    """Folds what happens to orders into records.

    With `keep`, the orders that cannot fill are a window: the latest `keep` (up to a quarter more) stay,
    with their executions, and those that came to their end before are forgotten. A forgotten order is
    unknown to `get`, and what is reported of it later changes nothing: its execution still counts in
    `Positions`. Orders that may fill, or are presumed lost, are never forgotten, nor the entry of an exit
    that may fill.
    """

    name = "orders"
    version = 4
    state_type = OrdersState

    def __init__(self, keep: int | None = None) -> None:
        self._keep = _ALL if keep is None else keep
        self._most = self._keep + (self._keep >> 2)  # at which the oldest are forgotten
        self._idle: dict[str, None] = {}  # orders that cannot fill, in the order in which they came to that
        self._unfilled: dict[str, None] = {}  # executions of which only the commission is known
        self._forgotten = Ids()
        OrderBook.__init__(self)
        Projection.__init__(
            self,
            {
                **dict.fromkeys(_NOTES, self._noted),
                OrderIntended: self._intended,
                RiskApproved: self._approved,
                RiskRefused: self._refused,
                OrderSendStarted: self._send_started,
                OrderSent: self._sent,
                OrderStatusChanged: self._status,
                BreakAccepted: self._accepted,
                ExternalOrderReported: self._external,
                Filled: self._filled,
                FillCorrected: self._corrected,
                CommissionReported: self._commission,
            },
        )

    # What is folded

    def _make(self, order: str) -> OrderRecord:
        """Return the record of an order not heard of before; that of a forgotten one is kept nowhere."""
        record = OrderRecord(order)
        if order not in self._forgotten:
            self._orders[order] = record
            self._settle(record)
        return record

    def _record(self, order: str) -> OrderRecord:
        return self._orders.get(order) or self._make(order)

    def _intended(self, event: OrderIntended, seq: int) -> None:
        order = event.order
        if order not in self._orders:
            self._orders[order] = self._working[order] = OrderRecord(
                order, event, seq, event.ts, event.quantity
            )
            return
        record = self._orders[order]
        if record.intent is None:
            record.intent, record.created_seq, record.quantity = event, seq, event.quantity
            record.touch(event.ts)
            self._settle(record)

    # hot: each order comes through the next four and `_filled`. They find its record by `[]`, and write into
    # it themselves, but only what changes: to set a field costs ten times as much as to look at it.

    def _approved(self, event: RiskApproved, _seq: int) -> None:
        try:
            record = self._orders[event.order]
        except KeyError:
            record = self._make(event.order)
        if not record.progress:
            record.progress = APPROVED
        if event.ts > record.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            record.updated_ts = event.ts

    def _send_started(self, event: OrderSendStarted, _seq: int) -> None:
        try:
            record = self._orders[event.order]
        except KeyError:
            record = self._make(event.order)
        if record.progress < SENDING:  # noqa: PLR1730 - hot: max() is a call
            record.progress = SENDING
        if event.ts > record.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            record.updated_ts = event.ts

    def _sent(self, event: OrderSent, _seq: int) -> None:
        try:
            record = self._orders[event.order]
        except KeyError:
            record = self._make(event.order)
        if event.version > record.sent_version:  # noqa: PLR1730 - hot: max() is a call
            record.sent_version = event.version
        if event.ts > record.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            record.updated_ts = event.ts

    def _status(self, event: OrderStatusChanged, _seq: int) -> None:
        try:
            record = self._orders[event.order]
        except KeyError:
            record = self._make(event.order)
        if event.ts > record.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            record.updated_ts = event.ts
        if event.message or event.status in TERMINAL or record.versions or record.held_back or record.fate:
            record.report(event)
            self._settle(record)
            return
        # As a rule. A first version that is merely confirmed exposes what it did before.
        record.progress = SUBMITTED
        if event.version > record.acknowledged:  # noqa: PLR1730 - hot: max() is a call
            record.acknowledged = event.version

    def _noted(self, event: Any, _seq: int) -> None:
        record = self._record(event.order)
        _NOTES[type(event)](record, event)
        record.touch(event.ts)
        self._settle(record)

    def _refused(self, event: RiskRefused, seq: int) -> None:
        if event.version:  # a cancel that found nothing of its strategy's own changes no order
            self._noted(event, seq)

    def _accepted(self, event: BreakAccepted, _seq: int) -> None:
        # What nobody could find is over once the operator accepts the broker's view.
        for record in list(self._working.values()):
            intent = record.intent
            at = None if intent is None else (intent.account, intent.instrument)
            if record.fate == "unknown" and at == (event.account, event.instrument):
                record.ended, record.fate, record.message = "Cancelled", "", event.reason
                record.touch(event.ts)
                self._settle(record)

    def _external(self, event: ExternalOrderReported, seq: int) -> None:
        record = self._record(event.order)
        if record.intent is None:
            record.created_seq = seq
        created = record.intent.ts if record.intent is not None else event.ts
        record.intent = _foreign_intent(event, created)
        record.quantity = event.quantity
        record.ended = "" if event.status in AT_WORK else "Cancelled"
        record.progress = SUBMITTED
        record.touch(event.ts)
        self._settle(record)

    def _filled(self, fill: Filled, _seq: int) -> None:
        exec_id, order, quantity = fill.exec_id, fill.order, fill.quantity
        record = self._working.get(order)
        if record is None or record.executions or record.versions or exec_id in self._executions:
            self._execute(fill, 0)
            return
        # As a rule: the first execution of an order that stands as it was intended.
        self._executions[exec_id] = ExecutionRecord(exec_id, fill)
        record.executions = (exec_id,)
        record.filled = record.done = quantity
        if record.progress < SUBMITTED:  # noqa: PLR1730 - hot: max() is a call
            record.progress = SUBMITTED
        if fill.ts > record.updated_ts:  # noqa: PLR1730 - hot: max() is a call
            record.updated_ts = fill.ts
        if quantity is record.quantity or quantity >= record.quantity:  # hot: to compare decimals is a call
            idle = self._idle
            del self._working[order]
            idle[order] = None
            if len(idle) > self._most:
                self._forget()

    def _corrected(self, event: FillCorrected, _seq: int) -> None:
        self._execute(plain_fill(event), event.revision)

    def _execute(self, reported: Filled, revision: int) -> None:
        exec_id = reported.exec_id
        self._record(reported.order).touch(reported.ts)
        execution = self._executions.get(exec_id)
        if execution is None:
            if reported.order not in self._orders:  # it is forgotten
                return
            execution = self._executions[exec_id] = ExecutionRecord(exec_id)
        earlier, before, first = execution.fill, execution.quantity, execution.first_quantity
        if not execution.take(reported, revision):
            return
        self._unfilled.pop(exec_id, None)
        fill = execution.fill
        assert fill is not None
        if earlier is not None and earlier.order != fill.order:
            moved_from = self._orders[earlier.order]
            moved_from.withdrawn(exec_id, before, first)
            self._settle(moved_from)
        record = self._record(fill.order)
        if fill.order not in self._orders:  # moved to an order that is forgotten, and so is the execution
            del self._executions[exec_id]
            return
        record.executed(exec_id, before, execution.quantity, first, execution.first_quantity)
        self._settle(record)

    def _commission(self, event: CommissionReported, _seq: int) -> None:
        execution = self._executions.get(event.exec_id)
        if execution is None:
            if event.order not in self._orders and event.order in self._forgotten:
                return
            execution = self._executions[event.exec_id] = ExecutionRecord(event.exec_id)
            self._wait_for_fill(event.exec_id)
        if execution.charge is None:
            execution.charge = event
        else:
            execution.charged(event)

    def _settle(self, record: OrderRecord) -> None:
        """Put an order where it belongs after its record changed."""
        order = record.id
        if order not in self._orders:  # it is forgotten
            return
        if record.working():
            self._working[order] = record
            self._idle.pop(order, None)
        elif record.fate == "presumed_lost":
            # It may be seen after all: it is to be cancelled then, however late.
            self._working.pop(order, None)
            self._idle.pop(order, None)
        else:
            self._working.pop(order, None)
            self._idle[order] = None
            if len(self._idle) > self._most:
                self._forget()

    # What is forgotten

    def _forget(self) -> None:
        # Many at a time: the first key of a dict that loses its first keys is ever further away.
        idle, orders, executions = self._idle, self._orders, self._executions
        ended = list(islice(idle, len(idle) - self._keep))
        for order in ended:
            del idle[order]
        # An entry is asked about for as long as an exit of it works.
        working = (record.intent for record in self._working.values())
        entries = {intent.parent for intent in working if intent is not None and intent.parent}
        if entries:
            idle.update((order, None) for order in ended if order in entries)
            ended = [order for order in ended if order not in entries]
        for exec_id in chain.from_iterable(map(_EXECUTIONS, map(orders.pop, ended))):
            del executions[exec_id]
        self._forgotten.update(ended)

    def _wait_for_fill(self, exec_id: str) -> None:
        if self._keep == _ALL:
            return
        self._unfilled[exec_id] = None
        if len(self._unfilled) > self._most:
            for oldest in list(islice(self._unfilled, len(self._unfilled) - self._keep)):
                del self._unfilled[oldest], self._executions[oldest]

    # Snapshots

    def describe(self) -> str:
        """Return for example `orders: 12 orders, 2 working, 9 executions`."""
        known = sum(record.intent is not None for record in self._orders.values())
        fills = sum(record.fill is not None for record in self._executions.values())
        return f"orders: {known} orders, {len(self._working)} working, {fills} executions"

    def state(self) -> OrdersState:
        """Return a snapshot, sorted by id."""
        return OrdersState(
            applied_seq=self.applied_seq,
            orders=[self._orders[order].copy() for order in sorted(self._orders)],
            executions=[self._executions[exec_id].copy() for exec_id in sorted(self._executions)],
            idle=list(self._idle) if self._keep < _ALL else [],
            unfilled=list(self._unfilled),
            forgotten=self._forgotten.state(),
        )

    def restore(self, state: OrdersState) -> None:
        """Replace the state by a snapshot."""
        self._orders = {record.id: record.copy() for record in state.orders}
        self._executions = {record.exec_id: record.copy() for record in state.executions}
        self._working = {record.id: record for record in self._orders.values() if record.working()}
        ended = (r for r in self._orders.values() if not r.working() and r.fate != "presumed_lost")
        self._idle = dict.fromkeys(state.idle or [record.id for record in sorted(ended, key=by_age)])
        self._unfilled = dict.fromkeys(state.unfilled)
        self._forgotten = Ids(state.forgotten)
        self.applied_seq = state.applied_seq


def _foreign_intent(event: ExternalOrderReported, created_ts: int) -> OrderIntended:
    return OrderIntended(
        created_ts,
        event.order,
        event.account,
        "",
        event.instrument,
        event.side,
        event.quantity,
        event.type if event.type in _TYPES else order_type(event.limit, event.stop),  # type: ignore[arg-type]
        event.limit,
        event.stop,
        event.tif if event.tif in _TIFS else "DAY",  # type: ignore[arg-type]
        "an order of others",
        event.trail,
        event.trail_pct,
        event.good_till,
        event.outside_rth,
        event.parent,
        event.oca,
    )
