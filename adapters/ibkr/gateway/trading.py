"""Orders: what clients ask is recorded and given to the matching engine; what it says is told.

Translates between requests and the broker port, with Interactive Brokers' error codes. Brackets and groups
whose fills reduce each other are the engine's; here an order with `transmit=False` waits for the last of its
family and dies with its client's connection, and a fill of a group of type 1 cancels the others. Prices,
sockets and subscriptions are not its business.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from adapters.ibkr.gateway.book import Book, Held, Ticket
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract, Contracts, Wanted
from adapters.ibkr.gateway.order_fields import NO_PREVIEW, Preview, open_order
from adapters.ibkr.gateway.requests import PlaceOrder
from adapters.ibkr.gateway.telling import FINAL, Telling
from adapters.ibkr.gateway.terms import OCA_CANCEL, OCA_REDUCE_FREELY, Asked, Refusal, asked_terms
from core.effects import Effect
from core.events import (
    CancelIntended,
    CommissionReported,
    Event,
    FillCorrected,
    Filled,
    ModifyIntended,
    OrderAmended,
    OrderIntended,
    OrderSendStarted,
    OrderStatusChanged,
)
from core.order_rules import LASTING
from core.ports import Broker

__all__ = ["Refusal", "Trading"]

_FRACTIONS = 163  # older clients read quantities as whole numbers, and may end with one that is none
_KEY = re.compile(r"\b\d+-(\d+)-\d{10}\b")
"""A key of the book: client, order id, permId."""


class Engine(Broker, Protocol):
    """A broker that can be given what was at work before."""

    def resume(self, orders: Sequence[tuple[OrderIntended, int, Decimal, bool]], ts: int) -> None:
        """Take orders: latest terms, version, what they filled, whether over; tell nothing of it."""


class Trading:
    """The order side of the gateway."""

    def __init__(
        self,
        book: Book,
        broker: Engine,
        contracts: Contracts,
        telling: Telling,
        now: Callable[[], int],
        preview: Callable[[Contract, str, Decimal], Preview],
        refuses: Callable[[str], str],
    ) -> None:
        self.book = book
        self._broker = broker
        self._contracts = contracts
        self.telling = telling
        self._now = now
        self._preview = preview
        self._refuses = refuses
        self.filled: Callable[[Held], None] = lambda _held: None

    # -- requests ------------------------------------------------------------------------------

    def place(self, client: Client, asked: PlaceOrder) -> Held | None:
        """Take a new order or the modification of one; raises `Refusal`. Returns `None` for a preview."""
        known = self.book.find(client.id, asked.order_id)
        contract = self.resolve(asked.contract)
        terms = asked_terms(asked, contract, self.book.account, self._now())
        if client.version < _FRACTIONS and terms.quantity % 1:
            raise Refusal(10243, "Fractional-sized order cannot be placed via API.")
        if why := self._refuses(contract.instrument):
            raise Refusal(201, f"Order rejected - reason:{why}")
        if asked.what_if:
            self._show_preview(client, asked, terms, contract)
            return None
        if known is not None:
            return self._modify(known, asked, terms, contract)
        held = self._new(client.id, asked, terms, contract)
        if asked.transmit:
            self._transmit(held)
        return held

    def resolve(self, wanted: Wanted) -> Contract:
        """Return the one contract that a request describes; raises `Refusal` with code 200."""
        found = self._contracts.find(wanted)
        if not found:
            raise Refusal(200, "No security definition has been found for the request")
        if len(found) > 1:
            raise Refusal(200, f"The contract description specified for {wanted.shown} is ambiguous.")
        return found[0]

    def _new(self, client_id: int, asked: PlaceOrder, terms: Asked, contract: Contract) -> Held:
        parent = self._parent(client_id, asked, contract)
        ticket = self._ticket(client_id, asked, parent)
        key = f"{client_id}-{asked.order_id}-{ticket.perm_id}"
        who = (self.book.account, f"client-{client_id}", contract.instrument)
        intent = msgspec.structs.replace(
            terms.intent(self._now(), key, *who),
            reason=msgspec.json.encode(ticket).decode(),
            parent=parent.key if parent is not None else "",
            oca="" if ticket.oca_type == OCA_CANCEL else ticket.oca_group,
        )
        self.book.record(intent)
        return self.book.get(key)

    def _parent(self, client_id: int, asked: PlaceOrder, contract: Contract) -> Held | None:
        if not asked.parent_id:
            return None
        parent = self.book.find(client_id, asked.parent_id)
        if parent is None or self.book.view(parent).state in ("Cancelled", "Rejected"):
            raise Refusal(10006, f"Missing parent order {asked.parent_id}")
        if parent.contract != contract:
            raise Refusal(201, "Order rejected - reason:not simulated: a parent of another contract")
        return parent

    def _ticket(self, client_id: int, asked: PlaceOrder, parent: Held | None) -> Ticket:
        """Return an order's part on the wire. Exits of one parent are a group, whether asked for or not."""
        group, kind = asked.oca_group, asked.oca_type or OCA_REDUCE_FREELY
        if parent is not None and not group:
            group, kind = str(parent.ticket.perm_id), OCA_REDUCE_FREELY
        return Ticket(
            client_id,
            asked.order_id,
            self.book.next_perm_id(),
            asked.order_ref,
            asked.parent_id,
            group,
            kind if group else 0,
            asked.transmit,
        )

    def fork(self, client: Client, asked: PlaceOrder) -> Held:
        """Make a second live order of what was meant as a modification: a known fault of real gateways."""
        contract = self.resolve(asked.contract)
        terms = asked_terms(asked, contract, self.book.account, self._now())
        held = self._new(client.id, asked, terms, contract)
        self._transmit(held)
        return held

    def _modify(self, held: Held, asked: PlaceOrder, terms: Asked, contract: Contract) -> Held:
        if self.book.view(held).state == "Filled":
            raise Refusal(104, "Cannot modify a filled order.")
        if self.book.done(held):
            raise Refusal(103, "Duplicate order id")
        self._check_same(held, asked, terms, contract)
        intent = held.intent
        ticket = msgspec.structs.replace(held.ticket, transmit=held.ticket.transmit or asked.transmit)
        event = ModifyIntended(
            self._now(),
            held.key,
            held.version + 1,
            intent.account,
            intent.strategy,
            intent.instrument,
            terms.quantity,
            terms.limit,
            terms.stop if terms.type != "TRAIL" or terms.stop is not None else intent.stop,
            msgspec.json.encode(ticket).decode(),
            terms.trail,
            terms.trail_pct,
            None if terms.tif == intent.tif else terms.tif,
            None if terms.good_till == intent.good_till else terms.good_till,
            None if terms.outside_rth == intent.outside_rth else terms.outside_rth,
        )
        seq = self.book.record(event)
        if held.live:
            self._hand_over(Effect(seq, event))
        elif asked.transmit:
            self._transmit(held)
        return held

    def _check_same(self, held: Held, asked: PlaceOrder, terms: Asked, contract: Contract) -> None:
        intent = held.intent
        if contract != held.contract or terms.side != intent.side or terms.type != intent.type:
            raise Refusal(105, "Order being modified does not match original order")
        if asked.oca_group and asked.oca_group != held.ticket.oca_group:
            raise Refusal(10326, "OCA group revision is not allowed.")
        if terms.tif != intent.tif and not {terms.tif, intent.tif} <= LASTING:
            raise Refusal(201, f"Order rejected - reason:a {intent.tif} order cannot become {terms.tif}")

    def cancel(self, client: Client, order_id: int) -> None:
        """Cancel an order of the client; raises `Refusal`."""
        held = self.book.find(client.id, order_id)
        if held is None:
            raise Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
        if self.book.done(held):
            state = FINAL[self.book.view(held).state]
            message = f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
            raise Refusal(10148, message)
        self._cancel(held, "")

    def cancel_all(self) -> None:
        """Cancel every order of every client."""
        for held in self.book.unfinished():
            if not self.book.done(held):
                self._cancel(held, "global cancel")

    def _cancel(self, held: Held, why: str) -> None:
        intent = held.intent
        who = (held.key, intent.account, intent.strategy, intent.instrument)
        event = CancelIntended(self._now(), *who, why)
        seq = self.book.record(event)
        if held.live:
            self._hand_over(Effect(seq, event))
            return
        end = OrderStatusChanged(
            self._now(),
            held.key,
            held.version,
            intent.account,
            intent.strategy,
            intent.instrument,
            "Cancelled",
            why,
        )
        self.take([end])

    # -- the engine ----------------------------------------------------------------------------

    def _transmit(self, held: Held) -> None:
        """Let an order go, with its parent before it and the siblings that waited for it."""
        parent = self.book.parent(held)
        family = [held, *self.book.children(held)]
        if parent is not None:
            family = [parent, *self.book.children(parent)]
        for member in family:
            if not member.live and not self.book.done(member):
                self._release(member)

    def _release(self, held: Held) -> None:
        intent = held.intent
        who = (intent.account, intent.strategy, intent.instrument)
        seq = self.book.record(OrderSendStarted(self._now(), held.key, held.version, *who))
        parent = self.book.parent(held)
        if parent is not None and self.book.view(parent).state == "Filled":
            intent = msgspec.structs.replace(intent, parent="")  # the engine need not know it any more
        self._hand_over(Effect(seq, intent))

    def _hand_over(self, effect: Effect) -> None:
        self.take(self._broker.accept([effect], self._now()))
        self._broker.release([effect])

    def left(self, client_id: int) -> None:
        """Drop what a client that is gone never let go: such orders live in its session only."""
        for held in self.book.unfinished():
            if held.ticket.client_id == client_id and not held.live and not self.book.done(held):
                self._cancel(held, "its client left before it was transmitted")

    def resume(self) -> None:
        """Give the engine what was live when the gateway ended, and drop what was never transmitted."""
        for held in self.book.unfinished():
            if not held.live and not self.book.done(held):
                self._cancel(held, "the gateway ended before it was transmitted")
        self._broker.resume(
            [
                (held.intent, held.version, self.book.fills(held).quantity, self.book.done(held))
                for held in self._resumed()
            ],
            self._now(),
        )

    def waiting(self) -> list[tuple[OrderIntended, int]]:
        """Return the orders that are at work, with since when."""
        return [(held.intent, held.since) for held in self.book.open() if not held.waits]

    def _resumed(self) -> list[Held]:
        """Return the orders that work, and those that have ended while others depend on what they filled."""
        working = self.book.open()
        parents = [parent for held in working if (parent := self.book.parent(held)) is not None]
        relatives = [child for parent in parents for child in self.book.children(parent)]
        found = {held.key: held for held in (*parents, *relatives, *working)}
        return sorted(found.values(), key=lambda held: held.ticket.perm_id)

    def take(self, facts: Iterable[Event]) -> None:
        """Record what the engine says and tell whom it concerns."""
        renamed: dict[str, str] = {}
        for fact in facts:
            if isinstance(fact, Filled):
                renamed[fact.exec_id] = exec_id = self.book.next_exec_id()
                self._filled(msgspec.structs.replace(fact, exec_id=exec_id))
            elif isinstance(fact, CommissionReported):
                charge = msgspec.structs.replace(fact, exec_id=renamed[fact.exec_id])
                self.book.record(charge)
                self.telling.tell_commission(charge)
            elif isinstance(fact, OrderStatusChanged):
                self._status(fact)
            elif isinstance(fact, OrderAmended):
                self.book.record(fact)
                self.telling.tell_order(self.book.get(fact.order))
            else:
                self.book.record(fact)

    def _status(self, fact: OrderStatusChanged) -> None:
        held = self.book.get(fact.order)
        fact = msgspec.structs.replace(fact, version=max(fact.version, held.version))
        self.book.record(fact)
        if fact.status == "Rejected":
            self.telling.error(held, 201, f"Order rejected - reason:{_worded(fact.message)}")
            return
        self.telling.tell_order(held)
        if fact.status == "Cancelled":
            self.telling.error(held, 202, f"Order Canceled - reason:{_worded(fact.message)}")
            for child in list(self.book.children(held)):
                if not self.book.done(child) and not child.live:
                    self._cancel(child, "the parent was cancelled")

    def _filled(self, fill: Filled) -> None:
        self.book.record(fill)
        held = self.book.get(fill.order)
        self.telling.tell_execution(fill.exec_id)
        self.telling.tell_order(held)
        self.telling.position_changed(fill.instrument)
        self.filled(held)
        for other in self._rivals(held):
            self._cancel(other, "one cancels all")

    def _rivals(self, held: Held) -> list[Held]:
        """Return the orders that a fill of `held` cancels: the others of its group, if that is of type 1."""
        if held.ticket.oca_type != OCA_CANCEL:
            return []
        group = self.book.group(held.ticket.oca_group)
        return [other for other in group if other is not held and not self.book.done(other)]

    def correct(self, exec_id: str, price: Decimal) -> None:
        """Correct the price of an execution: a new revision that replaces it."""
        found = self.book.orders.execution(exec_id)
        assert found is not None
        revision = self.book.revision(exec_id) + 1
        who = (found.order, found.account, found.strategy, found.instrument)
        self.book.record(
            FillCorrected(self._now(), exec_id, revision, *who, found.side, found.quantity, price, "")
        )
        self.telling.tell_execution(exec_id)
        self.telling.position_changed(found.instrument)

    def _show_preview(self, client: Client, asked: PlaceOrder, terms: Asked, contract: Contract) -> None:
        parent = self._parent(client.id, asked, contract)
        who = (self.book.account, f"client-{client.id}", contract.instrument)
        held = Held("", self._ticket(client.id, asked, parent), contract, terms.intent(self._now(), "", *who))
        shown = self.telling.described(held, "PreSubmitted", Decimal(0))
        # IB answers twice: first without figures, then with them.
        first = msgspec.structs.replace(NO_PREVIEW, what_if=True)
        for preview in (first, self._preview(contract, asked.action, terms.quantity)):
            client.post(open_order(contract, shown, client.version, preview))


def _worded(message: str) -> str:
    """Return a message with orders under the ids by which their clients know them."""
    return _KEY.sub(r"order \1", message)
