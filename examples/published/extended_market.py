"""LEAN's ExtendedMarketTradingRegression: each day before the open, a limit at the low of a minute."""

from truetape import Bar, Parameters, Strategy


class ExtendedMarketParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class ExtendedMarket(Strategy[ExtendedMarketParameters]):
    """Needs bars of all hours: `--extended-hours`."""

    date = ""

    def on_bar(self, bar: Bar) -> None:
        date, clock = f"{self.local_time(bar.instrument):%Y-%m-%d %H:%M}".split()
        if date != self.date and not "09:30" < clock < "16:00":
            self.date = date
            why = "outside regular hours"
            self.buy(bar.instrument, 10, limit=bar.low, tif="GTC", outside_rth=True, reason=why)
