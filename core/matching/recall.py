"""What passed by orders that wait for a trigger, while nobody matched them: a broker that begins again.

A recorded day can be gone through once more. An order that was at work before has triggered if a price of
that time triggered it, and a trailing stop stands where the market had taken it. Nothing fills here. Pure;
ticks only. Which of the prices of the very moment of its arrival an order met is not known: none is taken.
"""

from collections.abc import Callable, Iterable

from core.events import Event, OrderIntended, Quote, Trade
from core.matching.hours import Hours
from core.matching.model import Trigger
from core.matching.order import Resting
from core.matching.ticks import pass_by, start_trail
from core.views import BookView, InstrumentsView

WAITING = frozenset({"STP", "STP LMT", "TRAIL", "LIT"})
"""The types that wait for a trigger."""


class Recall:
    """Takes a day's events in order, prices folded before; `orders` then stand as they stood at its end.

    `waiting` are orders and since when (ns) they were at work.
    """

    def __init__(
        self,
        waiting: Iterable[tuple[OrderIntended, int]],
        instruments: InstrumentsView,
        books: Callable[[str], BookView],
        trigger: Trigger,
    ) -> None:
        self.orders = {
            intent.order: Resting.arrived(intent, since)
            for intent, since in waiting
            if intent.type in WAITING
        }
        self._by_name: dict[str, list[Resting]] = {}
        for order in self.orders.values():
            self._by_name.setdefault(order.intent.instrument, []).append(order)
        self._hours = {name: Hours(instruments, name) for name in self._by_name}
        self._books = {name: books(name) for name in self._by_name}
        self._trigger = trigger
        self._last: dict[str, float] = {}

    def meet(self, event: Event) -> None:
        """Let an event pass by the orders of its instrument."""
        if not isinstance(event, Trade | Quote) or event.suspicious:
            return
        name = event.instrument
        for order in self._by_name.get(name, ()):
            if event.ts <= order.created_ts or self._books[name].halted:
                continue
            start_trail(order, self._last.get(name))
            if order.intent.outside_rth or self._hours[name].regular(event.ts):
                pass_by(order, event, self._books[name], self._trigger)
        if isinstance(event, Trade):
            self._last[name] = event.price
