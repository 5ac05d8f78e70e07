"""The operator's word to a running session, and to a log that nobody holds."""

import shutil
import signal
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from core.events import (
    BreakAccepted,
    BreakFound,
    CancelSent,
    Filled,
    HaltRequested,
    HaltVerified,
    OrderIntended,
    PositionAdjusted,
    PositionReported,
    ReconciliationFinished,
    RiskRefused,
    SendFailed,
    SessionEnded,
    SessionStarted,
    TradingResumed,
)
from core.risk import Limits
from eventstore.control import request
from eventstore.journal.journal import Journal
from tests.conftest import Tape
from tests.live.processes import Demo, told
from tests.logs import events_of

pytestmark = pytest.mark.slow

DAY = "2025-07-02"


@pytest.fixture
def demo(log: Path) -> Iterator[Callable[..., Demo]]:
    """Start demos; those that a test leaves are killed."""
    running: list[Demo] = []

    def start(*more: str, **options: str) -> Demo:
        running.append(Demo(log, *more, **options))
        return running[-1]

    yield start
    for one in running:
        one.end(signal.SIGKILL)


@pytest.fixture
def run(log: Path, tape: Tape) -> Tape:
    """Say something to the session, which is another process, from this one."""
    return partial(tape, "--log", log)


@pytest.fixture
def proven(run: Tape) -> Callable[[], bool]:
    return lambda: run("replay", DAY, "--fills", "recorded").code == 0


def test_ctrl_c_ends_a_session_in_order(demo, log, tape, proven):
    running = demo().rested()
    code, out, err = running.end(signal.SIGINT)
    assert code == 130, err
    assert [e.reason for e in events_of(log, SessionEnded)] == ["stopped"]
    assert told((code, out, err))["fills"] == 1
    assert running.status() == {}
    found = tape("--log", log, "status", "--json").json
    assert (found["connected"], found["active_positions"], found["live"]) == (False, 1, None)
    assert not log.with_name("log-demo").exists()
    assert proven()


@pytest.mark.extended  # tests/live/test_broker_session.py and tests/watch have it in the ordinary run
def test_a_termination_signal_ends_it_too(demo, log):
    code, _, err = demo().rested().end(signal.SIGTERM)
    assert code == 143, err
    assert [e.reason for e in events_of(log, SessionEnded)] == ["stopped"]


def test_a_killed_demo_is_gone_on_with_by_the_next_one(demo, log, proven):
    assert demo().rested().end(signal.SIGKILL)[0] == -signal.SIGKILL
    assert events_of(log, SessionEnded) == []
    running = demo("--observe")  # so that the strategy adds nothing to what is found
    running.until(
        lambda: len(events_of(log, ReconciliationFinished)) == 2 and running.status().get("connected")
    )
    status = running.status()
    assert (status["active_positions"], status["pending_orders"], status["breaks"]) == (1, 2, {})
    code, _, err = running.end()
    assert code == 130
    assert "going on with the demo of 2025-07-02 that was cut short: account DU1000001" in err
    assert [s.account for s in events_of(log, SessionStarted)] == ["DU1000001", "DU1000001"]
    assert proven()  # both sessions, the killed one too


def test_flatten_cancels_then_closes_by_the_brokers_positions(demo, log, run, proven):
    running = demo().rested()
    done = run("flatten", "--reason", "enough", "--timeout", "60")
    assert done.code == 0, done.err
    assert "flatten: reached, 0 working orders, 0 positions at the broker" in done.out
    code, _, _ = running.end()
    assert code == 130
    assert [(e.level, e.reason, e.origin) for e in events_of(log, HaltRequested)] == [
        ("flatten", "enough", "command")
    ]
    assert [
        (e.level, e.working_orders, e.open_positions, e.reached) for e in events_of(log, HaltVerified)
    ] == [
        ("cancel_all", 0, 1, True),
        ("flatten", 0, 0, True),
    ]
    closing = [o for o in events_of(log, OrderIntended) if o.order.startswith("close-")]
    assert [(o.instrument, o.side, o.quantity, o.type) for o in closing] == [
        ("ZVXA", "SELL", Decimal(100), "MKT")
    ]
    assert proven()


