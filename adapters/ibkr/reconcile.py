"""The log against the broker's book: what became of each open order, and where positions disagree.

Pure: evidence and folds in, events out. It never invents a fill, never guesses between cancelled and filled,
and never says that an order may be sent again unless nothing of it can have left.
"""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Protocol

import msgspec

from adapters.ibkr.messages import CompletedOrder
from adapters.ibkr.orders import Names, split_exec_id
from adapters.ibkr.snapshot import Evidence
from core.clock import DAY_NS
from core.events import (
    BreakFound,
    CashAdjusted,
    Event,
    OrderBound,
    OrderResolved,
    OrderStatusChanged,
    PositionReported,
    ReconciliationFinished,
)
from core.money import ZERO, plain
from core.views import AccountView, Execution, Order, PositionsView
from projections.routes import Routes


class Book(Protocol):
    """Our orders and executions as folded."""

    def working(self) -> list[Order]:
        """Return the orders that may still fill."""

    def executions(self, order: str | None = None) -> list[Execution]:
        """Return the executions of an order."""


class Folds(msgspec.Struct, frozen=True):
    """What the log says."""

    orders: Book
    positions: PositionsView
    account: AccountView
    routes: Routes
    names: Names


def reconcile(
    reason: str, account: str, evidence: Evidence, folds: Folds, client_id: int, ts: int
) -> list[Event]:
    """Return what the comparison found, ending in `ReconciliationFinished`."""
    found: list[Event] = []
    for order in folds.orders.working():
        if order.strategy or folds.routes.attempt(order.id) is not None:
            found += _order(order, evidence, folds, client_id, ts)
    found += _positions(account, evidence, folds, ts)
    found += _cash(account, evidence, folds, ts)
    breaks = sum(isinstance(event, BreakFound) for event in found)
    counts = (len(evidence.open), len(evidence.executions), len(evidence.positions))
    return [*found, ReconciliationFinished(ts, reason, *counts, breaks, _digest(evidence))]


def _order(order: Order, evidence: Evidence, folds: Folds, client_id: int, ts: int) -> Iterator[Event]:
    attempt = folds.routes.attempt(order.id)
    if attempt is None:
        if order.state in ("Intended", "Approved", "Sending"):
            # The attempt is recorded with the decision before a byte leaves: without it, nothing left.
            yield OrderResolved(ts, order.id, "not_sent", "the log holds no attempt to send it")
            yield _status(order, "Rejected", "not sent: the process ended before", ts)
        return
    perms = set(folds.routes.perm_ids(order.id))
    live = {
        perm: said
        for perm, said in evidence.open.items()
        if perm in perms or said.terms.order_ref == attempt.ref
    }
    over = {
        perm: said
        for perm, said in evidence.completed.items()
        if perm in perms or said.terms.order_ref == attempt.ref
    }
    for perm in sorted((live.keys() | over.keys()) - perms):
        yield OrderBound(ts, order.id, perm, attempt.broker_id, client_id)
    if len(live) > 1:
        message = f"{order.id} is at the broker {len(live)} times: cancel all but one, then accept"
        yield BreakFound(ts, order.account, order.instrument, "duplicate_order", "1", str(len(live)), message)
    elif live:
        yield OrderResolved(ts, order.id, "live", f"permanent id {next(iter(live))} is among the open orders")
    elif over:
        yield from _ended(order, over, folds, ts)
    else:
        yield from _absent(order, acknowledged=bool(perms), ts=ts)


def _ended(order: Order, over: dict[int, CompletedOrder], folds: Folds, ts: int) -> Iterator[Event]:
    perm, said = next(iter(over.items()))
    filled = sum((e.quantity for e in folds.orders.executions(order.id)), ZERO)
    told = said.terms.filled
    if told is not None and told != filled:
        message = f"{order.id}: the broker filled {plain(told)}, the log holds executions of {plain(filled)}"
        yield BreakFound(
            ts, order.account, order.instrument, "missing_fills", plain(filled), plain(told), message
        )
    yield OrderResolved(ts, order.id, "ended", f"permanent id {perm} is among the completed orders")
    if filled < order.quantity:
        yield _status(order, "Cancelled", "ended while we were away", ts)


def _absent(order: Order, *, acknowledged: bool, ts: int) -> Iterator[Event]:
    if acknowledged and ts - order.created_ts > DAY_NS:
        yield OrderResolved(ts, order.id, "ended", "of an earlier day and no longer at the broker")
        yield _status(order, "Cancelled", "no longer at the broker; positions decide", ts)
        return
    what = "was acknowledged and is" if acknowledged else "left or may have left and is"
    evidence = f"{what} neither among the open nor the completed orders, nor among the executions"
    yield OrderResolved(ts, order.id, "unknown", evidence)
    message = f"{order.id}: {evidence}: it is not sent again; look in TWS, then accept"
    yield BreakFound(ts, order.account, order.instrument, "unknown_order", "known", "absent", message)


def _positions(account: str, evidence: Evidence, folds: Folds, ts: int) -> Iterator[Event]:
    held = {p.instrument: p.quantity for p in folds.positions.open_positions() if p.account == account}
    reported: dict[str, Decimal] = {}
    for (owner, con_id), said in sorted(evidence.positions.items()):
        if owner != account or said.quantity is None:
            continue
        name = folds.names.instrument(con_id, said.contract.symbol)
        reported[name] = said.quantity
        yield PositionReported(ts, account, name, said.quantity, said.average_cost or ZERO)
    for name in sorted({*held, *reported}):
        ours, theirs = held.get(name, ZERO), reported.get(name, ZERO)
        if ours != theirs:
            message = f"{name}: the log holds {plain(ours)}, the broker {plain(theirs)}"
            yield BreakFound(ts, account, name, "position", plain(ours), plain(theirs), message)


def _cash(account: str, evidence: Evidence, folds: Folds, ts: int) -> Iterator[Event]:
    for (owner, currency), theirs in sorted(evidence.cash.items()):
        ours = folds.account.cash(account, currency)
        if owner == account and theirs != ours:
            reason = "opening balance at the broker" if not ours else "difference to the broker's balance"
            yield CashAdjusted(ts, account, currency, theirs - ours, reason)


def _status(order: Order, status: str, message: str, ts: int) -> OrderStatusChanged:
    who = (order.account, order.strategy, order.instrument)
    return OrderStatusChanged(ts, order.id, order.version, *who, status, message)  # type: ignore[arg-type]


def _digest(evidence: Evidence) -> str:
    book = [
        sorted((perm, said.terms.order_ref, said.state.status) for perm, said in evidence.open.items()),
        sorted(evidence.completed),
        sorted({split_exec_id(exec_id) for exec_id in evidence.executions}),
        sorted((*key, str(said.quantity)) for key, said in evidence.positions.items()),
    ]
    return blake2b(msgspec.json.encode(book), digest_size=16).hexdigest()
