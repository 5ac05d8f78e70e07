"""LEAN's FreePortfolioValueRegression: all of equity, unlevered, asked for each day for ten years."""

from decimal import Decimal

from msgspec.structs import replace

from truetape import LEAN, Bar, Parameters, Strategy

UNLEVERED = replace(LEAN, leverage=Decimal(1))


class RebalancedParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"


class Rebalanced(Strategy[RebalancedParameters]):
    """A change of less than a thousandth of equity is not made."""

    def on_bar(self, bar: Bar) -> None:
        self.target_pct(bar.instrument, 1, sizing=UNLEVERED, reason="all of equity")
