"""The simulated broker: takes orders from the loop, lets market data meet them, reports facts.

It drives `core.matching` and owns the resting orders; it reads prices from the quotes view and never
keeps its own. Everything it says is an event of the broker or effect class, exactly as Interactive
Brokers would report it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial

import msgspec

from core.agenda import Agenda
from core.clock import NEVER
from core.commissions import CommissionModel
from core.effects import Effect
from core.events import (
    Bar,
    CancelIntended,
    CommissionReported,
    Event,
    Filled,
    InstrumentDefined,
    ModifyIntended,
    OrderIntended,
    OrderSent,
    OrderStatus,
    OrderStatusChanged,
    Quote,
    Trade,
)
from core.matching import Resting, market_price_in_bars, match_bar, match_tick
from core.money import CONTEXT, money, price
from core.views import InstrumentsView, QuotesView

_Request = OrderIntended | ModifyIntended | CancelIntended
_WHOLE_FEES_MAX = 100_000


class FillModel(msgspec.Struct, frozen=True):
    """The assumptions of a simulation, named and logged.

    `latency_ms` of event time passes before a new order, modify or cancel arrives. With
    `partial_fills` an order takes no more than the size displayed at the best opposite quote (or, without
    quotes, printed), and the rest waits for the next update.
    """

    latency_ms: float = 0.0
    partial_fills: bool = False

    @property
    def name(self) -> str:
        """The model as text, for the log and the report."""
        size = "displayed size" if self.partial_fills else "full size"
        return f"quotes, {size}, latency {self.latency_ms:g} ms"


class SimulatedBroker:
    """A broker port whose answers follow from market data and a fill model alone."""

    def __init__(
        self,
        model: FillModel,
        commission: CommissionModel,
        quotes: QuotesView,
        instruments: InstrumentsView,
        agenda: Agenda,
        bar_instruments: frozenset[str] = frozenset(),
    ) -> None:
        self._model = model
        self._latency_ns = round(model.latency_ms * 1e6)
        self._commission = commission
        self._quotes = quotes
        self._instruments = instruments
        self._agenda = agenda
        self._resting: defaultdict[str, list[Resting]] = defaultdict(list)
        self._orders: dict[str, Resting] = {}
        # How orders ended, for requests that are still on their way: none is longer than the latency.
        self._done: dict[str, OrderStatus] = {}
        self._done_before: dict[str, OrderStatus] = {}
        self._done_since = 0
        self._whole_fees: dict[tuple[str, Decimal, Decimal], Decimal] = {}
        self._in_bars = bar_instruments  # their market orders fill on acceptance
        self._taken: dict[tuple[str, str], float] = {}  # displayed size already taken
        self._expiry: dict[str, tuple[int, int]] = {}
        self.orders = 0  # new orders taken
        self.fills = 0
        self._arrivals = 0

    # -- the broker port -----------------------------------------------------------------------

    def resting(self, instrument: str) -> list[Resting]:
        """Return the live list of the instrument's resting orders, empty or not."""
        return self._resting[instrument]

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Take what a slice decided; without latency it arrives at once."""
        facts: list[Event] = []
        for effect in effects:
            request = effect.request
            if type(request) is OrderIntended:
                facts.append(OrderSent(ts, request.order, 1))
                self.orders += 1
            elif type(request) is ModifyIntended:
                facts.append(OrderSent(ts, request.order, request.version))
            if not self._latency_ns:
                self._arrive(request, facts, ts)
                continue
            self._arrivals += 1
            key = f"arrival:{self._arrivals}"
            self._agenda.set(key, ts + self._latency_ns, partial(self._arrived_late, request))
        return facts

    def release(self, effects: Sequence[Effect]) -> None:
        """Do nothing: a simulated send is over when `accept` returns."""

    def scan(self, event: Event) -> Iterable[Event]:
        """Let a market event meet the resting orders of its instrument."""
        if type(event) is Trade or type(event) is Quote:
            return () if event.suspicious else self._scan_tick(event)
        return self._scan_bar(event) if type(event) is Bar else ()

    # -- arrivals ------------------------------------------------------------------------------

    def _arrived_late(self, request: _Request, ts: int) -> list[Event]:
        facts: list[Event] = []
        self._arrive(request, facts, ts)
        return facts

    def _arrive(self, request: _Request, facts: list[Event], ts: int) -> None:
        if isinstance(request, OrderIntended):
            self._arrive_new(request, facts, ts)
        else:
            facts += self._arrive_change(request, ts)

    def _arrive_change(self, request: ModifyIntended | CancelIntended, ts: int) -> list[Event]:
        order = self._orders.get(request.order)
        if order is None:
            done = self._done.get(request.order) or self._done_before.get(request.order, "Rejected")
            message = f"too late: the order was {done.lower()} before"
            if isinstance(request, ModifyIntended):  # the version is void; the order is what it was
                return [_status(ts, request, request.version, "Rejected", message)]
            return [_status(ts, request, 1, done, message)]
        if isinstance(request, CancelIntended):
            self._remove(order, "Cancelled", ts)
            return [_status(ts, order.intent, order.version, "Cancelled", request.reason)]
        order.amend(request.version, request.quantity, request.limit, request.stop)
        if order.remaining <= 0:
            self._remove(order, "Cancelled", ts)
            message = "the new quantity was filled already"
            return [_status(ts, order.intent, order.version, "Cancelled", message)]
        return [_status(ts, order.intent, order.version, "Submitted")]

    def _arrive_new(self, intent: OrderIntended, facts: list[Event], ts: int) -> None:
        order, instrument = Resting.arrived(intent, ts), intent.instrument
        facts.append(
            OrderStatusChanged(ts, intent.order, 1, intent.account, intent.strategy, instrument, "Submitted")
        )
        self._orders[intent.order] = order
        self.resting(instrument).append(order)
        if intent.tif == "DAY":
            self._expire_at_end_of_session(instrument, ts)
        if instrument in self._in_bars and order.type == "MKT" and not self._quotes.halted(instrument):
            market = market_price_in_bars(order, self._quotes)
            if market is not None:
                self._fill(order, market, order.remaining, facts, ts, "")

    def _expire_at_end_of_session(self, instrument: str, ts: int) -> None:
        begin, end = self._expiry.get(instrument, (0, 0))
        if begin <= ts < end:
            return  # the entry that this instrument's last order set is still ahead
        exchange = self._instruments.instrument(instrument).exchange
        session = self._instruments.session(exchange, ts)
        if session is None:
            return
        due = session.close if ts < session.close else session.end
        self._expiry[instrument] = (ts, due)
        key = f"expiry:{exchange}:{due}"
        if due < NEVER and key not in self._agenda:
            self._agenda.set(key, due, lambda moment: self._expire(exchange, moment))

    def _expire(self, exchange: str, ts: int) -> list[Event]:
        facts: list[Event] = []
        for order in list(self._orders.values()):
            intent = order.intent
            if intent.tif == "DAY" and self._instruments.instrument(intent.instrument).exchange == exchange:
                self._remove(order, "Cancelled", ts)
                facts.append(_status(ts, intent, order.version, "Cancelled", "DAY order: the session closed"))
        return facts

    def withdraw(self, instrument: str, reason: str, ts: int) -> list[Event]:
        """Cancel the orders that rest in an instrument, as a split does; return the facts."""
        facts: list[Event] = []
        for order in self.resting(instrument)[:]:
            self._remove(order, "Cancelled", ts)
            facts.append(_status(ts, order.intent, order.version, "Cancelled", reason))
        return facts

    def _remove(self, order: Resting, status: OrderStatus, ts: int) -> None:
        del self._orders[order.intent.order]
        if ts > self._done_since + self._latency_ns:
            self._done_before, self._done, self._done_since = self._done, {}, ts
        self._done[order.intent.order] = status
        self._resting[order.intent.instrument].remove(order)

    # -- fills ---------------------------------------------------------------------------------

    def _scan_tick(self, event: Trade | Quote) -> list[Event]:
        facts: list[Event] = []
        if self._quotes.halted(event.instrument):
            return facts
        if self._taken and (isinstance(event, Quote) or not self._quotes.has_quotes(event.instrument)):
            self._taken.pop((event.instrument, "BUY"), None)
            self._taken.pop((event.instrument, "SELL"), None)
        for order in self.resting(event.instrument)[:]:
            fill_price = match_tick(order, event, self._quotes)
            if fill_price is None:
                continue
            quantity = order.remaining
            if self._model.partial_fills:
                quantity = min(quantity, self._available(order, event))
            if quantity > 0:
                self._fill(order, fill_price, quantity, facts, event.ts, event.venue)
        return facts

    def _scan_bar(self, bar: Bar) -> list[Event]:
        facts: list[Event] = []
        for order in self.resting(bar.instrument)[:]:
            if order.created_ts < bar.ts and not self._quotes.halted(bar.instrument):
                fill_price = match_bar(order, bar, self._quotes)
                if fill_price is not None:
                    self._fill(order, fill_price, order.remaining, facts, bar.ts, "")
        return facts

    def _available(self, order: Resting, event: Trade | Quote) -> Decimal:
        """Take and return what is left of the size shown; a quote update (or print) shows fresh size."""
        instrument, side = event.instrument, order.side
        if self._quotes.has_quotes(instrument):
            shown = self._quotes.ask_size(instrument) if side == "BUY" else self._quotes.bid_size(instrument)
        else:
            shown = event.size if isinstance(event, Trade) else 0.0
        key = (instrument, side)
        taken = self._taken.get(key, 0.0)
        available = max(0.0, shown - taken)
        self._taken[key] = taken + min(available, float(order.remaining))
        return money(repr(available))

    def _fill(
        self, order: Resting, at: float, quantity: Decimal, facts: list[Event], ts: int, venue: str
    ) -> None:
        intent = order.intent
        self.fills += 1
        exec_id, exact = f"F-{self.fills}", price(at)
        definition = self._instruments.instrument(intent.instrument)
        fee = self._fee(order, definition, quantity, exact)
        order.filled = CONTEXT.add(order.filled, quantity)
        if order.filled >= order.quantity:
            self._remove(order, "Filled", ts)
        name, account, strategy, instrument = intent.order, intent.account, intent.strategy, intent.instrument
        side, currency = intent.side, definition.currency
        facts.append(Filled(ts, exec_id, name, account, strategy, instrument, side, quantity, exact, venue))
        facts.append(CommissionReported(ts, exec_id, name, account, strategy, instrument, fee, currency))

    def _fee(
        self, order: Resting, definition: InstrumentDefined, quantity: Decimal, exact: Decimal
    ) -> Decimal:
        """Return what the schedule asks for the order so far, less what was charged before."""
        whole = not order.filled and quantity == order.quantity
        key = (definition.instrument, quantity, exact)
        if whole and (known := self._whole_fees.get(key)) is not None:
            return known  # the same order again: nothing in a schedule depends on more than this
        fee = self._commission.commission(
            definition, order.filled, order.charged, quantity, exact, order.traded_value
        )
        if whole and len(self._whole_fees) < _WHOLE_FEES_MAX:
            self._whole_fees[key] = fee
        order.charged = CONTEXT.add(order.charged, fee)
        value = CONTEXT.multiply(CONTEXT.multiply(quantity, exact), definition.multiplier)
        order.traded_value = CONTEXT.add(order.traded_value, value)
        return fee


def _status(
    ts: int,
    request: _Request,
    version: int,
    status: OrderStatus,
    message: str = "",
) -> OrderStatusChanged:
    who = (request.account, request.strategy, request.instrument)
    return OrderStatusChanged(ts, request.order, version, *who, status, message)
