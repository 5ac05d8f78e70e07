"""LEAN's BacktestingAsynchronousOrdersRegression: in and out at market, then two limits, one marketable."""

from truetape import Bar, Parameters, Strategy


class FourOrdersParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "minute"


class FourOrders(Strategy[FourOrdersParameters]):
    """All four are given in one minute; the limit to sell, 5 % below the market, fills in the next."""

    def on_bar(self, bar: Bar) -> None:
        name, limit = bar.instrument, bar.close * 0.95
        if self.position(name):
            return
        self.buy(name, 100, reason="at market")
        self.sell(name, 100, reason="at market")
        self.buy(name, 100, limit=limit, tif="GTC", reason="below the market")
        self.sell(name, 100, limit=limit, tif="GTC", reason="marketable")
