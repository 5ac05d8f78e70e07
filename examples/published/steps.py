"""LEAN's SetHoldingsRegression: a tenth, two, three and all of equity, one after the other in one minute."""

from truetape import LEAN, Bar, Filled, Parameters, Strategy


class StepsParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class Steps(Strategy[StepsParameters]):
    """Each step follows from the fill of the one before it, which the position shows by then."""

    left: tuple[float, ...] = (0.1, 0.2, 0.3, 1)

    def on_bar(self, bar: Bar) -> None:
        if not self.position(bar.instrument):
            self.step(bar.instrument)

    def on_fill(self, fill: Filled) -> None:
        if self.left:
            self.step(fill.instrument)

    def step(self, instrument: str) -> None:
        share, *left = self.left
        self.left = tuple(left)
        self.target_pct(instrument, share, sizing=LEAN, reason=f"{share:.0%} of equity")
