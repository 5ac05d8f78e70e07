"""The log against the broker's book: what became of our orders, and where positions and money disagree.

Pure: evidence and folds in, events out. `fates` judges one order; here is what takes several, or the whole
account. It never invents a fill.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b

import msgspec

from adapters.ibkr.trading.accepted import without_accepted
from adapters.ibkr.trading.external import as_external
from adapters.ibkr.trading.families import exit_missing
from adapters.ibkr.trading.fates import Found, break_of, fate_of, gone, gone_with_its_entry, status_of
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import lost_order_seen
from adapters.ibkr.trading.snapshot import Evidence, split_exec_id
from adapters.ibkr.trading.twins import twins
from adapters.ibkr.wire.messages import OpenOrder
from adapters.ibkr.wire.terms import OrderTerms
from core.clock import DAY_NS, SECOND_NS
from core.errors import UnknownInstrument
from core.events import (
    BreakFound,
    BreakResolved,
    CashAdjusted,
    Event,
    OrderResolved,
    OrderStatusChanged,
    PositionReported,
    ReconciliationFinished,
)
from core.money import CONTEXT, ZERO, money, plain
from core.views import HELD, Order
from projections.gate import ENTRIES_ONLY
from projections.routes import Routes

PATIENCE_S = 30.0
"""How long an order that is nowhere stays unknown before another look may presume it lost."""
CASH_SETTLES_NS = 180 * SECOND_NS
"""The broker's balances follow a fill with a delay of up to three minutes."""
_MENDING = ("unknown_order", "duplicate_order", "other_client")
"""Breaks that a later look may explain; the others wait for the operator."""


def reconcile(
    reason: str,
    account: str,
    evidence: Evidence,
    folds: Folds,
    client_id: int,
    ts: int,
    *,
    patience_s: float = PATIENCE_S,
) -> list[Event]:
    """Return what the comparison found, ending in `ReconciliationFinished`."""
    found: list[Event] = []
    ours = _ours(evidence, folds.routes)
    for order in folds.orders.working():
        if order.account != account:
            continue  # of another account's session: this login says nothing of it
        if order.state == HELD:
            continue  # it is not at the broker, which is certain
        if order.strategy or folds.routes.attempt(order.id) is not None:
            here = ours.get(order.id, Found({}, {}))
            if order.id not in ours and gone_with_its_entry(order, ours, folds):
                found += gone(order, ts)
                continue
            found += fate_of(order, here, folds, client_id, ts, round(patience_s * SECOND_NS))
        elif order.id.startswith("external-"):
            found += _external(order, evidence, ts)
    found += _back(ours, folds, ts)
    found += _exits(found, ours, folds, ts)
    found += _overfilled(evidence, folds, ts)
    found += _positions(account, evidence, folds, ts)
    found = without_accepted(found, folds, ts, account)
    found += _cash(account, evidence, folds, ts)
    return [*_news(found, folds, ts, account), _finished(reason, account, found, evidence, ts)]


def recheck(
    settled: Mapping[str, int], evidence: Evidence, folds: Folds, client_id: int, ts: int
) -> list[Event]:
    """Return what the open and completed orders say of orders that did not change since the look began.

    `settled` are their versions then. Orders go on leaving during such a look, so nothing else is compared.
    """
    found: list[Event] = []
    ours = _ours(evidence, folds.routes)
    for order in folds.orders.working():
        here = ours.get(order.id)
        if here is not None and settled.get(order.id) == order.version:
            found += fate_of(order, here, folds, client_id, ts, 0)
    found += _back(ours, folds, ts)
    return list(_news(without_accepted(found, folds, ts), folds, ts))


def extra_orders(evidence: Evidence, folds: Folds, client_id: int) -> list[int]:
    """Return the order ids of what is at the broker beside an order of ours and can be cancelled alone."""
    found = []
    for name, here in sorted(_ours(evidence, folds.routes).items()):
        order = folds.orders.get(name)
        if order is not None and len(here.live) > 1:
            versions = folds.orders.versions(name)
            found += twins(order, here.live, versions, folds.routes, client_id, folds.zone).cancels
    return found


def _ours(evidence: Evidence, routes: Routes) -> dict[str, Found]:
    # Permanent id first, then the reference; what is over of an earlier attempt says nothing of this one.
    ours: dict[str, Found] = {}

    def whose(perm: int, terms: OrderTerms, *, over: bool) -> Found | None:
        order = routes.find(perm_id=perm, ref=terms.order_ref)
        attempt = routes.attempt(order) if order is not None else None
        if order is None or attempt is None or (over and terms.order_ref not in ("", attempt.ref)):
            return None
        return ours.setdefault(order, Found({}, {}))

    for perm, said in sorted(evidence.open.items()):
        found = whose(perm, said.terms, over=False)
        if found is not None:
            found.live[perm] = said
    for perm, ended in sorted(evidence.completed.items()):
        found = whose(perm, ended.terms, over=True)
        if found is not None:
            found.over[perm] = ended
    return ours


