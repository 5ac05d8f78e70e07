"""Our orders at the broker: names for what leaves, and what the broker says of them as events.

Identity is the permanent id, then the reference of the attempt; the order id on the wire counts only for
messages of this connection. A status is advisory and is told once however often it is sent. A fill is what
has an execution id: a higher revision of it is a correction. Error codes are annotations; only a closed list
ends an order, and only one that the broker never acknowledged. It sends nothing itself and never resends.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from adapters.ibkr.contracts import contract_of
from adapters.ibkr.encoder import Encoder
from adapters.ibkr.messages import (
    CommissionReport,
    ErrorMessage,
    Execution,
    Message,
    OpenOrder,
    OrderStatus,
)
from adapters.ibkr.order_fields import terms_of
from adapters.ibkr.pacing import Lane
from adapters.ibkr.terms import OrderTerms
from adapters.ibkr.times import parse_time
from core.effects import Effect
from core.events import (
    CancelIntended,
    CommissionReported,
    Event,
    ExternalOrderReported,
    FillCorrected,
    Filled,
    ModifyIntended,
    OrderAttempted,
    OrderBound,
    OrderIntended,
    OrderStatusChanged,
    Side,
)
from core.views import InstrumentsView, Order, OrdersView
from projections.routes import Routes

STATUSES = {
    "PendingSubmit": "PreSubmitted",
    "ApiPending": "PreSubmitted",
    "PreSubmitted": "PreSubmitted",
    "Submitted": "Submitted",
    "PendingCancel": "PendingCancel",
    "Cancelled": "Cancelled",
    "ApiCancelled": "Cancelled",
    "Filled": "Filled",
    "Inactive": "Inactive",
}
"""The broker's words and ours; any other is kept as a message."""

# fmt: off
REJECTIONS = frozenset({
    103, 104, 105, 109, 110, 111, 113, 115, 116, 117, 118, 119, 120, 121, 122, 125, 131, 132, 133, 134, 135,
    136, 143, 144, 145, 152, 160, 163, 200, 201, 203, 321, 382, 383, 387, 434, 463,
})
# fmt: on
"""Codes after which an order that was never acknowledged is not at the broker."""
AMBIGUOUS = frozenset({103})
"""A duplicate order id: which of the two orders it speaks of is not known before the book is looked at."""

_SIDES: dict[str, Side] = {"BOT": "BUY", "SLD": "SELL", "BUY": "BUY", "SELL": "SELL"}


class Names(Protocol):
    """What knows instruments by the broker's contracts."""

    def instrument(self, con_id: int | None, symbol: str) -> str:
        """Return our name of a contract; one never defined gets a name from its id."""


class Request(msgspec.Struct, frozen=True):
    """Bytes to send for an effect, and how urgent they are."""

    lane: Lane
    data: bytes
    effect: Effect


