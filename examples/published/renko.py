"""LEAN's ClassicRenkoConsolidatorAlgorithm: all in at a brick of closes, out at one of weighted prices."""

from math import ceil

from truetape import LEAN, Bar, Parameters, Strategy


class RenkoParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"
    brick: float = 2.5


class Renko(Strategy[RenkoParameters]):
    """A brick is done when a value lies its size away from its open, which is where the last one ended."""

    opens: tuple[float | None, float | None] = (None, None)

    def on_bar(self, bar: Bar) -> None:
        weighted = (2 * bar.open + bar.high + bar.low + 3 * bar.close) / 7
        held = self.position(bar.instrument)
        closes, others = self.opens
        closes, done = self.brick(closes, bar.close)
        if done and not held:
            self.target_pct(bar.instrument, 1, sizing=LEAN, reason="a brick of closes")
        others, done = self.brick(others, weighted)
        if done and held:
            self.sell(bar.instrument, held, tif="GTC", reason="a brick of weighted prices")
        self.opens = closes, others

    def brick(self, start: float | None, value: float) -> tuple[float, bool]:
        size = self.params.brick
        if start is None:
            return ceil(value / size) * size, False
        done = abs(value - start) >= size
        return (start + size if value > start else start - size, True) if done else (start, False)
