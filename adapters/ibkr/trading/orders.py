"""What the broker says of orders, as events.

Identity is the permanent id, then the reference of the attempt; the order id on the wire counts only for
messages of this connection. A status is advisory and is told once however often it is sent. Error codes are
annotations; only a closed list ends an order, and only one that the broker never acknowledged. A quantity
that the broker made smaller because another order of the group filled becomes the order's. What is
remembered here is on its way into the folds, so a restart loses none of it. Executions and commissions are
translated by `executions`, orders of others by `external`.
"""

from collections.abc import Callable, Iterable
from typing import Any

from adapters.ibkr.trading.executions import Executions
from adapters.ibkr.trading.external import Names, Strangers
from adapters.ibkr.trading.families import entry_cancel, exit_missing
from adapters.ibkr.trading.outgoing import Outgoing, SentOrders
from adapters.ibkr.wire.messages import (
    CommissionReport,
    ErrorMessage,
    Execution,
    Message,
    OpenOrder,
    OrderStatus,
)
from adapters.ibkr.wire.versions import amendment, only_smaller, shown_version
from core.clock import SECOND_NS
from core.events import (
    BreakFound,
    Event,
    Filled,
    OrderBound,
    OrderStatusChanged,
)
from core.views import GateView, InstrumentsView, Order
from projections.gate import UNPROTECTED
from projections.records import AMENDED, Version
from projections.routes import Routes, Told

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
    109, 110, 111, 113, 115, 116, 117, 118, 119, 120, 121, 122, 125, 131, 132, 133, 134, 143, 144, 145, 152,
    160, 163, 200, 201, 203, 321, 382, 383, 387, 434, 435, 436, 463, 10006, 10243, 10268, 10269, 10318, 10329,
})
# fmt: on
"""Codes after which an order that was never acknowledged is not at the broker."""
TEMPORARY = frozenset({103, 104, 105})
"""Refused because the order id has been another order's: another attempt would have a new one."""
DOUBTFUL = TEMPORARY | {135, 136, 161}
"""Codes that speak of an id, a change or a cancel: the order may work. The book has to be seen."""
NOT_THERE = REJECTIONS | TEMPORARY | {135}
"""Codes that say why the book does not show an order that was never acknowledged."""
_JUDGED = REJECTIONS | DOUBTFUL
_SEEN_IN_BOOK = frozenset({103, 161, 10147, 10148})
"""Codes that make the client look at the book by themselves, whatever order they speak of."""
_ENDED = frozenset({"Cancelled", "Filled"})
EXITS_NS = 2 * SECOND_NS
"""How long after its entry an exit of a bracket may take to be shown."""
_OVER = frozenset({"Rejected", "Cancelled"})
_REMEMBERED_MAX = 4096


