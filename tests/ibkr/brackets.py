"""A bracket of three orders and the books that it goes through: what its tests share."""

import msgspec

from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.encoder import Encoder
from core.effects import Effect
from core.events import (
    OrderIntended,
    OrderSendStarted,
    OrderSent,
    RiskApproved,
)
from tests.ibkr.books import ACCOUNT, Books, D

ENTRY, PROFIT, STOP = "a-1-1", "a-1-2", "a-1-3"
ENCODER = Encoder(installed(), 200)
WHO = (ACCOUNT, "a", "ACME")


def bracket(quantity=100, **stop) -> list[OrderIntended]:
    """Return an entry, its take-profit and its stop."""
    entry = OrderIntended(0, ENTRY, *WHO, "BUY", D(quantity), "LMT", D(10), None, "DAY", "why")
    bound = {"parent": ENTRY, "oca": ENTRY}
    exits = (*WHO, "SELL", D(quantity))
    profit = OrderIntended(0, PROFIT, *exits, "LMT", D(12), None, "GTC", "why", **bound)
    loss = OrderIntended(0, STOP, *exits, "STP", None, D(9), "GTC", "why", **bound)
    return [entry, profit, msgspec.structs.replace(loss, **stop)]


def effects(books, intents):
    return [Effect(n, msgspec.structs.replace(i, ts=books.now)) for n, i in enumerate(intents, 1)]


def placed(intents=None, *, sent=True, books=None) -> Books:
    """Return the books after a bracket was decided, named and sent."""
    books, intents = books or Books(), bracket() if intents is None else intents
    for intent in intents:
        intent = msgspec.structs.replace(intent, ts=books.now)  # noqa: PLW2901
        books.take([intent, RiskApproved(books.now, intent.order, 1, *WHO, "none")])
        books.take([OrderSendStarted(books.now, intent.order, 1, *WHO)])
    books.take(books.channel.out.attempts(effects(books, intents), books.now))
    if sent:
        books.take([OrderSent(books.now, intent.order, 1) for intent in intents])
    return books


def acknowledged(books, *orders, perm=900):
    """Let the broker show orders as it does: exits wait for their entry."""
    for n, order in enumerate(orders or (ENTRY, PROFIT, STOP)):
        books.hear(open_(books, order, perm + n))
    return books


def open_(books, order, perm, status="", **given):
    sent, known = books.routes.attempt(order), books.orders.get(order)
    shown = {"parent_id": sent.parent_id or None, "oca_group": sent.group, "oca_kind": 2 if sent.group else 3}
    shown |= {"stop": known.trail or known.stop, "tif": known.tif, "outside_hours": known.outside_rth}
    word = status or ("PreSubmitted" if known.parent else "Submitted")
    return books.open(order, perm, word, **{**shown, **given})


def fields(request):
    """Return each order of a request: id, transmit, parent id, group, type of group."""
    found = []
    for each in request.members:
        text = each.data[4:].decode().split("\0")
        told = dict(zip(("oca", "transmit", "parent"), (text[22], text[27], text[28]), strict=True))
        found.append((int(text[1]), told["oca"], told["transmit"], told["parent"]))
    return found


def request(books, intents):
    return books.channel.out.request(effects(books, intents), ENCODER)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]
