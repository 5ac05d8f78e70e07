"""Timers of strategies: on the exchange's clock, moved by name."""

import msgspec
import pytest

from core.errors import StrategyRaised
from core.events import (
    TimerFired,
)
from core.strategy import Parameters
from tests.core.bench import (
    BEGIN,
    CLOSE,
    END,
    MIN,
    OPEN,
    Bench,
    Nothing,
    S,
    instrument,
    session,
    ticks,
    trade,
)


class Clocked(Nothing):
    def __init__(self, *clocks):
        super().__init__(Parameters())
        self.clocks, self.fired = clocks, []

    def on_start(self):
        for clock in self.clocks:
            self.set_clock_timer(clock, "ACME", clock)

    def on_timer(self, timer):
        self.fired.append((timer.name, timer.ts, self.now))


def test_clock_timers_follow_the_exchange_in_summer():
    strategy = Clocked("15:55", "09:30")
    Bench(strategy).run([trade(BEGIN, 1), trade(END, 1)])
    due = CLOSE - 5 * MIN
    assert strategy.fired == [("09:30", OPEN, OPEN), ("15:55", due, due)]


def test_clock_timers_follow_the_exchange_in_winter_and_on_a_half_day():
    # 2025-11-28: clocks went back four weeks before; the session closes at 13:00.
    begin = BEGIN + (149 * 24 + 1) * 60 * MIN
    half = session("2025-11-28", begin - BEGIN)
    half = msgspec.structs.replace(half, close=begin + 9 * 60 * MIN)

    class Late(Clocked):
        def on_start(self):
            pass

        def on_trade(self, trade):
            if not self.fired:
                super().on_start()

    strategy = Late("12:55")
    events = [trade(begin + MIN, 1), trade(half.close - 6 * MIN, 1), trade(half.close, 1)]
    Bench(strategy, definitions=[instrument(), half]).run(events)
    due = half.close - 5 * MIN
    assert strategy.fired == [("12:55", due, due)]


def test_the_same_name_moves_a_timer():
    class Moving(Clocked):
        def on_trade(self, trade):
            self.set_timer("m", after_s=1.5)

    strategy = Moving()
    bench = Bench(strategy)
    bench.run([*ticks(3), trade(OPEN + 10 * S, 1)])
    assert [ts - OPEN for _, ts, _ in strategy.fired] == [3.5 * S]
    assert bench.recorded(TimerFired)[0].strategy == "s"


def test_a_clock_timer_without_a_session_says_so():
    bench = Bench(Clocked("15:55"), definitions=[instrument()])
    with pytest.raises(StrategyRaised, match="no session of XNYS is known now"):
        bench.run(ticks(1))
