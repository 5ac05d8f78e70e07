"""The log against the broker's book: what became of each open order, and where positions disagree.

Pure: evidence and folds in, events out. It never invents a fill, never guesses between cancelled and filled,
and never says that an order may be sent again unless nothing of it can have left. What is not found is
unknown first, and presumed lost only when a later look does not find it either. An exit that is gone with its
entry, which never filled, is over: the broker does that.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from adapters.ibkr.trading.external import Names, as_external
from adapters.ibkr.trading.families import exit_missing
from adapters.ibkr.trading.orders import REJECTIONS, STATUSES, TEMPORARY, lost_order_seen
from adapters.ibkr.trading.snapshot import Evidence, split_exec_id
from adapters.ibkr.trading.twins import twins
from adapters.ibkr.wire.messages import CompletedOrder, OpenOrder
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.versions import amendment, shown_version
from core.clock import DAY_NS, SECOND_NS
from core.events import (
    BreakFound,
    BreakResolved,
    CashAdjusted,
    Event,
    OrderBound,
    OrderResolved,
    OrderStatusChanged,
    PositionReported,
    ReconciliationFinished,
)
from core.money import ZERO, money, plain
from core.views import HELD, AccountView, Execution, Order, PositionsView
from projections.gate import ENTRIES_ONLY
from projections.records import Version
from projections.routes import Routes

PATIENCE_S = 30.0
"""How long an order that is nowhere stays unknown before another look may presume it lost."""
CASH_SETTLES_NS = 180 * SECOND_NS
"""The broker's balances follow a fill with a delay of up to three minutes."""
_ZONE = ZoneInfo("America/New_York")
_MENDING = ("unknown_order", "duplicate_order")
"""Breaks that a later look may explain; the others wait for the operator."""


class Book(Protocol):
    """Our orders and executions as folded."""

    def get(self, order: str) -> Order | None:
        """Return the order, or `None` if the id is unknown."""

    def working(self) -> list[Order]:
        """Return the orders that may still fill."""

    def versions(self, order: str) -> Sequence[Version]:
        """Return the versions of an order that may be at the broker."""

    def last_version(self, order: str) -> int:
        """Return the highest number that a version of an order ever had."""

    def executions(self, order: str | None = None) -> list[Execution]:
        """Return the executions of an order, or all."""


class Balances(AccountView, Protocol):
    """Cash as folded."""

    def opened(self, account: str, currency: str) -> bool:
        """Return whether a balance was ever given, which trades then move."""


class Breaks(Protocol):
    """The breaks that are open."""

    def found(self) -> list[BreakFound]:
        """Return them."""


class Folds(msgspec.Struct, frozen=True):
    """What the log says."""

    orders: Book
    positions: PositionsView
    account: Balances
    routes: Routes
    names: Names
    breaks: Breaks | None = None
    zone: str = "UTC"  # of times that the broker gives without one


class Found(msgspec.Struct, frozen=True):
    """What the broker's book holds of one of our orders, by permanent id."""

    live: dict[int, OpenOrder]
    over: dict[int, CompletedOrder]


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
            if order.id not in ours and _gone_with_its_entry(order, ours, folds):
                found += _gone(order, ts)
                continue
            found += _order(order, here, folds, client_id, ts, round(patience_s * SECOND_NS))
        elif order.id.startswith("external-"):
            found += _external(order, evidence, ts)
    found += _back(ours, folds, ts)
    found += _exits(found, ours, folds, ts)
    found += _overfilled(evidence, folds, ts)
    found += _positions(account, evidence, folds, ts)
    found += _cash(account, evidence, folds, ts)
    return [*_news(found, folds, ts, account), _finished(reason, found, evidence, ts)]


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
            found += _order(order, here, folds, client_id, ts, 0)
    found += _back(ours, folds, ts)
    return list(_news(found, folds, ts))


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


def _order(
    order: Order, here: Found, folds: Folds, client_id: int, ts: int, patience_ns: int
) -> Iterator[Event]:
    attempt = folds.routes.attempt(order.id)
    if attempt is None:
        # The attempt is recorded with the decision before a byte leaves: without it, nothing left.
        yield OrderResolved(ts, order.id, "not_sent", "the log holds no attempt to send it")
        yield _status(order, "Rejected", "not sent: the process ended before", ts)
        return
    for perm in sorted((here.live.keys() | here.over.keys()) - set(folds.routes.perm_ids(order.id))):
        yield OrderBound(ts, order.id, perm, attempt.broker_id, client_id)
    if len(here.live) > 1:
        versions = folds.orders.versions(order.id)
        message = twins(order, here.live, versions, folds.routes, client_id, folds.zone).message(order)
        yield _break(order, "duplicate_order", "1", str(len(here.live)), message, ts)
    elif here.live:
        yield from _live(order, *next(iter(here.live.items())), folds, ts)
    elif here.over:
        yield from _ended(order, here.over, folds, ts)
    else:
        yield from _absent(order, folds, ts, patience_ns)


