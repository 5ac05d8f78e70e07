"""LEAN's PatternDayTradingMarginCallOutsideMarketHoursRegression: short 2.1 times equity before the close."""

from decimal import Decimal

from truetape import Bar, MarginSizing, Parameters, Strategy

DAY_TRADING = MarginSizing("day trading", leverage=Decimal(4), buffer=Decimal(0), commission="lean")


class ShortOvernightParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class ShortOvernight(Strategy[ShortOvernightParameters]):
    """Sell short once, at 15:48."""

    def on_bar(self, bar: Bar) -> None:
        if f"{self.local_time(bar.instrument):%H:%M}" == "15:48" and not self.position(bar.instrument):
            self.target_pct(bar.instrument, Decimal("-2.1"), sizing=DAY_TRADING, reason="short")
