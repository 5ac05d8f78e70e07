"""Orders that a replay refuses for what it does not read, and warm-up by events."""

import shutil

import pytest

from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import parse_period
from app.replay.replaying import Replay
from core.errors import DataMissing
from core.events import OrderSendStarted, RiskRefused
from eventstore.reading.reader import LogReader
from tests.logs import events_of

STRAY = """
from truetape import Parameters, Strategy, Trade, WarmUp


class P(Parameters, frozen=True):
    instrument: str


class Stray(Strategy[P]):
    def __init__(self, params: P) -> None:
        super().__init__(params)
        self.seen = 0

    def on_trade(self, trade: Trade) -> None:
        self.seen += 1
        if self.seen == 1:
            self.buy("ZVXB", 10, reason="another one")


class Warm(Stray):
    warm_up = WarmUp(events=EVENTS)

    def on_trade(self, trade: Trade) -> None:
        self.seen += 1
        self.record("seen", self.seen) if self.working_orders() or self.seen % 5000 == 0 else None
"""


@pytest.fixture(scope="module")
def log(ib_gateway_log, tmp_path_factory):
    return shutil.copytree(ib_gateway_log, tmp_path_factory.mktemp("refusals") / "log")


def run(log, path, name, day):
    spec = StrategySpec(f"{path}:{name}", {"instrument": "ZVXA"})
    return Replay(log, LogReader(log), parse_period(day), [spec], ReplayOptions())


def test_an_order_in_an_instrument_without_prices_is_refused_and_not_sent(log, tmp_path):
    path = tmp_path / "stray.py"
    path.write_text(STRAY.replace("EVENTS", "1"), "utf-8")
    done = run(log, path, "Stray", "2025-07-03").run()
    (refused,) = events_of(done, RiskRefused, OrderSendStarted)
    assert isinstance(refused, RiskRefused)
    assert (refused.rule, refused.value) == ("instrument", "ZVXB")
    assert "no strategy subscribes to ZVXB" in refused.message


def test_warm_up_by_events_feeds_whole_sessions_that_hold_them(log, tmp_path):
    path = tmp_path / "warm.py"
    path.write_text(STRAY.replace("EVENTS", "100"), "utf-8")
    replay = run(log, path, "Warm", "2025-07-03")
    assert [str(plan.period) for plan in replay.plans] == ["2025-07-02", "2025-07-03"]


def test_warm_up_by_more_events_than_the_log_holds_is_refused_with_what_it_holds(log, tmp_path):
    path = tmp_path / "greedy.py"
    path.write_text(STRAY.replace("EVENTS", "10_000_000"), "utf-8")
    with pytest.raises(DataMissing, match=r"needs 10,000,000 events before 2025-07-03 .* in 1 sessions"):
        run(log, path, "Warm", "2025-07-03")
