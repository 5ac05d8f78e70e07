"""Requests on their way out: within the pace, orders only while the other side answers; what became of them.

Owns the queue between a decision and the socket. An order that finds no fresh answer of the gateway waits
for one; if the connection ends first, it is reported as not sent. An entry leaves with its exits in one write
and counts as many in the pace. Nothing is ever sent twice, and nothing is kept for another connection.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from adapters.ibkr.link.heartbeat import Heartbeat
from adapters.ibkr.link.pacing import RATE_PER_S, URGENT_RATE_PER_S, Lane, Pacer
from adapters.ibkr.trading.outgoing import Request
from core.effects import Effect
from core.errors import WriteFailed
from core.events import CancelIntended, CancelSent, Event, OrderIntended, OrderSent, SendFailed

_UNPACED = 10_000
_NEED_FRESH = frozenset((Lane.NEW_ORDER, Lane.MODIFY))
"""A cancel never waits: sent in vain it does no harm."""


class Wire(Protocol):
    """The connection's way out."""

    def send(self, data: bytes) -> None:
        """Hand bytes to the connection; raises `WriteFailed`."""


class Sending:
    """`offer` queues, `flush` sends what may go now, `outcomes` are the events of what happened."""

    def __init__(self, heartbeat: Heartbeat, now: Callable[[], int], *, trusting: bool = False) -> None:
        # A gateway in lock step counts nothing; at a pace its day would run ahead of our orders.
        pace = (_UNPACED, _UNPACED) if trusting else (RATE_PER_S, URGENT_RATE_PER_S)
        self._pacer: Pacer[Request | bytes] = Pacer(*pace, size=_messages)
        self._heartbeat = heartbeat
        self._now = now
        self._trusting = trusting  # in lock step every step is a question that was answered
        self._waiting: deque[Request] = deque()
        self._outcomes: deque[Event] = deque()

    def offer(self, lane: Lane, data: bytes) -> None:
        """Queue a request that is no order."""
        self._pacer.offer(lane, data)

    def offer_order(self, request: Request) -> None:
        """Queue an order, a modify or a cancel. A cancel takes back what of its order has not left yet.

        A cancel of one exit of a family that waits leaves behind the family: the rest of it is still wanted.
        """
        order = request.effect.request.order
        if request.lane is not Lane.CANCEL:
            self._pacer.offer(request.lane, request)
        elif self._waits_as_exit(order):
            self._pacer.offer(Lane.NEW_ORDER, msgspec.structs.replace(request, lane=Lane.NEW_ORDER))
        elif not self._taken_back(order):
            self._pacer.offer(Lane.CANCEL, request)

    def _waits_as_exit(self, order: str) -> bool:
        waiting = (*self._waiting, *self._pacer.queued(Lane.NEW_ORDER))
        families = [each for each in waiting if isinstance(each, Request) and each.exits]
        return any(each.speaks_of(order) and each.effect.request.order != order for each in families)

    def _taken_back(self, order: str) -> bool:
        """Take back what waits of an order; return whether the order itself was among it."""

        def of_order(request: Request | bytes) -> bool:
            return isinstance(request, Request) and request.lane in _NEED_FRESH and request.speaks_of(order)

        back = [each for each in self._waiting if of_order(each)]
        self._waiting = deque(each for each in self._waiting if not of_order(each))
        back += [each for each in self._pacer.withdraw(of_order) if isinstance(each, Request)]
        for each in back:
            self._all_failed(each, "cancelled before it left")
        return any(isinstance(each.effect.request, OrderIntended) for each in back)

    def flush(self, wire: Wire, ping: Callable[[], bytes], now_ns: int) -> None:
        """Send what may go now; raises `WriteFailed` when the connection takes no more."""
        urgent: deque[Request | bytes] = deque()
        for each in self._pacer.take(now_ns):
            if isinstance(each, Request) and each.lane in _NEED_FRESH:
                self._waiting.append(each)
            else:
                urgent.append(each)
        while urgent:
            self._send(wire, urgent.popleft(), urgent)
        fresh = self._trusting or self._heartbeat.fresh(now_ns)
        while fresh and self._waiting:
            self._send(wire, self._waiting.popleft(), ())
        if not self._trusting and self._heartbeat.due(now_ns, wanted=bool(self._waiting)):
            wire.send(ping())
            self._heartbeat.asked(now_ns)

    def slower(self) -> None:
        """Halve the pace for the rest of the session: the broker complained."""
        self._pacer.halve()

    def next_ns(self) -> int | None:
        """Return from when on `flush` would have something to do; `None` if nothing waits for the pace."""
        return self._pacer.next_ns()

    def refuse(self, effect: Effect, why: str) -> None:
        """Report that an effect did not leave and will not."""
        self._failed(effect, 0, why)

    @property
    def waiting(self) -> int:
        """How many requests wait, for the pace or for an answer."""
        return len(self._waiting) + sum(self._pacer.waiting(lane) for lane in Lane)

    def withdraw(self, why: str) -> None:
        """Report the orders and changes that wait as not sent."""

        def late(request: Request | bytes) -> bool:
            return isinstance(request, Request) and request.lane in _NEED_FRESH

        for request in (*self._waiting, *self._pacer.withdraw(late)):
            if isinstance(request, Request):
                self._all_failed(request, why)
        self._waiting.clear()

    def end(self, why: str) -> None:
        """Report all that waits as not sent: the connection is gone."""
        for request in (*self._waiting, *self._pacer.drain()):
            if isinstance(request, Request):
                self._all_failed(request, why)
        self._waiting.clear()

    def outcomes(self) -> list[Event]:
        """Return what happened since the last call."""
        happened = list(self._outcomes)
        self._outcomes.clear()
        return happened

    def _send(self, wire: Wire, request: Request | bytes, behind: Iterable[Request | bytes]) -> None:
        """Send one; if that fails, what came behind it in the same turn did not leave either."""
        members = request.members if isinstance(request, Request) else ()
        try:
            wire.send(request if isinstance(request, bytes) else b"".join(each.data for each in members))
        except WriteFailed as error:
            left = error.bytes_written
            for number, each in enumerate(members, 1):
                own = left if number == len(members) else min(left, len(each.data))
                self._failed(each.effect, own, str(error))
                left -= own
            for other in behind:
                if isinstance(other, Request):
                    self._all_failed(other, str(error))
            raise
        for each in members:
            self._left(each.effect)

    def _left(self, effect: Effect) -> None:
        intent = effect.request
        if isinstance(intent, CancelIntended):
            reason = "" if effect.seq else intent.reason  # no decision: a look at the book asked for it
            self._outcomes.append(CancelSent(self._now(), intent.order, reason))
        else:
            self._outcomes.append(OrderSent(self._now(), intent.order, getattr(intent, "version", 1)))

    def _all_failed(self, request: Request, why: str) -> None:
        for each in request.members:
            self._failed(each.effect, 0, why)

    def _failed(self, effect: Effect, bytes_written: int, why: str) -> None:
        intent: Any = effect.request
        version = 0 if isinstance(intent, CancelIntended) else getattr(intent, "version", 1)
        self._outcomes.append(SendFailed(self._now(), intent.order, version, bytes_written, why))


def _messages(request: Request | bytes) -> int:
    """Return as how many messages a request counts in the pace."""
    return len(request.members) if isinstance(request, Request) else 1
