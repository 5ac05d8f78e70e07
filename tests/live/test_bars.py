"""Bars in a live session: made from its trades, heard by strategies, and fed again by the proof."""

import shutil

import pytest

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.live.proving import prove
from app.live.request import LiveRequest
from app.live.session import LiveSession, run_live
from app.replay.recorded import Recorded as Proven
from core.clock import SECOND_NS
from core.events import Bar, FeedDefined, OrderIntended, Recorded, SessionStarted, Trade
from tests.logs import events_of

pytestmark = pytest.mark.usefixtures("no_hours")

STRATEGY = '''
from core.strategy import Parameters, Strategy, Subscription


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"


class Barred(Strategy[P]):
    """Buys far from the market at each bar, by its close."""

    def __init__(self, params):
        super().__init__(params)
        self.bars = 0

    def subscriptions(self):
        return [Subscription(self.params.instrument, resolution="second")]

    def on_bar(self, bar):
        self.bars += 1
        self.buy(bar.instrument, 1, limit=round(bar.close / 2, 2), reason="a bar")
'''


def test_bars_of_a_sessions_trades_are_heard_and_proved(ib_gateway, ib_gateway_log, tmp_path):

    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    (tmp_path / "barred.py").write_text(STRATEGY)
    gateway = ib_gateway(date="2025-07-02", speed=120)

    def watch(live: LiveSession) -> None:
        if live.seated[0].strategy.bars >= 3:
            live.stopping = "stopped"

    link = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001")
    spec = StrategySpec(f"{tmp_path / 'barred.py'}:Barred")
    request = LiveRequest(mode="live", link=link, strategies=(spec,), account="DU1000001")
    outcome = run_live(root, request, watch=watch)
    bars = events_of(root, Bar)
    assert len(bars) >= 3
    assert len(events_of(root, OrderIntended)) == len(bars)
    assert "ib/live/1sec" in {feed.feed for feed in events_of(root, FeedDefined)}
    trades = [t for t in events_of(root, Trade) if t.feed == "ib/stream" and not t.suspicious]
    for bar in bars:
        mine = [t for t in trades if bar.start <= t.ts < bar.ts]
        prices = [t.price for t in mine]
        assert bar.ts - bar.start == SECOND_NS
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar.volume == sum(t.size for t in mine)
    prove(root, Proven(events_of(root, SessionStarted)[-1], outcome.first_seq, outcome.last_seq))


TWO = (
    STRATEGY.replace('resolution="second"', "resolution=self.params.resolution")
    .replace('instrument: str = "ZVXA"', 'instrument: str = "ZVXA"\n    resolution: str = "1s"')
    .replace("self.bars += 1", "self.bars += 1\n        self.record(bar.feed, bar.close)")
)


@pytest.mark.extended
def test_each_strategy_hears_of_the_bars_of_its_length_alone(ib_gateway, ib_gateway_log, tmp_path):
    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    (tmp_path / "two.py").write_text(TWO)
    gateway = ib_gateway(date="2025-07-02", speed=240)

    def watch(live: LiveSession) -> None:
        if live.seated[1].strategy.bars >= 2:
            live.stopping = "stopped"

    link = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001")
    name = f"{tmp_path / 'two.py'}:Barred"
    specs = (StrategySpec(name, {}, "one"), StrategySpec(name, {"resolution": "10s"}, "ten"))
    request = LiveRequest(mode="live", link=link, strategies=specs, account="DU1000001")
    outcome = run_live(root, request, watch=watch)
    heard = {(event.strategy, event.name) for event in events_of(root, Recorded)}
    assert heard == {("one", "ib/live/1sec"), ("ten", "ib/live/10sec")}
    prove(root, Proven(events_of(root, SessionStarted)[-1], outcome.first_seq, outcome.last_seq))
