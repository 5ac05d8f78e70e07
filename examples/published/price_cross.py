"""backtrader's strategy test: hold one contract while the close is above its average of fifteen."""

from core.indicators import Sma
from truetape import Bar, Parameters, Strategy


class PriceCrossParameters(Parameters, frozen=True):
    instrument: str = "ESX"
    resolution: str = "daily"
    length: int = 15


class PriceCross(Strategy[PriceCrossParameters]):
    """Decide when a close crosses the average; the order, given at the close, fills at the next open."""

    def __init__(self, params: PriceCrossParameters) -> None:
        super().__init__(params)
        self.average, self.before = Sma(params.length), 0.0

    def on_bar(self, bar: Bar) -> None:
        self.average.update(bar.close)
        if not self.average.ready:
            return
        above, before, held = bar.close - self.average.value, self.before, self.position(bar.instrument)
        self.before = above or before
        if before < 0 < above and not held:
            self.buy(bar.instrument, 1, tif="GTC", reason="crossed its average upwards")
        elif before > 0 > above and held:
            self.sell(bar.instrument, held, tif="GTC", reason="crossed its average downwards")
