"""LEAN's LimitFillRegression: every full hour a limit at the last price, buying first and selling later."""

from collections.abc import Iterable

from truetape import Bar, Parameters, Strategy, Subscription

HOUR_NS = 3_600_000_000_000


class LimitFillParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    quantity: int = 10
    sell_from: str = "2013-10-09"


class LimitFill(Strategy[LimitFillParameters]):
    """Buy ten at the last price each hour before `sell_from`, then sell ten."""

    def subscriptions(self) -> Iterable[Subscription]:
        return [Subscription(self.params.instrument, resolution="second", fill_forward=True)]

    def on_bar(self, bar: Bar) -> None:
        if bar.ts % HOUR_NS:
            return
        today = self.local_time(bar.instrument).date().isoformat()
        size = self.params.quantity if today < self.params.sell_from else -self.params.quantity
        self.change(bar.instrument, size, limit=bar.close, tif="GTC", reason="the hour is over")
