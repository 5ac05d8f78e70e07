"""Orders of others at the broker, as events: by hand, or of another client. They count for risk.

An exit of somebody's bracket only reduces what its entry builds up, so its entry is looked for: by the
parent's id that it names, or by its group, which the broker names after the permanent id of the entry where
a window attached the exits. It is neither changed nor cancelled here.
"""

from typing import Protocol, get_args

from adapters.ibkr.wire.messages import OpenOrder
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.times import parse_time
from adapters.ibkr.wire.versions import shown_prices
from core.events import ExternalOrderReported, OrderType, Side, TimeInForce
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


class Strangers:
    """Which permanent ids the orders of others have, by client and order id, as far as they were shown."""

    def __init__(self) -> None:
        self._perms: dict[tuple[int, int], int] = {}

    def parent_of(self, terms: OrderTerms, routes: Routes) -> str:
        """Return the entry that an order of others belongs to, or nothing; takes note of the order."""
        client = terms.client_id or 0
        if terms.order_id and terms.perm_id:
            self._perms[client, terms.order_id] = terms.perm_id
        perm = terms.parent_perm_id
        if perm is None and terms.parent_id:
            perm = self._perms.get((client, terms.parent_id))
        ours = routes.on_wire(client, terms.parent_id) if terms.parent_id and perm is None else None
        if perm is None and terms.oca_group.isdigit() and int(terms.oca_group) in self._known():
            perm = int(terms.oca_group)
        if perm is None or perm == terms.perm_id:
            return ours or ""
        return routes.find(perm_id=perm, ref="") or f"external-{perm}"

    def _known(self) -> set[int]:
        return set(self._perms.values())


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
