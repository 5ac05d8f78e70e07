"""Signals in a log: replays take them at their time, and `state`, `why` and SQL show them."""

import json
from datetime import datetime

import pytest

from app.operation.writing import writing
from core.clock import from_datetime
from core.events import SignalReceived

pytestmark = pytest.mark.signal

DAY_NS = 86_400_000_000_000


def ns(text):
    return from_datetime(datetime.fromisoformat(text))


OPEN = ns("2025-07-02T09:30:00-04:00")


def given(root, *signals):
    with writing(root) as writer:
        writer.journal.extend(list(signals))
        writer.journal.commit(sync=True)


def signal(ts, value, **more):
    told = {"source": "bma", "instrument": "ZVXA", "confidence": 1.0, "as_of": ts, "horizon": 0} | more
    return SignalReceived(ts, value=value, expires=told.pop("expires", ts + 5 * DAY_NS), **told)


@pytest.fixture
def trade(tape, log):
    """Replay the composite example over the sample's first day; return the JSON of the run."""

    def run(*more):
        arguments = ["replay", "2025-07-02", "--strategy", "composite", "--set"]
        return tape("--log", log, *arguments, "instruments=ZVXA", *more, "--json").json

    return run


def test_a_signal_of_the_evening_before_holds_from_the_first_tick(trade, log, tape):
    without = trade()
    given(log, signal(OPEN - DAY_NS, 1.0))
    after = trade()
    assert after["run"] != without["run"]
    query = f"SELECT used FROM signal_sources WHERE run = '{after['run']}' ORDER BY seq LIMIT 1"
    assert [row["used"] for row in tape("--log", log, "sql", query, "--json").json] == ["bma"]


def test_signals_are_taken_at_their_time_whatever_their_order_in_the_log(trade, log, tape):
    hour = 3_600_000_000_000
    given(log, signal(OPEN + 2 * hour, -1.0), signal(OPEN + hour, 1.0))
    trade()
    told = tape("--log", log, "events", "--type", "composite", "--limit", 0, "--json").json
    bma = [
        (event["ts"], part["value"])
        for event in told
        for part in json.loads(event["data"]["contributions"])
        if part["source"] == "bma"
    ]
    assert all((value == 1.0) == (ts < OPEN + 2 * hour) for ts, value in bma)
    assert {value for _, value in bma} <= {1.0, -1.0}
    assert all(ts >= OPEN + hour for ts, _ in bma)


def test_a_replay_with_signals_repeats_itself(trade, log, tape):
    given(log, signal(OPEN, 0.8))
    first = trade()
    again = tape("--log", log, "replay", first["run"], "--json").json
    assert again["run_hash"] == first["run_hash"]


def test_a_fixture_keeps_the_signals_that_its_run_read(trade, log, tape, tmp_path):
    given(log, signal(OPEN - DAY_NS, 1.0), signal(OPEN + 3_600_000_000_000, -1.0))
    trade()
    done = tape("--log", log, "export", tmp_path / "fixtures", "--fixture", "signals")
    assert done.code == 0, done.err


def test_state_shows_the_signals_of_the_moment(log, tape):
    given(log, signal(OPEN, 0.25), signal(OPEN + DAY_NS, 0.75))
    told = tape("--log", log, "state", "--run", "log", "--at", "2025-07-02T14:00:00Z", "--json").json
    assert [(one["source"], one["value"]) for one in told["signals"]] == [("bma", 0.25)]
    shown = tape("--log", log, "state", "--run", "log", "--at", "2025-07-03T14:00:00Z").out
    assert "bma" in shown
    assert "0.75" in shown


def test_why_and_the_view_chain_show_the_composite_before_the_intent(trade, log, tape):
    given(log, signal(OPEN - DAY_NS, 1.0, confidence=0.9))
    trade()
    fills = tape("--log", log, "fills", "--json").json
    order = fills[0]["order"]
    links = tape("--log", log, "why", order, "--json").json
    roles = [link["role"] for link in links["chain"]]
    assert roles[:3] == ["trade", "composite", "size"]
    query = f"SELECT kind FROM chain WHERE order_id = '{order}' ORDER BY link LIMIT 3"
    assert [row["kind"] for row in tape("--log", log, "sql", query, "--json").json] == [
        "tick",
        "composite",
        "size",
    ]
