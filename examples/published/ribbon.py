"""LEAN's DisplacedMovingAverageRibbon: all in when six past closes rise in a row, out when they fall."""

from truetape import LEAN, Bar, Parameters, Strategy


class RibbonParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"
    count: int = 6
    offset: int = 5


class Ribbon(Strategy[RibbonParameters]):
    """The closes of 5, 10, … 30 days ago: there, each delay is fed with prices, not with the average."""

    closes: tuple[float, ...] = ()

    def on_bar(self, bar: Bar) -> None:
        step, size = self.params.offset, self.params.offset * self.params.count
        self.closes = (*self.closes, bar.close)[-size - 1 :]
        if len(self.closes) < size:
            return
        ribbon = [self.closes[max(-1 - step * n, -len(self.closes))] for n in range(1, self.params.count + 1)]
        held = self.position(bar.instrument)
        if not held and ribbon == sorted(ribbon, reverse=True):
            self.target_pct(bar.instrument, 1, sizing=LEAN, reason="rising")
        elif held and ribbon == sorted(ribbon):
            self.sell(bar.instrument, held, tif="GTC", reason="falling")
