"""Timers after a suspend: what a session missed is not made up for, so that limits by the minute hold."""

from functools import partial

import pytest

from core.events import ClockAdvanced, RiskApproved, TimerFired
from core.loop import Loop
from core.risk import Limits
from core.strategy import Parameters
from tests.core.bench import MIN, OPEN, Bench, Nothing, S, trade

pytestmark = pytest.mark.risk

LIVE = partial(Loop, late_ns=MIN)
AWAY = OPEN + 120 * MIN + 7 * S
LIMIT = 2


class EveryMinute(Nothing):
    """Buys one at a timer that sets itself again."""

    def on_trade(self, trade):
        self.set_timer("again", after_s=60)

    def on_timer(self, timer):
        self.buy("ACME", 1, reason="a minute is over")
        self.set_timer("again", after_s=60)


class Two(Nothing):
    """Sets a timer that will be long overdue, and one that is only just."""

    def on_trade(self, trade):
        self.set_timer("long ago", at=OPEN + MIN)
        self.set_timer("just now", at=AWAY - S)


def suspended(strategy, loop):
    """Return a bench whose session sees a trade, and then nothing for two hours."""
    limits = Limits(max_orders_per_minute=LIMIT)
    bench = Bench(strategy(Parameters()), limits=limits, loop=loop)
    bench.run([trade(OPEN, 10.0), ClockAdvanced(AWAY)])
    return bench


def fired(bench):
    return [timer.ts for timer in bench.recorded(TimerFired)]


def test_a_session_that_was_suspended_fires_what_it_missed_once_and_now():
    assert fired(suspended(EveryMinute, LIVE)) == [AWAY]


def test_a_replay_misses_nothing():
    assert fired(suspended(EveryMinute, Loop)) == [OPEN + n * MIN for n in range(1, 121)]


def test_what_is_due_after_something_overdue_is_not_before_it():
    assert fired(suspended(Two, LIVE)) == [AWAY, AWAY]


def test_what_is_a_little_late_happens_at_its_time():
    assert fired(suspended(Two, partial(Loop, late_ns=120 * MIN))) == [OPEN + MIN, AWAY - S]


@pytest.mark.parametrize(("loop", "holds"), [(LIVE, True), (Loop, False)], ids=["live", "making up"])
def test_orders_of_overdue_timers_pass_no_limit_by_the_minute(loop, holds):
    """Made up for, each order carries the minute that it was due in, and the limit sees one at a time."""
    at_once = suspended(EveryMinute, loop).recorded(RiskApproved)
    assert (len(at_once) <= LIMIT) is holds
