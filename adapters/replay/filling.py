"""From a match to a fill: how much the market has, how much worse the price is, what it costs.

Owns what was taken of sizes and volumes, and the numbers of executions. Decides nothing about when an
order fills (`core.matching` does) and knows no order but the one at hand.
"""

from decimal import ROUND_FLOOR, Decimal

from core.commissions import CommissionModel
from core.events import Bar, CommissionReported, Event, Filled, InstrumentDefined, Quote, Trade
from core.matching import FillModel, Resting
from core.money import CONTEXT, money, price
from core.price_steps import steps_of
from core.views import InstrumentsView, QuotesView

_WHOLE_MAX = 100_000
_VOLUME = "volume"


class Filler:
    """Makes fills, by a fill model and a commission schedule."""

    def __init__(
        self,
        model: FillModel,
        commission: CommissionModel,
        quotes: QuotesView,
        instruments: InstrumentsView,
    ) -> None:
        self.count = 0
        self.sized = model.partial_fills or model.volume_share is not None
        self._model = model
        self._commission = commission
        self._quotes = quotes
        self._instruments = instruments
        self._taken: dict[tuple[str, str], float] = {}  # displayed size or volume already taken
        # By instrument and price: the last quantity that filled whole, as what, and what came of it.
        self._whole: dict[tuple[str, float], tuple[Decimal, InstrumentDefined, tuple[Decimal, Decimal]]] = {}
        self._bar_ts: dict[str, int] = {}  # the bar whose volume `_taken` speaks of

    def renew(self, event: Trade | Quote) -> None:
        """Forget what was taken: a quote update shows fresh size, a trade has a volume of its own."""
        if not self._taken:
            return
        instrument = event.instrument
        if isinstance(event, Quote) or not self._quotes.has_quotes(instrument):
            self._taken.pop((instrument, "BUY"), None)
            self._taken.pop((instrument, "SELL"), None)
        self._taken.pop((instrument, _VOLUME), None)

    def available(self, order: Resting, event: Event) -> Decimal:
        """Return how much of what is left of an order the market has at this event, by the fill model."""
        quantity = order.remaining
        if self._model.partial_fills and isinstance(event, Trade | Quote):
            shown, key = self._shown(order, event)
            quantity = min(quantity, money(repr(max(0.0, shown - self._taken.get(key, 0.0)))))
        if self._model.volume_share is not None:
            quantity = min(quantity, self._volume_left(order, event))
        return quantity

    def take(self, order: Resting, event: Event, quantity: Decimal) -> None:
        """Note that a fill took `quantity` of what was available."""
        if self._model.partial_fills and isinstance(event, Trade | Quote):
            _, key = self._shown(order, event)
            self._taken[key] = self._taken.get(key, 0.0) + float(quantity)
        if self._model.volume_share is not None:
            key = (order.intent.instrument, _VOLUME)
            self._taken[key] = self._taken.get(key, 0.0) + float(quantity)

    def _shown(self, order: Resting, event: Trade | Quote) -> tuple[float, tuple[str, str]]:
        instrument, side = event.instrument, order.side
        if self._quotes.has_quotes(instrument):
            shown = self._quotes.ask_size(instrument) if side == "BUY" else self._quotes.bid_size(instrument)
        else:
            shown = event.size if isinstance(event, Trade) else 0.0
        return shown, (instrument, side)

    def _volume_left(self, order: Resting, event: Event) -> Decimal:
        """Return what a share of the volume leaves, in whole units unless the order is in fractions."""
        assert self._model.volume_share is not None
        instrument = order.intent.instrument
        if isinstance(event, Trade):
            volume = event.size
        elif isinstance(event, Quote):
            volume = 0.0  # a quote trades nothing
        else:
            volume = self._bar_volume(instrument)
        left = volume * self._model.volume_share - self._taken.get((instrument, _VOLUME), 0.0)
        left_exact = money(repr(max(0.0, round(left, 8))))
        whole = order.quantity == order.quantity.to_integral_value()
        return left_exact.to_integral_value(ROUND_FLOOR) if whole else left_exact

    def _bar_volume(self, instrument: str) -> float:
        bar: Bar | None = self._quotes.bar(instrument)
        if bar is None:
            return 0.0
        if self._bar_ts.get(instrument) != bar.ts:
            self._bar_ts[instrument] = bar.ts
            self._taken.pop((instrument, _VOLUME), None)
        return bar.volume

    def fill(
        self, order: Resting, at: float, quantity: Decimal, facts: list[Event], ts: int, venue: str
    ) -> None:
        """Count a fill in the order and report it, with its commission."""
        intent = order.intent
        self.count += 1
        exec_id = f"F-{self.count}"
        definition = self._instruments.instrument(intent.instrument)
        exact, fee = self._charge(order, definition, quantity, at)
        order.filled = CONTEXT.add(order.filled, quantity) if order.filled else quantity
        name, account, strategy, instrument = intent.order, intent.account, intent.strategy, intent.instrument
        side, currency = intent.side, definition.currency
        facts.append(Filled(ts, exec_id, name, account, strategy, instrument, side, quantity, exact, venue))
        facts.append(CommissionReported(ts, exec_id, name, account, strategy, instrument, fee, currency))

    def slipped(self, order: Resting, at: float) -> float:
        """Return what a market order gets where the market is at `at`: a slippage worse, never free."""
        instrument, slippage = order.intent.instrument, self._model.slippage
        steps = steps_of(self._instruments.instrument(instrument))
        bid, ask = self._quotes.bid(instrument), self._quotes.ask(instrument)
        spread = 0.0 if bid is None or ask is None else ask - bid
        slid = round(slippage.worse(at, steps, spread, up=order.side == "BUY"), 8)
        return slid if slid > 0 else min(at, float(steps.lowest))

    def _charge(
        self, order: Resting, definition: InstrumentDefined, quantity: Decimal, at: float
    ) -> tuple[Decimal, Decimal]:
        """Return the exact price, and what the schedule asks for the order so far less what was charged."""
        whole = not order.filled and (quantity is order.quantity or quantity == order.quantity)
        key = (definition.instrument, at)
        if whole and (known := self._whole.get(key)) is not None:
            same, defined, found = known
            if defined is definition and (same is quantity or same == quantity):
                return found  # the same order again: nothing in a schedule depends on more than this
        exact = price(at)
        fee = self._commission.commission(
            definition, order.filled, order.charged, quantity, exact, order.traded_value
        )
        if whole and len(self._whole) < _WHOLE_MAX:
            self._whole[key] = (quantity, definition, (exact, fee))
        order.charged = CONTEXT.add(order.charged, fee)
        value = CONTEXT.multiply(CONTEXT.multiply(quantity, exact), definition.multiplier)
        order.traded_value = CONTEXT.add(order.traded_value, value)
        return exact, fee
