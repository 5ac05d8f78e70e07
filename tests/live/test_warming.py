"""Warm-up before a live session: from the log, from the broker's history, and the same in the proof."""

import shutil
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.live.preparing import prepare_session
from app.live.proving import Differs, prove
from app.live.request import LiveRequest
from app.live.session import LiveSession, run_live
from app.live.starting import WARM_UP, warm_up_of
from app.replay.recorded import Recorded as Proven
from core.clock import local
from core.errors import BrokerUnreachable, UsageError
from core.events import (
    ConnectionChanged,
    DataStateChanged,
    ImportStarted,
    OrderIntended,
    Quote,
    Recorded,
    SessionStarted,
)
from core.ports import Selection
from eventstore.reading.reader import LogReader
from tests.logs import events_of

DAY, NEXT = "2025-07-02", "2025-07-03"
MORNING = local(NEXT, "00:00", "America/New_York")

STRATEGY = """
from core.strategy import Parameters, Strategy, WarmUp


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"
    after: int = {after}


class {name}(Strategy[P]):
    warm_up = WarmUp(sessions=1)

    def __init__(self, params):
        super().__init__(params)
        self.heard = 0
        self.total = 0.0
        self.ordered = False

    def {handler}(self, event):
        self.heard += 1
        self.total += event.{price}

    def on_quote(self, quote):
        if self.now < self.params.after or self.ordered:
            return
        self.ordered = True
        self.record("heard", self.heard)
        mean = self.total / max(self.heard, 1) or 20.0
        self.buy(self.params.instrument, 1, limit=round(mean / 2, 2), reason=f"mean of {{self.heard}}")
"""


def strategy(folder: Path, handler: str, price: str) -> StrategySpec:
    path = folder / "warm.py"
    path.write_text(STRATEGY.format(name="Warm", handler=handler, price=price, after=MORNING))
    return StrategySpec(f"{path}:Warm")


def stop_after_the_order(live: LiveSession) -> None:
    if live.seated[0].strategy.ordered:
        live.stopping = "stopped"


def run(root, gateway, spec, *, watch=stop_after_the_order, prepare=prepare_session, watchlist=(), **link):
    settings = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001", **link)
    request = LiveRequest(
        mode="live", link=settings, strategies=(spec,), account="DU1000001", watchlist=watchlist
    )
    outcome = run_live(root, request, watch=watch, prepare=prepare)
    return Proven(events_of(root, SessionStarted)[-1], outcome.first_seq, outcome.last_seq)


def nothing(_writer, _request) -> None:
    pass


@pytest.fixture
def stepped(ib_gateway, ib_gateway_log, tmp_path):
    """A session in lock step over a copy of the log that the gateway serves."""
    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    gateway = ib_gateway(date=NEXT, speed="step", start="begin")
    start_ns = local(NEXT, "00:00", "America/New_York")
    return (
        root,
        gateway,
        {"lock_step": True, "start_ns": start_ns, "tick_by_tick_max": 100, "prepare": nothing},
    )


def test_a_session_is_fed_the_session_before_from_the_log(stepped, ib_gateway_log, tmp_path):
    root, gateway, stepping = stepped
    told = run(root, gateway, strategy(tmp_path, "on_trade", "price"), **stepping)
    (heard,) = [event for event in events_of(root, Recorded) if event.name == "heard"]
    day = Selection(
        begin_ts=local(DAY, "00:00", "America/New_York"),
        end_ts=MORNING,
        instruments=frozenset({"ZVXA"}),
    )
    trades = sum(
        type(event).__name__ == "Trade"
        for chunk in LogReader(ib_gateway_log).market(day)
        for event in chunk.events
    )
    assert heard.value == trades
    assert [part.feed for part in warm_up_of(told.started)] == ["sample/tick"]


def test_the_proof_feeds_the_same_and_one_that_does_not_is_caught(stepped, tmp_path):
    root, gateway, stepping = stepped
    told = run(root, gateway, strategy(tmp_path, "on_trade", "price"), **stepping)
    assert prove(root, told).summary["decisions_hash"]
    config = {**msgspec.json.decode(told.started.config), WARM_UP: []}
    cold = msgspec.structs.replace(told.started, config=msgspec.json.encode(config).decode())
    with pytest.raises(Differs):
        prove(root, msgspec.structs.replace(told, started=cold))


