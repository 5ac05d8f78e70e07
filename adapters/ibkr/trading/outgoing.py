"""Orders on their way out: names for what leaves, its bytes, and changes that wait for their order.

A change waits until the broker has acknowledged its order, which else takes the change for a second order
with the same id. What waits too long, or finds the gate closed, is not sent. It sends nothing itself and
never resends.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.order_fields import ORDER_REF_MAX, terms_of
from adapters.ibkr.wire.terms import OrderTerms
from core.clock import SECOND_NS
from core.effects import Effect
from core.events import CancelIntended, Event, ModifyIntended, OrderAttempted, OrderIntended
from core.views import GateView, InstrumentsView, OrdersView
from projections.routes import Routes

WAIT_S = 10.0
"""How long a change waits for its order to be acknowledged."""
ID_MAX = 2**31 - 1


class Request(msgspec.Struct, frozen=True):
    """Bytes to send for an effect, and how urgent they are."""

    lane: Lane
    data: bytes
    effect: Effect


class Waiting(msgspec.Struct, frozen=True):
    """An effect that must not leave yet, and from when on it never will."""

    effect: Effect
    until_ns: int


class Outgoing:
    """What leaves for the broker. `routes`, `orders` and `gate` are folds of the log, read only."""

    def __init__(
        self,
        client_id: int,
        prefix: str,
        routes: Routes,
        orders: OrdersView,
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
        self._next_id = 0
        self._waiting: list[Waiting] = []

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
        for effect in effects:
            request = effect.request
            known = self._routes.attempt(request.order)
            if isinstance(request, OrderIntended):
                attempt = 1 if known is None else known.attempt + 1
                names = (attempt, self._ref(request.order, attempt), self.take_id())
                named.append(OrderAttempted(ts, request.order, 1, *names, self.client_id))
            elif isinstance(request, ModifyIntended) and known is not None:
                names = (known.attempt, known.ref, known.broker_id)
                named.append(OrderAttempted(ts, request.order, request.version, *names, known.client_id))
        return named

    def _ref(self, order: str, attempt: int) -> str:
        ref = f"{self._prefix}{order}.{attempt}"
        if len(ref) <= ORDER_REF_MAX and ref.isascii() and ref.isprintable():
            return ref
        short = blake2b(order.encode(), digest_size=8).hexdigest()
        return f"{self._prefix[: ORDER_REF_MAX - 20]}{short}.{attempt}"

    # -- bytes ---------------------------------------------------------------------------------

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
        terms = terms_of(intent, route.ref)
        return Request(Lane.NEW_ORDER, encoder.place_order(route.broker_id, contract, terms), effect)

    def _modified(self, intent: ModifyIntended, ref: str) -> OrderTerms:
        known = self._orders.get(intent.order)
        assert known is not None, "a modify without its order does not pass the risk gate"
        return OrderTerms(
            side=known.side,
            quantity=intent.quantity,
            type=known.type,
            limit=intent.limit,
            stop=intent.stop,
            tif=known.tif,
            account=known.account,
            order_ref=ref,
        )

    # -- waiting -------------------------------------------------------------------------------

    def holds(self, effect: Effect, now_ns: int) -> bool:
        """Take an effect that is about to be sent; return whether it has to wait for its order."""
        if not isinstance(effect.request, ModifyIntended) or self._acknowledged(effect.request.order):
            return False
        self._waiting.append(Waiting(effect, now_ns + round(WAIT_S * SECOND_NS)))
        return True

    def closed(self, effect: Effect) -> str:
        """Return why an order or a change may not leave any more, or nothing; a cancel always may."""
        if self._gate is None or isinstance(effect.request, CancelIntended):
            return ""
        return self._gate.bars(effect.request.order, effect.request.instrument) or ""

    @property
    def waits(self) -> bool:
        """Whether anything waits for its order."""
        return bool(self._waiting)

    def due(self, now_ns: int) -> tuple[list[Effect], list[tuple[Effect, str]]]:
        """Return what has waited long enough: to be sent now, and never to be sent with the reason."""
        go, never, still = list[Effect](), list[tuple[Effect, str]](), list[Waiting]()
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
        self._waiting = []
        return dropped