class OrderChannel:
    """Translates what is said of orders; `out` has what leaves. Reads the folds `routes` and `orders`."""

    def __init__(
        self,
        client_id: int,
        prefix: str,
        routes: Routes,
        orders: SentOrders,
        instruments: InstrumentsView,
        names: Names,
        zone: str = "UTC",
        gate: GateView | None = None,
    ) -> None:
        self.client_id = client_id
        self.zone = zone
        self.out = Outgoing(client_id, prefix, routes, orders, instruments, self.acknowledged, gate)
        self._routes = routes
        self._orders = orders
        self.executions = Executions(routes, names, zone)
        self._strangers = Strangers(routes, orders, names, zone)
        self._doubt = self._complaint = ""
        # On their way into the folds: what was said in this look and is not folded yet.
        self._told: dict[str, Told] = {}
        self._bound: dict[int, str] = {}
        self._amended: dict[str, Version] = {}
        self._over: dict[int, None] = {}
        self._cancelled = False
        self._answered: dict[str, int] = {}  # entries of brackets, since when the broker has shown them
        self._routes_in: dict[type[Message], Callable[[Any, int], Iterable[Event]]] = {
            OpenOrder: self._open_order,
            OrderStatus: self._status,
            Execution: self._execution,
            CommissionReport: self._commission,
            ErrorMessage: self._error,
        }

    def events(self, message: Message, ts: int) -> Iterable[Event]:
        """Return what a message says of orders; nothing if it speaks of something else."""
        route = self._routes_in.get(type(message))
        return route(message, ts) if route is not None else ()

    def folded(self) -> None:
        """Take that all events returned so far are in the folds."""
        for held in (self._told, self._bound, self._amended):
            held.clear()
        self.executions.folded()
        self._strangers.folded()

    def speaks_of(self, req_id: int | None) -> str:
        """Return the order that an id on the wire stands for, or nothing."""
        return (self._routes.on_wire(self.client_id, req_id) or "") if req_id is not None else ""

    def acknowledged(self, order: str) -> bool:
        """Return whether the broker ever showed that it has the order."""
        return self._routes.acknowledged(order) or order in self._bound.values()

    def take_doubt(self, *, looking: bool) -> str:
        """Return why the broker's book should be looked at again, once; nothing if there is no doubt.

        While a look is under way, what it shows is compared at its end: only a code asks for another.
        """
        doubt = self._complaint or ("" if looking else self._doubt)
        self._doubt = self._complaint = ""
        return doubt

    def miss_exits(self, ts: int) -> None:
        """Doubt an entry that the broker has shown for a while, and one of its exits not."""
        for entry, since in list(self._answered.items()):
            if ts - since >= EXITS_NS:
                del self._answered[entry]
                exits = (o.id for o in self._orders.working() if o.parent == entry)
                missing = next((name for name in exits if not self.acknowledged(name)), "")
                if missing:
                    self._doubt = f"{entry} is at the broker and nothing was heard of its exit {missing}"

    def take_cancelled(self) -> bool:
        """Return, once, whether an order was said to be cancelled: final only when the book agrees."""
        cancelled, self._cancelled = self._cancelled, False
        return cancelled

    # -- orders --------------------------------------------------------------------------------

    def _find(self, perm_id: int | None, ref: str, client_id: int | None, order_id: int | None) -> str | None:
        found = self._routes.find(perm_id=perm_id, ref=ref)
        if found is None and perm_id:
            found = self._bound.get(perm_id)
        if found is None and not ref and client_id == self.client_id and order_id:
            found = self._routes.on_wire(client_id, order_id)
            if found is not None and self._of_another(found, perm_id):
                return None
        return found

    def _of_another(self, order: str, perm_id: int | None) -> bool:
        # An order id that was issued again: the order that had it before is over and has its permanent id.
        known = self._orders.get(order)
        perms = self._routes.perm_ids(order)
        over = known is None or not known.working  # one that is forgotten had ended
        return bool(perm_id and perms and perm_id not in perms and over)

    def _bind(self, order: str, perm_id: int | None, order_id: int | None, ts: int) -> Iterable[Event]:
        known = self._routes.perm_ids(order)
        if not perm_id or perm_id in known or self._bound.get(perm_id) == order:
            return ()
        if known or order in self._bound.values():
            self._doubt = f"{order} has two permanent ids at the broker"
        self._bound[perm_id] = order
        return (OrderBound(ts, order, perm_id, order_id or 0, self.client_id),)

    def _open_order(self, said: OpenOrder, ts: int) -> Iterable[Event]:
        terms = said.terms
        if terms.what_if:
            return ()
        self.out.seen(terms.order_id)
        order = self._find(terms.perm_id, terms.order_ref, terms.client_id, terms.order_id)
        if order is None:
            return self._strangers.order(said, ts)
        events = list(self._bind(order, terms.perm_id, terms.order_id, ts))
        text = "; ".join(part for part in (said.state.warning, said.state.reject_reason) if part)
        version, amended = self._shown(order, said, ts)
        return [*events, *amended, *self._tell(order, said.state.status, text, terms.perm_id, version, ts)]

    def _shown(self, order: str, said: OpenOrder, ts: int) -> tuple[int, Iterable[Event]]:
        """Return which version the broker shows, and what it made of the order by itself."""
        known, sent = self._orders.get(order), self._routes.attempt(order)
        last = self._last_version(order)
        if known is None or sent is None:
            return last, ()
        amended = self._amended.get(order)
        versions = [*self._orders.versions(order), *([amended] if amended is not None else [])]
        shown = shown_version(known, versions, sent, said.terms, self.zone)
        if shown is None and known.working:
            if (known.oca or known.parent) and only_smaller(known, sent, said.terms, self.zone):
                number = max(self._orders.last_version(order), *(v.number for v in versions)) + 1
                return self._reduced(known, number, said, ts)
            self._doubt = f"{order} has other terms at the broker than any that were sent"
        elif shown is not None and shown < last and any(v.reason == AMENDED for v in versions):
            self._doubt = f"{order} is at the broker with terms that it had before"
        return shown or last, ()

    def _reduced(self, known: Order, number: int, said: OpenOrder, ts: int) -> tuple[int, Iterable[Event]]:
        sent = self._routes.attempt(known.id)
        assert sent is not None
        event = amendment(known, number, sent, said.terms, ts, self.zone)
        prices = (event.limit, event.stop, AMENDED, event.trail, event.trail_pct)
        self._amended[known.id] = Version(number, event.quantity, *prices)
        return number, (event,)

    def _last_version(self, order: str) -> int:
        told = self._told.get(order) or self._routes.told(order)
        return 1 if told is None else told.version

    def _status(self, said: OrderStatus, ts: int) -> Iterable[Event]:
        order = self._find(said.perm_id, "", said.client_id, said.order_id)
        if order is None:
            return self._strangers.status(said, ts)
        events = list(self._bind(order, said.perm_id, said.order_id, ts))
        # A status does not say of which version it speaks: only the order's terms do.
        version = self._last_version(order)
        return [*events, *self._tell(order, said.status, said.why_held, said.perm_id, version, ts)]

    def _tell(
        self, order: str, status: str, text: str, perm_id: int | None, version: int, ts: int
    ) -> Iterable[Event]:
        word = STATUSES.get(status)
        known = self._orders.get(order)
        if known is None and word is not None and word not in _ENDED:
            self._doubt = f"{order} ended long ago and is at the broker"
        if word is None or known is None:
            return ()
        if word in _ENDED and perm_id and self._has_twin(order, perm_id):
            return ()  # it is at the broker under another permanent id as well
        told = Told(word, version, text)
        before = self._told.get(order) or self._routes.told(order)
        if before is not None and (before == told or (_same(before, told) and not text)):
            return ()
        self._told[order] = told
        if order in self.out.entries:
            self.out.entries.discard(order)
            self._answered[order] = ts
        self._cancelled = self._cancelled or word == "Cancelled"
        events: list[Event] = [_changed(known, word, text, version, ts)]
        if word not in _ENDED:
            events += self._sighted(known, word, ts)
        return events

    def _has_twin(self, order: str, perm_id: int) -> bool:
        self._over[perm_id] = None
        if len(self._over) > _REMEMBERED_MAX:
            self._over.pop(next(iter(self._over)))
        known = {*self._routes.perm_ids(order), *(p for p, o in self._bound.items() if o == order)}
        return bool(known - self._over.keys())

    def _sighted(self, order: Order, word: str, ts: int) -> Iterable[Event]:
        fate = self._routes.fate(order.id)
        if word == "Inactive":
            self._doubt = f"{order.id} is inactive"
        elif order.state in ("Rejected", "Cancelled") and word in ("Submitted", "PreSubmitted"):
            self._doubt = f"{order.id} was taken for {order.state} and is at the broker"
        elif fate is not None and fate.outcome == "presumed_lost":
            self._doubt = f"{order.id} was presumed lost and is at the broker"
            return (lost_order_seen(order, ts),)
        return ()

    # -- executions ----------------------------------------------------------------------------

    def _execution(self, said: Execution, ts: int) -> Iterable[Event]:
        order = self._find(said.perm_id, said.order_ref, said.client_id, said.order_id)
        known = self._orders.get(order) if order is not None else None
        fill = self.executions.fill(said, order, known, ts)
        if fill is None:
            return ()
        bound = self._bind(order, said.perm_id, said.order_id, ts) if order is not None else ()
        if fill and known is not None and known.state in ("Cancelled", "Rejected", "Lost"):
            self._doubt = f"{known.id} was taken for {known.state} and has filled"
        elif fill and known is None and order is not None and type(fill[0]) is Filled:
            self._doubt = f"{order} ended long ago and has filled"
        early = self.executions.early_commission(said)
        return [*bound, *fill, *(self._commission(early, ts) if early is not None else ())]

    def _commission(self, said: CommissionReport, ts: int) -> Iterable[Event]:
        return self.executions.commission(said, ts)

    # -- errors --------------------------------------------------------------------------------

    def _error(self, said: ErrorMessage, ts: int) -> Iterable[Event]:
        order = self.speaks_of(said.req_id)
        known = self._orders.get(order) if order else None
        if known is None or said.code not in _JUDGED:
            return ()
        attempt = self._routes.attempt(order)
        if attempt is not None and attempt.broker_id != said.req_id:
            return ()  # it speaks of an earlier attempt
        acknowledged = self.acknowledged(order)
        if acknowledged or said.code in DOUBTFUL:
            # It is at the broker, or may be: the code speaks of a change of it, or of what became of it.
            if known.working and said.code not in _SEEN_IN_BOOK:
                was = "was acknowledged" if acknowledged else "may be at the broker"
                self._complaint = f"{said.code} about {order}, which {was}"
            return ()
        text = f"{said.code}: {said.text}"
        self._told[order] = Told("Rejected", 1, text)
        return (_changed(known, "Rejected", text, 1, ts), *self._exposed(known, text, ts))

    def _exposed(self, child: Order, why: str, ts: int) -> Iterable[Event]:
        """Return the alarm about an exit that is not there; an entry without a stop is cancelled."""
        parent = self._orders.get(child.parent) if child.parent else None
        told = self._told.get(child.parent)  # perhaps in this look, and not folded yet
        if parent is not None and told is not None and told.status in _OVER and not parent.filled:
            return ()
        alarm = exit_missing(child, parent, self._orders.working(), why, ts)
        if alarm is None:
            return ()
        if alarm.kind == UNPROTECTED and parent is not None and parent.working:
            self.out.withdraw(entry_cancel(parent, f"its stop {child.id} was refused", ts))
        return (alarm,)


def lost_order_seen(order: Order, ts: int) -> BreakFound:
    """Return the alarm about an order that was presumed lost and is at the broker after all."""
    message = f"{order.id} was presumed lost and is at the broker: it is being cancelled; look, then accept"
    return BreakFound(ts, order.account, order.instrument, "lost_order", "lost", "working", message)


def _same(before: Told, told: Told) -> bool:
    return (before.status, before.version) == (told.status, told.version)


def _changed(order: Order, status: Any, message: str, version: int, ts: int) -> OrderStatusChanged:
    who = (order.account, order.strategy, order.instrument)
    return OrderStatusChanged(ts, order.id, version, *who, status, message)
