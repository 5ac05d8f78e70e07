"""LEAN's TimeInForceAlgorithm: pairs of limits that are good till cancelled, for the day, and till a date."""

from truetape import Bar, Parameters, Strategy

DAY_NS = 86_400_000_000_000


class TimeInForceParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"
    days: int = 3


class TimeInForce(Strategy[TimeInForceParameters]):
    """Of each pair one limit is far below the market and one far above it."""

    asked = False

    def on_bar(self, bar: Bar) -> None:
        if self.asked:
            return
        self.asked, name = True, bar.instrument
        until = self.clock_time(name, "16:00") + self.params.days * DAY_NS
        for limit in (100, 160):
            self.buy(name, 10, limit=limit, tif="GTC", reason="till cancelled")
        for limit in (140, 180):
            self.buy(name, 10, limit=limit, tif="DAY", reason="for the day")
        for limit in (100, 160):
            self.buy(name, 10, limit=limit, tif="GTD", good_till=until, reason="till a date")
