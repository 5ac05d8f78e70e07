"""LEAN's algorithm framework: all in every twenty minutes, out at a loss or a profit of one per cent.

Its BasicTemplateFramework takes losses, AddRiskManagement profits, CompositeRiskManagement both.
"""

from decimal import Decimal

from truetape import LEAN, Bar, Filled, Parameters, Strategy

PERIOD_NS = 20 * 60_000_000_000


class FrameworkParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    loss: float = 0.01
    profit: float = 1.0


class Framework(Strategy[FrameworkParameters]):
    """The gain is that of selling at the bid, fee included, as a share of what was paid."""

    paid, since = Decimal(0), 0

    def on_fill(self, fill: Filled) -> None:
        self.paid = fill.price

    def on_bar(self, bar: Bar) -> None:
        name, held, again = bar.instrument, self.position(bar.instrument), bar.ts - self.since >= PERIOD_NS
        if again:
            self.since = bar.ts
        if held:
            gain = float((Decimal(repr(self.quotes.bid(name))) - self.paid - Decimal("0.005")) / self.paid)
            if not -self.params.loss <= gain <= self.params.profit:
                self.sell(name, held, reason=f"a gain of {gain:.2%}")
        elif again:
            self.target_pct(name, 1, sizing=LEAN, reason="up for twenty minutes")