GUARDED = f"{Path(__file__).with_name('strategies.py')}:Guarded"


@pytest.mark.extended
def test_flatten_takes_a_bracket_apart_and_closes_once(demo, log, run, proven):
    running = demo(strategy=GUARDED, speed="600").rested()
    done = run("flatten", "--reason", "enough", "--timeout", "60")
    assert done.code == 0, done.err
    assert "flatten: reached, 0 working orders, 0 positions at the broker" in done.out
    running.end()
    filled = [(f.order, f.side, f.quantity) for f in events_of(log, Filled)]
    assert filled == [("Guarded-1-1", "BUY", 100), ("close-1-1", "SELL", 100)]
    assert events_of(log, BreakFound) == []
    assert proven()


@pytest.mark.extended
def test_a_halt_leaves_the_exits_of_a_position_at_the_broker(demo, log, run, proven):
    running = demo(strategy=GUARDED, speed="600").rested()
    done = run("halt", "--reason", "lunch", "--timeout", "60")
    assert done.code == 0, done.err
    status = running.status()
    assert (status["pending_orders"], status["active_positions"]) == (2, 1)
    running.end()
    assert events_of(log, CancelSent) == []
    assert proven()


def test_a_halt_cancels_what_it_says_and_lets_nothing_else_leave(demo, log, run, proven):
    running = demo(strategy=f"{Path(__file__).with_name('strategies.py')}:Timed")
    running.until(lambda: len(events_of(log, OrderIntended)) >= 2)
    done = run("halt", "--cancel", "--json", "--timeout", "60")
    assert done.code == 0, done.err
    assert '"reached": true' in done.out
    before = len(events_of(log, OrderIntended)) - len(events_of(log, RiskRefused))
    running.until(lambda: len(events_of(log, RiskRefused)) >= 2)
    assert {(r.rule, r.message) for r in events_of(log, RiskRefused)} == {
        ("gate", "halted (cancel): asked by the operator")
    }
    assert len(events_of(log, OrderIntended)) - len(events_of(log, RiskRefused)) == before
    assert run("resume", "--reason", "go on").code == 0
    running.until(lambda: running.status()["halt"] == "")
    running.until(lambda: len(events_of(log, OrderIntended)) > len(events_of(log, RiskRefused)) + before)
    running.end()
    assert proven()


def test_kill_works_beside_a_main_loop_that_hangs(demo, log, run):
    running = demo().rested()
    running.process.send_signal(signal.SIGSTOP)
    done = run("kill", "--reason", "it hangs")
    assert done.code == 0, done.err
    assert "2 working orders before, 0 after" in done.out
    assert (log / "control" / "KILL").read_text() == "it hangs"
    running.process.send_signal(signal.SIGCONT)
    running.until(lambda: running.status().get("halt") == "cancel_all")
    assert [(e.level, e.reason, e.origin) for e in events_of(log, HaltRequested)] == [
        ("cancel_all", "it hangs", "kill file")
    ]
    assert run("resume").code == 0
    assert not (log / "control" / "KILL").exists()
    running.until(lambda: running.status().get("halt") == "")
    running.end()


def test_no_order_passes_a_kill_file(demo, log):
    (log / "control" / "KILL").write_text("made by hand")
    running = demo()
    running.until(lambda: running.status().get("halt") == "cancel_all")
    running.until(lambda: events_of(log, RiskRefused) or events_of(log, SendFailed))
    code, out, err = running.end()
    assert code == 130
    assert told((code, out, err))["fills"] == 0


