"""Brackets at the broker: what leaves together, what a late exit may name, an exit that is not there.

Pure: reads folds, decides what is to be said or asked for. The broker holds an entry back until the last
order of its family has come, activates the exits with the entry's fills, reduces one when the other fills,
and cancels them with the entry. Nothing here repeats that.
"""

from collections.abc import Iterable, Sequence

from core.effects import Effect
from core.events import BreakFound, CancelIntended, OrderIntended
from core.money import ZERO, plain
from core.order_rules import STOPS, is_exit
from core.views import Order
from projections.gate import EXIT_REFUSED, UNPROTECTED
from projections.routes import Attempt


def families(effects: Sequence[Effect]) -> list[list[Effect]]:
    """Return what leaves with what: an entry with the exits that were decided with it, all else alone."""
    found: list[list[Effect]] = []
    entries: dict[str, list[Effect]] = {}
    for effect in effects:
        intent = effect.request
        family = entries.get(intent.parent) if isinstance(intent, OrderIntended) and intent.parent else None
        if family is not None:
            family.append(effect)
            continue
        found.append([effect])
        if isinstance(intent, OrderIntended):
            entries[intent.order] = found[-1]
    return found


def parent_at_broker(parent: Order, route: Attempt | None) -> int:
    """Return under which id a late exit names its parent; 0 once that has filled: it then stands alone."""
    return 0 if route is None or parent.state == "Filled" else route.broker_id


def orphaned(
    child: OrderIntended,
    parent: Order | None,
    route: Attempt | None,
    client_id: int,
    *,
    acknowledged: bool,
) -> str:
    """Return why an exit that goes out later than its entry may not, or nothing."""
    name = child.parent
    if parent is None or route is None or not acknowledged:
        return f"its entry {name} is not known to be at the broker"
    if route.client_id != client_id:
        return f"its entry {name} is of client {route.client_id}: client {client_id} cannot name it"
    if parent.working or parent.filled >= child.quantity:
        return ""
    if not parent.filled:
        return f"its entry {name} has ended"
    return (
        f"its entry {name} ended with {plain(parent.filled)} of {plain(parent.quantity)} filled: "
        f"an exit of {plain(child.quantity)} would exceed that"
    )


def other_client(order: str, route: Attempt, client_id: int) -> str:
    """Return why an order that was placed under another client id can be neither changed nor cancelled."""
    own = route.client_id
    return (
        f"{order} was placed as client {own}, and client {client_id} can neither change nor cancel it: start "
        f"the session with [ibkr] client_id = {own}, or cancel it in TWS"
    )


def exit_missing(
    child: Order, parent: Order | None, working: Iterable[Order], why: str, ts: int
) -> BreakFound | None:
    """Return the alarm about an exit that the broker does not have, or `None`: of a bracket, or automatic.

    An entry that never filled and no longer can needs no exits. Another exit of the same kind that works is
    as good: a stop for a stop, a take-profit for a take-profit.
    """
    if child.parent:
        if parent is None or not (parent.working or parent.filled > ZERO):
            return None
    elif not is_exit(child.id):
        return None
    stops = child.type in STOPS
    if any(o.id != child.id and _stands_in(o, child) and (o.type in STOPS) == stops for o in working):
        return None
    kind, message = (_NO_STOP if child.parent else _NO_AUTOMATIC_STOP) if stops else _NO_TARGET
    text = message.format(entry=child.parent, child=child.id, instrument=child.instrument, why=why)
    return BreakFound(ts, child.account, child.instrument, kind, child.id, "absent", text)


_BARE = "no stop at the broker, {child} is not there ({why})"
_CLOSE = "close the position or give it a stop, then accept"
_NO_STOP = (
    UNPROTECTED,
    f"{{entry}} has {_BARE}: what is left of the entry is being cancelled; {_CLOSE}",
)
_NO_AUTOMATIC_STOP = (UNPROTECTED, f"what is held in {{instrument}} has {_BARE}: {_CLOSE}")
_NO_TARGET = (
    EXIT_REFUSED,
    "take-profit {child} is not at the broker ({why}): give its position another target, then accept",
)


def _stands_in(order: Order, child: Order) -> bool:
    """Return whether an order closes what another exit should: of the same entry, or of the same holding."""
    if child.parent:
        return order.parent == child.parent
    same = (order.account, order.strategy, order.instrument, order.side)
    return is_exit(order.id) and same == (child.account, child.strategy, child.instrument, child.side)


def entry_cancel(parent: Order, why: str, ts: int) -> CancelIntended:
    """Return the cancel of what of an entry has not filled: it was wanted with a stop, not without."""
    return CancelIntended(ts, parent.id, parent.account, parent.strategy, parent.instrument, why)


def outlived(order: Order, parent: Order | None) -> bool:
    """Return whether an exit works although its entry ended without a fill: the broker lets none be."""
    return bool(order.parent and parent is not None and not parent.working and not parent.filled)
