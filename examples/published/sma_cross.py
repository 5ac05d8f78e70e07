"""backtesting.py's SmaCross: always in the market, reversed at the open after two averages crossed."""

from collections import deque
from collections.abc import Iterable

from truetape import Bar, Parameters, Strategy, Subscription, Trade


class SmaCrossParameters(Parameters, frozen=True):
    instrument: str = "GOOG"
    fast: int = 10
    slow: int = 30
    share: float = 0.9999
    last_day: str = "2013-03-01"


class SmaCross(Strategy[SmaCrossParameters]):
    """Decide at the close of daily bars, trade at the opening print of the next day; flat on the last day."""

    signal, trend = 0, 0

    def subscriptions(self) -> Iterable[Subscription]:
        name = self.params.instrument
        return [
            Subscription(name, ("bars",), resolution="daily"),
            Subscription(name, ("trades",), resolution="tick"),
        ]

    def on_start(self) -> None:
        self.closes: deque[float] = deque(maxlen=self.params.slow)

    def on_bar(self, bar: Bar) -> None:
        self.closes.append(bar.close)
        if len(self.closes) == self.params.slow:
            closes = list(self.closes)
            fast, slow = sum(closes[-self.params.fast :]) / self.params.fast, sum(closes) / self.params.slow
            trend = (fast > slow) - (fast < slow)
            self.signal, self.trend = (trend if self.trend == -trend else 0), trend

    def on_trade(self, trade: Trade) -> None:
        name, held, equity = trade.instrument, self.position(trade.instrument), self.equity()
        over = self.local_time(name).date().isoformat() >= self.params.last_day
        if held and (self.signal or over):
            (self.sell if held > 0 else self.buy)(name, abs(held), reason="the averages crossed")
        if self.signal and not over and equity is not None:
            size = int(self.params.share * float(equity) / trade.price)
            (self.buy if self.signal > 0 else self.sell)(name, size, reason="the averages crossed")
        self.signal = 0
