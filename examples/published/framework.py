"""LEAN's BasicTemplateFramework: all in every twenty minutes if flat, out at a loss of one per cent."""

from decimal import Decimal

from truetape import LEAN, Bar, Filled, Parameters, Strategy

PERIOD_NS = 20 * 60_000_000_000


class FrameworkParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class Framework(Strategy[FrameworkParameters]):
    """The loss is that of selling at the bid, fee included, as a share of what was paid."""

    paid, since = Decimal(0), 0

    def on_fill(self, fill: Filled) -> None:
        self.paid = fill.price

    def on_bar(self, bar: Bar) -> None:
        name, held, again = bar.instrument, self.position(bar.instrument), bar.ts - self.since >= PERIOD_NS
        if again:
            self.since = bar.ts
        if held:
            gain = Decimal(repr(self.quotes.bid(name))) - self.paid - Decimal("0.005")
            if gain < -self.paid / 100:
                self.sell(name, held, reason="a loss of one per cent")
        elif again:
            self.target_pct(name, 1, sizing=LEAN, reason="up for twenty minutes")
