"""The simulated broker: takes orders from the loop, lets market data meet them, reports facts.

Owns when requests arrive and what comes due. Each instrument's orders meet its prices in a pit of their own
(`adapters.replay.pit`); the orders themselves are in `adapters.replay.working`. Everything it says is an
event of the broker or effect class, exactly as Interactive Brokers would report it. Brackets and
one-cancels-all groups are carried out here, for replays and the simulated gateway alike: a child waits with
the status `PreSubmitted` for its parent.
"""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import partial

from adapters.replay.filling import Dealing
from adapters.replay.pit import Pit
from adapters.replay.working import Request, Working, status
from core.agenda import AFTER_SCAN, BEFORE_PRICES, Agenda
from core.clock import NEVER
from core.commissions import CommissionModel
from core.effects import Effect
from core.events import (
    Bar,
    CancelIntended,
    Event,
    ModifyIntended,
    OrderIntended,
    OrderSent,
    OrderStatus,
    Quote,
    QuoteBar,
    Trade,
)
from core.matching import FillModel, Recall, Resting, fills_on_arrival, start_trail
from core.order_rules import LASTING
from core.price_steps import PriceSteps, steps_of
from core.views import BookView, InstrumentsView

_BARS = (Bar, QuoteBar)


class _Pits(dict[str, Pit]):
    def __init__(self, make: Callable[[str], Pit]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, instrument: str) -> Pit:
        pit = self[instrument] = self._make(instrument)
        return pit


