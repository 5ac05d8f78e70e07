"""The strategy of backtesting.py's page Multiple Time Frames, with its own kind of RSI."""

from itertools import pairwise

from truetape import Bar, Parameters, Strategy, Subscription, Trade


class TimeFramesParameters(Parameters, frozen=True):
    instrument: str = "GOOG"
    daily: int = 30
    weekly: int = 30
    level: float = 70.0


class Strength:
    """100 × gains / (gains + losses): exponential means as pandas' `ewm(com=n)` weighs them."""

    def __init__(self, n: int) -> None:
        self._keep, self._last = n / (n + 1), 0.0
        self._up, self._down = 0.0, 0.0

    def update(self, close: float) -> None:
        change, self._last = close - (self._last or close), close
        self._up = self._keep * self._up + max(change, 0.0)
        self._down = self._keep * self._down + max(-change, 0.0)

    @property
    def value(self) -> float:
        return 100 * self._up / ((self._up + self._down) or 1)


class TimeFrames(Strategy[TimeFramesParameters]):
    """In while days and weeks are strong and averages in order; out 8 % below, or 2 % below the average.

    It decides at daily closes and trades at the next opening print. A week ends on Friday; one without a
    Friday is known when the next one begins.
    """

    def __init__(self, params: TimeFramesParameters) -> None:
        super().__init__(params)
        self.days, self.weeks = Strength(params.daily), Strength(params.weekly)
        self.closes: tuple[float, ...] = ()
        self.week = 0  # of a close that no week has yet
        self.signal, self.stop = 0, 0.0

    def subscriptions(self) -> list[Subscription]:
        daily = Subscription(self.params.instrument, ("bars",), resolution="daily")
        return [daily, Subscription(self.params.instrument, ("trades",), resolution="tick")]

    def on_bar(self, bar: Bar) -> None:
        self.measure(bar)
        if len(self.closes) <= 100:
            return
        means = [sum(self.closes[-n:]) / n for n in (1, 10, 20, 50, 100)]
        strengths = [self.weeks.value, self.days.value, self.params.level]
        strong = all(a > b for some in (means, strengths) for a, b in pairwise(some))
        if strong and not self.position(bar.instrument):
            self.signal, self.stop = 1, 0.92 * bar.close
        elif bar.close < 0.98 * means[1]:
            self.signal = -1

    def measure(self, bar: Bar) -> None:
        _, week, day = self.local_time(bar.instrument).isocalendar()
        if self.week not in (0, week):
            self.weeks.update(self.closes[-1])
        if day == 5:
            self.weeks.update(bar.close)
        self.week = 0 if day == 5 else week
        self.days.update(bar.close)
        self.closes = (*self.closes, bar.close)[-101:]

    def on_trade(self, trade: Trade) -> None:
        name, held, signal, self.signal = trade.instrument, self.position(trade.instrument), self.signal, 0
        if signal > 0 and not held:
            size = int(float(self.equity() or 0) / (trade.price * 1.002))
            self.buy(name, size, reason="strong")
            self.sell(name, size, stop=self.stop, tif="GTC", reason="8 % below")
        elif signal < 0 and held:
            for order in self.working_orders(name):
                self.cancel(order.id, reason="out")
            self.sell(name, held, reason="2 % below its average")
