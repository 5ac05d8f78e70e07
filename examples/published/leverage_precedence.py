"""LEAN's LeveragePrecedenceRegression: ten times equity, and at once back to one."""

from decimal import Decimal

from msgspec.structs import replace

from truetape import LEAN, Bar, Filled, Parameters, Strategy

TEN = replace(LEAN, leverage=Decimal(10))


class LeveragePrecedenceParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class LeveragePrecedence(Strategy[LeveragePrecedenceParameters]):
    """The second order follows from the first one's fill, in the same minute."""

    def on_bar(self, bar: Bar) -> None:
        if not self.position(bar.instrument):
            self.target_pct(bar.instrument, 10, sizing=TEN, reason="ten times")

    def on_fill(self, fill: Filled) -> None:
        if fill.side == "BUY":
            self.target_pct(fill.instrument, 1, sizing=TEN, reason="once")
