"""`live` at a gateway, from end to end: both are processes of their own, the operator speaks from here."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import iso
from core.events import (
    BreakFound,
    ConnectionChanged,
    Filled,
    HaltVerified,
    OrderIntended,
    OrderResolved,
    ReconciliationFinished,
    RiskRefused,
    SessionEnded,
    SessionStarted,
    Trade,
)
from tests.conftest import Done, Tape, sampled
from tests.gateway.served import Served
from tests.live.processes import Live, told
from tests.live.rig import Books
from tests.logs import events_of

pytestmark = pytest.mark.slow

STEADY = f"{Path(__file__).with_name('strategies.py')}:Steady"
ACCOUNT = "DU1000001"
DOUBTFUL = ("Unknown", "Lost")
"""States of an order that nobody can find."""


class Place:
    """A gateway that serves the sample day thirty times as fast, and a log of its own for the sessions."""

    def __init__(self, day_log: Path, root: Path, tape: Tape) -> None:
        self.log, self.book, self.config = root / "log", root / "book", root / "tape.toml"
        self._day_log, self._tape = day_log, tape
        self.running: list[Live] = []

        self.port = 0
        self.serve()
        self.configure()

    def serve(self) -> None:
        """Start the gateway, at the port that it had before."""
        options = ["--book", str(self.book), "--speed", "30", "--port", str(self.port)]
        self.gateway = Served(self._day_log, *options)
        self.port = self.gateway.ready()

    def configure(self, account: str = ACCOUNT, trading: str = "", attempts: int = 1000) -> None:
        self.config.write_text(
            f'[ibkr]\nport = {self.port}\naccount = "{account}"\nreconnect_interval_s = 0.2\n'
            f'max_reconnect_attempts = {attempts}\n[trading]\nwatchlist = ["ZVXA"]\n{trading}\n'
            f'[[live.strategy]]\nname = "{STEADY}"\n'
        )

    def live(self, *more: str) -> Live:
        self.running.append(Live(self.log, self.config, *more))
        return self.running[-1]

    def tape(self, *arguments: str) -> Done:
        """Run a command here, in a process that is not the session's."""
        return self._tape("-c", self.config, "--log", self.log, *arguments)

    def status(self) -> dict:
        done = self.tape("status", "--json")
        assert done.code == 0, done.err
        return dict(done.json)

    def fills(self) -> int:
        return len(events_of(self.log, Filled)) if self.log.exists() else 0

    def traded(self, session: Live, more: int = 4) -> None:
        before = self.fills()
        session.until(lambda: self.fills() >= before + more)

    def books(self) -> list[str]:
        """Stop the gateway, and say how its book differs from the log's.

        What a session left at work may have filled since: a last one sends nothing and looks.
        """
        looks = len(events_of(self.log, ReconciliationFinished))
        last = self.live("--observe")
        last.until(lambda: len(events_of(self.log, ReconciliationFinished)) > looks)
        last.end()
        self.gateway.end()
        books = Books(self.log, self.book)
        return [*books.differences(), *books.sent_twice()]


@pytest.fixture
def place(ib_gateway_log: Path, tmp_path: Path, tape: Tape) -> Iterator[Place]:
    made = Place(ib_gateway_log, tmp_path, tape)
    yield made
    for session in made.running:
        session.end(signal.SIGKILL)
    made.gateway.kill()


def proven(place: Place) -> list[str]:
    """Replay all that was recorded today, and return what is said of each session."""
    days = [iso(e.ts)[:10] for e in events_of(place.log, SessionStarted)]
    done = place.tape("replay", f"{min(days)}..{max(days)}", "--fills", "recorded")
    assert done.code == 0, done.err
    return [line for line in done.err.splitlines() if "decides as recorded" in line]


def test_a_session_trades_shows_itself_and_ends_in_order(place):
    session = place.live()
    place.traded(session)
    session.until(lambda: session.status().get("pending_orders", 0) >= 1)
    status = place.status()
    assert status["connected"] is True
    assert status["live"]["account"] == ACCOUNT
    assert status["active_positions"] in (0, 1)
    code, out, err = session.end(signal.SIGINT)
    assert code == 130, err
    assert told((code, out, err))["fills"] == place.fills()
    assert [e.reason for e in events_of(place.log, SessionEnded)] == ["stopped"]
    after = place.status()
    assert (after["connected"], after["holder"]) == (False, {})
    assert after["pending_orders"] >= 1  # they rest at the broker
    assert len(proven(place)) == 1
    assert place.books() == []


