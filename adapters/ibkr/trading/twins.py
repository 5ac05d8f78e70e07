"""One order that is at the broker twice: which of the two stays, and how the other one goes.

A change that meets a gateway in trouble may become a second order. What stays is the one in the version that
the broker last acknowledged. The other is cancelled if it has an order id of its own; under the same id a
cancel may hit either, so the operator is told which one to cancel by hand. Pure: it sends nothing.
"""

from collections.abc import Sequence

import msgspec

from adapters.ibkr.wire.messages import OpenOrder
from adapters.ibkr.wire.terms import OrderTerms
from adapters.ibkr.wire.versions import shown_version
from core.money import money, plain
from core.views import Order
from projections.records import Version
from projections.routes import Routes


class Twins(msgspec.Struct, frozen=True):
    """The permanent id that stays, those that go, and the order ids that cancel them."""

    keep: int
    extra: dict[int, OrderTerms]
    cancels: list[int]

    def message(self, order: Order) -> str:
        """Say what is there and what to do about it."""
        found = "; ".join(f"permanent id {perm} ({_words(terms)})" for perm, terms in self.extra.items())
        begun = f"{order.id} is at the broker {len(self.extra) + 1} times: keep permanent id {self.keep}"
        if len(self.cancels) == len(self.extra):
            return f"{begun}; being cancelled: {found}; look in TWS that it is gone"
        return f"{begun}, cancel in TWS: {found}; next: tape accept {order.instrument}"


def twins(
    order: Order,
    live: dict[int, OpenOrder],
    versions: Sequence[Version],
    routes: Routes,
    client_id: int,
    zone: str,
) -> Twins:
    """Tell the orders under which one order is working at the broker apart; at least two."""
    told, attempt = routes.told(order.id), routes.attempt(order.id)
    assert attempt is not None, "what is at the broker went there under a name"
    sent, acknowledged = attempt, 1 if told is None else told.version

    def strangeness(perm: int) -> tuple[bool, int]:
        return shown_version(order, versions, sent, live[perm].terms, zone) != acknowledged, perm

    keep, *others = sorted(live, key=strangeness)
    extra = {perm: live[perm].terms for perm in others}
    taken = {live[keep].terms.order_id, sent.broker_id, None, 0}
    own = {
        perm: t.order_id for perm, t in extra.items() if t.client_id == client_id and t.order_id not in taken
    }
    return Twins(keep, extra, [order_id for order_id in own.values() if order_id])


def _words(terms: OrderTerms) -> str:
    prices = [("at", terms.limit), ("stop", terms.stop)]
    quantity = "" if terms.quantity is None else plain(money(terms.quantity))
    told = [f"{word} {plain(money(price))}" for word, price in prices if price is not None]
    return " ".join([terms.side, quantity, terms.type, *told])
