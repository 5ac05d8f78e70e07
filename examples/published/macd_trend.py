"""LEAN's MACDTrendAlgorithm: all in while MACD(12, 26) is above its signal line, flat when it is below.

With `short` it goes short instead, as ConvertToFrameworkAlgorithm does.
"""

from core.indicators import Ema
from truetape import LEAN, Bar, Parameters, Strategy


class MacdTrendParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"
    tolerance: float = 0.0025
    short: bool = False


class MacdTrend(Strategy[MacdTrendParameters]):
    """Compare the MACD with its average of nine closes, by a tolerance in shares of the fast average."""

    def __init__(self, params: MacdTrendParameters) -> None:
        super().__init__(params)
        self.fast, self.slow, self.signal = Ema(12), Ema(26), Ema(9)

    def on_bar(self, bar: Bar) -> None:
        self.fast.update(bar.close)
        self.slow.update(bar.close)
        macd = self.fast.value - self.slow.value
        if self.slow.ready:
            self.signal.update(macd)
        if not self.signal.ready or self.working_orders():
            return
        held, above = self.position(bar.instrument), (macd - self.signal.value) / self.fast.value
        if held <= 0 and above > self.params.tolerance:
            self.target_pct(bar.instrument, 1, sizing=LEAN, reason="above its signal line")
        elif (held > 0 or (self.params.short and not held)) and above < -self.params.tolerance:
            self.target_pct(bar.instrument, -int(self.params.short), sizing=LEAN, reason="below it")