def _live(order: Order, perm: int, said: OpenOrder, folds: Folds, ts: int) -> Iterator[Event]:
    fate, told = folds.routes.fate(order.id), folds.routes.told(order.id)
    doubted = fate is not None and fate.outcome in ("unknown", "presumed_lost")
    if doubted or told is None or order.state not in ("Submitted", "PartiallyFilled"):
        yield OrderResolved(ts, order.id, "live", f"permanent id {perm} is among the open orders")
    versions, sent = folds.orders.versions(order.id), folds.routes.attempt(order.id)
    assert sent is not None
    number = shown_version(order, versions, sent, said.terms, folds.zone)
    if number is None:
        number = folds.orders.last_version(order.id) + 1
        yield amendment(order, number, sent, said.terms, ts, folds.zone)
    for version in versions:
        if version.number > number:
            why = f"the broker has version {number}"
            yield _status(order, "Rejected", why, ts, version.number)
    if told is None or told.version != number or told.status in ("Rejected", "Cancelled"):
        yield _status(order, STATUSES.get(said.state.status, "Submitted"), "", ts, number)


def _gone_with_its_entry(order: Order, ours: Mapping[str, Found], folds: Folds) -> bool:
    """Return whether an exit is nowhere and its entry ended without a fill: at the broker, or refused."""
    parent = folds.orders.get(order.parent) if order.parent else None
    if parent is None or parent.filled or order.filled:
        return False
    here = ours.get(parent.id)
    if here is not None and (here.live or any(said.terms.filled for said in here.over.values())):
        return False
    said = folds.routes.annotation(parent.id)
    refused = not folds.routes.acknowledged(parent.id) and said is not None and said.code in REJECTIONS
    return not parent.working or refused or (here is not None and bool(here.over))


def _gone(order: Order, ts: int) -> Iterator[Event]:
    why = f"its entry {order.parent} ended without a fill, and it is not at the broker"
    yield OrderResolved(ts, order.id, "ended", why)
    yield _status(order, "Cancelled", why, ts)


def _exits(found: Sequence[Event], ours: Mapping[str, Found], folds: Folds, ts: int) -> Iterator[Event]:
    """Yield alarms about exits that this look presumes lost, or refused, and whose entry is at the broker.

    Automatic exits that are lost are asked for again, those that were refused are no better the next time.
    """
    gone: dict[str, str] = {}
    lost: set[str] = set()
    for event in found:
        if isinstance(event, OrderResolved) and event.outcome == "presumed_lost":
            gone[event.order] = event.evidence
            lost.add(event.order)
        elif isinstance(event, OrderStatusChanged) and event.status == "Rejected":
            gone[event.order] = event.message
    gone = {name: why for name, why in gone.items() if name not in ours or not ours[name].live}
    working = [order for order in folds.orders.working() if order.id not in gone]
    for name, why in gone.items():
        child = folds.orders.get(name)
        if child is None or child.parent in gone or (not child.parent and name in lost):
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


def _ended(order: Order, over: dict[int, CompletedOrder], folds: Folds, ts: int) -> Iterator[Event]:
    filled = sum((e.quantity for e in folds.orders.executions(order.id)), ZERO)
    told = sum((said.terms.filled or ZERO for said in over.values()), ZERO)
    if any(said.terms.filled is None and said.state.status == "Filled" for said in over.values()):
        told = order.quantity
    if told != filled:
        message = f"{order.id}: the broker filled {plain(told)}, the log holds executions of {plain(filled)}"
        yield _break(order, "missing_fills", plain(filled), plain(told), message, ts)
    perm, said = next(iter(over.items()))
    yield OrderResolved(ts, order.id, "ended", f"permanent id {perm} is among the completed orders")
    why = said.state.completed_status or said.state.status
    refused = said.state.status == "Inactive" and not filled
    yield _status(order, "Rejected" if refused else "Cancelled", f"ended at the broker: {why}", ts)


