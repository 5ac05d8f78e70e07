"""The simulated broker: takes orders from the loop, lets market data meet them, reports facts.

It drives `core.matching`; the orders themselves are in `adapters.replay.working`. It reads prices from
the quotes view and never keeps its own. Everything it says is an event of the broker or effect class,
exactly as Interactive Brokers would report it. Brackets and one-cancels-all groups are carried out here,
for replays and the simulated gateway alike: a child waits with the status `PreSubmitted` for its parent.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial

from adapters.replay.admission import Admission
from adapters.replay.filling import Filler
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
    Quote,
    QuoteBar,
    Trade,
)
from core.matching import (
    FillModel,
    Hours,
    Recall,
    Resting,
    close_in_bars,
    closing_price,
    fills_on_arrival,
    match_bar,
    match_open,
    match_open_bar,
    match_tick,
    satisfies,
)
from core.money import ZERO
from core.order_rules import LASTING
from core.price_steps import PriceSteps, steps_of
from core.views import InstrumentsView, QuotesView

_BARS = (Bar, QuoteBar)


class SimulatedBroker:
    """A broker port whose answers follow from market data and a fill model alone.

    `bar_instruments` fill in bar mode; there, the prices of orders in `adjusted` instruments are not rounded.
    """

    def __init__(
        self,
        model: FillModel,
        commission: CommissionModel,
        quotes: QuotesView,
        instruments: InstrumentsView,
        agenda: Agenda,
        bar_instruments: frozenset[str] = frozenset(),
        adjusted: frozenset[str] = frozenset(),
    ) -> None:
        self._latency_ns = round(model.latency_ms * 1e6)
        self._trigger = model.trigger
        self._slips = bool(model.slippage.amount)
        self._adjusts = model.action_orders == "adjust"
        self._quotes = quotes
        self._instruments = instruments
        self._agenda = agenda
        self._hours = Hours(instruments)
        next_open = model.bar_fill == "next_open"
        self._admission = Admission(
            self._hours, quotes, instruments, bar_instruments, adjusted, next_open=next_open
        )
        self._filler = Filler(model, commission, quotes, instruments)
        self._working = Working(self._filler, self._latency_ns, self._admission.start)
        self._in_bars = bar_instruments
        self.orders = 0  # new orders taken
        self._arrivals = 0
        self._expiring = NEVER  # a time that the agenda has already: that of the last order
        self._recalled: Recall | None = None

    @property
    def fills(self) -> int:
        """How many fills there were."""
        return self._filler.count

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
        self._recalled = Recall(waiting, self._hours, self._quotes, self._trigger)
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
            if not over and self._admission.admit(order, ts):
                order.expires = ts  # its time ran out meanwhile
        self._working.resume(resting)
        for order, over in resting:
            if not over and order.expires != NEVER:
                self._expire_at(order.expires)
            if not over and order.due != NEVER:
                self._close_at(order.due, order.intent.instrument)

    def scan(self, event: Event) -> Sequence[Event]:
        """Let a market event meet the resting orders of its instrument."""
        if type(event) is Trade or type(event) is Quote:
            return () if event.suspicious else self._scan_tick(event)
        return self._scan_bar(event) if isinstance(event, _BARS) else ()

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
        done, _ = self._working.outcome(request.order) or ("Rejected", ZERO)
        message = f"too late: the order was {done.lower()} before"
        if isinstance(request, ModifyIntended):  # the version is void; the order is what it was
            return status(ts, request, request.version, "Rejected", message)
        return status(ts, request, 1, done, message)

    def _modify(self, order: Resting, request: ModifyIntended, facts: list[Event], ts: int) -> None:
        if request.tif is not None and order.intent.tif not in LASTING:
            why = f"an {order.intent.tif} order cannot become {request.tif}"
            facts.append(status(ts, request, request.version, "Rejected", why))
            return
        order.amend(request)
        if order.change_times(request):
            self._admission.renew(order, ts)
            if order.expires != NEVER:
                self._expire_at(order.expires)
        self._admission.round_prices(order, request.limit, request.stop)
        if order.complete:
            why = "the new quantity was filled already"
            self._working.end(order, "Cancelled", facts, ts, why)
        else:
            self._working.amended(order, request, facts, ts)

    def _arrive_new(self, intent: OrderIntended, facts: list[Event], ts: int) -> None:
        order = Resting.arrived(intent, ts)
        refused = self._admission.admit(order, ts)
        if not refused and (intent.parent or intent.oca):
            refused = self._working.join(order)
        if refused:
            self._working.reject(intent, refused, facts, ts)
            return
        self._working.add(order, facts, ts)
        expires = order.expires
        if expires != self._expiring and expires != NEVER:  # noqa: PLR1714 - hot: `in` makes a tuple
            self._expire_at(expires)
        if order.due != NEVER:
            self._close_at(order.due, intent.instrument)
        if intent.instrument in self._in_bars and order.listed and fills_on_arrival(order):
            self._fill_on_arrival(order, facts, ts)

    def _fill_on_arrival(self, order: Resting, facts: list[Event], ts: int) -> None:
        instrument = order.intent.instrument
        open_now = order.intent.outside_rth or self._hours.regular(instrument, ts)
        market = None
        if open_now and not self._quotes.halted(instrument):
            market = close_in_bars(order, self._quotes, ts)
        if market is not None:
            self._execute(order, market, self._quotes.bar(instrument), facts, ts, "")
        elif order.immediate:
            self._give_up(order, facts, ts)

    def _give_up(self, order: Resting, facts: list[Event], ts: int) -> None:
        what = "the rest" if order.filled else "it"
        why = f"{order.intent.tif}: {what} could not fill at once"
        self._working.end(order, "Cancelled", facts, ts, why)

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

    def _close_at(self, due: int, instrument: str) -> None:
        """Let market-on-close orders fill when the session closes; in bar mode after its last bar did."""
        key = f"close:{instrument}:{due}"
        if key not in self._agenda:
            phase = AFTER_SCAN if instrument in self._in_bars else BEFORE_PRICES
            self._agenda.set(key, due, partial(self._close, instrument), phase)

    def _close(self, instrument: str, ts: int) -> list[Event]:
        facts: list[Event] = []
        session = self._hours.session(instrument, ts - 1)
        since = 0 if session is None else session.open
        for order in self._working:
            if order.due > ts or order.ended or order.intent.instrument != instrument:
                continue
            if not order.listed:
                why = f"market on close: {order.intent.parent} had not filled"
                self._working.end(order, "Cancelled", facts, ts, why)
                continue
            at = self._at_close(order, since)
            if at is None or self._quotes.halted(instrument):
                why = "market on close: there was no price at the close"
                self._working.end(order, "Cancelled", facts, ts, why)
            else:
                self._working.fill(order, at, order.remaining, facts, ts, "")
        return facts

    def _at_close(self, order: Resting, since: int) -> float | None:
        instrument = order.intent.instrument
        if instrument not in self._in_bars:
            return closing_price(order, self._quotes, since)
        bar = self._quotes.bar(instrument)
        return bar.close if bar is not None and bar.ts > since else None

    # -- fills ---------------------------------------------------------------------------------

    def _scan_tick(self, event: Trade | Quote) -> list[Event]:
        facts: list[Event] = []
        instrument, quotes, ts = event.instrument, self._quotes, event.ts
        if quotes.halted(instrument):
            return facts
        if self._filler.sized:
            self._filler.renew(event)
        regular = self._hours.regular(instrument, ts)
        for order in self._working.resting(instrument)[:]:
            if order.due != NEVER or not order.listed:
                continue
            if not (regular or order.intent.outside_rth):
                at = None
            elif order.opens is None:
                at = match_tick(order, event, quotes, self._trigger)
            else:
                at = self._opening(order, match_open(event), ts, facts)
            if at is not None:
                self._execute(order, at, event, facts, ts, event.venue)
            elif order.immediate:
                self._give_up(order, facts, ts)
        return facts

    def _scan_bar(self, event: Bar | QuoteBar) -> list[Event]:
        facts: list[Event] = []
        instrument, ts = event.instrument, event.ts
        bar = self._quotes.bar(instrument)
        if bar is None or self._quotes.halted(instrument):
            return facts
        regular = self._hours.overlaps(instrument, event.start, ts)
        for order in _worst_first(self._working.resting(instrument)):
            if not order.listed or order.created_ts >= ts or not (regular or order.intent.outside_rth):
                continue
            at = self._in_bar(order, bar, ts, facts)
            if at is not None:
                self._execute(order, at, bar, facts, ts, "")
        return facts

    def _in_bar(self, order: Resting, bar: Bar, ts: int, facts: list[Event]) -> float | None:
        if order.due != NEVER:
            return bar.close if bar.ts >= order.due > bar.start else None
        if order.opens is None:
            return match_bar(order, bar, self._quotes, ts)
        session = self._hours.session(order.intent.instrument, bar.ts)
        opened = match_open_bar(order, bar, None if session is None else session.open)
        return self._opening(order, opened, ts, facts)

    def _opening(self, order: Resting, at: float | None, ts: int, facts: list[Event]) -> float | None:
        """Return the opening price for an order that waited for it; cancel a limit that is not met."""
        assert order.opens is not None
        if at is None or ts < order.opens:
            return None
        if satisfies(order, at):
            return at
        self._working.end(order, "Cancelled", facts, ts, f"limit on open: the open was at {at:g}")
        return None

    def _execute(
        self, order: Resting, at: float, event: Event | None, facts: list[Event], ts: int, venue: str
    ) -> None:
        """Fill what the market has of an order; cancel the rest of one that does not wait."""
        quantity = order.remaining if order.filled else order.allowed  # hot: as a rule nothing has filled
        auction = order.opens is not None or order.due != NEVER
        if self._filler.sized and event is not None and not auction:
            quantity = self._filler.available(order, event)
            if order.intent.tif == "FOK" and quantity < order.remaining:
                quantity = ZERO
            elif quantity > 0:
                self._filler.take(order, event, quantity)
        if quantity > ZERO:
            if self._slips and order.type in Resting.MARKET_LIKE and not auction:
                at = self._filler.slipped(order, at)
            self._working.fill(order, at, quantity, facts, ts, venue)
        if order.immediate and not order.ended:
            self._give_up(order, facts, ts)


def _resumed(intent: OrderIntended, version: int, filled: Decimal, ts: int) -> Resting:
    order = Resting.arrived(intent, ts)
    order.version = order.promised = version
    order.filled = filled
    order.fresh = False  # it rested: a limit fills at its own price
    return order


def _worst_first(orders: list[Resting]) -> list[Resting]:
    """Return the orders as they are to meet a bar: of a group, a stop comes before a limit.

    Where both exits of a bracket lie within one bar nobody knows which came first; the worse is assumed.
    """
    if len(orders) > 1 and any(order.intent.oca for order in orders):
        return sorted(orders, key=lambda order: bool(order.intent.oca) and order.type in ("LMT", "LIT"))
    return orders[:]