def test_a_halt_outlasts_the_session_and_ends_the_next_with_5(log, tape):
    assert tape("--log", log, "halt", "--reason", "overnight").code == 0
    assert [(e.level, e.reason) for e in events_of(log, HaltRequested)] == [("halt", "overnight")]
    asked = ["--log", log, "live", "--demo", "--until", "2025-07-02T13:36:00Z", "--json"]
    done = tape(*asked)
    assert done.code == 5
    assert done.json["refused"] == done.json["intents"] > 0
    assert [e.reason for e in events_of(log, SessionEnded)] == ["halted"]
    assert tape("--log", log, "resume", "--reason", "morning").code == 0
    assert [e.reason for e in events_of(log, TradingResumed)] == ["morning"]
    assert tape(*asked).code == 0


def test_there_is_nothing_to_resume_or_accept_by_default(log, tape):
    for asked in (["resume"], ["accept", "--reason", "x"], ["positions", "adopt", "ZVXA", "--strategy", "s"]):
        done = tape("--log", log, *asked)
        assert done.code == 2
        assert "nothing" in done.err
    assert not events_of(log, TradingResumed, BreakAccepted, PositionAdjusted)


def broken(log: Path) -> None:
    """Leave a break: the broker has 30 of an instrument that the log knows nothing of."""
    journal = Journal.open(log)
    started = SessionStarted(1, 1, "live", "DU1", "0", "{}", "", "[]", "", "none")
    found = BreakFound(2, "DU1", "ZVXA", "position", "0", "30", "ZVXA: the log holds 0, the broker 30")
    for event in (started, PositionReported(2, "DU1", "ZVXA", Decimal(30), Decimal(84)), found):
        journal.append(event)
    journal.commit(sync=True)
    journal.close()


def test_an_accepted_break_makes_our_position_the_brokers_and_a_strategy_may_adopt_it(log, tape):
    broken(log)
    assert tape("--log", log, "status", "--json").json["breaks"] == {
        "ZVXA": "ZVXA: the log holds 0, the broker 30"
    }
    assert tape("--log", log, "accept", "ZVXB", "--reason", "no").code == 2
    assert tape("--log", log, "accept", "ZVXA", "--reason", "bought by hand").code == 0
    assert tape("--log", log, "status", "--json").json["breaks"] == {}
    held = tape("--log", log, "positions", "--run", "log", "--json").json
    assert [(p["account"], p["quantity"], p["average_cost"], p["strategies"]) for p in held] == [
        ("DU1", "30", "84", [""])
    ]
    done = tape("--log", log, "positions", "adopt", "ZVXA", "--strategy", "sma_cross", "--json")
    assert done.json["quantity"] == "30"
    held = tape("--log", log, "positions", "--run", "log", "--json").json
    assert [(p["quantity"], p["average_cost"], p["realised"]) for p in held] == [("30", "84", "0")]
    assert [(a.strategy, a.quantity) for a in events_of(log, PositionAdjusted)] == [
        ("", Decimal(30)),
        ("", Decimal(0)),
        ("sma_cross", Decimal(30)),
    ]


@pytest.fixture(scope="module")
def resting(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo whose orders rest; tests ask it for nothing that changes that."""
    root = shutil.copytree(ib_gateway_log, tmp_path_factory.mktemp("resting") / "log")
    running = Demo(root)
    yield running.rested()
    running.end(signal.SIGKILL)


def test_an_unknown_command_and_a_senseless_one_are_answered(resting, tape):
    log = resting.log
    assert tape("--log", log, "resume").code == 2
    request(log, "nonsense")
    resting.until(lambda: not list((log / "control").glob("*.request")))
    assert resting.status()["halt"] == ""


def test_status_has_the_keys_that_scripts_read(resting, tape):
    log = resting.log
    found = tape("--log", log, "status", "--json").json
    assert (found["connected"], found["active_positions"], found["pending_orders"]) == (True, 1, 2)
    live = found["live"]
    assert set(live["limits"]) == set(Limits.__struct_fields__)
    assert live["limits"]["max_daily_loss"] is None
    assert live["memory_bytes"] > 1_000_000
    assert {"data_age_s", "queue", "journal_sync_ms", "cpu_pct"} <= live.keys()
    assert "connected, 1 position, 2 working orders" in tape("--log", log, "status").out
