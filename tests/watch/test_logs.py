"""Structured logs: a file a day, levels, no secret in any of them, and a disk that refuses stops nothing."""

import json
from datetime import date, timedelta

import pytest

from app.watch.logs import DayFiles, LogSettings, level_of, log_sink, logger
from core.events import ClockAdvanced, ConnectionChanged, SessionStarted, Trade
from tests.watch.events import TS, entry, filled, link, trade


def lines(directory):
    return [
        json.loads(line)
        for path in sorted(directory.glob("tape-*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


def written(directory, entries, secrets=(), **settings):
    sink = log_sink(LogSettings(directory=directory, **settings), secrets, 3)
    sink.offer(entries)
    sink.close(60)
    return sink.reports(TS)


def test_an_event_is_a_line_with_its_place_its_time_and_its_fields(tmp_path):
    assert written(tmp_path / "logs", [filled(seq=5)]) == []
    (line,) = lines(tmp_path / "logs")
    assert line.pop("written").endswith("Z")
    assert line == {
        "event": "filled",
        "level": "info",
        "session": 3,
        "seq": 5,
        "ts": "2025-07-02T13:30:00.000Z",
        "exec_id": "e5.01",
        "order": "o-1",
        "account": "DU1",
        "strategy": "s",
        "instrument": "SPY",
        "side": "BUY",
        "quantity": "10",
        "price": "1.5",
        "venue": "SMART",
    }


def test_levels_follow_the_urgency_of_the_alert():
    assert level_of(ConnectionChanged(TS, "given_up")) == "critical"
    assert level_of(ConnectionChanged(TS, "down")) == "warning"
    assert level_of(filled().event) == "info"
    assert level_of(ClockAdvanced(TS)) == "debug"


@pytest.mark.parametrize(
    ("level", "types"),
    [
        ("debug", ["clock", "filled", "connection"]),
        ("info", ["filled", "connection"]),
        ("warning", ["connection"]),
    ],
)
def test_less_than_the_level_is_not_written(tmp_path, level, types):
    written(tmp_path, [entry(ClockAdvanced(TS)), filled(), link("down")], level=level)
    assert [line["event"] for line in lines(tmp_path)] == types


def test_market_data_are_never_written(tmp_path):
    sink = log_sink(LogSettings(directory=tmp_path, level="debug"), (), 1)
    assert Trade not in sink.types
    sink.offer([trade()])
    sink.close(60)
    assert lines(tmp_path) == []


def test_a_new_day_is_a_new_file_and_the_oldest_go(tmp_path):
    days = [date(2026, 1, 1)]
    files = DayFiles(tmp_path, 2, lambda: days[0])
    (tmp_path / "mine.jsonl").write_text("stays")
    for _ in range(4):
        files.write("{}")
        files.write("{}")
        days[0] += timedelta(days=1)
    files.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "mine.jsonl",
        "tape-2026-01-03.jsonl",
        "tape-2026-01-04.jsonl",
    ]
    assert (tmp_path / "tape-2026-01-04.jsonl").read_text() == "{}\n{}\n"


SECRET = "https://hooks.example/T0/geheim"


def test_secrets_are_masked_by_key_by_value_and_in_text(tmp_path):
    config = json.dumps({"ibkr": {"password": "geheim"}, "hook": SECRET})
    started = SessionStarted(TS, 1, "live", "DU1", "0", config, "", "[]", "", "none")
    reason = f"refused: token=geheim, at {SECRET}"
    written(tmp_path, [entry(started), entry(ConnectionChanged(TS, "down", None, reason))], secrets=[SECRET])
    text = "".join(path.read_text("utf-8") for path in tmp_path.iterdir())
    assert "geheim" not in text
    assert text.count("********") >= 4


def test_fields_whose_key_speaks_of_a_secret_are_masked(tmp_path):
    files = DayFiles(tmp_path, 1)
    logger(files, "info", ()).info("connect", api_key="geheim", nested={"webhook": "geheim"}, port=1)
    files.close()
    (line,) = lines(tmp_path)
    assert (line["api_key"], line["nested"], line["port"]) == ("********", {"webhook": "********"}, 1)


def test_a_directory_that_cannot_be_written_is_reported_once_and_stops_nothing(tmp_path):
    (tmp_path / "logs").write_text("a file where the directory should be")
    (report,) = written(tmp_path / "logs", [filled(seq=1), entry(ClockAdvanced(TS)), filled(seq=2)])
    assert (report.sink, report.state) == ("logs", "error")
    assert "cannot be written" in report.reason
