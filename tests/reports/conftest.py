"""Runs to report on: replayed from the built-in sample, once a session; tests only read them."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import new_run
from tests.once import once

RECORDING = '''
from truetape import Parameters, Strategy


class P(Parameters, frozen=True):
    instrument: str = "ZVXA"


class Recording(Strategy[P]):
    """Buys and sells 10 by turns, gives nasty reasons, and records a series."""

    count = 0

    def on_trade(self, trade):
        self.count += 1
        self.record("price <b>&", trade.price)
        if self.count % 2000 == 0:
            reason = "=HYPERLINK(\\"http://x\\") <script>alert(1)</script> " + str(self.count)
            (self.sell if self.position("ZVXA") else self.buy)("ZVXA", 10, reason=reason)
'''

RUIN = ["--cash", "100", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA", "--set", "quantity=10000"]


@pytest.fixture(scope="session")
def logs(ib_gateway_log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A log with the runs `crosses` (two days, two strategies), `nasty`, `none` (no trade), `ruin` (equity
    below zero) and `failed`, by their directories."""

    def make(place: Path) -> None:
        shutil.copytree(ib_gateway_log, place / "log")
        (place / "runs.json").write_text(json.dumps(replayed(place, place / "log")))

    place = once(tmp_path_factory, "reports", make)
    runs = json.loads((place / "runs.json").read_text())
    return {"root": place / "log", **{name: place / "log" / "runs" / run for name, run in runs.items()}}


def replayed(place: Path, root: Path) -> dict[str, str]:
    """Make the runs; return their ids by name."""
    source = place / "recording.py"
    source.write_text(RECORDING)
    crosses = ["--strategy", "sma_cross", "--strategy", "buy_and_hold", "--set", "instrument=ZVXA"]
    crosses += ["--set", "sma_cross.fast=40", "--set", "sma_cross.slow=120"]
    limits = place / "limits.toml"
    limits.write_text("[risk_management]\nmax_position_size = 0.01\n")
    failing = place / "failing.py"
    failing.write_text(
        RECORDING.replace("self.count += 1", "self.count += 1\n        assert self.count < 2500")
    )
    found = {}
    for name, date, more, config in (
        ("crosses", "2025-07-02..2025-07-03", crosses, []),
        ("nasty", "2025-07-03", ["--strategy", f"{source}:Recording"], []),
        ("none", "2025-07-03", crosses, ["-c", str(limits)]),
        ("ruin", "2025-07-02", RUIN, []),
        ("failed", "2025-07-03", ["--strategy", f"{failing}:Recording"], []),
    ):
        code = 8 if name == "failed" else 0
        found[name] = new_run(root, *config, "replay", date, *more, code=code)
    return found
