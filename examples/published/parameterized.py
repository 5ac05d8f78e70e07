"""LEAN's ParameterizedAlgorithm: all in, again and again, while a fast average is above a slow one.

Its published result is that of the lengths in LEAN's own configuration, not of those in the source.
"""

from core.indicators import Ema
from truetape import LEAN, Bar, Parameters, Strategy


class ParameterizedParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    fast: int = 10
    slow: int = 20


class Parameterized(Strategy[ParameterizedParameters]):
    """Asks for the whole of equity each minute; sizing leaves alone what is close to it."""

    def __init__(self, params: ParameterizedParameters) -> None:
        super().__init__(params)
        self.fast, self.slow = Ema(params.fast), Ema(params.slow)

    def on_bar(self, bar: Bar) -> None:
        self.fast.update(bar.close)
        self.slow.update(bar.close)
        name, held = bar.instrument, self.position(bar.instrument)
        if not self.slow.ready:
            return
        if self.fast.value > self.slow.value * 1.001:
            self.target_pct(name, 1, sizing=LEAN, reason="the fast average is above")
        elif held and self.fast.value < self.slow.value * 0.999:
            self.sell(name, held, reason="the fast average is below")
