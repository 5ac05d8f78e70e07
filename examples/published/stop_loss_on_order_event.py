"""LEAN's StopLossOnOrderEvent: sell short at the first bar; its fill places a stop two dollars below."""

from decimal import Decimal

from truetape import Bar, Filled, Parameters, Strategy


class StopLossOnOrderEventParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    quantity: int = 100
    distance: Decimal = Decimal(2)


class StopLossOnOrderEvent(Strategy[StopLossOnOrderEventParameters]):
    """Sell short once; its fill places a buy stop that the market is beyond already."""

    entry = ""

    def on_bar(self, bar: Bar) -> None:
        if not self.entry:
            self.entry = self.sell(bar.instrument, self.params.quantity, reason="entry")

    def on_fill(self, fill: Filled) -> None:
        if fill.order == self.entry:
            stop = fill.price - self.params.distance
            self.buy(fill.instrument, fill.quantity, stop=stop, tif="GTC", reason="stop-loss")
