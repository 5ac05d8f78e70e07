"""LEAN's margin for day traders: five times equity while the market is open, two overnight.

Its NoMarginCallExpectedRegression goes back by itself at 15:45; with `called` a margin call does it, as in
MarginCallClosedMarketRegression.
"""

from decimal import ROUND_CEILING, Decimal

from msgspec.structs import replace

from truetape import LEAN, Bar, Parameters, Strategy

DAY = replace(LEAN, leverage=Decimal(5))


class DayTradingParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    called: bool = False


class DayTrading(Strategy[DayTradingParameters]):
    """Margin is looked at every five minutes from 9:31 on, and is that of the night from 15:50 on."""

    def on_bar(self, bar: Bar) -> None:
        name, clock = bar.instrument, f"{self.local_time(bar.instrument):%H:%M}"
        held, equity = self.position(name), self.equity() or Decimal(0)
        if clock == "09:31" and not (held and self.params.called):
            self.target_pct(name, 5, sizing=DAY, reason="the day's margin")
        elif clock == "15:45" and not self.params.called:
            self.target_pct(name, 2, sizing=DAY, reason="the night's margin")
        elif clock == "15:51" and self.params.called:
            unit = Decimal(repr(bar.close)) / 2
            short = held * unit - equity
            if short > equity / 10:
                fee = short / unit * Decimal("0.005")
                less = ((short + fee) / unit).to_integral_value(ROUND_CEILING)
                self.sell(name, less, reason="margin call")