def _exits(found: Sequence[Event], ours: Mapping[str, Found], folds: Folds, ts: int) -> Iterator[Event]:
    """Yield alarms about exits that this look presumes lost, or refused, and whose entry is at the broker.

    Automatic exits that are lost are asked for again, those that were refused are no better the next time.
    """
    missing: dict[str, str] = {}
    lost: set[str] = set()
    for event in found:
        if isinstance(event, OrderResolved) and event.outcome == "presumed_lost":
            missing[event.order] = event.evidence
            lost.add(event.order)
        elif isinstance(event, OrderStatusChanged) and event.status == "Rejected":
            missing[event.order] = event.message
    missing = {name: why for name, why in missing.items() if name not in ours or not ours[name].live}
    working = [order for order in folds.orders.working() if order.id not in missing]
    for name, why in missing.items():
        child = folds.orders.get(name)
        if child is None or child.parent in missing or (not child.parent and name in lost):
            continue
        parent = folds.orders.get(child.parent) if child.parent else None
        alarm = exit_missing(child, parent, working, why, ts)
        if alarm is not None:
            yield alarm


def _still_missing(before: BreakFound, over: Collection[str], folds: Folds) -> bool:
    child = folds.orders.get(before.expected)
    parent = folds.orders.get(child.parent) if child is not None and child.parent else None
    if child is None or (child.parent and parent is None):
        return True  # what it speaks of is forgotten: only the operator knows
    held = folds.positions.position(before.account, before.instrument).quantity
    exposed = held > ZERO if child.side == "SELL" else held < ZERO
    alarm = exit_missing(child, parent, folds.orders.working(), "", 0)
    works = parent is not None and parent.working and parent.id not in over
    return alarm is not None and (works or exposed)


def _external(order: Order, evidence: Evidence, ts: int) -> Iterator[Event]:
    perm = int(order.id.removeprefix("external-")) if order.id[9:].isdecimal() else 0
    if perm not in evidence.open:
        over = evidence.completed.get(perm)
        yield as_external(order, over.state.status if over is not None else "Gone", ts)


def _back(ours: dict[str, Found], folds: Folds, ts: int) -> Iterator[Event]:
    """Yield orders that the log takes for ended and that are working at the broker."""
    working = {order.id for order in folds.orders.working()}
    lost = set(folds.routes.lost())
    for name in sorted(ours.keys() - working):
        order, live = folds.orders.get(name), ours[name].live
        if order is None and live:
            yield _forgotten(name, next(iter(live.values())), folds, ts)
        if order is not None and live and order.state != "Filled":
            yield OrderResolved(ts, name, "live", f"taken for {order.state}, and among the open orders")
            yield status_of(order, "Submitted", "", ts)
            if name in lost:
                yield lost_order_seen(order, ts)


def _forgotten(name: str, said: OpenOrder, folds: Folds, ts: int) -> BreakFound:
    """Return the alarm about an order that ended so long ago that no more is known of it, and that works."""
    instrument = folds.names.instrument(said.contract.con_id, said.contract.symbol)
    message = f"{name} ended in the log long ago and works at the broker: cancel it in TWS, then accept"
    return BreakFound(ts, said.terms.account, instrument, "lost_order", "ended", "working", message)


def _overfilled(evidence: Evidence, folds: Folds, ts: int) -> Iterator[Event]:
    seen = {
        folds.routes.find(perm_id=said.perm_id, ref=said.order_ref) for said in evidence.executions.values()
    }
    for name in sorted(name for name in seen if name is not None):
        order = folds.orders.get(name)
        most = max((v.quantity for v in folds.orders.versions(name)), default=ZERO)
        if order is not None and order.filled > most > ZERO:
            message = f"{name}: executions of {plain(order.filled)} for an order of {plain(most)}"
            yield break_of(order, "overfilled", plain(most), plain(order.filled), message, ts)


