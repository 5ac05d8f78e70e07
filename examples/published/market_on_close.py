"""LEAN's MarketOnCloseOrder: at noon of the second day, one share at the close."""

from truetape import Bar, Parameters, Strategy, TimerFired


class MarketOnCloseParameters(Parameters, frozen=True):
    instrument: str = "SPY"
    resolution: str = "hour"
    day: int = 2
    clock: str = "12:00"


class MarketOnClose(Strategy[MarketOnCloseParameters]):
    """Ask on one day, at a time of day, for one share at the close."""

    date, days = "", 0

    def on_bar(self, bar: Bar) -> None:
        date = self.local_time(bar.instrument).date().isoformat()
        if date != self.date:
            self.date, self.days = date, self.days + 1
            if self.days == self.params.day:
                self.set_clock_timer("noon", bar.instrument, self.params.clock)

    def on_timer(self, timer: TimerFired) -> None:  # noqa: ARG002
        self.buy(self.params.instrument, 1, at_close=True, reason="noon")
