"""LEAN's algorithm framework: an opinion every twenty minutes, a share of equity for it, limits to losses."""

from decimal import Decimal

from truetape import LEAN, Bar, Filled, Parameters, Strategy


class FrameworkParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    loss: float = 0.01
    profit: float = 1.0
    share: float = 1.0
    adds: bool = False


class Framework(Strategy[FrameworkParameters]):
    """An opinion holds for 21 minutes of trading. A change is made whose own margin is 0.1 % of equity."""

    paid, minute, since, ends = Decimal(0), 0, 0, tuple[int, ...]()

    def on_fill(self, fill: Filled) -> None:
        self.paid = fill.price

    def on_bar(self, bar: Bar) -> None:
        name, p, self.minute = bar.instrument, self.params, self.minute + 1
        held = self.position(name)
        before, self.ends = self.ends, tuple(end for end in self.ends if end > self.minute)
        if bar.ts - self.since >= 20 * 60_000_000_000:
            self.since, self.ends = bar.ts, (*self.ends, self.minute + 21)
        gain = float((Decimal(repr(self.quotes.bid(name))) - self.paid - Decimal("0.005")) / (self.paid or 1))
        if held and not -p.loss <= gain <= p.profit:
            self.ends = ()
            self.sell(name, held, reason=f"a gain of {gain:.2%}")
        elif self.ends != before:
            share = round(p.share * (len(self.ends) if p.adds else 1), 9)
            change = self.quantity_for(name, share, sizing=LEAN) - held
            if abs(float(change)) * bar.close / 2 >= float(self.equity() or 0) / 1000:
                self.change(name, change, reason=f"{len(self.ends)} opinions")