def _positions(account: str, evidence: Evidence, folds: Folds, ts: int) -> Iterator[Event]:
    held = {p.instrument: p.quantity for p in folds.positions.open_positions() if p.account == account}
    reported: dict[str, Decimal] = {}
    for (owner, con_id), said in sorted(evidence.positions.items()):
        if owner != account or said.quantity is None:
            continue
        name = folds.names.instrument(con_id, said.contract.symbol)
        reported[name] = said.quantity
        yield PositionReported(ts, account, name, money(said.quantity), money(said.average_cost or ZERO))
    for name in sorted({*held, *reported}):
        ours, theirs = held.get(name, ZERO), reported.get(name, ZERO)
        if ours != theirs:
            message = f"{name}: the log holds {plain(ours)}, the broker {plain(theirs)}"
            yield BreakFound(ts, account, name, "position", plain(ours), plain(theirs), message)


def _cash(account: str, evidence: Evidence, folds: Folds, ts: int) -> Iterator[Event]:
    """Take the broker's balance: at first, and later what no order of ours explains.

    A fill whose commission is still to come has cost the broker's balance already, or soon will; a fresh one
    may not be in it yet. Neither is a deposit, so the balance then waits for the next look. What a position
    in a pair of currencies bought is in the broker's balance as well: it counts once, as the position.
    """
    bought = _bought(account, folds)
    # The orders of a busy day are forgotten before it ends; what was told of executions is not.
    fills = folds.routes.fills(account, ts - DAY_NS)
    settled = all(fill.charge and ts - fill.ts >= CASH_SETTLES_NS for fill in fills)
    for (owner, currency), theirs in sorted(evidence.cash.items()):
        ours = CONTEXT.add(folds.account.cash(account, currency), bought.get(currency, ZERO))
        if owner != account or theirs == ours:
            continue
        opened = folds.account.opened(account, currency)
        if settled or not opened:
            reason = "difference to the broker's balance" if opened else "opening balance at the broker"
            yield CashAdjusted(ts, account, currency, money(theirs - ours), reason)


def _bought(account: str, folds: Folds) -> dict[str, Decimal]:
    """Return what positions in pairs of currencies hold, by currency: of `EUR-USD` the euros."""
    found: dict[str, Decimal] = {}
    for held in folds.positions.open_positions() if folds.instruments is not None else ():
        assert folds.instruments is not None
        try:
            definition = folds.instruments.instrument(held.instrument)
        except UnknownInstrument:
            continue
        if held.account == account and definition.kind == "CASH":
            known = found.get(definition.symbol, ZERO)
            found[definition.symbol] = CONTEXT.add(known, held.quantity)
    return found


def _news(found: Sequence[Event], folds: Folds, ts: int, mending: str = "") -> Iterator[Event]:
    """Yield the events without breaks that are open already, then the breaks that this look explains.

    `mending` is the account that the look was about, if it was a whole one.
    """
    before = folds.breaks.found() if folds.breaks is not None else []
    known = {(event.account, event.message) for event in before}
    again = {(e.account, e.instrument, e.kind) for e in found if isinstance(e, BreakFound)}
    for event in found:
        if not isinstance(event, BreakFound) or (event.account, event.message) not in known:
            yield event
    over = {e.order for e in found if isinstance(e, OrderResolved) and e.outcome not in ("live", "unknown")}
    for each in before:
        if each.kind in ENTRIES_ONLY and each.account == mending and not _still_missing(each, over, folds):
            at = (each.account, each.instrument, each.kind)
            yield BreakResolved(ts, *at, "no position, or another exit")
    for at in dict.fromkeys((e.account, e.instrument, e.kind) for e in before):
        if at[0] == mending and at[2] in _MENDING and at not in again:
            yield BreakResolved(ts, *at, "not found by a later comparison")


def _finished(
    reason: str, account: str, found: Sequence[Event], evidence: Evidence, ts: int
) -> ReconciliationFinished:
    breaks = sum(isinstance(event, BreakFound) for event in found)
    # Each client of a login is shown all of its accounts; what is another one's is not left to be closed.
    owners = (
        [said.terms.account for said in evidence.open.values()],
        [said.account for said in evidence.executions.values()],
        [owner for owner, _ in evidence.positions],
    )
    orders, executions, positions = (sum(owner in ("", account) for owner in each) for each in owners)
    return ReconciliationFinished(ts, reason, orders, executions, positions, breaks, _digest(evidence))


def _digest(evidence: Evidence) -> str:
    book = [
        sorted((perm, said.terms.order_ref, said.state.status) for perm, said in evidence.open.items()),
        sorted(evidence.completed),
        sorted({split_exec_id(exec_id) for exec_id in evidence.executions}),
        sorted((*key, str(said.quantity)) for key, said in evidence.positions.items()),
    ]
    return blake2b(msgspec.json.encode(book), digest_size=16).hexdigest()
