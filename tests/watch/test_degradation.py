"""Live sessions in trouble: what stops, what goes on, what ends it (the table of docs/operations.md)."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from adapters.ibkr.client import LinkSettings
from app.composition.seating import StrategySpec
from app.configuration.settings import HealthSection
from app.live.request import LiveRequest
from app.live.session import run_live
from app.watch.metrics import Metrics
from app.watch.watching import Watching
from core.errors import BrokerUnreachable
from core.events import (
    ConnectionChanged,
    Filled,
    HealthChanged,
    OrderAttempted,
    OrderIntended,
    ReconciliationFinished,
    SessionEnded,
    SessionStarted,
    SinkReported,
    StrategyFailed,
)
from core.listener import Listener, on
from core.ports import Selection
from eventstore.reading.reader import LogReader
from tests.watch.receiver import receiving

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
LISTENERS = Path(__file__).with_name("listeners.py")
UNTIL = "2025-07-02T13:40:00Z"


@pytest.fixture
def log(ib_gateway_log, tmp_path):
    """A copy of the sample that a test may trade in."""
    return Path(shutil.copytree(ib_gateway_log, tmp_path / "log"))


@pytest.fixture(autouse=True)
def asked_at_every_look(monkeypatch):
    monkeypatch.setattr("app.watch.hub.POLL_PERIOD_S", 0.0)


def demo(log, tmp_path, config="", *options):
    (tmp_path / "tape.toml").write_text(config)
    command = ["-q", "-c", str(tmp_path / "tape.toml"), "--log", str(log), "live", "--demo", "--until", UNTIL]
    return cli.main([*command, *options])


def events(log, *types):
    chosen = Selection(types=frozenset(types))
    return [entry for batch in LogReader(log).entries(chosen) for entry in batch]


def intents(log):
    return [
        (e.event.instrument, e.event.side, e.event.quantity, e.event.type, e.event.ts)
        for e in events(log, OrderIntended)
    ]


def listener(name, **more):
    lines = [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(["[[live.listener]]", f'path = "{LISTENERS}:{name}"', *lines, ""])


# -- those who watch ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(ib_gateway_log, tmp_path_factory):
    """What the demo decides when nobody watches."""
    place = tmp_path_factory.mktemp("undisturbed")
    root = Path(shutil.copytree(ib_gateway_log, place / "log"))
    assert demo(root, place, "[health]\nenabled = false\n[logs]\nlevel = 'off'\n") == 0
    assert not (place / "tape-logs").exists()
    return intents(root)


def test_listeners_that_raise_block_and_die_change_no_decision_and_are_named(log, tmp_path, undisturbed):
    config = listener("Raising", errors_max=1) + listener("Blocking", queue=5) + listener("Dying")
    assert demo(log, tmp_path, config) == 0
    assert intents(log) == undisturbed
    assert len(undisturbed) > 5
    said = {(e.event.sink, e.event.state) for e in events(log, SinkReported)}
    assert {
        ("Raising", "error"),
        ("Raising", "switched_off"),
        ("Blocking", "overflow"),
        ("Dying", "ended"),
    } <= said


def test_a_listener_hears_every_fill_of_a_session_after_it_is_in_the_log(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phone = PROJECT / "examples" / "phone.py"
    with receiving() as receiver:
        config = f'[[live.listener]]\npath = "{phone}:Phone"\n[alerts]\nwebhook = "{receiver.url}"\n'
        assert demo(log, tmp_path, config) == 0
    heard = (tmp_path / "phone.txt").read_text().splitlines()
    told = [line.split() for line in heard if " order_filled " in line]
    assert [(int(line[0]), line[2], line[4]) for line in told] == [
        (e.seq, e.event.side, e.event.instrument) for e in events(log, Filled)
    ]
    assert heard[0].endswith(" connection_restored")
    assert (tmp_path / "tape-logs" / "listener-Phone.txt").exists()
    written = b"".join(path.read_bytes() for path in (tmp_path / "tape-logs").iterdir())
    assert b"session_started" in written
    assert b"geheim" not in written
    assert "geheim" not in str(events(log, SessionStarted))


def test_a_dead_webhook_and_logs_that_cannot_be_written_change_no_decision(log, tmp_path, undisturbed):
    (tmp_path / "taken").write_text("no directory")
    with receiving() as receiver:
        receiver.answer = 500
        config = f'[alerts]\nwebhook = "{receiver.url}"\nleast = "info"\n'
        assert demo(log, tmp_path, f'{config}[logs]\ndirectory = "{tmp_path}/taken"\n') == 0
    assert receiver.got
    assert intents(log) == undisturbed
    said = [e.event for e in events(log, SinkReported)]
    assert sorted((e.sink, e.state) for e in said) == [("alerts", "error"), ("logs", "error")]
    assert "geheim" not in str(said)


@pytest.mark.parametrize("what", ["listener", "port"])
def test_what_cannot_watch_stops_the_session_before_it_begins(log, tmp_path, what):
    taken = Metrics(0, dict, dict)
    config = listener("Unmade") if what == "listener" else f"[live]\nmetrics_port = {taken.port}\n"
    try:
        assert demo(log, tmp_path, config) == 2
    finally:
        taken.close(5)
    assert events(log, SessionStarted) == []


# -- the session itself ------------------------------------------------------------------------

RAISING = """
from truetape import Parameters, Strategy, Subscription, Trade