class OrderChannel:
    """Translates orders both ways. `routes` and `orders` are folds of the log, read only."""

    def __init__(
        self,
        client_id: int,
        prefix: str,
        routes: Routes,
        orders: OrdersView,
        instruments: InstrumentsView,
        names: Names,
        zone: str = "UTC",
    ) -> None:
        self.client_id = client_id
        self.zone = zone
        self._prefix = prefix
        self._routes = routes
        self._orders = orders
        self._instruments = instruments
        self._names = names
        self._next_id = 0
        self._terms: dict[str, OrderTerms] = {}
        self._ids: dict[str, int] = {}
        self._told: dict[str, tuple[Any, ...]] = {}
        self._acknowledged: set[str] = set()
        self._external: dict[int, ExternalOrderReported] = {}
        self._waiting: dict[str, CommissionReport] = {}
        self._bound: dict[int, str] = {}
        self._fills: dict[str, tuple[str, str, str, str]] = {}
        self._routes_in: dict[type[Message], Callable[[Any, int], Iterable[Event]]] = {
            OpenOrder: self._open_order,
            OrderStatus: self._status,
            Execution: self._execution,
            CommissionReport: self._commission,
            ErrorMessage: self._error,
        }

    # -- out -----------------------------------------------------------------------------------

    def offered(self, order_id: int) -> None:
        """Take the broker's next valid id; ids that were ever used are not used again."""
        self._next_id = max(self._next_id, self._routes.next_id(self.client_id, order_id))

    def take_id(self) -> int:
        """Return an id that no order and no request has had."""
        self._next_id += 1
        return self._next_id - 1

    def attempts(self, effects: Sequence[Effect], ts: int) -> list[Event]:
        """Name what a slice decided to send; recorded with the decision, before its first byte leaves."""
        named: list[Event] = []
        for effect in effects:
            request = effect.request
            if isinstance(request, OrderIntended):
                broker_id = self.take_id()
                ref = f"{self._prefix}{request.order}.1"
                named.append(OrderAttempted(ts, request.order, 1, 1, ref, broker_id, self.client_id))
            elif isinstance(request, ModifyIntended):
                known = self._routes.attempt(request.order)
                if known is not None:
                    names = (known.attempt, known.ref, known.broker_id, self.client_id)
                    named.append(OrderAttempted(ts, request.order, request.version, *names))
        return named

    def request(self, effect: Effect, encoder: Encoder) -> Request | None:
        """Return the bytes of an effect; `None` if its order never had a name at the broker."""
        intent = effect.request
        route = self._routes.attempt(intent.order)
        if route is None:
            return None
        if isinstance(intent, CancelIntended):
            return Request(Lane.CANCEL, encoder.cancel_order(route.broker_id), effect)
        contract = contract_of(self._instruments.instrument(intent.instrument))
        if isinstance(intent, ModifyIntended):
            terms = self._modified(intent, route.ref)
            return Request(Lane.MODIFY, encoder.place_order(route.broker_id, contract, terms), effect)
        terms = self._terms[intent.order] = terms_of(intent, route.ref)
        return Request(Lane.NEW_ORDER, encoder.place_order(route.broker_id, contract, terms), effect)

    def _modified(self, intent: ModifyIntended, ref: str) -> OrderTerms:
        known = self._orders.get(intent.order)
        assert known is not None, "a modify without its order does not pass the risk gate"
        terms = OrderTerms(
            side=known.side,
            quantity=intent.quantity,
            type=known.type,
            limit=intent.limit,
            stop=intent.stop,
            tif=known.tif,
            account=known.account,
            order_ref=ref,
        )
        self._terms[intent.order] = terms
        return terms

    # -- in ------------------------------------------------------------------------------------

    def events(self, message: Message, ts: int) -> Iterable[Event]:
        """Return what a message says of orders; nothing if it speaks of something else."""
        route = self._routes_in.get(type(message))
        return route(message, ts) if route is not None else ()

    def speaks_of(self, req_id: int | None) -> str:
        """Return the order that an id on the wire stands for, or nothing."""
        return (self._routes.on_wire(self.client_id, req_id) or "") if req_id is not None else ""

    def _find(self, perm_id: int | None, ref: str, client_id: int | None, order_id: int | None) -> str | None:
        found = self._routes.find(perm_id=perm_id, ref=ref)
        if found is None and not ref and client_id == self.client_id and order_id:
            found = self._routes.on_wire(client_id, order_id)
        return found

    def _bind(self, order: str, perm_id: int | None, order_id: int | None, ts: int) -> Iterable[Event]:
        self._acknowledged.add(order)
        if perm_id and perm_id not in self._routes.perm_ids(order) and self._bound.get(perm_id) != order:
            self._bound[perm_id] = order
            return (OrderBound(ts, order, perm_id, order_id or 0, self.client_id),)
        return ()

    def _open_order(self, said: OpenOrder, ts: int) -> Iterable[Event]:
        terms = said.terms
        if terms.what_if:
            return ()
        order = self._find(terms.perm_id, terms.order_ref, terms.client_id, terms.order_id)
        if order is None:
            return self._foreign(said, ts)
        events = list(self._bind(order, terms.perm_id, terms.order_id, ts))
        text = "; ".join(part for part in (said.state.warning, said.state.reject_reason) if part)
        return [*events, *self._tell(order, said.state.status, text, ts)]

    def _foreign(self, said: OpenOrder, ts: int) -> Iterable[Event]:
        terms, perm = said.terms, said.terms.perm_id
        if perm is None or terms.side not in ("BUY", "SELL") or terms.quantity is None:
            return ()
        name = self._names.instrument(said.contract.con_id, said.contract.symbol)
        event = ExternalOrderReported(
            ts,
            f"external-{perm}",
            terms.account,
            name,
            "BUY" if terms.side == "BUY" else "SELL",
            terms.quantity,
            terms.limit,
            terms.stop,
            said.state.status,
        )
        known = self._external.get(perm)
        if known is not None and msgspec.structs.replace(known, ts=ts) == event:
            return ()
        self._external[perm] = event
        return (event,)

    def _status(self, said: OrderStatus, ts: int) -> Iterable[Event]:
        order = self._find(said.perm_id, "", said.client_id, said.order_id)
        if order is None:
            return ()
        events = list(self._bind(order, said.perm_id, said.order_id, ts))
        return [*events, *self._tell(order, said.status, said.why_held, ts)]

    def _tell(self, order: str, status: str, text: str, ts: int) -> Iterable[Event]:
        word = STATUSES.get(status)
        known = self._orders.get(order)
        if word is None or known is None:
            return ()
        told = (word, known.version, text)
        before = self._told.get(order)
        if before is not None and (before == told or (before[:2] == told[:2] and not text)):
            return ()
        self._told[order] = told
        return (_changed(known, word, text, ts),)

    def _execution(self, said: Execution, ts: int) -> Iterable[Event]:
        exec_id, revision = split_exec_id(said.exec_id)
        side = _SIDES.get(said.side)
        if side is None or said.quantity is None or said.price is None:
            return ()
        order = self._find(said.perm_id, said.order_ref, said.client_id, said.order_id)
        known = self._orders.get(order) if order is not None else None
        name = (
            known.instrument if known else self._names.instrument(said.contract.con_id, said.contract.symbol)
        )
        when = parse_time(said.time, self.zone) or ts
        who = (
            order or f"external-{said.perm_id or said.exec_id}",
            said.account,
            known.strategy if known is not None else "",
            name,
            side,
            said.quantity,
            said.price,
            said.exchange,
        )
        events: list[Event] = []
        if order is not None:
            events += self._bind(order, said.perm_id, said.order_id, ts)
        if revision > 1:
            events.append(FillCorrected(when, exec_id, revision, *who))
        else:
            events.append(Filled(when, exec_id, *who))
        self._fills[exec_id] = who[:4]
        waiting = self._waiting.pop(exec_id, None)
        return [*events, *(self._commission(waiting, ts) if waiting is not None else ())]

    def _commission(self, said: CommissionReport, ts: int) -> Iterable[Event]:
        exec_id, _ = split_exec_id(said.exec_id)
        who = self._fills.get(exec_id)
        if who is None:
            self._waiting[exec_id] = said  # it came before its execution
            return ()
        if said.amount is None:
            return ()
        return (CommissionReported(ts, exec_id, *who, said.amount, said.currency),)

    def _error(self, said: ErrorMessage, ts: int) -> Iterable[Event]:
        order = self.speaks_of(said.req_id)
        known = self._orders.get(order) if order else None
        if known is None or said.code not in REJECTIONS or said.code in AMBIGUOUS:
            return ()
        if order in self._acknowledged or self._routes.perm_ids(order):
            return ()  # it is at the broker: the code speaks of a change of it, or is a warning
        text = f"{said.code}: {said.text}"
        self._told[order] = ("Rejected", known.version, text)
        return (_changed(known, "Rejected", text, ts),)


def split_exec_id(exec_id: str) -> tuple[str, int]:
    """Return the identity of an execution and its revision: the digits after the last period."""
    base, _, last = exec_id.rpartition(".")
    return (base, int(last)) if base and last.isdigit() else (exec_id, 1)


def _changed(order: Order, status: Any, message: str, ts: int) -> OrderStatusChanged:
    who = (order.account, order.strategy, order.instrument)
    return OrderStatusChanged(ts, order.id, order.version, *who, status, message)
