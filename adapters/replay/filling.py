"""From a match to a fill: how much the market has, how much worse the price is, what it costs.

Owns what was taken of one instrument's sizes and volumes, and the numbers of executions. Decides nothing
about when an order fills (`core.matching` does) and knows no order but the one at hand.
"""

from decimal import ROUND_FLOOR, Decimal
from typing import TypeAlias

from adapters.replay.working import Working
from core.commissions import CommissionModel
from core.events import Bar, CommissionReported, Event, Filled, InstrumentDefined, Quote, Trade
from core.matching import FillModel, Resting
from core.money import CONTEXT, ZERO, money, price
from core.price_steps import steps_of
from core.views import BookView, InstrumentsView

_WHOLE_MAX = 10_000
_VOLUME = "volume"

_Whole: TypeAlias = tuple[Decimal, InstrumentDefined | None, Decimal, Decimal]
_UNKNOWN: _Whole = (ZERO, None, ZERO, ZERO)


class Dealing:
    """What fills in all instruments have in common: the assumptions, the schedule, and their number."""

    def __init__(self, model: FillModel, commission: CommissionModel) -> None:
        self.model = model
        self.commission = commission
        self.fills = 0
        self.plain = not (model.partial_fills or model.volume_share is not None or model.slippage.amount)
        """Whether an order fills whole, at the very price that matching found."""


