"""From the configuration to those who watch."""

from pathlib import Path

import pytest

from app.configuration.reading import canonical, load
from app.configuration.settings import HealthSection
from app.watch.alerts import ALERTING
from app.watch.logs import LogSettings
from app.watch.watching import ListenerSettings, Watching, configured
from core.errors import ConfigError

TEXT = """
[live]
metrics_port = 9464
[[live.listener]]
path = "deep/phone.py:Phone"
[[live.listener]]
path = "phone.py:Phone"
name = "second"
queue = 5
errors_max = 1
[alerts]
webhook = "https://hooks.example/geheim"
least = "critical"
[health]
memory_mb = [1, 2]
[logs]
level = "debug"
"""


def read(tmp_path, text):
    path = tmp_path / "tape.toml"
    path.write_text(text)
    return load([path])


def test_what_a_configuration_asks_for_is_what_watches(tmp_path):
    found = configured(read(tmp_path, TEXT), Path("place/tape-log"))
    assert found.listeners == (
        ListenerSettings(path="deep/phone.py:Phone", name="Phone"),
        ListenerSettings(path="phone.py:Phone", name="second", queue=5, errors_max=1),
    )
    assert (found.alerts.webhook, found.alerts.least) == ("https://hooks.example/geheim", "critical")
    assert found.health == HealthSection(memory_mb=(1, 2))
    assert found.logs == LogSettings(directory=Path("place/tape-logs").resolve(), level="debug")
    assert found.metrics_port == 9464


def test_all_of_it_can_be_switched_off(tmp_path):
    text = "[health]\nenabled = false\n[logs]\nlevel = 'off'\n"
    assert configured(read(tmp_path, text), Path("tape-log")) == Watching()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("memory_mb = [2, 1]", "expected the warning, then what is worse"),
        ("disk_free_mb = [1, 2]", "expected the warning, then what is worse"),
        ("cpu_pct = [1, inf]", "expected two finite numbers"),
        ("log_mb = [-1, 2]", ">= 0"),
        ("log_mb = [1]", "length 2"),
    ],
)
def test_thresholds_that_make_no_sense_stop_the_session(line, said, tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"[health]\n{line}\n")
    assert f"tape.toml:2: [health] {line.partition(' ')[0]} = " in str(caught.value)
    assert said in str(caught.value)


def test_who_watches_is_no_part_of_a_runs_identity(tmp_path):
    text, digest = canonical(read(tmp_path, TEXT))
    assert (text, digest) == canonical(read(tmp_path, "[log]\npath = 'elsewhere'\n"))
    assert "geheim" not in text


def test_whoever_is_alerted_of_a_trouble_is_told_of_its_end():
    names = {kind.__name__ for kind in ALERTING}
    for begins, ends in (
        ("BreakFound", "BreakAccepted"),
        ("BreakFound", "BreakResolved"),
        ("HaltRequested", "TradingResumed"),
        ("SessionStarted", "SessionEnded"),
    ):
        assert {begins, ends} <= names
