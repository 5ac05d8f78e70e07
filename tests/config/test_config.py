"""Configuration files: what is accepted, and that every problem is named by place, value and expectation."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from app.configuration.reading import Config, canonical, effective, load
from app.configuration.rules import exits
from app.configuration.settings import MASK, RiskSection
from core.errors import ConfigError


def write(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(*paths: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(paths)
    return str(caught.value).splitlines()


def origin(config: Config, key: str) -> str:
    return next(where for name, _, where in effective(config) if name == key)


EXISTING = """{
  "ibkr": {"host": "127.0.0.1", "port": 7497, "client_id": 1},
  "risk_management": {"max_position_size": 0.05, "stop_loss_pct": 0.02, "take_profit_pct": 0.05},
  "trading": {"watchlist": ["AAPL", "MSFT"], "signal_threshold": 0.6}
}"""


def test_the_existing_json_file_loads_unchanged(tmp_path):
    settings = load([write(tmp_path, "config.json", EXISTING)]).settings
    assert (settings.ibkr.host, settings.ibkr.port, settings.ibkr.client_id) == ("127.0.0.1", 7497, 1)
    assert settings.risk_management is not None
    assert settings.risk_management.max_position_size == 0.05
    assert settings.risk_management.take_profit_pct == 0.05
    assert settings.trading.watchlist == ["AAPL", "MSFT"]


def test_without_a_file_everything_is_a_default_and_there_are_no_limits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load()
    assert config.settings.risk_management is None
    assert config.settings.replay.cash == Decimal(100000)
    assert {where for _, _, where in effective(config)} == {"default"}


def test_tape_toml_of_the_current_directory_is_found(tmp_path, monkeypatch):
    write(tmp_path, "tape.toml", "[replay]\ncash = 5000\n")
    monkeypatch.chdir(tmp_path)
    assert load().settings.replay.cash == Decimal(5000)


def test_a_later_file_wins_key_by_key_and_each_value_has_its_origin(tmp_path):
    first = write(tmp_path, "a.toml", "[replay]\ncash = 1\nlatency_ms = 7\n")
    second = write(tmp_path, "b.json", '{"replay": {\n "cash": 2}}')
    config = load([first, second], log="elsewhere")
    assert (config.settings.replay.cash, config.settings.replay.latency_ms) == (Decimal(2), 7)
    assert origin(config, "replay.cash") == f"{second}:2"
    assert origin(config, "replay.latency_ms") == f"{first}:3"
    assert (config.settings.log.path, origin(config, "log.path")) == ("elsewhere", "--log")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_with_and_without_a_byte_order_mark_are_read(tmp_path, encoding):
    path = write(tmp_path, "a.toml", "[trading]\nwatchlist = ['纸带']\n".encode(encoding))
    assert load([path]).settings.trading.watchlist == ["纸带"]


def test_an_unknown_key_is_named_with_its_line_and_the_likely_one(tmp_path):
    path = write(tmp_path, "trading.toml", "\n[risk_management]\nmax_positon_size = 0.05\n")
    assert problems(path) == [
        f'{path}:3: [risk_management] unknown key "max_positon_size"; did you mean "max_position_size"?'
    ]


def test_all_problems_of_all_files_are_reported_at_once(tmp_path):
    first = write(tmp_path, "a.toml", "[replay]\ncash = -1\nlatency_ms = 'x'\n[ibk]\nport = 1\n")
    second = write(tmp_path, "b.json", '{"ibkr": {"port": 70000}}')
    missing = tmp_path / "missing.toml"
    lines = problems(first, second, missing)
    assert [line.removeprefix(str(tmp_path)).split(": ")[0] for line in lines] == [
        "/a.toml:2",
        "/a.toml:3",
        "/a.toml:4",
        "/b.json:1",
        "/missing.toml",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("max_position_size = 5", "did you mean 0.05?"),
        ("max_position_size = nan", "finite"),
        ("max_position_size = inf", "finite"),
        ("max_position_size = -0.05", "fraction between 0 and 1"),
        ("max_position_size = '5%'", "expected float, got str"),
        ("max_position_size = true", "expected float, got bool"),
        ("max_daily_loss = -0.05", "fraction between 0 and 1"),
        ("stop_loss_pct = 2", "did you mean 0.02?"),
        ("take_profit_pct = 0", "fraction"),
        ("stop_loss_atr = -1", "expected"),
        ("atr_length = 0", "expected"),
        ("atr_bar = 'tick'", "expected a length such as 30s, 5m, 2h or 1d"),
    ],
)
def test_a_limit_out_of_range_is_refused_with_what_was_expected(tmp_path, line, says):
    path = write(tmp_path, "a.toml", f"[risk_management]\n{line}\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:2: [risk_management] {line.split(' ')[0]} = ")
    assert says in problem


@pytest.mark.parametrize("value", ["nan", "inf", "-1", '"1e999999"', '"lots"'])
def test_cash_must_be_a_finite_amount(tmp_path, value):
    (problem,) = problems(write(tmp_path, "a.toml", f"[replay]\ncash = {value}\n"))
    assert ":2: [replay] cash = " in problem


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "a.toml",
            "\n[replay\n",
            "a.toml:2: not TOML: Expected ']' at the end of a table declaration (column 8)",
        ),
        ("a.toml", "[replay]\ncash =", "a.toml:2: not TOML: Invalid value (at the end)"),
        ("a.toml", "[replay]\ncash = 1\ncash = 2\n", "a.toml:3: not TOML: Cannot overwrite a value"),
        ("a.json", '{"replay": {\n', "not JSON"),
        ("a.json", "[]", "expected an object"),
        ("a.json", '{"ibkr": {"port": 1, "port": 2}}', "key given twice: 'port'"),
        ("a.json", "[" * 100_000, "a.json"),
        ("a.toml", b"[replay]\ncurrency = '\xff'\n", ":2: not UTF-8"),
        ("a.toml", "replay = 3\n", ":1: [replay] expected a section, found 3"),
        ("a.toml", "[replay.strategy]\nname = 'x'\n", "[[replay.strategy]]"),
        ("a.toml", "[[replay.strategy]]\nparameters = {}\n", "needs a key 'name'"),
        ("a.toml", "#" * 1_000_001, "larger than"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_in_words(tmp_path, name, text, says):
    (problem,) = problems(write(tmp_path, name, text))
    assert says in problem


def test_the_hash_covers_every_setting_but_not_where_the_log_lies(tmp_path):
    path = write(tmp_path, "a.json", EXISTING)
    same = canonical(load([path], log="one"))
    assert same == canonical(load([path], log="two"))
    changed = write(tmp_path, "b.json", EXISTING.replace("0.6", "0.7"))
    assert canonical(load([changed])) != same
    assert json.loads(same[0])["risk_management"]["max_position_size"] == 0.05


def test_the_hash_of_a_replay_does_not_depend_on_a_broker(tmp_path):
    here = load([write(tmp_path, "a.toml", "[ibkr]\nport = 4001\n")])
    there = load([write(tmp_path, "b.toml", "[ibkr]\nport = 4002\n")])
    assert canonical(here, replay=True) == canonical(there, replay=True)
    assert canonical(here) != canonical(there)


def test_equal_settings_written_differently_have_equal_hashes(tmp_path):
    toml = write(tmp_path, "a.toml", "[replay]\ncash = 100000.0\n")
    other = write(tmp_path, "b.json", '{"replay": {"cash": "1e5"}}')
    assert canonical(load([toml])) == canonical(load([other]))


def test_secrets_are_masked_wherever_settings_are_shown(tmp_path):
    text = "[[replay.strategy]]\nname = 'x'\nparameters = { api_key = 'hunter2', fast = 3 }\n"
    config = load([write(tmp_path, "a.toml", text)])
    shown = {name: value for name, value, _ in effective(config)}
    assert shown["replay.strategy.0.parameters.api_key"] == MASK
    assert shown["replay.strategy.0.parameters.fast"] == 3
    assert "hunter2" not in canonical(config)[0]
    assert config.settings.replay.strategy[0].parameters["api_key"] == "hunter2"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("port", 0, "expected int >= 1"),
        ("client_id", -1, "expected int >= 0"),
        ("reconnect_interval_s", 0, "expected float >= 0.1"),
        ("max_reconnect_attempts", 0, "expected int >= 1"),
        ("heartbeat_s", 100, "expected float <= 60"),
        ("pong_deadline_s", 0.1, "expected float >= 0.5"),
        ("market_data_lines", 0, "expected int >= 1"),
        ("restart_window", "midnight", "expected times and a zone such as 23:40-23:59 America/New_York"),
        ("restart_window", "23:40-23:59 Mars/Olympus", "No time zone found"),
        ("restart_window", "23:40-23:40 UTC", "the window is empty"),
        ("restart_window", "29:40-23:59 UTC", "hour must be in 0..23"),
    ],
)
def test_a_setting_of_the_link_outside_its_range_is_refused(tmp_path, key, value, said):
    (line,) = problems(write(tmp_path, "live.json", json.dumps({"ibkr": {key: value}})))
    assert line.startswith(f"{tmp_path / 'live.json'}:1: [ibkr] {key} = ")
    assert said in line


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"stop_loss_atr": 2.0, "trailing_stop_pct": 0.05}, "and trailing_stop_pct: a position has one stop"),
        ({"take_profit_pct": 0.1, "take_profit_atr": 3.0}, "and take_profit_atr: a position has one target"),
    ],
)
def test_two_stops_or_two_targets_are_refused(keys, what):
    with pytest.raises(ConfigError, match=what):
        exits(RiskSection(**keys))
    first = next(iter(keys))
    assert exits(RiskSection(**{first: keys[first]})).active
