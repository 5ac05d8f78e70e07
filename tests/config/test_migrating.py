"""`config migrate`: another bot's file becomes ours; nothing is guessed, and nothing vanishes."""

import json
import tomllib

import pytest

from app.configuration.migrating import ELSEWHERE, migrate, schema, write_new
from app.configuration.reading import load
from core.errors import ConfigError, UsageError

OLD = {
    "ibkr": {"host": "127.0.0.1", "port": 7497, "clientId": 1, "timeout": 30},
    "risk_management": {"max_position_size": 0.05, "stop_loss_pct": 5, "take_profit": 0.1, "api_key": "hush"},
    "trading": {"watchlist": ["AAPL", "MSFT"], "signal_treshold": 0.6, "nested": {"a": 1}},
    "lgos": {"level": "INFO"},
}


FRACTION = "expected a fraction between 0 and 1, where 0.05 means 5 %"


def old_file(tmp_path, data):
    path = tmp_path / "old.json"
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
    return path


def test_what_is_known_is_carried_over_and_the_result_loads(tmp_path):
    told = migrate(old_file(tmp_path, OLD))
    write_new(tmp_path / "tape.toml", told.text)
    settings = load([tmp_path / "tape.toml"]).settings
    assert (settings.ibkr.client_id, settings.trading.watchlist) == (1, ["AAPL", "MSFT"])
    assert settings.risk_management is not None
    assert settings.risk_management.take_profit_pct == 0.1
    assert told.renamed == {
        "ibkr.clientId": "ibkr.client_id",
        "risk_management.take_profit": "risk_management.take_profit_pct",
    }


def test_what_is_left_out_is_named_with_line_and_reason_and_stays_as_a_comment(tmp_path):
    told = migrate(old_file(tmp_path, OLD))
    assert [line.partition(": ")[2] for line in told.left] == [
        f"[ibkr] timeout = 30: no key of this name; {ELSEWHERE['ibkr', 'timeout']}",
        f"[risk_management] stop_loss_pct = 5: {FRACTION}; did you mean 0.05?",
        "[risk_management] api_key = '********': no key of this name",
        "[trading] signal_treshold = 0.6: no key of this name; did you mean signal_threshold?",
        "[trading] nested = {'a': 1}: no key of this name",
        "lgos: no section of this name; did you mean [logs]?",
    ]
    assert told.left[0].startswith(f"{tmp_path / 'old.json'}:6")
    for text in ("# timeout = 30", "# stop_loss_pct = 5", '# lgos = {"level": "INFO"}'):
        assert text in told.text
    assert "hush" not in told.text


def test_the_users_own_example_needs_no_change(tmp_path):
    old = {
        "ibkr": {"host": "127.0.0.1", "port": 7497, "client_id": 1},
        "risk_management": {"max_position_size": 0.05, "stop_loss_pct": 0.05, "take_profit_pct": 0.1},
        "trading": {"watchlist": ["AAPL"], "signal_threshold": 0.6},
    }
    told = migrate(old_file(tmp_path, old))
    assert told.left == []
    assert tomllib.loads(told.text) == old


@pytest.mark.parametrize(
    ("section", "key", "value", "says"),
    [
        (
            "trading",
            "order_timeout",
            30,
            "an order ends by its time in force, or a strategy cancels it",
        ),
        ("trading", "order_retry_delay", 2, "an order is put up again at once"),
        ("trading", "mode", "demo", "expected one of paper, live; tape live --demo is a demo"),
        ("trading", "symbols", "A, B", "expected a list: ['A', 'B']"),
        ("trading", "watchlist", [{"symbol": "A"}], "expected str, got object"),
        ("ibkr", "port", "7497", "expected int, got str; write it without quotes"),
        ("ibkr", "readonly", False, "tape live --observe"),
        ("risk_management", "stop_loss_pct", None, "has no value"),
    ],
)
def test_what_has_no_place_here_says_what_does_its_job(section, key, value, says, tmp_path):
    (left,) = migrate(old_file(tmp_path, {section: {key: value}})).left
    assert says in left
    assert "order_retries" not in left


def test_another_way_to_write_a_name_is_no_other_name(tmp_path):
    old = {"riskManagement": {"maxPositionSize": 0.05}, "ibkr": {"Host": "h", "accountId": "DU1"}}
    told = migrate(old_file(tmp_path, old))
    assert told.left == []
    assert tomllib.loads(told.text) == {
        "risk_management": {"max_position_size": 0.05},
        "ibkr": {"host": "h", "account": "DU1"},
    }


def test_two_names_for_one_key_leave_a_file_that_loads(tmp_path):
    old = {"ibkr": {"clientId": 1, "client_id": 2}, "signals": {"weights": {"lstm": 0.5}}, "trading": [1]}
    told = migrate(old_file(tmp_path, old))
    assert [line.partition(": ")[2] for line in told.left] == [
        "[ibkr] client_id = 2: clientId says this already",
        "trading: expected a section",
    ]
    assert tomllib.loads(told.text) == {"ibkr": {"client_id": 1}, "signals": {"weights": {"lstm": 0.5}}}


def test_text_with_quotes_and_other_letters_survives(tmp_path):
    old = {"ibkr": {"host": 'a"b\\c', "account": "账户"}, "trading": {"watchlist": ["600519.SH", "é"]}}
    assert tomllib.loads(migrate(old_file(tmp_path, old)).text) == old


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "tape.toml").write_text("mine")
    with pytest.raises(UsageError, match="exists; name another file with --output"):
        write_new(tmp_path / "tape.toml", "ours")
    assert (tmp_path / "tape.toml").read_text() == "mine"


def test_what_is_no_configuration_at_all_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        migrate(tmp_path / "x.json")


def test_the_schema_knows_every_key_and_its_range():
    found = schema()
    sections = found["$defs"]["Settings"]["properties"]
    assert {"ibkr", "risk_management", "trading", "replay"} <= set(sections)
    risk = found["$defs"]["RiskSection"]
    assert risk["additionalProperties"] is False
    known = risk["properties"]["max_daily_loss"]
    assert (known["type"], known["exclusiveMinimum"], known["maximum"]) == ("number", 0, 1)
