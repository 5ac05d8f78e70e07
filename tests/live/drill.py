"""A strategy that orders by plan, so that a fault can be tied to a certain order."""

from typing import Literal

from core.events import TimerFired, Trade
from core.strategy import Parameters, Strategy


class DrillParameters(Parameters, frozen=True):
    """Every `every` trades one act, until `orders` orders were wanted."""

    instrument: str = "ZVXA"
    every: int = 15
    orders: int = 6
    quantity: int = 100
    offset: float = 1.0
    """How far below the last price a buy rests."""
    last: int = 0
    """How many trades to see at least."""
    plan: Literal["market", "cancel", "modify", "timer"] = "market"


class Drill(Strategy[DrillParameters]):
    """Buy, sell, buy, sell. With `cancel` or `modify`, every other order rests first and is changed at the
    next act; with `timer`, an order comes 0.3 s after the last trade, when the market has fallen silent, and
    again while it stays so and more are to come. A test may hold these orders back (`may_order`).
    """

    def __init__(self, params: DrillParameters) -> None:
        super().__init__(params)
        self.wanted = 0
        self.may_order = True
        self._trades = 0

    @property
    def finished(self) -> bool:
        """Whether all was wanted that was planned."""
        rest = self._trades % self.params.every
        return self.wanted >= self.params.orders and self._trades >= self.params.last and rest > 10

    def on_trade(self, trade: Trade) -> None:
        """Count, and act."""
        self._trades += 1
        if self.params.plan == "timer":
            self.set_timer("silence", after_s=0.3)
        elif self._trades % self.params.every == 0:
            self._act(trade.price)

    def on_timer(self, timer: TimerFired) -> None:
        """Order: nothing was heard for a while."""
        if self.may_order:
            self._act(0.0)
        if self.wanted < self.params.orders:
            self.set_timer("silence", after_s=0.3)

    def _act(self, price: float) -> None:
        params = self.params
        working = self.working_orders(params.instrument)
        if working and params.plan == "cancel":
            self.cancel(working[0].id, reason="drill")
        elif working and params.plan == "modify":
            self.modify(working[0].id, quantity=params.quantity, limit=round(price) + 2, reason="drill")
        if working or self.wanted >= params.orders:
            return
        self.wanted += 1
        if params.plan in ("cancel", "modify") and self.wanted % 2:
            self.buy(
                params.instrument, params.quantity, limit=round(price - params.offset, 2), reason="drill"
            )
        elif self.position(params.instrument) > 0:
            self.sell(params.instrument, params.quantity, reason="drill")
        else:
            self.buy(params.instrument, params.quantity, reason="drill")
