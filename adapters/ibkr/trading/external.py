"""Orders of others at the broker, as events: by hand, or of another client. They count for risk.

An exit of somebody's bracket only reduces what its entry builds up, so its entry is looked for: by the
parent's id that it names, or by its group, which the broker names after the permanent id of the entry where
a window attached the exits. It is neither changed nor cancelled here.
"""

from collections.abc import Iterable
from typing import Protocol, get_args

import msgspec

from adapters.ibkr.wire.messages import OpenOrder, OrderStatus
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.times import parse_time
from adapters.ibkr.wire.versions import shown_prices
from core.events import Event, ExternalOrderReported, OrderType, Side, TimeInForce
from core.money import money
from core.order_rules import order_type
from core.views import Order
from projections.routes import Routes

_TYPES = frozenset(get_args(OrderType))
_TIFS = frozenset(get_args(TimeInForce))
SIDES: dict[str, Side] = {"BOT": "BUY", "SLD": "SELL", "BUY": "BUY", "SELL": "SELL"}


class Names(Protocol):
    """What knows instruments by the broker's contracts."""

    def instrument(self, con_id: int | None, symbol: str) -> str:
        """Return our name of a contract; one never defined gets a name from its id."""


class Known(Protocol):
    """Orders as folded."""

    def get(self, order: str) -> Order | None:
        """Return the order, or `None` if the id is unknown."""


class Strangers:
    """Translates what is said of orders of others; reads the folds `routes` and `orders`."""

    def __init__(self, routes: Routes, orders: Known, names: Names, zone: str) -> None:
        self._routes = routes
        self._orders = orders
        self._names = names
        self._zone = zone
        # By client and order id, as far as they were shown.
        self._perms: dict[tuple[int, int], int] = {}
        # On their way into the folds.
        self._told: dict[int, ExternalOrderReported] = {}

    def folded(self) -> None:
        """Take that all events returned so far are in the folds."""
        self._told.clear()

    def order(self, said: OpenOrder, ts: int) -> Iterable[Event]:
        """Return an order as it is shown; nothing if that is known, or if it cannot count for risk."""
        perm = said.terms.perm_id
        event = external_order(said, self._names, self._parent_of(said.terms), ts, self._zone)
        if perm is None or event is None:
            return ()
        known = self._known(perm, ts)
        if known is not None and msgspec.structs.replace(event, ts=known.ts) == known:
            return ()
        self._told[perm] = event
        return (event,)

    def status(self, said: OrderStatus, ts: int) -> Iterable[Event]:
        """Return an order that was shown before with its new status."""
        known = self._known(said.perm_id, ts) if said.perm_id else None
        if known is None or known.status == said.status or not said.perm_id:
            return ()
        event = self._told[said.perm_id] = msgspec.structs.replace(known, ts=ts, status=said.status)
        return (event,)

    def _known(self, perm_id: int, ts: int) -> ExternalOrderReported | None:
        known = self._told.get(perm_id)
        order = self._orders.get(f"external-{perm_id}") if known is None else None
        return known if order is None else as_external(order, "Submitted" if order.working else "Gone", ts)

    def _parent_of(self, terms: OrderTerms) -> str:
        """Return the entry that an order belongs to, or nothing; takes note of the order."""
        client = terms.client_id or 0
        if terms.order_id and terms.perm_id:
            self._perms[client, terms.order_id] = terms.perm_id
        perm = terms.parent_perm_id
        if perm is None and terms.parent_id:
            perm = self._perms.get((client, terms.parent_id))
        ours = self._routes.on_wire(client, terms.parent_id) if terms.parent_id and perm is None else None
        group = terms.oca_group
        if perm is None and group.isdecimal() and int(group) in self._perms.values():
            perm = int(group)
        if perm is None or perm == terms.perm_id:
            return ours or ""
        return self._routes.find(perm_id=perm, ref="") or f"external-{perm}"


def external_order(
    said: OpenOrder, names: Names, parent: str, ts: int, zone: str = "UTC"
) -> ExternalOrderReported | None:
    """Return an order of others as an event; `None` if it cannot count for risk."""
    terms = said.terms
    if terms.perm_id is None or terms.side not in SIDES or terms.quantity is None:
        return None
    prices = shown_prices(terms.type, terms)
    return ExternalOrderReported(
        ts,
        f"external-{terms.perm_id}",
        terms.account,
        names.instrument(said.contract.con_id, said.contract.symbol),
        SIDES[terms.side],
        money(terms.quantity),
        None if prices.limit is None else money(prices.limit),
        None if prices.stop is None else money(prices.stop),
        said.state.status,
        terms.type if terms.type in _TYPES else order_type(prices.limit, prices.stop),
        terms.tif if terms.tif in _TIFS else "DAY",
        None if prices.trail is None else money(prices.trail),
        None if prices.trail_pct is None else money(prices.trail_pct),
        parse_time(terms.good_till, zone) if terms.good_till else None,
        terms.outside_hours,
        parent,
        terms.oca_group,
    )


def as_external(order: Order, status: str, ts: int) -> ExternalOrderReported:
    """Return what was last said of an order of others, with another status."""
    return ExternalOrderReported(
        ts,
        order.id,
        order.account,
        order.instrument,
        order.side,
        order.quantity,
        order.limit,
        order.stop,
        status,
        order.type,
        order.tif,
        order.trail,
        order.trail_pct,
        order.good_till,
        order.outside_rth,
        order.parent,
        order.oca,
    )
