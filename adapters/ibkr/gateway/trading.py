"""Orders: what clients ask is checked, recorded and given to the matching engine; what it says is told.

Translates between requests and the broker port, with Interactive Brokers' error codes. Brackets: an order
with `transmit=False` waits; children become live when their parent has filled and are cancelled with it.
One-cancels-all: a fill of one cancels the others, also among the children of one parent. Prices, sockets
and subscriptions are not its business.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

import msgspec

from adapters.ibkr.gateway.book import Book, Held, Ticket
from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.contracts import Contract, Contracts, Wanted
from adapters.ibkr.gateway.order_fields import NO_PREVIEW, Preview, Shown, open_order
from adapters.ibkr.gateway.requests import PlaceOrder
from adapters.ibkr.gateway.telling import FINAL, Telling
from core.effects import Effect
from core.events import (
    CancelIntended,
    CommissionReported,
    Event,
    FillCorrected,
    Filled,
    ModifyIntended,
    OrderIntended,
    OrderSendStarted,
    OrderStatusChanged,
    OrderType,
)
from core.money import money
from core.ports import Broker

TYPES = frozenset({"MKT", "LMT", "STP"})
_TIFS = {"": "DAY", "DAY": "DAY", "GTC": "GTC"}


class Refusal(Exception):
    """A request that is answered with an error code instead of being done."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Trading:
    """The order side of the gateway."""

    def __init__(
        self,
        book: Book,
        broker: Broker,
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
        self._check_kind(asked, contract)
        self._check_values(asked, contract)
        if asked.what_if:
            self._show_preview(client, asked, contract)
            return None
        if known is not None:
            return self._modify(known, asked, contract)
        held = self._new(client.id, asked, contract)
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

    def _check_kind(self, asked: PlaceOrder, contract: Contract) -> None:
        """Refuse what is not simulated."""
        if asked.type not in TYPES:
            raise Refusal(387, f"Unsupported order type for this exchange and security type: {asked.type}")
        if asked.unsupported:
            raise Refusal(201, f"Order rejected - reason:not simulated: {', '.join(asked.unsupported)}")
        if why := self._refuses(contract.instrument):
            raise Refusal(201, f"Order rejected - reason:{why}")
        if asked.action not in ("BUY", "SELL"):
            raise Refusal(201, f"Order rejected - reason:action {asked.action!r}: expected BUY or SELL")
        if asked.tif not in _TIFS:
            raise Refusal(201, f"Order rejected - reason:time in force {asked.tif!r} is not simulated")
        if asked.oca_group and asked.oca_type not in (0, 1):
            raise Refusal(201, f"Order rejected - reason:ocaType {asked.oca_type} is not simulated")

    def _check_values(self, asked: PlaceOrder, contract: Contract) -> None:
        """Refuse what makes no sense."""
        if asked.quantity is None or asked.quantity <= 0:
            raise Refusal(434, "The order size cannot be zero")
        if asked.account not in ("", self.book.account):
            raise Refusal(
                321, f"Error validating request.-'bX' : cause - Invalid account code '{asked.account}'."
            )
        needed = {"LMT": asked.limit, "STP": asked.aux}.get(asked.type, Decimal(1))
        if needed is None or needed <= 0:
            raise Refusal(321, f"Error validating request.-'bX' : cause - {asked.type} needs a price.")
        if asked.type != "MKT" and needed % contract.tick_size:
            message = "The price does not conform to the minimum price variation for this contract."
            raise Refusal(110, message)

    def _new(
        self, client_id: int, asked: PlaceOrder, contract: Contract, order_id: int | None = None
    ) -> Held:
        order_id = asked.order_id if order_id is None else order_id
        if asked.parent_id:
            parent = self.book.find(client_id, asked.parent_id)
            if parent is None or self.book.view(parent).state in ("Cancelled", "Rejected"):
                raise Refusal(10006, f"Missing parent order {asked.parent_id}")
        ticket = Ticket(
            client_id,
            order_id,
            self.book.next_perm_id(),
            asked.order_ref,
            asked.parent_id,
            asked.oca_group,
            asked.outside_rth,
            asked.transmit,
        )
        key = f"{client_id}-{order_id}-{ticket.perm_id}"
        assert asked.quantity is not None
        intent = OrderIntended(
            self._now(),
            key,
            self.book.account,
            f"client-{client_id}",
            contract.instrument,
            "BUY" if asked.action == "BUY" else "SELL",
            money(asked.quantity),
            _engine_type(asked.type),
            money(asked.limit) if asked.type == "LMT" and asked.limit is not None else None,
            money(asked.aux) if asked.type == "STP" and asked.aux is not None else None,
            "GTC" if _TIFS[asked.tif] == "GTC" else "DAY",
            msgspec.json.encode(ticket).decode(),
        )
        self.book.record(intent)
        return self.book.get(key)

    def fork(self, client: Client, asked: PlaceOrder) -> Held:
        """Make a second live order of what was meant as a modification: a known fault of real gateways."""
        held = self._new(client.id, asked, self.resolve(asked.contract))
        self._transmit(held)
        return held

    def _modify(self, held: Held, asked: PlaceOrder, contract: Contract) -> Held:
        view = self.book.view(held)
        if view.state == "Filled":
            raise Refusal(104, "Cannot modify a filled order.")
        if self.book.done(held):
            raise Refusal(103, "Duplicate order id")
        intent = held.intent
        if contract != held.contract or asked.action != intent.side or asked.type != intent.type:
            raise Refusal(105, "Order being modified does not match original order")
        assert asked.quantity is not None
        ticket = msgspec.structs.replace(held.ticket, transmit=held.ticket.transmit or asked.transmit)
        event = ModifyIntended(
            self._now(),
            held.key,
            held.version + 1,
            intent.account,
            intent.strategy,
            intent.instrument,
            money(asked.quantity),
            money(asked.limit) if asked.type == "LMT" and asked.limit is not None else None,
            money(asked.aux) if asked.type == "STP" and asked.aux is not None else None,
            msgspec.json.encode(ticket).decode(),
        )
        seq = self.book.record(event)
        if held.live:
            rest = msgspec.structs.replace(event, quantity=event.quantity - held.filled_before)
            self._hand_over(Effect(seq, rest))
        elif asked.transmit:
            self._transmit(held)
        return held

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
        for held in self.book.all():
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
        """Let an order go, with its parent and siblings that waited for it."""
        family = [held]
        parent = self.book.parent(held)
        if parent is not None:
            family = [parent, *(child for child in self.book.children(parent))]
        for member in family:
            if member.live or self.book.done(member):
                continue
            if member is not parent and parent is not None and self.book.view(parent).state != "Filled":
                self.telling.tell_order(member)  # a child is shown, and waits for its parent
            else:
                self._release(member)

    def _release(self, held: Held) -> None:
        intent = held.intent
        who = (intent.account, intent.strategy, intent.instrument)
        seq = self.book.record(OrderSendStarted(self._now(), held.key, held.version, *who))
        self._hand_over(Effect(seq, intent))

    def _hand_over(self, effect: Effect) -> None:
        self.take(self._broker.accept([effect], self._now()))
        self._broker.release([effect])

    def resume(self) -> None:
        """Give the engine what was live when the gateway ended: the part that had not filled."""
        for held in self.book.all():
            if not held.live or self.book.done(held):
                continue
            held.filled_before = self.book.fills(held).quantity
            rest = msgspec.structs.replace(held.intent, quantity=held.intent.quantity - held.filled_before)
            for _ in self._broker.accept([Effect(0, rest)], self._now()):
                pass  # the book knows already that it was sent and submitted

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
            else:
                self.book.record(fact)

    def _status(self, fact: OrderStatusChanged) -> None:
        held = self.book.get(fact.order)
        fact = msgspec.structs.replace(fact, version=max(fact.version, held.version))
        self.book.record(fact)
        if fact.status == "Rejected" and fact.version > 1:
            self.telling.error(held, 201, f"Order rejected - reason:{fact.message}")
            return
        self.telling.tell_order(held)
        if fact.status == "Cancelled":
            self.telling.error(held, 202, f"Order Canceled - reason:{fact.message}")
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
        if self.book.view(held).state == "Filled":
            for child in self.book.children(held):
                if not child.live and not self.book.done(child) and self.book.transmitted(child):
                    self._release(child)
        for other in self._rivals(held):
            self._cancel(other, "one cancels all")

    def _rivals(self, held: Held) -> list[Held]:
        """Return the orders that a fill of `held` cancels: of its group, and its siblings."""
        parent = self.book.parent(held)
        family = [*self.book.group(held.ticket.oca_group), *(self.book.children(parent) if parent else ())]
        rivals = {other.key: other for other in family if other is not held}
        return [other for other in rivals.values() if not self.book.done(other)]

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

    def _show_preview(self, client: Client, asked: PlaceOrder, contract: Contract) -> None:
        assert asked.quantity is not None
        shown = Shown(
            order_id=asked.order_id,
            client_id=client.id,
            perm_id=self.book.next_perm_id(),
            parent_id=asked.parent_id,
            parent_perm_id=0,
            account=self.book.account,
            action=asked.action,
            quantity=asked.quantity,
            type=asked.type,
            limit=asked.limit,
            aux=asked.aux,
            tif=_TIFS[asked.tif],
            oca_group=asked.oca_group,
            oca_type=asked.oca_type,
            order_ref=asked.order_ref,
            outside_rth=asked.outside_rth,
            status="PreSubmitted",
            filled=Decimal(0),
        )
        # IB answers twice: first without figures, then with them.
        first = msgspec.structs.replace(NO_PREVIEW, what_if=True)
        for preview in (first, self._preview(contract, asked.action, asked.quantity)):
            client.post(open_order(contract, shown, client.version, preview))


def _engine_type(name: str) -> OrderType:
    return "LMT" if name == "LMT" else "STP" if name == "STP" else "MKT"