class SimulatedBroker:
    """A broker port whose answers follow from market data and a fill model alone.

    `bar_instruments` fill in bar mode; there, the prices of orders in `adjusted` instruments are not rounded.
    """

    def __init__(
        self,
        model: FillModel,
        commission: CommissionModel,
        books: Callable[[str], BookView],
        instruments: InstrumentsView,
        agenda: Agenda,
        bar_instruments: frozenset[str] = frozenset(),
        adjusted: frozenset[str] = frozenset(),
    ) -> None:
        self._latency_ns = round(model.latency_ms * 1e6)
        self._trigger = model.trigger
        self._adjusts = model.action_orders == "adjust"
        self._books = books
        self._instruments = instruments
        self._agenda = agenda
        self._dealing = Dealing(model, commission)
        self._working = Working(self._latency_ns, self._start_trail)

        def new_pit(instrument: str) -> Pit:
            return Pit(
                instrument,
                books(instrument),
                instruments,
                self._working,
                self._dealing,
                in_bars=instrument in bar_instruments,
                adjusted=instrument in adjusted,
            )

        self._pits = _Pits(new_pit)
        self.orders = 0  # new orders taken
        self._arrivals = 0
        self._expiring = NEVER  # a time that the agenda has already: that of the last order
        self._recalled: Recall | None = None

    @property
    def fills(self) -> int:
        """How many fills there were."""
        return self._dealing.fills

    # -- the broker port -----------------------------------------------------------------------

    def resting(self, instrument: str) -> list[Resting]:
        """Return the live list of the instrument's resting orders, empty or not."""
        return self._working.resting(instrument)

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Take what a slice decided; without latency it arrives at once."""
        facts: list[Event] = []
        for effect in effects:
            request = effect.request
            if type(request) is OrderIntended:
                facts.append(OrderSent(ts, request.order, 1))
                self.orders += 1
                if not self._latency_ns:  # as a rule
                    self._arrive_new(request, facts, ts)
                    continue
            elif type(request) is ModifyIntended:
                facts.append(OrderSent(ts, request.order, request.version))
                if (known := self._working.get(request.order)) is not None:
                    known.promised = max(known.promised, request.version)
            if not self._latency_ns:
                self._arrive(request, facts, ts)
                continue
            self._arrivals += 1
            key = f"arrival:{self._arrivals}"
            self._agenda.set(key, ts + self._latency_ns, partial(self._arrived_late, request))
        return facts

    def release(self, effects: Sequence[Effect]) -> None:
        """Do nothing: a simulated send is over when `accept` returns."""

    def recall(self, waiting: Iterable[tuple[OrderIntended, int]]) -> Recall:
        """Return what is to meet the events since orders came here before, for `resume` to go on from."""
        self._recalled = Recall(waiting, self._instruments, self._books, self._trigger)
        return self._recalled

    def resume(self, orders: Sequence[tuple[OrderIntended, int, Decimal, bool]], ts: int) -> None:
        """Take back orders that were here before: latest terms, version, what they filled, and whether over.

        Those that are over matter for what their relatives may still fill. Nothing is told of any of them.
        What had not been recalled waits for its trigger as if it had just arrived.
        """
        recalled = {} if self._recalled is None else self._recalled.orders
        resting = [(_resumed(intent, version, filled, ts), over) for intent, version, filled, over in orders]
        for order, over in resting:
            known = recalled.get(order.intent.order)
            if known is not None and not over:
                order.type, order.stop = known.type, known.stop
            if not over and self._pits[order.intent.instrument].admission.admit(order, ts):
                order.expires = ts  # its time ran out meanwhile
        self._working.resume(resting)
        for order, over in resting:
            if not over and order.expires != NEVER:
                self._expire_at(order.expires)
            if not over and order.due is not None:
                self._close_at(order.due, self._pits[order.intent.instrument])

    def scan(self, event: Event) -> Sequence[Event]:
        """Let a market event meet the resting orders of its instrument."""
        if type(event) is Trade or type(event) is Quote:
            return () if event.suspicious else self._pits[event.instrument].meet_tick(event)
        return self._pits[event.instrument].meet_bar(event) if isinstance(event, _BARS) else ()

    # -- arrivals ------------------------------------------------------------------------------

    def _arrived_late(self, request: Request, ts: int) -> list[Event]:
        facts: list[Event] = []
        self._arrive(request, facts, ts)
        return facts

    def _arrive(self, request: Request, facts: list[Event], ts: int) -> None:
        if isinstance(request, OrderIntended):
            self._arrive_new(request, facts, ts)
            return
        order = self._working.get(request.order)
        if order is None:
            facts.append(self._too_late(request, ts))
        elif isinstance(request, CancelIntended):
            self._working.end(order, "Cancelled", facts, ts, request.reason)
        else:
            self._modify(order, request, facts, ts)

    def _too_late(self, request: ModifyIntended | CancelIntended, ts: int) -> Event:
        past = self._working.ended(request.order)
        done: OrderStatus = (past is not None and past.ended) or "Rejected"
        message = f"too late: the order was {done.lower()} before"
        if isinstance(request, ModifyIntended):  # the version is void; the order is what it was
            return status(ts, request, request.version, "Rejected", message)
        return status(ts, request, 1, done, message)

    def _modify(self, order: Resting, request: ModifyIntended, facts: list[Event], ts: int) -> None:
        if request.tif is not None and order.intent.tif not in LASTING:
            why = f"an {order.intent.tif} order cannot become {request.tif}"
            facts.append(status(ts, request, request.version, "Rejected", why))
            return
        admission = self._pits[order.intent.instrument].admission
        order.amend(request)
        if order.change_times(request):
            admission.renew(order, ts)
            if order.expires != NEVER:
                self._expire_at(order.expires)
        admission.round_prices(order, request.limit, request.stop)
        if order.complete:
            why = "the new quantity was filled already"
            self._working.end(order, "Cancelled", facts, ts, why)
        else:
            self._working.amended(order, request, facts, ts)

    def _arrive_new(self, intent: OrderIntended, facts: list[Event], ts: int) -> None:
        pit = self._pits[intent.instrument]
        order = Resting.arrived(intent, ts)
        refused = pit.admission.admit(order, ts)
        if intent.parent or intent.oca:
            refused = refused or self._working.join(order)
        if refused:
            self._working.reject(order, refused, facts, ts)
            return
        self._working.add(order, facts, ts)
        expires = order.expires
        if expires != self._expiring and expires != NEVER:  # noqa: PLR1714 - hot: `in` makes a tuple
            self._expire_at(expires)
        if order.due is not None:
            self._close_at(order.due, pit)
        if pit.in_bars and order.listed and fills_on_arrival(order):
            pit.fill_on_arrival(order, facts, ts)

    def _start_trail(self, order: Resting) -> None:
        start_trail(order, self._pits[order.intent.instrument].book.mark)

    # -- what is due ---------------------------------------------------------------------------

    def _expire_at(self, due: int) -> None:
        key = f"expiry:{due}"
        if key not in self._agenda:
            self._agenda.set(key, due, self._expire)
        self._expiring = due

    def _expire(self, ts: int) -> list[Event]:
        facts: list[Event] = []
        self._expiring = NEVER
        for order in self._working:
            if order.expires <= ts and not order.ended:
                tif = order.intent.tif
                why = "its time is up" if tif == "GTD" else "the session closed"
                self._working.end(order, "Cancelled", facts, ts, f"{tif} order: {why}")
        return facts

    def split(self, instrument: str, ratio: Decimal, reason: str, ts: int) -> list[Event]:
        """Do to the orders in an instrument what a split does to them by the fill model; return the facts."""
        if self._adjusts and ratio > 1:
            return self._working.split(instrument, ratio, self._steps(instrument), reason, ts)
        facts: list[Event] = []
        for order in self._working:
            if order.intent.instrument == instrument and not order.ended:
                self._working.end(order, "Cancelled", facts, ts, reason)
        return facts

    def pay_dividend(self, instrument: str, dividend: Decimal, reason: str, ts: int) -> list[Event]:
        """Do to the orders in an instrument what a dividend does to them by the fill model."""
        if not self._adjusts:
            return []
        return self._working.pay_dividend(instrument, dividend, self._steps(instrument), reason, ts)

    def _steps(self, instrument: str) -> PriceSteps:
        return steps_of(self._instruments.instrument(instrument))

    def _close_at(self, due: int, pit: Pit) -> None:
        """Let market-on-close orders fill when the session closes; in bar mode after its last bar did."""
        key = f"close:{pit.instrument}:{due}"
        if key not in self._agenda:
            self._agenda.set(key, due, pit.close, AFTER_SCAN if pit.in_bars else BEFORE_PRICES)


def _resumed(intent: OrderIntended, version: int, filled: Decimal, ts: int) -> Resting:
    order = Resting.arrived(intent, ts)
    order.version = order.promised = version
    order.filled = filled
    order.fresh = False  # it rested: a limit fills at its own price
    return order
