"""LEAN's ZeroFeeRegression: all in at the first minute and out at the next, for nothing."""

from msgspec.structs import replace

from truetape import LEAN, Bar, Parameters, Strategy

FREE = replace(LEAN, commission="zero")


class InAndOutParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class InAndOut(Strategy[InAndOutParameters]):
    """Needs `--commission zero`: what a fee does not take buys one share more."""

    bought = False

    def on_bar(self, bar: Bar) -> None:
        if held := self.position(bar.instrument):
            self.sell(bar.instrument, held, reason="out")
        elif not self.bought:
            self.target_pct(bar.instrument, 1, sizing=FREE, reason="in")
            self.bought = True