class Filler:
    """Makes an instrument's fills, by a fill model and a commission schedule."""

    def __init__(
        self,
        instrument: str,
        dealing: Dealing,
        working: Working,
        book: BookView,
        instruments: InstrumentsView,
    ) -> None:
        self._instrument = instrument
        self._dealing = dealing
        self._working = working
        self._plain = dealing.plain
        self._model = model = dealing.model
        self._sized = model.partial_fills or model.volume_share is not None
        self._book = book
        self._definitions = instruments.definitions
        self._taken: dict[str, float] = {}  # displayed size, by side, or volume already taken
        # By price: the last quantity that filled whole, of what, and its exact price and commission.
        self._whole: dict[float, _Whole] = {}
        self._bar_ts: int | None = None  # the bar whose volume `_taken` speaks of

    def fill(
        self, order: Resting, at: float, event: Event | None, facts: list[Event], ts: int, venue: str
    ) -> None:
        """Fill what the market has of an order at this event, and report it with its commission."""
        if self._plain:
            quantity = order.remaining if order.filled else order.allowed  # hot: as a rule nothing has filled
        else:
            at, quantity = self._deal(order, at, event)
        if not quantity:
            return
        dealing, instrument = self._dealing, self._instrument
        dealing.fills += 1
        exec_id = f"F-{dealing.fills}"
        definition = self._definitions[instrument]
        known, of, exact, fee = self._whole.get(at, _UNKNOWN)
        # hot: the same order again, as a rule. Nothing in a schedule depends on more than this.
        if not (known is quantity is order.quantity and of is definition):
            exact, fee = self._charge(order, definition, quantity, at)
        order.filled = CONTEXT.add(order.filled, quantity) if order.filled else quantity
        intent = order.intent
        name, account, strategy = intent.order, intent.account, intent.strategy
        facts += (
            Filled(ts, exec_id, name, account, strategy, instrument, intent.side, quantity, exact, venue),
            CommissionReported(ts, exec_id, name, account, strategy, instrument, fee, definition.currency),
        )
        self._working.filled(order, quantity, facts, ts)

    def _charge(
        self, order: Resting, definition: InstrumentDefined, quantity: Decimal, at: float
    ) -> tuple[Decimal, Decimal]:
        """Return the exact price, and what the schedule asks for the order so far less what was charged."""
        exact = price(at)
        fee = self._dealing.commission.commission(
            definition, order.filled, order.charged, quantity, exact, order.traded_value
        )
        if quantity is order.quantity:  # whole: there is nothing to come
            if len(self._whole) < _WHOLE_MAX:
                self._whole[at] = (quantity, definition, exact, fee)
            return exact, fee
        order.charged = CONTEXT.add(order.charged, fee)
        value = CONTEXT.multiply(CONTEXT.multiply(quantity, exact), definition.multiplier)
        order.traded_value = CONTEXT.add(order.traded_value, value)
        return exact, fee

    def renew(self, event: Trade | Quote) -> None:
        """Forget what was taken: a quote update shows fresh size, a trade has a volume of its own."""
        if isinstance(event, Quote) or self._book.feed is None:
            self._taken.clear()
        self._taken.pop(_VOLUME, None)

    def _deal(self, order: Resting, at: float, event: Event | None) -> tuple[float, Decimal]:
        """Return the price and the quantity that an order gets at this event, by the fill model.

        An auction has room for all, at its one price.
        """
        if order.opens is not None or order.due is not None:
            return at, order.remaining
        quantity = order.remaining
        if self._sized and event is not None:
            quantity = self._available(order, event)
            if order.intent.tif == "FOK" and quantity < order.remaining:
                quantity = ZERO
            elif quantity > 0:
                self._take(order, event, quantity)
        if self._model.slippage.amount and order.type in Resting.MARKET_LIKE:
            at = self._slipped(order, at)
        return at, quantity

    def _available(self, order: Resting, event: Event) -> Decimal:
        """Return how much of what is left of an order the market has at this event."""
        quantity = order.remaining
        if self._model.partial_fills and isinstance(event, Trade | Quote):
            shown = self._shown(order, event) - self._taken.get(order.side, 0.0)
            quantity = min(quantity, money(repr(max(0.0, shown))))
        if self._model.volume_share is not None:
            quantity = min(quantity, self._volume_left(order, event))
        return quantity

    def _take(self, order: Resting, event: Event, quantity: Decimal) -> None:
        """Note that a fill took `quantity` of what was available."""
        taken = self._taken
        if self._model.partial_fills and isinstance(event, Trade | Quote):
            taken[order.side] = taken.get(order.side, 0.0) + float(quantity)
        if self._model.volume_share is not None:
            taken[_VOLUME] = taken.get(_VOLUME, 0.0) + float(quantity)

    def _shown(self, order: Resting, event: Trade | Quote) -> float:
        if self._book.feed is not None:
            return self._book.ask_size if order.side == "BUY" else self._book.bid_size
        return event.size if isinstance(event, Trade) else 0.0

    def _volume_left(self, order: Resting, event: Event) -> Decimal:
        """Return what a share of the volume leaves, in whole units unless the order is in fractions."""
        assert self._model.volume_share is not None
        if isinstance(event, Trade):
            volume = event.size
        elif isinstance(event, Quote):
            volume = 0.0  # a quote trades nothing
        else:
            volume = self._bar_volume()
        left = volume * self._model.volume_share - self._taken.get(_VOLUME, 0.0)
        left_exact = money(repr(max(0.0, round(left, 8))))
        whole = order.quantity == order.quantity.to_integral_value()
        return left_exact.to_integral_value(ROUND_FLOOR) if whole else left_exact

    def _bar_volume(self) -> float:
        bar: Bar | None = self._book.bar
        if bar is None:
            return 0.0
        if self._bar_ts != bar.ts:
            self._bar_ts = bar.ts
            self._taken.pop(_VOLUME, None)
        return bar.volume

    def _slipped(self, order: Resting, at: float) -> float:
        """Return what a market order gets where the market is at `at`: a slippage worse, never free."""
        steps = steps_of(self._definitions[self._instrument])
        bid, ask = self._book.bid, self._book.ask
        spread = 0.0 if bid is None or ask is None else ask - bid
        slid = round(self._model.slippage.worse(at, steps, spread, up=order.side == "BUY"), 8)
        return slid if slid > 0 else min(at, float(steps.lowest))
