"""Settings from the environment: found by name, typed by their setting, refused like a file's."""

import pytest

from app.configuration.environment import from_environment
from app.configuration.reading import effective, load
from app.configuration.settings import Settings
from core.errors import ConfigError


def test_variables_win_over_files_and_name_themselves_as_origin(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("[ibkr]\nport = 4002\nhost = 'far'\n")
    config = load([path], environment={"TAPE_IBKR__PORT": "7496", "PATH": "/bin", "TAPE_EDITOR": "vi"})
    assert (config.settings.ibkr.port, config.settings.ibkr.host) == (7496, "far")
    origins = {key: where for key, _, where in effective(config)}
    assert origins["ibkr.port"] == "TAPE_IBKR__PORT"
    assert origins["ibkr.host"].endswith("a.toml:3")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("TAPE_IBKR__ACCOUNT", "123", "123"),
        ("TAPE_IBKR__ACCOUNT", "DU123", "DU123"),
        ("TAPE_IBKR__HOST", "'quoted'", "quoted"),
        ("TAPE_IBKR__DELAYED_DATA", "true", True),
        ("TAPE_TRADING__WATCHLIST", '["A", "B"]', ["A", "B"]),
        ("TAPE_REPLAY__CASH", "100.10", 100.10),
    ],
)
def test_a_value_is_what_its_setting_takes(name, text, value):
    section, key = name.removeprefix("TAPE_").lower().split("__")
    assert from_environment({name: text}, Settings).data[section][key] == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("TAPE_IBKR__PROT", "1", 'TAPE_IBKR__PROT: [ibkr] unknown key "prot"; did you mean "port"?'),
        ("TAPE_IBRK__PORT", "1", 'unknown section "ibrk"; did you mean "ibkr"?'),
        ("TAPE_IBKR__PORT", "many", "TAPE_IBKR__PORT: [ibkr] port = 'many': expected int"),
        ("TAPE_RISK_MANAGEMENT__MAX_DAILY_LOSS", "5", "did you mean 0.05?"),
        ("TAPE_RISK_MANAGEMENT__MAX_DAILY_LOSS", "nan", "expected a finite number"),
    ],
)
def test_a_mistake_is_named_by_its_variable(name, text, says):
    with pytest.raises(ConfigError) as caught:
        load(environment={name: text})
    assert says in str(caught.value)