def _absent(order: Order, folds: Folds, ts: int, patience_ns: int) -> Iterator[Event]:
    routes = folds.routes
    acknowledged = routes.acknowledged(order.id) or order.filled > ZERO
    said = routes.annotation(order.id)
    if not acknowledged and said is not None and said.code in REJECTIONS:
        outcome: Literal["not_sent", "ended"] = "not_sent" if said.code in TEMPORARY else "ended"
        yield OrderResolved(ts, order.id, outcome, f"refused ({said.code}) and not at the broker")
        yield _status(order, "Rejected", f"{said.code}: {said.text}", ts, 1)
        return
    if acknowledged and _day(order.created_ts) < _day(ts):
        yield OrderResolved(ts, order.id, "ended", "of an earlier day and no longer at the broker")
        yield _status(order, "Cancelled", "no longer at the broker; positions decide", ts)
        return
    fate = routes.fate(order.id)
    unknown_since = fate.since_ts if fate is not None and fate.outcome == "unknown" else None
    if not acknowledged and unknown_since is not None and ts - unknown_since >= patience_ns:
        evidence = "never acknowledged, and twice not at the broker; its reference stays on watch"
        yield OrderResolved(ts, order.id, "presumed_lost", evidence)
        return
    what = "was acknowledged and is" if acknowledged else "left or may have left and is"
    evidence = f"{what} neither among the open nor the completed orders, nor filled by the executions"
    yield OrderResolved(ts, order.id, "unknown", evidence)
    message = f"{order.id}: {evidence}: it is not sent again; look in TWS, then accept"
    yield _break(order, "unknown_order", "known", "absent", message, ts)


def _external(order: Order, evidence: Evidence, ts: int) -> Iterator[Event]:
    perm = int(order.id.removeprefix("external-")) if order.id[9:].isdigit() else 0
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
            yield _status(order, "Submitted", "", ts)
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
            yield _break(order, "overfilled", plain(most), plain(order.filled), message, ts)


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
    may not be in it yet. Neither is a deposit, so the balance then waits for the next look.
    """
    # The orders of a busy day are forgotten before it ends; what was told of executions is not.
    fills = folds.routes.fills(account, ts - DAY_NS)
    settled = all(fill.charge and ts - fill.ts >= CASH_SETTLES_NS for fill in fills)
    for (owner, currency), theirs in sorted(evidence.cash.items()):
        ours = folds.account.cash(account, currency)
        if owner != account or theirs == ours:
            continue
        opened = folds.account.opened(account, currency)
        if settled or not opened:
            reason = "difference to the broker's balance" if opened else "opening balance at the broker"
            yield CashAdjusted(ts, account, currency, money(theirs - ours), reason)


def _news(found: Sequence[Event], folds: Folds, ts: int, mending: str = "") -> Iterator[Event]:
    """Yield the events without breaks that are open already, then the breaks that this look explains.

    `mending` is the account that the look was about, if it was a whole one.
    """
    before = folds.breaks.found() if folds.breaks is not None else []
    known = {event.message for event in before}
    again = {(e.account, e.instrument, e.kind) for e in found if isinstance(e, BreakFound)}
    for event in found:
        if not isinstance(event, BreakFound) or event.message not in known:
            yield event
    over = {e.order for e in found if isinstance(e, OrderResolved) and e.outcome not in ("live", "unknown")}
    for each in before:
        if each.kind in ENTRIES_ONLY and each.account == mending and not _still_missing(each, over, folds):
            at = (each.account, each.instrument, each.kind)
            yield BreakResolved(ts, *at, "no position, or another exit")
    for at in dict.fromkeys((e.account, e.instrument, e.kind) for e in before):
        if at[0] == mending and at[2] in _MENDING and at not in again:
            yield BreakResolved(ts, *at, "not found by a later comparison")


def _finished(reason: str, found: Sequence[Event], evidence: Evidence, ts: int) -> ReconciliationFinished:
    breaks = sum(isinstance(event, BreakFound) for event in found)
    counts = (len(evidence.open), len(evidence.executions), len(evidence.positions))
    return ReconciliationFinished(ts, reason, *counts, breaks, _digest(evidence))


def _break(order: Order, kind: str, expected: str, reported: str, message: str, ts: int) -> BreakFound:
    return BreakFound(ts, order.account, order.instrument, kind, expected, reported, message)


def _status(
    order: Order, status: str, message: str, ts: int, version: int | None = None
) -> OrderStatusChanged:
    who = (order.account, order.strategy, order.instrument)
    number = order.version if version is None else version
    return OrderStatusChanged(ts, order.id, number, *who, status, message)  # type: ignore[arg-type]


def _day(ts: int) -> str:
    """Return the date on which the broker counts a moment."""
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).astimezone(_ZONE).date().isoformat()


def _digest(evidence: Evidence) -> str:
    book = [
        sorted((perm, said.terms.order_ref, said.state.status) for perm, said in evidence.open.items()),
        sorted(evidence.completed),
        sorted({split_exec_id(exec_id) for exec_id in evidence.executions}),
        sorted((*key, str(said.quantity)) for key, said in evidence.positions.items()),
    ]
    return blake2b(msgspec.json.encode(book), digest_size=16).hexdigest()
