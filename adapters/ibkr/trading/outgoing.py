"""Orders on their way out: names for what leaves, its bytes, and changes that wait for their order.

An entry and its exits that were decided together leave as one request. The broker holds back all of such a
family until it has the last one, so that no entry ever works there without its exits. A change waits until
the broker has acknowledged its order, which else takes the change for a second order with the same id. What
waits too long, or finds the gate closed, is not sent. It sends nothing itself and never resends.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.trading.families import families, orphaned, other_client, parent_at_broker
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.order_fields import ORDER_REF_MAX, Names, terms_of
from core.clock import SECOND_NS
from core.effects import Effect
from core.events import CancelIntended, Event, ModifyIntended, OrderAttempted, OrderIntended
from core.views import GateView, InstrumentsView, Order, OrdersView
from projections.records import Version
from projections.routes import Attempt, Routes

WAIT_S = 10.0
"""How long a change waits for its order to be acknowledged."""
ID_MAX = 2**31 - 1


class Request(msgspec.Struct, frozen=True):
    """Bytes to send for an effect, and how urgent they are; `exits` leave with it or not at all."""

    lane: Lane
    data: bytes
    effect: Effect
    exits: tuple["Request", ...] = ()

    @property
    def members(self) -> tuple["Request", ...]:
        """All that leaves together, in the order in which it does."""
        return (self, *self.exits)

    def speaks_of(self, order: str) -> bool:
        """Return whether an order is among what leaves together."""
        return any(each.effect.request.order == order for each in self.members)


class Waiting(msgspec.Struct, frozen=True):
    """An effect that must not leave yet, and from when on it never will."""

    effect: Effect
    until_ns: int


class SentOrders(OrdersView, Protocol):
    """Orders as folded, with their versions."""

    def orders(self) -> list[Order]:
        """Return all orders, oldest first."""

    def versions(self, order: str) -> Sequence[Version]:
        """Return the versions of an order that may be at the broker, the first one first."""


class Outgoing:
    """What leaves for the broker. `routes`, `orders` and `gate` are folds of the log, read only."""

    def __init__(
        self,
        client_id: int,
        prefix: str,
        routes: Routes,
        orders: SentOrders,
        instruments: InstrumentsView,
        acknowledged: Callable[[str], bool],
        gate: GateView | None = None,
    ) -> None:
        self.client_id = client_id
        self._prefix = prefix
        self._routes = routes
        self._orders = orders
        self._instruments = instruments
        self._acknowledged = acknowledged
        self._gate = gate
        self.entries: set[str] = set()  # entries whose exits went out while this process ran
        self._next_id = 0
        self._waiting: list[Waiting] = []
        self._urgent: list[Effect] = []

    # -- names ---------------------------------------------------------------------------------

    def offered(self, order_id: int) -> None:
        """Take the broker's next valid id; ids that were ever used are not used again."""
        self._next_id = max(self._next_id, self._routes.next_id(self.client_id, order_id))

    def seen(self, order_id: int | None) -> None:
        """Take an id that some order at the broker has: ours have to be higher."""
        if order_id is not None and self._next_id <= order_id < ID_MAX:
            self._next_id = order_id + 1

    def take_id(self) -> int:
        """Return an id that no order and no request has had."""
        self._next_id += 1
        return self._next_id - 1

    def attempts(self, effects: Sequence[Effect], ts: int) -> list[Event]:
        """Name what a slice decided to send; recorded with the decision, before its first byte leaves."""
        named: list[Event] = []
        together: dict[str, int] = {}  # the order ids of this slice: of parents whose children come with them
        for effect in effects:
            request = effect.request
            known = self._routes.attempt(request.order)
            if isinstance(request, OrderIntended):
                if request.parent:
                    self.entries.add(request.parent)
                attempt = 1 if known is None else known.attempt + 1
                together[request.order] = broker_id = self.take_id()
                names = (attempt, self._short(request.order, f".{attempt}"), broker_id)
                named.append(
                    OrderAttempted(
                        ts,
                        request.order,
                        1,
                        *names,
                        self.client_id,
                        together.get(request.parent) or self._parent_id(request),
                        self._short(request.oca, "") if request.oca else "",
                    )
                )
            elif isinstance(request, ModifyIntended) and known is not None:
                names = (known.attempt, known.ref, known.broker_id)
                more = (known.client_id, known.parent_id, known.group)
                named.append(OrderAttempted(ts, request.order, request.version, *names, *more))
        return named

    def _parent_id(self, intent: OrderIntended) -> int:
        """Return under which id the parent of an order that goes out later than it is known at the broker."""
        parent = self._orders.get(intent.parent) if intent.parent else None
        return 0 if parent is None else parent_at_broker(parent, self._routes.attempt(parent.id))

    def _short(self, name: str, end: str) -> str:
        """Return a name for the broker that no other log gives anything."""
        ref = f"{self._prefix}{name}{end}"
        if len(ref) <= ORDER_REF_MAX and ref.isascii() and ref.isprintable():
            return ref
        short = blake2b(name.encode(), digest_size=8).hexdigest()
        return f"{self._prefix[: ORDER_REF_MAX - 20]}{short}{end}"

    # -- bytes ---------------------------------------------------------------------------------

    def together(self, effects: Sequence[Effect]) -> list[list[Effect]]:
        """Return what leaves with what: an entry with its exits, all else alone."""
        return families(effects)

    def request(self, effects: Sequence[Effect], encoder: Encoder) -> Request | None:
        """Return the bytes of a family, or of one effect; `None` if an order never had a name there."""
        if any(self._routes.attempt(effect.request.order) is None for effect in effects):
            return None
        last = len(effects) - 1
        first, *exits = (self._one(e, encoder, transmit=n == last) for n, e in enumerate(effects))
        return msgspec.structs.replace(first, exits=tuple(exits))

    def _one(self, effect: Effect, encoder: Encoder, *, transmit: bool) -> Request:
        intent: Any = effect.request
        route = self._routes.attempt(intent.order)
        assert route is not None
        if isinstance(intent, CancelIntended):
            return Request(Lane.CANCEL, encoder.cancel_order(route.broker_id), effect)
        contract = contract_of(self._instruments.instrument(intent.instrument))
        new = isinstance(intent, OrderIntended)
        order = intent if new else self._modified(intent)
        terms = terms_of(order, _names(route), transmit=transmit)
        lane = Lane.NEW_ORDER if new else Lane.MODIFY
        return Request(lane, encoder.place_order(route.broker_id, contract, terms), effect)

    def _modified(self, intent: ModifyIntended) -> Order:
        known = self._orders.get(intent.order)
        assert known is not None, "a modify without its order does not pass the risk gate"
        # A trailing stop that is given its start again would jump back to it.
        started = known.type == "TRAIL" and self._started(intent)
        named = {name: getattr(intent, name) for name in ("tif", "good_till", "outside_rth")}
        times = {name: value for name, value in named.items() if value is not None}
        if times.get("tif", "GTD") != "GTD":
            times["good_till"] = None
        return msgspec.structs.replace(
            known,
            quantity=intent.quantity,
            limit=intent.limit,
            stop=None if started else intent.stop,
            trail=intent.trail,
            trail_pct=intent.trail_pct,
            **times,
        )

    def _started(self, intent: ModifyIntended) -> bool:
        before = [v for v in self._orders.versions(intent.order) if v.number < intent.version]
        return bool(before) and before[-1].stop == intent.stop

    # -- waiting -------------------------------------------------------------------------------

    def holds(self, effect: Effect, now_ns: int) -> bool:
        """Take an effect that is about to be sent; return whether it has to wait for its order."""
        if not isinstance(effect.request, ModifyIntended) or self._acknowledged(effect.request.order):
            return False
        self._waiting.append(Waiting(effect, now_ns + round(WAIT_S * SECOND_NS)))
        return True

    def closed(self, effects: Sequence[Effect]) -> str:
        """Return why a family, an order or a change may not leave, or nothing.

        A cancel always may, but for one of an order that another client placed: its order id means something
        else here, and a change under it would be a second order.
        """
        reasons = (self._closed(effect, {e.request.order for e in effects}) for effect in effects)
        return next((why for why in reasons if why), "")

    def _closed(self, effect: Effect, family: set[str]) -> str:
        intent = effect.request
        foreign = "" if isinstance(intent, OrderIntended) else self._placed_elsewhere(intent.order)
        if foreign or isinstance(intent, CancelIntended):
            return foreign
        barred = self._gate.bars(intent.order, intent.instrument) if self._gate is not None else None
        if barred:
            return barred
        if not isinstance(intent, OrderIntended) or intent.parent in family:
            return ""
        if not intent.parent:
            return self._alone(intent, family)
        route = self._routes.attempt(intent.parent)
        known = self._acknowledged(intent.parent)
        return orphaned(intent, self._orders.get(intent.parent), route, self.client_id, acknowledged=known)

    def _placed_elsewhere(self, order: str) -> str:
        route = self._routes.attempt(order)
        if route is None or route.client_id == self.client_id:
            return ""
        return other_client(order, route, self.client_id)

    def _alone(self, entry: OrderIntended, family: set[str]) -> str:
        """Return why an entry that is put up again may not: an exit of it is neither with it nor at work."""
        route = self._routes.attempt(entry.order)
        if route is None or route.attempt == 1:
            return ""
        exits = [o for o in self._orders.orders() if o.parent == entry.order]
        gone = next((o.id for o in exits if o.id not in family and not o.working), "")
        return f"it is not put up again without its exit {gone}" if gone else ""

    def withdraw(self, cancel: CancelIntended) -> None:
        """Ask for a cancel that no strategy decided."""
        if all(effect.request.order != cancel.order for effect in self._urgent):
            self._urgent.append(Effect(0, cancel))

    @property
    def waits(self) -> bool:
        """Whether anything waits for its order, or to be asked for."""
        return bool(self._waiting or self._urgent)

    def due(self, now_ns: int) -> tuple[list[Effect], list[tuple[Effect, str]]]:
        """Return what has waited long enough: to be sent now, and never to be sent with the reason."""
        go, never, still = self._urgent, list[tuple[Effect, str]](), list[Waiting]()
        self._urgent = []
        for waiting in self._waiting:
            effect = waiting.effect
            order = self._orders.get(effect.request.order)
            if order is None or not order.working:
                never.append((effect, "the order has ended"))
            elif self._acknowledged(order.id):
                go.append(effect)
            elif now_ns >= waiting.until_ns:
                never.append((effect, f"the order was not acknowledged within {WAIT_S:g} s"))
            else:
                still.append(waiting)
        self._waiting = still
        return go, never

    def drop(self) -> list[Effect]:
        """Forget what waits: the connection is gone. Return what was not sent."""
        dropped = [waiting.effect for waiting in self._waiting]
        self._waiting, self._urgent = [], []
        return dropped


def _names(route: Attempt) -> Names:
    return Names(route.ref, route.parent_id, route.group)
