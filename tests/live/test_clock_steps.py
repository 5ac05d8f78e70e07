"""The wall clock is set back while a session trades: its time goes on, and so does all that goes by it."""

import shutil
import time
from itertools import pairwise

import pytest

from adapters.ibkr.link.clocks import SteadyClock, elapsed_ns
from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.live.kill_file import KillFile
from app.live.proving import prove
from app.live.session import LiveRequest, LiveSession, run_live
from app.replay.recorded import Recorded as Proven
from core.clock import HOUR_NS, local
from core.events import Bar, Filled, HaltVerified, Quote, SessionStarted, TimerFired, Trade
from tests.logs import events_of

pytestmark = pytest.mark.usefixtures("no_hours")

STRATEGY = '''
from core.strategy import Parameters, Strategy, Subscription


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"


class Barred(Strategy[P]):
    """Counts bars and trades."""

    bars = trades = 0

    def subscriptions(self):
        name = self.params.instrument
        return [Subscription(name, resolution="second"), Subscription(name)]

    def on_bar(self, bar):
        self.bars += 1

    def on_trade(self, trade):
        self.trades += 1
'''


BUYS = '''
from core.strategy import Parameters, Strategy, Subscription


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"


class Buys(Strategy[P]):
    """Buys once and means to close in an hour."""

    asked = fired = filled = 0

    def on_trade(self, trade):
        if not self.asked:
            self.asked = 1
            self.set_timer("close", after_s=3600)
            self.buy(trade.instrument, 100, reason="in")

    def on_fill(self, fill):
        self.filled += 1

    def on_timer(self, timer):
        self.fired += 1
'''


class SetBack:
    """Sets the clock of a session back by an hour after its first bar, and kills the session.

    Ends it when the broker's book was looked at and another bar came, or after `trades` more without one.
    """

    def __init__(self, clock, trades):
        self.session, self._clock, self._trades = None, clock, trades
        self._step, self._at = 0, 0
        self._until_s = time.monotonic() + 60

    def wall(self):
        return time.time_ns() - self._step

    def __call__(self, session: LiveSession) -> None:
        if self.session is None:
            self.session, session.client._clock = session, self._clock(self.wall)
        told = session.seated[0].strategy
        if told.bars and not self._step:
            self._step, self._at = HOUR_NS, told.trades
        if self._step and not session.gate.halt:
            KillFile(session._journal.root).make("enough")
        lost = self._step and told.bars < 2 and told.trades > self._at + self._trades
        looked = told.bars >= 2 and session.link._looks and not session.link._goal
        if lost or looked or time.monotonic() > self._until_s:
            session.stopping = "done"


def played(ib_gateway, ib_gateway_log, tmp_path, clock, trades=1_000_000):
    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    (tmp_path / "barred.py").write_text(STRATEGY)
    gateway = ib_gateway(date="2025-07-02", speed=240)
    link = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001", heartbeat_s=0.2)
    spec = StrategySpec(f"{tmp_path / 'barred.py'}:Barred")
    request = LiveRequest(mode="live", link=link, strategies=(spec,), account="DU1000001")
    outcome = run_live(root, request, watch=SetBack(clock, trades))
    return root, outcome


def steady(wall):
    return SteadyClock(wall, elapsed_ns)


def falls(root):
    """Return by how much the times of ticks, in the order of the log, fall at most."""
    ticks = [one.ts for one in events_of(root, Trade, Quote) if one.feed == "ib/stream"]
    return max(before - after for before, after in pairwise(ticks))


def test_an_hour_back_stops_neither_bars_nor_a_halt_and_no_time_falls(ib_gateway, ib_gateway_log, tmp_path):
    root, outcome = played(ib_gateway, ib_gateway_log, tmp_path, steady)
    assert len(events_of(root, Bar)) >= 2
    assert [(e.level, e.reached) for e in events_of(root, HaltVerified)] == [("cancel_all", True)]
    assert falls(root) <= 0
    prove(root, Proven(events_of(root, SessionStarted)[-1], outcome.first_seq, outcome.last_seq))


def test_a_fill_from_a_clock_that_is_ahead_of_ours_lets_no_timer_fire(ib_gateway, ib_gateway_log, tmp_path):
    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    (tmp_path / "buys.py").write_text(BUYS)
    gateway = ib_gateway(date="2025-07-02", speed=60)  # a year ahead of our clock
    behind = time.time_ns() - local("2024-07-02", "12:00", "UTC")
    until_s = time.monotonic() + 60
    found = []

    def watch(session: LiveSession) -> None:
        if not found:
            found.append(session.seated[0].strategy)
            session.client._clock = SteadyClock(lambda: time.time_ns() - behind, elapsed_ns)
        if found[0].filled or time.monotonic() > until_s:
            session.stopping = "done"

    link = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001")
    spec = StrategySpec(f"{tmp_path / 'buys.py'}:Buys")
    run_live(root, LiveRequest(mode="live", link=link, strategies=(spec,), account="DU1000001"), watch=watch)
    assert (found[0].filled, found[0].fired) == (1, 0)
    assert events_of(root, TimerFired) == []
    (fill,) = events_of(root, Filled)
    assert 0 <= time.time_ns() - behind - fill.ts < HOUR_NS


@pytest.mark.extended
def test_a_session_by_the_bare_wall_clock_is_caught(ib_gateway, ib_gateway_log, tmp_path):
    root, _ = played(ib_gateway, ib_gateway_log, tmp_path, lambda wall: wall, 400)
    assert len(events_of(root, Bar)) == 1
    assert falls(root) > HOUR_NS // 2
