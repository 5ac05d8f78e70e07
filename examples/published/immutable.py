"""LEAN's OrderImmutabilityRegression: a limit that is enlarged and moved in the minute it was given."""

from truetape import Bar, Parameters, Strategy


class ImmutableParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"


class Immutable(Strategy[ImmutableParameters]):
    """Ask for 10 at 100, then for 20 at the day's low, while nothing is held."""

    def on_bar(self, bar: Bar) -> None:
        if not self.position(bar.instrument):
            order = self.buy(bar.instrument, 10, limit=100, tif="GTC", reason="far below")
            self.modify(order, quantity=20, limit=bar.low, reason="nearer")