def test_the_proof_reads_the_recorded_range_also_when_the_log_holds_more_by_then(
    stepped, ib_gateway, tmp_path
):
    root, gateway, stepping = stepped
    spec = strategy(tmp_path, "on_trade", "price")
    first = run(root, gateway, spec, **stepping)
    whole = prove(root, first).summary["decisions_hash"]
    run(root, gateway, spec, **stepping)
    assert prove(root, first).summary["decisions_hash"] == whole


def test_what_the_log_lacks_comes_from_the_brokers_history_as_bars(ib_gateway, tmp_path):
    gateway = ib_gateway(date=NEXT, speed=60)
    root = tmp_path / "log"
    told = run(root, gateway, strategy(tmp_path, "on_bar", "close"))
    (heard,) = [event for event in events_of(root, Recorded) if event.name == "heard"]
    (order,) = events_of(root, OrderIntended)
    assert heard.value == 390
    assert order.limit < Decimal(60)
    assert [part.feed for part in warm_up_of(told.started)] == ["ib/1min"]
    prove(root, told)


def test_a_second_session_needs_no_history_any_more(ib_gateway, tmp_path):
    gateway = ib_gateway(date=NEXT, speed=60)
    spec = strategy(tmp_path, "on_bar", "close")
    run(tmp_path / "log", gateway, spec)
    run(tmp_path / "log", gateway, spec)
    assert [e.value for e in events_of(tmp_path / "log", Recorded)] == [390, 390]
    assert len(events_of(tmp_path / "log", ImportStarted)) == 1


def test_a_strategys_name_without_a_contract_ends_the_session_before_it_begins(ib_gateway, tmp_path):
    spec = strategy(tmp_path, "on_bar", "close")
    unknown = StrategySpec(spec.name, {"instrument": "NOPE"})
    with pytest.raises(UsageError, match="NOPE: the broker knows no such contract"):
        run(tmp_path / "log", ib_gateway(date=NEXT), unknown)
    assert events_of(tmp_path / "log", SessionStarted) == []


def test_a_name_of_the_watchlist_without_a_contract_is_told_and_the_session_begins(ib_gateway, tmp_path):
    gateway = ib_gateway(date=NEXT, speed=60)
    run(tmp_path / "log", gateway, strategy(tmp_path, "on_bar", "close"), watchlist=("NOPE", "ZVXB@XNYS"))
    refused = [e for e in events_of(tmp_path / "log", DataStateChanged) if e.state == "refused"]
    assert [e.instrument for e in refused] == ["NOPE"]
    assert "ZVXB" in {e.instrument for e in events_of(tmp_path / "log", Quote)}


def test_a_broker_that_cannot_be_reached_is_left_to_the_session_if_the_log_knows_every_name(
    ib_gateway_log, tmp_path
):
    root = tmp_path / "log"
    shutil.copytree(ib_gateway_log, root)
    spec = strategy(tmp_path, "on_trade", "price")
    nobody = LinkSettings(port=1, account="DU1", reconnect_interval_s=0.01, max_reconnect_attempts=2)
    request = LiveRequest(mode="live", link=nobody, strategies=(spec,), account="DU1")
    with pytest.raises(BrokerUnreachable):
        run_live(root, request, prepare=prepare_session)
    assert "given_up" in [e.state for e in events_of(root, ConnectionChanged)]


def test_a_broker_that_cannot_be_reached_ends_it_if_a_name_is_unknown(tmp_path):
    spec = strategy(tmp_path, "on_trade", "price")
    nobody = LinkSettings(port=1, account="DU1", reconnect_interval_s=0.01, max_reconnect_attempts=2)
    request = LiveRequest(mode="live", link=nobody, strategies=(spec,), account="DU1")
    with pytest.raises(BrokerUnreachable):
        run_live(tmp_path / "log", request, prepare=prepare_session)
    assert events_of(tmp_path / "log", SessionStarted) == []