class Third(Strategy[Parameters]):
    def subscriptions(self):
        return [Subscription("ZVXA")]

    def on_start(self):
        self.seen = 0

    def on_trade(self, trade: Trade) -> None:
        self.seen += 1
        if self.seen == 3:
            raise ValueError("three")
"""


def test_a_strategy_that_raises_ends_the_session_and_wakes_somebody(log, tmp_path):
    (tmp_path / "third.py").write_text(RAISING)
    with receiving() as receiver:
        code = demo(
            log,
            tmp_path,
            f'[alerts]\nwebhook = "{receiver.url}"\n',
            "--strategy",
            f"{tmp_path}/third.py:Third",
        )
        assert code == 8
        got = receiver.wait_for(2)
    assert [body["key"] for _, body in got] == ["strategy Third", "session ended"]
    assert got[0][1]["severity"] == "critical"
    assert "third.py:15: ValueError: three" in got[0][1]["text"]
    assert len(events(log, StrategyFailed)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on file sizes")
def test_a_disk_that_takes_no_more_ends_the_session_with_6_and_a_log_that_is_whole(log, tmp_path):
    import resource  # noqa: PLC0415

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    command = [sys.executable, str(PROJECT / "cli.py"), "-q", "--log", str(log)]
    before = LogReader(log).last_seq()
    with receiving() as receiver:
        (tmp_path / "tape.toml").write_text(f'[alerts]\nwebhook = "{receiver.url}"\n')
        done = subprocess.run(
            [*command, "-c", "tape.toml", "live", "--demo"],
            preexec_fn=limited,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 6, done.stderr
        (_, body) = receiver.wait_for(1)[-1]
    assert "session 1 broke off" in body["text"]
    assert body["severity"] == "critical"
    assert cli.main(["-q", "--log", str(log), "verify"]) == 0
    assert LogReader(log).last_seq() > before
    attempted = {e.event.order for e in events(log, OrderAttempted)}
    assert {e.event.order for e in events(log, Filled)} <= attempted


# -- the broker --------------------------------------------------------------------------------


class Noting(Listener):
    def __init__(self) -> None:
        self.heard: list[object] = []

    @on(ConnectionChanged, HealthChanged)
    def told_of(self, event: object) -> None:
        self.heard.append(event)


def request(gateway, **more):
    link = LinkSettings(
        host=gateway.host,
        port=gateway.port,
        client_id=1,
        account=gateway.account,
        reconnect_interval_s=0.1,
        max_reconnect_attempts=2,
    )
    strategy = StrategySpec("sma_cross", {"instrument": "ZVXA", "fast": "2", "slow": "3"})
    return LiveRequest(mode="demo", link=link, strategies=(strategy,), account=gateway.account, **more)


class Until:
    """Called in between: does something once, when something holds."""

    def __init__(self, holds, do):
        self._holds, self._do, self.done = holds, do, False

    def __call__(self, session):
        if not self.done and self._holds(session):
            self.done = True
            self._do(session)


def is_open(session):
    return session.world.gate.closed("ZVXA") is None


def stop(session):
    session.stopping = "test"


def test_a_gateway_that_is_gone_stops_orders_is_told_and_a_later_session_goes_on(ib_gateway, log):
    gateway = ib_gateway(speed=60, start="open")
    listener_here = Noting()
    watching = Watching(
        listeners=(listener_here,), health=HealthSection(connection_down_s=(0.001, 0.01), cpu_pct=(0, 0))
    )
    gone = Until(is_open, lambda _: gateway.stop())
    with pytest.raises(BrokerUnreachable):
        run_live(log, request(gateway, watching=watching), watch=gone)
    assert gone.done
    states = [e.event.state for e in events(log, ConnectionChanged)]
    assert states[0] == "up"
    assert "down" in states
    assert states[-1] == "given_up"
    lost = next(e.seq for e in events(log, ConnectionChanged) if e.event.state == "down")
    assert [e for e in events(log, OrderAttempted) if e.seq > lost] == []
    checks = [(e.event.check, e.event.state) for e in events(log, HealthChanged) if e.seq > lost]
    assert ("connection", "critical") in checks
    assert [e.state for e in listener_here.heard if isinstance(e, ConnectionChanged)] == states

    again = ib_gateway(speed=60, start="open")
    run_live(log, request(again), watch=Until(is_open, stop))
    finished = [e.seq for e in events(log, ReconciliationFinished)]
    assert finished[-1] > lost
    assert len(events(log, SessionStarted)) == 2


FINISHED = 'tape_events_total{type="reconciliation_finished"} 1'


def test_metrics_show_a_session_while_it_trades(ib_gateway, log):
    with socket.socket() as held:  # until the server has it: two may be bound, one may listen
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        show_metrics(ib_gateway, log, held.getsockname()[1])


def show_metrics(ib_gateway, log, port):
    import urllib.request  # noqa: PLC0415

    gateway = ib_gateway(speed=60, start="open")
    seen: list[str] = []

    def look(session):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        if "tape_connected 1" in text and FINISHED in text:
            seen.append(text)
            session.stopping = "seen"

    watching = Watching(metrics_port=port, health=HealthSection())
    run_live(log, request(gateway, watching=watching), watch=look)
    assert "tape_memory_megabytes " in seen[0]
    assert "tape_equity 100000" in seen[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes and process groups")
def test_a_signal_to_all_processes_at_once_ends_in_order_and_the_listener_hears_the_end(log, tmp_path):
    """What systemd and Ctrl-C do: the listener leaves the signal to the session and is told to stop by it."""
    pipe = tmp_path / "told"
    os.mkfifo(pipe)
    (tmp_path / "tape.toml").write_text(listener("Writer"))
    command = [sys.executable, str(PROJECT / "cli.py"), "-q", "-c", "tape.toml", "--log", str(log)]
    process = subprocess.Popen(
        [*command, "live", "--demo", "--speed", "60"],
        cwd=tmp_path,
        env={**os.environ, "LISTENER_FILE": str(pipe)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # Opened for both: the pipe has no end while the listener opens it anew for each line.
        with os.fdopen(os.open(pipe, os.O_RDWR), encoding="utf-8") as told:
            assert told.readline() == "start\n"
            assert told.readline() == "link up\n"
            os.killpg(process.pid, signal.SIGTERM)
            lines = iter(told.readline, "stop\n")
            assert all(line.startswith("link ") for line in lines)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143, said
    assert events(log, SessionEnded)[-1].event.reason == "stopped"
