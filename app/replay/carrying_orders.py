"""Which open orders a replay takes over, and as what: new orders of its own, for what was left to fill.

What an order had filled is in the position that is carried, so it comes as one for the rest. An exit that
protects what its entry had filled goes on by itself; as far as it waited for the rest of the entry it waits
for that. Reads orders and sessions, and decides nothing about positions.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from core.clock import iso
from core.events import OrderIntended
from core.matching import Hours
from core.money import ZERO, money
from core.order_rules import is_exit
from core.views import InstrumentsView, Order

_AT_THE_BROKER = frozenset({"Submitted", "PartiallyFilled"})
_ON_ITS_WAY = "Sent"
"""In a replay such an order arrives; what a connection was handed without an answer is nobody's guess."""


def open_orders(
    orders: Sequence[Order],
    instruments: InstrumentsView,
    begin_ts: int,
    source: str,
    account: str,
    *,
    simulated: bool,
) -> tuple[list[OrderIntended], list[str]]:
    """Return what a replay that begins at `begin_ts` takes over, oldest first, and what it leaves, in words.

    Left are orders whose time is over by then, and automatic exits, which the replay's own rules place anew.
    Ids are `strategy-0-n`: session 0 is before the replay's own.
    """
    left: list[str] = []
    taken: list[Order] = []
    for order in orders:
        there = order.state in _AT_THE_BROKER or (simulated and order.state == _ON_ITS_WAY)
        if not there or not order.exposed or not order.strategy:
            continue
        why = _over(order, Hours(instruments, order.instrument), begin_ts)
        if why:
            left.append(f"{order.id} ({why})")
        else:
            taken.append(order)
    return list(_renamed(taken, _held(taken, orders), begin_ts, source, account)), left


def _over(order: Order, hours: Hours, begin_ts: int) -> str:
    """Return why an order is not there any more when a replay begins, or nothing."""
    since = order.created_ts
    if is_exit(order.id):
        return "an automatic exit: the rules place it anew"
    if order.tif == "GTD" and order.good_till is not None and order.good_till <= begin_ts:
        return f"GTD, until {iso(order.good_till)}"
    if order.type == "MOC" or order.tif == "DAY":
        return f"{order.type} {order.tif}: its session is over" if hours.next_close(since) < begin_ts else ""
    if order.type == "MKT" or order.tif == "OPG":
        return "the open it waited for is past" if hours.next_open(since) < begin_ts else ""
    return ""


def _held(taken: Iterable[Order], orders: Sequence[Order]) -> dict[str, Decimal]:
    """Return, for exits whose entry still works, how much they exit now: its fills less those of exits."""
    known = {order.id: order for order in orders}
    working = {order.id for order in taken}
    held = {}
    for child in taken:
        if child.parent not in working:
            continue
        group = [
            o
            for o in orders
            if o.parent == child.parent and (o.oca == child.oca if child.oca else o is child)
        ]
        done = sum((member.filled for member in group), ZERO)
        held[child.id] = max(min(child.exposed, known[child.parent].filled - done), ZERO)
    return held


def _renamed(
    taken: Sequence[Order], held: dict[str, Decimal], begin_ts: int, source: str, account: str
) -> Iterable[OrderIntended]:
    numbers: dict[str, int] = {}
    names: dict[str, str] = {}

    def next_id(strategy: str) -> str:
        numbers[strategy] = numbers.get(strategy, 0) + 1
        return f"{strategy}-0-{numbers[strategy]}"

    for order in taken:
        now, parent = held.get(order.id, order.exposed), names.get(order.parent, "")
        parts = (
            [(now, "", order.oca)]
            if not parent
            else [(now, "", f"{order.oca}+"), (order.exposed - now, parent, order.oca)]
        )
        for quantity, entry, group in parts:
            if not quantity:
                continue
            name = next_id(order.strategy)
            names.setdefault(order.id, name)
            yield OrderIntended(
                begin_ts,
                name,
                account,
                order.strategy,
                order.instrument,
                order.side,
                money(quantity),
                order.type,
                order.limit,
                None if order.type == "TRAIL" else order.stop,
                order.tif,
                f"{order.id} carried from {source}: {order.reason}",
                order.trail,
                order.trail_pct,
                order.good_till,
                order.outside_rth,
                entry,
                f"{order.strategy}-0-{group}" if order.oca else "",
            )
