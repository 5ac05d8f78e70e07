"""What became of one order of ours, as the broker's book shows it.

Pure. It never invents a fill, never guesses between cancelled and filled, and never says that an order may be
sent again unless nothing of it can have left. What is not found is unknown first, and presumed lost only when
a later look does not find it either. An exit that is gone with its entry, which never filled, is over: the
broker does that.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from adapters.ibkr.trading.families import other_client
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import NOT_THERE, STATUSES, TEMPORARY
from adapters.ibkr.trading.twins import twins
from adapters.ibkr.wire.messages import CompletedOrder, OpenOrder
from adapters.ibkr.wire.versions import amendment, shown_version
from core.clock import SECOND_NS
from core.events import BreakFound, Event, OrderBound, OrderResolved, OrderStatusChanged
from core.money import ZERO, plain
from core.views import Order

_ZONE = ZoneInfo("America/New_York")


class Found(msgspec.Struct, frozen=True):
    """What the broker's book holds of one of our orders, by permanent id."""

    live: dict[int, OpenOrder]
    over: dict[int, CompletedOrder]


def fate_of(
    order: Order, here: Found, folds: Folds, client_id: int, ts: int, patience_ns: int
) -> Iterator[Event]:
    """Yield what a look at the book says of an order: `here` is what it holds of it, under which ids."""
    attempt = folds.routes.attempt(order.id)
    if attempt is None:
        # The attempt is recorded with the decision before a byte leaves: without it, nothing left.
        yield OrderResolved(ts, order.id, "not_sent", "the log holds no attempt to send it")
        yield status_of(order, "Rejected", "not sent: the process ended before", ts)
        return
    for perm in sorted((here.live.keys() | here.over.keys()) - set(folds.routes.perm_ids(order.id))):
        yield OrderBound(ts, order.id, perm, attempt.broker_id, client_id)
    if len(here.live) > 1:
        versions = folds.orders.versions(order.id)
        message = twins(order, here.live, versions, folds.routes, client_id, folds.zone).message(order)
        yield break_of(order, "duplicate_order", "1", str(len(here.live)), message, ts)
    elif here.live:
        if attempt.client_id != client_id:
            ids = (str(client_id), str(attempt.client_id))
            yield break_of(order, "other_client", *ids, other_client(order.id, attempt, client_id), ts)
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
            yield status_of(order, "Rejected", why, ts, version.number)
    if told is None or told.version != number or told.status in ("Rejected", "Cancelled"):
        yield status_of(order, STATUSES.get(said.state.status, "Submitted"), "", ts, number)


def _ended(order: Order, over: dict[int, CompletedOrder], folds: Folds, ts: int) -> Iterator[Event]:
    filled = sum((e.quantity for e in folds.orders.executions(order.id)), ZERO)
    told = sum((said.terms.filled or ZERO for said in over.values()), ZERO)
    if any(said.terms.filled is None and said.state.status == "Filled" for said in over.values()):
        told = order.quantity
    if told != filled:
        message = f"{order.id}: the broker filled {plain(told)}, the log holds executions of {plain(filled)}"
        yield break_of(order, "missing_fills", plain(filled), plain(told), message, ts)
    perm, said = next(iter(over.items()))
    yield OrderResolved(ts, order.id, "ended", f"permanent id {perm} is among the completed orders")
    why = said.state.completed_status or said.state.status
    refused = said.state.status == "Inactive" and not filled
    yield status_of(order, "Rejected" if refused else "Cancelled", f"ended at the broker: {why}", ts)


def _absent(order: Order, folds: Folds, ts: int, patience_ns: int) -> Iterator[Event]:
    routes = folds.routes
    acknowledged = routes.acknowledged(order.id) or order.filled > ZERO
    said = routes.annotation(order.id)
    if not acknowledged and said is not None and said.code in NOT_THERE:
        outcome: Literal["not_sent", "ended"] = "not_sent" if said.code in TEMPORARY else "ended"
        yield OrderResolved(ts, order.id, outcome, f"refused ({said.code}) and not at the broker")
        yield status_of(order, "Rejected", f"{said.code}: {said.text}", ts, 1)
        return
    if acknowledged and _day(order.created_ts) < _day(ts):
        yield OrderResolved(ts, order.id, "ended", "of an earlier day and no longer at the broker")
        yield status_of(order, "Cancelled", "no longer at the broker; positions decide", ts)
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
    yield break_of(order, "unknown_order", "known", "absent", message, ts)


def gone_with_its_entry(order: Order, ours: Mapping[str, Found], folds: Folds) -> bool:
    """Return whether an exit is nowhere and its entry ended without a fill: at the broker, or refused."""
    parent = folds.orders.get(order.parent) if order.parent else None
    if parent is None or parent.filled or order.filled:
        return False
    here = ours.get(parent.id)
    if here is not None and (here.live or any(said.terms.filled for said in here.over.values())):
        return False
    said = folds.routes.annotation(parent.id)
    refused = not folds.routes.acknowledged(parent.id) and said is not None and said.code in NOT_THERE
    return not parent.working or refused or (here is not None and bool(here.over))


def gone(order: Order, ts: int) -> Iterator[Event]:
    """Yield the end of an exit that is gone with its entry."""
    why = f"its entry {order.parent} ended without a fill, and it is not at the broker"
    yield OrderResolved(ts, order.id, "ended", why)
    yield status_of(order, "Cancelled", why, ts)


def break_of(order: Order, kind: str, expected: str, reported: str, message: str, ts: int) -> BreakFound:
    """Return an alarm about an order."""
    return BreakFound(ts, order.account, order.instrument, kind, expected, reported, message)


def status_of(
    order: Order, status: str, message: str, ts: int, version: int | None = None
) -> OrderStatusChanged:
    """Return a status of an order, of its present version unless another is named."""
    who = (order.account, order.strategy, order.instrument)
    number = order.version if version is None else version
    return OrderStatusChanged(ts, order.id, number, *who, status, message)  # type: ignore[arg-type]


def _day(ts: int) -> str:
    """Return the date on which the broker counts a moment."""
    return datetime.fromtimestamp(ts // SECOND_NS, UTC).astimezone(_ZONE).date().isoformat()
