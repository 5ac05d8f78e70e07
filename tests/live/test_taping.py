"""`record` against a simulated gateway: market data alone, from the first tick to a clean end."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.past import past_of
from app.configuration.reading import load
from app.live.ending import Ending, StopAsked
from app.live.kill_file import KillFile
from app.live.signals import Stopping
from app.live.taping import Tape, run_tape
from core.errors import TapeError, UsageError
from core.events import (
    ConnectionChanged,
    DataStateChanged,
    OrderAttempted,
    PositionReported,
    Quote,
    ReconciliationStarted,
    SessionEnded,
    SessionStarted,
    Trade,
)
from eventstore.reading.reader import LogReader
from tests.logs import events_of

PROJECT = Path(__file__).resolve().parents[2]
DAY = "2025-07-02"


def link(gateway, **more) -> LinkSettings:
    return LinkSettings(host=gateway.host, port=gateway.port, reconnect_interval_s=0.1, **more)


def after(count: int):
    """Return a watch that stops a recording after so many events."""

    def watch(tape: Tape) -> None:
        if sum(tape.counts.values()) >= count:
            tape.stopping = "stopped"

    return watch


def tape(root: Path, gateway, names, *, watch=None, **more):
    return run_tape(root, link(gateway, **more), load([]), names, watch=watch or after(200))


def test_quotes_and_trades_are_recorded_without_a_look_at_the_account(ib_gateway, tmp_path):
    taped = tape(tmp_path / "log", ib_gateway(date=DAY, speed=600), ["ZVXA", "ZVXB"])
    root = tmp_path / "log"
    assert {event.instrument for event in events_of(root, Quote, Trade)} == {"ZVXA", "ZVXB"}
    assert events_of(root, ReconciliationStarted, PositionReported, OrderAttempted) == []
    assert (events_of(root, SessionStarted)[0].mode, events_of(root, SessionEnded)[0].reason) == (
        "record",
        "stopped",
    )
    assert sum(taped.events.values()) >= 200


def test_a_recording_of_the_day_has_every_trade_once(ib_gateway, ib_gateway_log, tmp_path):
    gateway = ib_gateway(date=DAY, speed="step", start="begin")
    day = past_of(LogReader(ib_gateway_log), "USD").world.sessions.session_on("XNYS", DAY)
    stepping = {"lock_step": True, "start_ns": day.begin, "tick_by_tick_max": 100}
    trades = [
        t for t in events_of(ib_gateway_log, Trade) if t.instrument == "ZVXA" and day.begin <= t.ts < day.end
    ]
    tape(tmp_path / "log", gateway, ["ZVXA"], watch=after(1500), **stepping)
    taped = events_of(tmp_path / "log", Trade)
    shown = [(t.price, t.size, t.suspicious) for t in taped]
    assert len(taped) > 300
    assert shown == [(t.price, t.size, t.suspicious) for t in trades[: len(shown)]]


def test_time_and_sales_have_the_same_trades_as_single_ones(ib_gateway, ib_gateway_log, tmp_path):
    gateway = ib_gateway(date=DAY, speed="step", start="begin")
    day = past_of(LogReader(ib_gateway_log), "USD").world.sessions.session_on("XNYS", DAY)
    stepping = {"lock_step": True, "start_ns": day.begin, "tick_by_tick_max": 0}
    trades = [
        t
        for t in events_of(ib_gateway_log, Trade)
        if t.instrument == "ZVXA" and day.begin <= t.ts < day.end and not t.suspicious
    ]
    tape(tmp_path / "log", gateway, ["ZVXA"], watch=after(1500), **stepping)
    taped = events_of(tmp_path / "log", Trade)
    shown = [(t.price, t.size) for t in taped]
    assert len(taped) > 300
    assert shown == [(t.price, t.size) for t in trades[: len(shown)]]


def test_a_lost_connection_is_made_again_and_the_lines_with_it(ib_gateway, tmp_path):
    gateway = ib_gateway(date=DAY, speed=600, faults="ticks 300: close")
    tape(tmp_path / "log", gateway, ["ZVXA", "ZVXB"], watch=after(1000))
    root = tmp_path / "log"
    assert gateway.fired
    assert [e.state for e in events_of(root, ConnectionChanged) if e.state in ("up", "down")][:3] == [
        "up",
        "down",
        "up",
    ]
    states = [e.state for e in events_of(root, DataStateChanged) if e.instrument == "ZVXA"]
    assert states[:3] == ["live", "stale", "live"]


def test_connections_that_worked_do_not_use_up_the_attempts_and_raise_no_alarm(ib_gateway, tmp_path):
    faults = "; ".join(f"ticks {n}: close" for n in (100, 200, 300, 400))
    gateway = ib_gateway(date=DAY, speed=600, faults=faults)
    alarms: list[float | None] = []

    def watch(tape: Tape) -> None:
        if tape.client.ready and not alarms:
            alarms.append(tape.client._connection.outage.alarm(1 << 62))
        after(700)(tape)

    tape(tmp_path / "log", gateway, ["ZVXA"], watch=watch, max_reconnect_attempts=2)
    assert alarms == [None]
    states = [event.state for event in events_of(tmp_path / "log", ConnectionChanged)]
    assert states == [*["up", "down"] * 4, "up"]


def test_what_the_login_has_no_lines_for_is_told(ib_gateway, tmp_path):
    taped = tape(tmp_path / "log", ib_gateway(date=DAY, speed=600), ["ZVXA", "ZVXB", "ZVXC"], lines_max=2)
    assert list(taped.without) == ["ZVXC"]
    assert "market_data_lines" in taped.without["ZVXC"]
    assert taped.events["ZVXC"] == 1  # the word that there is none


def test_delayed_data_are_told_as_delayed(ib_gateway, tmp_path):
    gateway = ib_gateway(date=DAY, speed=600, faults="start 2: delayed")
    tape(tmp_path / "log", gateway, ["ZVXA"])
    states = [e.state for e in events_of(tmp_path / "log", DataStateChanged)]
    assert states == ["delayed"]


def test_an_unknown_name_does_not_keep_the_others_from_being_recorded(ib_gateway, tmp_path):
    taped = tape(tmp_path / "log", ib_gateway(date=DAY, speed=600), ["NOPE", "ZVXA"])
    assert "no such contract" in taped.without["NOPE"]
    assert taped.events["ZVXA"] >= 200


def test_names_that_all_lead_nowhere_end_the_command(ib_gateway, tmp_path):
    with pytest.raises(UsageError, match="none of them leads to a contract"):
        tape(tmp_path / "log", ib_gateway(date=DAY), ["NOPE"])


def test_a_signal_ends_a_recording_in_order(ib_gateway, tmp_path):
    gateway = ib_gateway(date=DAY, speed=60)
    command = [sys.executable, str(PROJECT / "cli.py"), "--log", str(tmp_path / "log"), "record", "ZVXA"]
    process = subprocess.Popen(
        [*command, "--port", str(gateway.port), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        root = tmp_path / "log"
        deadline = time.monotonic() + 60
        while not _recorded(root):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "nothing was recorded within a minute"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, err
    assert json.loads(out)["events"]["ZVXA"] > 0
    assert events_of(root, SessionEnded)[0].reason == "stopped"


def test_the_kill_file_ends_a_recording_in_order_and_lets_none_begin(ib_gateway, tmp_path):
    gateway, root = ib_gateway(date=DAY, speed=600), tmp_path / "log"

    def kill(tape: Tape) -> None:
        if sum(tape.counts.values()) >= 200:
            KillFile(root).make("enough")

    taped = tape(root, gateway, ["ZVXA"], watch=kill)
    assert sum(taped.events.values()) >= 200
    assert events_of(root, SessionEnded)[0].reason == "halted"
    with pytest.raises(StopAsked, match=r"the kill file is there \(enough\); next: tape resume"):
        tape(root, gateway, ["ZVXA"])
    assert len(events_of(root, SessionStarted)) == 1


@pytest.mark.timeout(60)
def test_a_signal_ends_a_recording_that_waits_for_a_connection(tmp_path):
    signals = Stopping()
    link = LinkSettings(port=1, reconnect_interval_s=600)
    ending = Ending(tmp_path / "log", signals)
    Timer(0.5, lambda: setattr(signals, "number", signal.SIGTERM)).start()
    with pytest.raises(StopAsked, match="stopped by a signal"):
        run_tape(tmp_path / "log", link, load([]), ["ZVXA"], ending=ending)


def _recorded(root: Path) -> bool:
    try:
        return bool(events_of(root, Quote))
    except TapeError:  # the log is being made
        return False
