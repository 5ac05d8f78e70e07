"""What a live session does about data that are not live: states as events, and entries refused."""

import shutil
import time
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.live.request import LiveRequest
from app.live.session import LiveSession, run_live
from core.clock import DAY_NS, HOUR_NS, SECOND_NS, local
from core.events import (
    DataStateChanged,
    Event,
    InstrumentDefined,
    OrderAttempted,
    Quote,
    RiskRefused,
    SessionScheduled,
    Trade,
)
from eventstore.journal.journal import Journal
from tests.logs import events_of

DAY = "2025-07-02"
EAGER = '''
from core.strategy import Parameters, Strategy


class P(Parameters, frozen=True, kw_only=True):
    instrument: str = "ZVXA"
    patience: int = 0


class Eager(Strategy[P]):
    """Asks for an order far from the market at each quote, from the patience-th on; ten at most."""

    def __init__(self, params):
        super().__init__(params)
        self.quotes_seen = 0
        self.asked = 0

    def on_quote(self, quote):
        self.quotes_seen += 1
        if self.quotes_seen > self.params.patience and self.asked < 10:
            self.asked += 1
            self.buy(self.params.instrument, 1, limit=1.0, reason="eager")
'''


@pytest.fixture
def root(ib_gateway_log: Path, tmp_path: Path) -> Path:
    shutil.copytree(ib_gateway_log, tmp_path / "log")
    (tmp_path / "eager.py").write_text(EAGER)
    return tmp_path / "log"


def add(root: Path, *more: Event) -> None:
    journal = Journal.open(root)
    for event in more:
        journal.append(event)
    journal.close()


def asked(count: int):
    def watch(live: LiveSession) -> None:
        if live.seated[0].strategy.asked >= count:
            live.stopping = "stopped"

    return watch


def run(root: Path, gateway, *, watch=None, patience=0, watchlist=(), **link):
    settings = LinkSettings(host=gateway.host, port=gateway.port, account="DU1000001", **link)
    spec = StrategySpec(f"{root.parent / 'eager.py'}:Eager", {"patience": patience})
    request = LiveRequest(
        mode="live", link=settings, strategies=(spec,), account="DU1000001", watchlist=watchlist
    )
    return run_live(root, request, watch=watch or asked(10))


def states(root: Path, instrument: str = "ZVXA") -> list[str]:
    return [e.state for e in events_of(root, DataStateChanged) if e.instrument == instrument]


def test_live_data_let_orders_leave(root, ib_gateway):
    run(root, ib_gateway(date=DAY, speed=60))
    assert states(root) == ["live"]
    assert len(events_of(root, OrderAttempted)) == 10


def test_trades_of_time_and_sales_come_whatever_the_broker_takes_for_the_time(root, ib_gateway):
    # Its clock is that of the day it serves, months behind ours.
    run(root, ib_gateway(date=DAY, speed=60), patience=60, tick_by_tick_max=0)
    assert [trade for trade in events_of(root, Trade) if trade.feed == "ib/stream"]


def test_delayed_data_take_no_entries(root, ib_gateway):
    run(root, ib_gateway(date=DAY, speed=60, faults="start 1: delayed"))
    assert states(root) == ["delayed"]
    assert {e.message for e in events_of(root, RiskRefused)} == {"market data of ZVXA are delayed"}
    assert events_of(root, OrderAttempted) == []


def test_delayed_data_take_entries_where_they_are_allowed(root, ib_gateway):
    run(root, ib_gateway(date=DAY, speed=60, faults="start 1: delayed"), delayed_data=True)
    assert len(events_of(root, OrderAttempted)) == 10


def test_a_venues_halt_takes_no_entries(root, ib_gateway):
    run(root, ib_gateway(date=DAY, speed=60, faults="events 60: halt"), patience=60)
    assert {e.message for e in events_of(root, RiskRefused)} == {"ZVXA is halted by its venue"}
    assert events_of(root, OrderAttempted) == []


def test_a_quote_of_minus_one_takes_both_sides_away(root, ib_gateway):
    def watch(live: LiveSession) -> None:
        if live.seated[0].strategy.quotes_seen > 100:
            live.stopping = "stopped"

    run(root, ib_gateway(date=DAY, speed=60, faults="events 60: no_quote"), watch=watch)
    shown = [quote for quote in events_of(root, Quote) if quote.feed == "ib/stream"]
    assert [q.bid_size for q in shown if q.bid is None and q.bid_size is not None and not q.bid_size] == [0.0]
    assert [q.ask_size for q in shown if q.ask is None and q.ask_size is not None and not q.ask_size] == [0.0]
    assert all(quote.bid is None or quote.bid > 0 for quote in shown)


def test_silence_in_regular_hours_is_stale(root, ib_gateway):
    begin = time.time_ns() // DAY_NS * DAY_NS
    today = time.strftime("%Y-%m-%d", time.gmtime(begin // 1_000_000_000))
    add(
        root,
        SessionScheduled(begin, "XNYS", today, "UTC", begin, begin, begin + 2 * DAY_NS, begin + 2 * DAY_NS),
    )

    def watch(live: LiveSession) -> None:
        if "stale" in states(root):
            live.stopping = "stopped"

    run(root, ib_gateway(date=DAY, speed=0.001), watch=watch, stale_after_s=1.0)
    assert states(root)[:2] == ["live", "stale"]


def test_silence_outside_regular_hours_is_none(root, ib_gateway):
    begun = time.monotonic()

    def watch(live: LiveSession) -> None:
        if states(root) and time.monotonic() - begun > 4.0:
            live.stopping = "stopped"

    # The log knows the hours of yesterday and of the days ahead: a minute, six hours from now.
    midnight = time.time_ns() // DAY_NS * DAY_NS
    later = (time.time_ns() - midnight + 6 * HOUR_NS) % DAY_NS
    for begin in range(midnight - DAY_NS, midnight + 9 * DAY_NS, DAY_NS):
        date = time.strftime("%Y-%m-%d", time.gmtime(begin // SECOND_NS))
        hours = begin + later, begin + later + 60 * SECOND_NS
        add(root, SessionScheduled(begin, "XNYS", date, "UTC", begin, *hours, begin + DAY_NS - 1))
    run(root, ib_gateway(date=DAY, speed=0.001), watch=watch, stale_after_s=1.0)
    assert states(root) == ["live"]


def test_a_contract_that_the_broker_does_not_know_is_told_and_the_session_goes_on(root, ib_gateway):
    ts = local(DAY, "00:00", "UTC")
    gone = InstrumentDefined(ts, "GONE", "GONE", "STK", "XNYS", "USD", Decimal(1), Decimal("0.01"), "UTC")
    gateway = ib_gateway(date=DAY, speed=60)
    add(root, gone)
    run(root, gateway, watchlist=("GONE",))
    (told,) = [e for e in events_of(root, DataStateChanged) if e.instrument == "GONE"]
    assert (told.state, "compare symbol, exchange and expiry" in told.reason) == ("refused", True)
    assert len(events_of(root, OrderAttempted)) == 10
