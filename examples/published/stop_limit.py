"""LEAN's StopLimitOrderRegression: buy by a stop-limit while prices rise, sell by another when they fall."""

from truetape import Bar, Parameters, Strategy


class StopLimitParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "daily"
    fast: int = 30
    slow: int = 60
    tolerance: float = 0.001
    quantity: int = 100


class StopLimit(Strategy[StopLimitParameters]):
    """Follow two exponential averages of daily closes with a stop-limit each way, once."""

    samples, fast, slow = 0, 0.0, 0.0
    bought = sold = ""

    def on_bar(self, bar: Bar) -> None:
        name, size, params = bar.instrument, self.params.quantity, self.params
        self.samples += 1
        if self.samples == 1:
            self.fast = self.slow = bar.close
        self.fast += 2 / (params.fast + 1) * (bar.close - self.fast)
        self.slow += 2 / (params.slow + 1) * (bar.close - self.slow)
        if self.samples < params.slow:
            return
        rising = self.fast > self.slow * (1 + params.tolerance)
        if not self.bought and rising:
            stop, limit = bar.high * 1.10, bar.high * 1.11
            self.bought = self.buy(name, size, stop=stop, limit=limit, tif="GTC", reason="rising")
        elif not self.sold and self.position(name) and not rising:
            stop, limit = bar.low * 0.99, bar.low * 0.98
            self.sold = self.sell(name, size, stop=stop, limit=limit, tif="GTC", reason="falling")
