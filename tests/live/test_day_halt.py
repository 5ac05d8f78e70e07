"""A day's loss outlives the process: a restart folds it from the log, and the next day ends it."""

from decimal import Decimal

import pytest

from app.past import past_of
from core.clock import DAY_NS
from core.events import AccountMarked, CashAdjusted, OrderIntended, RiskApproved, RiskRefused
from core.risk import Limits, RiskGate, RiskState
from eventstore.journal import Journal
from eventstore.reader import LogReader
from tests.core.bench import ACCOUNT, MIN, OPEN, instrument, session, trade

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
