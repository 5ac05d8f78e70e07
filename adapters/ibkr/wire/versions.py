"""Which version of an order the broker shows: its terms against those that were sent. Pure.

Where a trailing stop stands moves with the market, so it says nothing of a version. What the broker adds by
itself is no difference either: a group for the exits of a bracket that was sent without one.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Protocol, cast, get_args

import msgspec

from adapters.ibkr.wire.order_fields import LIMITED, STOPPED
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.times import parse_time
from core.clock import SECOND_NS
from core.events import OrderAmended, TimeInForce
from core.money import CONTEXT, money
from core.views import Order
from projections.records import Version

_PER_CENT = Decimal(100)
_TIFS = frozenset(get_args(TimeInForce))
_SAME = (None, None, None, None, None)


class Sent(Protocol):
    """Under which names an order went to the broker."""

    @property
    def parent_id(self) -> int:
        """The order id of its parent; 0 for none."""

    @property
    def group(self) -> str:
        """Its OCA group there."""


class Prices(msgspec.Struct, frozen=True, gc=False):
    """The terms that a version has, as far as its type of order has them."""

    quantity: Decimal | None
    limit: Decimal | None
    stop: Decimal | None
    trail: Decimal | None
    trail_pct: Decimal | None


def shown_prices(kind: str, said: OrderTerms) -> Prices:
    """Return quantity and prices as the broker shows them, in our terms.

    Prices count only for order types that have them: the broker shows a market order with a limit of 0. A
    distance of a trailing stop that is unset comes as 0.
    """
    trails = kind == "TRAIL"
    share = said.trail_percent if trails else None
    return Prices(
        said.quantity,
        said.limit if kind in LIMITED else None,
        said.stop if kind in STOPPED else None,
        (said.stop or None) if trails and share is None else None,
        None if share is None else CONTEXT.divide(share, _PER_CENT),
    )


def shown_version(
    order: Order, versions: Sequence[Version], sent: Sent, said: OrderTerms, zone: str = "UTC"
) -> int | None:
    """Return the latest version whose terms the broker shows, or `None` if it shows other terms.

    `order` is as it stands, `sent` how it last went out; `zone` is that of times without one.
    """
    shown = shown_prices(order.type, said)
    for place in range(len(versions), 0, -1):
        version = versions[place - 1]
        if shown == _prices(order.type, version):
            standing = order if len(versions) == 1 else _as_of(order, versions[:place])
            if _fixed(standing, sent, said, zone) == _SAME:
                return version.number
    return None


def _as_of(order: Order, versions: Sequence[Version]) -> Order:
    """Return an order as the last of some versions left what a version names only to change it."""
    named = {
        name: value
        for version in versions
        for name in ("tif", "good_till", "outside_rth")
        if (value := getattr(version, name)) is not None
    }
    if named.get("tif", "GTD") != "GTD":
        named["good_till"] = None
    return msgspec.structs.replace(order, **named)


def only_smaller(order: Order, sent: Sent, said: OrderTerms, zone: str = "UTC") -> bool:
    """Return whether a smaller quantity is all that the broker shows differently from the order as it stands.

    That is what it makes of an order when another one of its group filled in part.
    """
    shown = shown_prices(order.type, said)
    same = msgspec.structs.replace(shown, quantity=order.quantity) == _prices(order.type, order)
    smaller = shown.quantity is not None and shown.quantity < order.quantity
    return smaller and same and _fixed(order, sent, said, zone) == _SAME


def amendment(
    order: Order, number: int, sent: Sent, said: OrderTerms, ts: int, zone: str = "UTC"
) -> OrderAmended:
    """Return what the broker shows as version `number` of an order."""
    shown = shown_prices(order.type, said)
    return OrderAmended(
        ts,
        order.id,
        number,
        order.quantity if shown.quantity is None else money(shown.quantity),
        None if shown.limit is None else money(shown.limit),
        order.stop if order.type == "TRAIL" or shown.stop is None else money(shown.stop),
        None if shown.trail is None else money(shown.trail),
        None if shown.trail_pct is None else money(shown.trail_pct),
        *_fixed(order, sent, said, zone),
    )


def _prices(kind: str, version: Version | Order) -> Prices:
    """Return a version's terms; a trailing stop's start is none of them."""
    stop = None if kind == "TRAIL" else version.stop
    return Prices(version.quantity, version.limit, stop, version.trail, version.trail_pct)


def _fixed(
    order: Order, sent: Sent, said: OrderTerms, zone: str
) -> tuple[int | None, bool | None, str | None, str | None, TimeInForce | None]:
    """Return what else the broker shows differently: end, hours, parent, group, time in force; `None` if not.

    A time in force that is none of ours says nothing.
    """
    tif = cast("TimeInForce", said.tif) if said.tif in _TIFS else order.tif
    till = parse_time(said.good_till, zone, near=order.good_till) if tif == "GTD" else None
    ends = till is not None and till != _second(order.good_till)
    hours = said.outside_hours != order.outside_rth
    freed = bool(order.parent and said.parent_id and said.parent_id != sent.parent_id)
    left = bool(order.oca and sent.group and said.oca_group != sent.group)
    return (
        till if ends else None,
        said.outside_hours if hours else None,
        "" if freed else None,
        "" if left else None,
        tif if tif != order.tif else None,
    )


def _second(ts: int | None) -> int | None:
    return None if ts is None else ts // SECOND_NS * SECOND_NS
