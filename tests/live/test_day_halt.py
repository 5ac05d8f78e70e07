"""A day's loss outlives the process: a restart folds it from the log, and the next day ends it."""

import signal
from decimal import Decimal
from pathlib import Path

import pytest

from app.composition.past import past_of
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.live.request import LiveRequest
from app.live.session import run_live
from core.clock import DAY_NS, SECOND_NS, iso, local
from core.events import (
    AccountMarked,
    CashAdjusted,
    Filled,
    OrderIntended,
    RiskApproved,
    RiskRefused,
    SessionStarted,
)
from core.risk import Limits, RiskGate, RiskState
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from tests.core.bench import ACCOUNT, MIN, OPEN, instrument, session, trade
from tests.live import rig
from tests.live.processes import HELD, PROJECT, Running
from tests.logs import events_of

pytestmark = pytest.mark.risk

D = Decimal
LIMITS = Limits(max_daily_loss=0.05)


def restarted(root):
    """Return a gate over the folds of a log that another process wrote."""
    world = past_of(LogReader(root), "USD").world
    world.quotes.book("ACME").last = trade(OPEN, 10)
    views = (world.account, world.positions, world.orders, world.quotes, world.sessions, world.risk)
    return RiskGate(LIMITS, RiskState(*views, "USD"))


def write(root, *events):
    journal = Journal.open(root)
    journal.extend(events)
    journal.commit(sync=True)
    journal.close()


def entry(ts):
    who = (ACCOUNT, "s", "ACME", "BUY", D(1))
    return OrderIntended(ts, "s-2-1", *who, "MKT", None, None, "DAY", "r")


def test_a_restart_on_the_same_day_still_refuses_and_the_next_day_does_not(tmp_path):
    root = tmp_path / "log"
    write(
        root,
        instrument(),
        session(),
        session("2025-07-03", DAY_NS),
        CashAdjusted(OPEN, ACCOUNT, "USD", D(100_000), "starting cash"),
        AccountMarked(OPEN, ACCOUNT, "USD", D(100_000), D(100_000)),
        CashAdjusted(OPEN + MIN, ACCOUNT, "USD", D(-6_000), "dividend"),  # paid by a short: a loss
        AccountMarked(OPEN + MIN, ACCOUNT, "USD", D(94_000), D(94_000)),
    )
    verdict = restarted(root).judge(entry(OPEN + 2 * MIN))
    assert isinstance(verdict, RiskRefused)
    assert (verdict.rule, verdict.value) == ("max_daily_loss", "0.06")
    write(root, AccountMarked(OPEN + DAY_NS, ACCOUNT, "USD", D(94_000), D(94_000)))
    assert isinstance(restarted(root).judge(entry(OPEN + DAY_NS + MIN)), RiskApproved)


def test_a_restart_that_forgets_the_day_is_caught(tmp_path):
    root = tmp_path / "log"
    write(
        root,
        instrument(),
        session(),
        CashAdjusted(OPEN, ACCOUNT, "USD", D(94_000), "starting cash"),
        AccountMarked(
            OPEN + MIN, ACCOUNT, "USD", D(94_000), D(94_000)
        ),  # all that a forgetful log would hold
    )
    assert isinstance(restarted(root).judge(entry(OPEN + 2 * MIN)), RiskApproved)


# -- the process itself -------------------------------------------------------------------------

CHURN = f"{Path(__file__).with_name('churn.py')}:Churn"
DAY_LIMITS = Limits(max_daily_loss=0.0003)
CONFIG = """[risk_management]
max_daily_loss = 0.0003
max_position_size = 1.0
max_portfolio_risk = 1.0
"""
FORGETFUL = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from app.live import session
begin = session.LiveSession.__init__
def forget(self, *given, **named):
    begin(self, *given, **named)
    self.world.risk._tracks.clear()
session.LiveSession.__init__ = forget
import cli
sys.exit(cli.main(sys.argv[1:]))
"""


class Demo(Running):
    """`tape live --demo` as fast as it goes. It waits for somebody to read what it says."""

    program = HELD

    def __init__(self, log, config, *more):
        options = ["-c", str(config), "--log", str(log), "live", "--demo", "--strategy", CHURN, *more]
        super().__init__(log, *options, program=self.program)


class ForgetfulDemo(Demo):
    """The mistake: a session begins its day anew."""

    program = ("-c", FORGETFUL)


def killed_by_loss(log, config):
    """Run a demo until the day's loss refused an order, and kill it; return how far it got."""
    demo = Demo(log, config)
    demo.until(lambda: [e for e in events_of(log, RiskRefused) if e.rule == "max_daily_loss"])
    assert demo.end(signal.SIGKILL)[0] == -signal.SIGKILL
    return events_of(log, Filled)[-1].ts


def later_session(log):
    """Return the orders of the log's last session, each with its verdict."""
    number = events_of(log, SessionStarted)[-1].session
    asked = {e.order: e for e in events_of(log, OrderIntended) if e.order.startswith(f"Churn-{number}-")}
    judged = [e for e in events_of(log, RiskApproved, RiskRefused) if e.order in asked]
    return [(asked[e.order].side, e) for e in judged]


@pytest.mark.slow
def test_the_days_loss_outlives_kill_9_lets_exits_pass_and_ends_with_the_next_session(
    log, tmp_path, ib_gateway
):
    config = tmp_path / "tape.toml"
    config.write_text(CONFIG)
    until = iso(killed_by_loss(log, config) + 300 * SECOND_NS)
    done = Demo(log, config, "--set", "out_at=20", "--until", until).end_by_itself()
    assert (done[0], "going on with the demo" in done[2]) == (0, True), done
    judged = later_session(log)
    entries = [verdict for side, verdict in judged if side == "BUY"]
    assert len(entries) > 20
    assert {getattr(verdict, "rule", "approved") for verdict in entries} == {"max_daily_loss"}
    assert [type(verdict) for side, verdict in judged if side == "SELL"] == [RiskApproved]
    assert not past_of(LogReader(log), "USD").world.positions.open_positions()

    gateway = ib_gateway(date="2025-07-03", speed="step", start="open")
    opened = local("2025-07-03", "09:30", "America/New_York")
    settings = rig.link(gateway, start_ns=opened)
    asked = {"strategies": (StrategySpec(CHURN, {}, "Churn"),), "rules": TradingRules(limits=DAY_LIMITS)}
    run_live(
        log,
        LiveRequest(
            mode="demo", link=settings, account=rig.ACCOUNT, until_ts=opened + 20 * SECOND_NS, **asked
        ),
    )
    assert type(later_session(log)[0][1]) is RiskApproved


@pytest.mark.extended
def test_a_process_that_begins_its_day_anew_is_caught(log, tmp_path):
    config = tmp_path / "tape.toml"
    config.write_text(CONFIG)
    until = iso(killed_by_loss(log, config) + 60 * SECOND_NS)
    ForgetfulDemo(log, config, "--until", until).end_by_itself()
    assert RiskApproved in [type(verdict) for side, verdict in later_session(log) if side == "BUY"]
