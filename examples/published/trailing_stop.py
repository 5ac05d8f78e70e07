"""LEAN's TrailingStopOrderRegression: buy by a trailing stop, then sell by another one."""

from truetape import Bar, Parameters, Strategy


class TrailingStopParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    quantity: int = 100
    buy_trail: float = 2.0
    sell_trail: float = 0.5


class TrailingStop(Strategy[TrailingStopParameters]):
    """Buy two dollars above the lowest ask, sell half a dollar below the highest bid."""

    bought = sold = ""

    def on_bar(self, bar: Bar) -> None:
        name, size = bar.instrument, self.params.quantity
        if not self.bought:
            self.bought = self.buy(name, size, trail=self.params.buy_trail, tif="GTC", reason="turns up")
        if not self.sold and self.position(name):
            self.sold = self.sell(name, size, trail=self.params.sell_trail, tif="GTC", reason="turns down")
