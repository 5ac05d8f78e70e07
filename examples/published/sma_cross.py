"""backtesting.py's SmaCross: always in the market, reversed at the open after two averages crossed."""

from truetape import Bar, Parameters, Strategy, Subscription, Trade


class SmaCrossParameters(Parameters, frozen=True):
    instrument: str = "GOOG"
    fast: int = 10
    slow: int = 30
    share: float = 0.9999
    rate: float = 0.0
    last_day: str = "2013-03-01"


class SmaCross(Strategy[SmaCrossParameters]):
    """Decide at daily closes, trade at the next opening print; `rate` is that of the commission."""

    signal, trend = 0, 0
    closes: tuple[float, ...] = ()

    def subscriptions(self) -> list[Subscription]:
        daily = Subscription(self.params.instrument, ("bars",), resolution="daily")
        return [daily, Subscription(self.params.instrument, ("trades",), resolution="tick")]

    def on_bar(self, bar: Bar) -> None:
        self.closes = (*self.closes, bar.close)[-self.params.slow :]
        if len(self.closes) == self.params.slow:
            fast = sum(self.closes[-self.params.fast :]) / self.params.fast
            trend = (fast > (slow := sum(self.closes) / self.params.slow)) - (fast < slow)
            self.signal, self.trend = (trend if self.trend == -trend else 0), trend

    def on_trade(self, trade: Trade) -> None:
        name, held, signal, self.signal = trade.instrument, self.position(trade.instrument), self.signal, 0
        over = self.local_time(name).date().isoformat() >= self.params.last_day
        if held and (signal or over):
            self.change(name, -held, reason="the averages crossed")
        if signal and not over:
            left = float(self.equity() or 0) - abs(float(held)) * trade.price * self.params.rate
            size = int(self.params.share * left / (trade.price * (1 + self.params.rate)))
            self.change(name, signal * size, reason="the averages crossed")
