"""Orders by the clock, as LEAN's regression algorithms schedule them: `docs/published.md` has nine."""

from typing import Any

from truetape import Bar, Parameters, Strategy, TimerFired

DAY_NS = 86_400_000_000_000


class TimetableParameters(Parameters, frozen=True):
    """`times` are days after the first one and clocks (`0+12:00 1+09:30:01`); `kinds` are asked at each.

    A `LATE` order is a market order that need not wait for the open; a stop lies `below` the last price.
    """

    instrument: str = "SPY"
    resolution: str = "minute"
    times: str = "0+12:00"
    kinds: str = "MKT"
    quantity: int = 1
    below: float = 2.0


class Timetable(Strategy[TimetableParameters]):
    """Buy at each of the times, also where there is no bar."""

    planned = False

    def on_bar(self, bar: Bar) -> None:
        for time in () if self.planned else self.params.times.split():
            days, _, clock = time.partition("+")
            self.set_timer(time, at=self.clock_time(bar.instrument, clock) + int(days) * DAY_NS)
        self.planned = True

    def on_timer(self, timer: TimerFired) -> None:
        stop = (self.quotes.mark(self.params.instrument) or 0) - self.params.below
        terms: dict[str, dict[str, Any]] = {"MKT": {}, "MOC": {"at_close": True}, "OPG": {"tif": "OPG"}}
        terms |= {"LATE": {"outside_rth": True, "tif": "GTC"}, "STP": {"stop": stop, "tif": "GTC"}}
        for kind in self.params.kinds.split():
            self.buy(self.params.instrument, self.params.quantity, reason=timer.name, **terms[kind])