def test_sessions_that_are_killed_and_started_again_lose_nothing_and_send_nothing_twice(place):
    for _ in range(2):
        session = place.live()
        place.traded(session, 3)
        assert session.end(signal.SIGKILL)[0] == -signal.SIGKILL
    session = place.live()
    place.traded(session, 2)
    assert session.end(signal.SIGTERM)[0] == 143
    assert len(events_of(place.log, SessionStarted)) == 3
    # Killed between the durable attempt and its bytes, a session leaves an order in doubt; nothing else
    # (tests/live/test_crashes.py makes exactly that kill).
    assert {e.kind for e in events_of(place.log, BreakFound)} <= {"unknown_order"}
    fates = {e.order: e.outcome for e in events_of(place.log, OrderResolved)}
    lost = {order for order, outcome in fates.items() if outcome in ("unknown", "presumed_lost")}
    intents = [o for o in events_of(place.log, OrderIntended) if o.order not in lost]
    assert [o.type for o in intents].count("LMT") == 1
    assert len(proven(place)) == 3
    doubts = {f"order {order}: {state}, at the gateway never seen" for order in lost for state in DOUBTFUL}
    assert set(place.books()) <= doubts


def test_a_log_that_misses_a_session_is_found_out(place, tmp_path):
    session = place.live()
    place.traded(session, 2)
    session.end(signal.SIGKILL)
    shutil.copytree(place.log, tmp_path / "older")
    session = place.live()
    place.traded(session, 2)
    session.end(signal.SIGINT)
    place.gateway.end()
    assert Books(tmp_path / "older", place.book).differences()


def test_a_gateway_that_is_killed_and_comes_back_is_connected_to_again(place):
    session = place.live()
    place.traded(session, 2)
    place.gateway.kill()
    session.until(lambda: session.status().get("connected") is False)
    place.serve()
    session.until(lambda: session.status().get("gate") == "open")
    place.traded(session, 2)
    assert session.end(signal.SIGINT)[0] == 130
    assert {"down", "up"} <= {e.state for e in events_of(place.log, ConnectionChanged)}
    assert place.books() == []


@pytest.mark.extended
def test_the_operator_stops_and_resumes_a_session_from_another_process(place):
    session = place.live()
    place.traded(session, 2)
    assert place.tape("halt", "--reason", "lunch").code == 0
    assert place.status()["halt"] == "halt"
    refused = len(events_of(place.log, RiskRefused))
    session.until(lambda: len(events_of(place.log, RiskRefused)) > refused)
    assert place.tape("resume", "--reason", "back").code == 0
    place.traded(session, 2)
    done = place.tape("flatten", "--reason", "enough", "--timeout", "60")
    assert (done.code, "flatten: reached" in done.out) == (0, True), done.err
    status = place.status()
    assert (status["active_positions"], status["pending_orders"]) == (0, 0)
    assert place.tape("resume", "--reason", "again").code == 0
    place.traded(session, 2)
    done = place.tape("kill", "--reason", "out of hand")
    assert done.code == 0, done.err
    session.until(lambda: session.status().get("halt") == "cancel_all")
    session.until(lambda: session.status()["pending_orders"] == 0)
    code, _, err = session.end(signal.SIGINT)
    assert code == 130, err
    verified = [(e.level, e.reached) for e in events_of(place.log, HaltVerified)]
    assert {"halt", "cancel_all", "flatten"} == {level for level, _ in verified}
    assert all(reached for _, reached in verified)
    assert len(proven(place)) == 1
    assert place.books() == []


@pytest.mark.parametrize(
    ("account", "trading", "named", "expected"),
    sampled(
        [
            ("U1234567", 'mode = "live"', "U1234567", f"this login has {ACCOUNT}"),
            ("DU7654321", "", "", f"this login has {ACCOUNT}"),
            (ACCOUNT, 'mode = "live"', ACCOUNT, "is a paper account, but [trading] mode"),
        ],
        2,
    ),
)
def test_paper_and_real_accounts_are_never_mixed_up(place, account, trading, named, expected):
    place.configure(account, trading)
    code, _, err = place.live(*(["--account", named] if named else [])).end_by_itself()
    assert code == 2
    assert expected in err
    assert not place.log.exists() or not events_of(place.log, OrderIntended)


def test_a_gateway_that_is_not_there_is_given_up(place):
    place.gateway.end()
    place.configure(attempts=3)
    code, _, err = place.live().end_by_itself()
    assert code == 3
    assert "cannot connect" in err
    assert str(place.port) in err


@pytest.mark.extended  # tests/live/test_demo.py has it in the ordinary run
def test_only_observing_sends_nothing(place):
    session = place.live("--observe")
    session.until(lambda: len(events_of(place.log, RiskRefused)) >= 2 if place.log.exists() else False)
    assert session.end()[0] == 130
    assert events_of(place.log, Trade)
    assert place.fills() == 0
    assert place.books() == []
