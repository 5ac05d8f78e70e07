"""Moving-average cross: long while the fast average of trade prices is above the slow one."""

from typing import Annotated

from msgspec import Meta

from core.errors import UsageError
from core.events import Bar, Trade
from core.strategy import Parameters, Strategy


class SmaCrossParameters(Parameters, frozen=True):
    """Averages are over the last `fast` and `slow` prices: trades of a tick feed, closes of a bar feed."""

    instrument: str
    fast: Annotated[int, Meta(ge=1)] = 20
    slow: Annotated[int, Meta(ge=2)] = 50
    quantity: Annotated[int, Meta(ge=1)] = 100


class SmaCross(Strategy[SmaCrossParameters]):
    """Buy when the fast average crosses above the slow one, sell the holding when it crosses below."""

    def __init__(self, params: SmaCrossParameters) -> None:
        super().__init__(params)
        if params.fast >= params.slow:
            raise UsageError(f"sma_cross: fast={params.fast} must be smaller than slow={params.slow}")
        self._prices = [
            0.0
        ] * params.slow  # a ring: the next slot holds the price that leaves the slow window
        self._next = 0
        self._seen = 0
        self._fast_sum = 0.0
        self._slow_sum = 0.0
        self._above = False

    def on_trade(self, trade: Trade) -> None:
        """Follow trade prices; a suspicious print is no price."""
        if not trade.suspicious:
            self._update(trade.price)

    def on_bar(self, bar: Bar) -> None:
        """Follow closes."""
        self._update(bar.close)

    def _update(self, price: float) -> None:
        params, prices, slot = self.params, self._prices, self._next
        self._slow_sum += price - prices[slot]
        self._fast_sum += price - prices[slot - params.fast]
        prices[slot] = price
        self._next = slot + 1 if slot + 1 < params.slow else 0
        self._seen += 1
        if self._seen < params.slow:
            return
        above = self._fast_sum * params.slow > self._slow_sum * params.fast
        if above != self._above:
            self._above = above
            self._cross(above)

    def _cross(self, above: bool) -> None:
        instrument, quantity = self.params.instrument, self.params.quantity
        averages = f"{self._fast_sum / self.params.fast:.4f} vs {self._slow_sum / self.params.slow:.4f}"
        if above:
            self.buy(instrument, quantity, reason=f"fast average crossed above slow ({averages})")
        elif self.position(instrument) > 0 or self.working_orders(instrument):
            self.sell(instrument, quantity, reason=f"fast average crossed below slow ({averages})")
