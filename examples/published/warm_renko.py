"""LEAN's WarmupIndicatorRegression: all in at the first brick of two after a month of warm-up."""

from math import ceil
from typing import ClassVar

from truetape import LEAN, Bar, Parameters, Strategy, WarmUp


class WarmRenkoParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"
    brick: float = 2.0


class WarmRenko(Strategy[WarmRenkoParameters]):
    """Where a brick begins follows from the bars before the start: orders on those are refused."""

    warm_up: ClassVar[WarmUp] = WarmUp(sessions=22)
    open: float | None = None

    def on_bar(self, bar: Bar) -> None:
        brick = self.params.brick
        if self.open is None:
            self.open = ceil(bar.close / brick) * brick
        elif abs(bar.close - self.open) >= brick:
            self.open += brick if bar.close > self.open else -brick
            if not self.position(bar.instrument):
                self.target_pct(bar.instrument, 1, sizing=LEAN, reason="a brick")
