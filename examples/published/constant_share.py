"""LEAN's (No)MinimumOrderMarginRegression: a quarter of equity, asked for each minute."""

from decimal import Decimal

from msgspec.structs import replace

from truetape import LEAN, Bar, Parameters, Strategy


class ConstantShareParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    share: float = 0.25
    minimum: float = 0.001


class ConstantShare(Strategy[ConstantShareParameters]):
    """A change is traded where its margin is at least `minimum` of equity."""

    def on_bar(self, bar: Bar) -> None:
        sizing = replace(LEAN, minimum=Decimal(str(self.params.minimum)))
        self.target_pct(bar.instrument, self.params.share, sizing=sizing, reason="a quarter")
