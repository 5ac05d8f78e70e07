"""Equal inputs, code and parameters give equal runs: in any process, from any log that holds the data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from adapters.replay.lean import parse_days
from adapters.replay.sample_names import DAYS
from app.composition.seating import StrategySpec
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay, again
from core.errors import DataMissing, StrategyRaised
from core.events import StrategyFailed
from eventstore.reading.reader import LogReader
from eventstore.runs.checks import verify_run
from eventstore.runs.reader import list_runs
from eventstore.runs.writer import NondeterministicRun
from tests.eventstore.sealed_logs import open_log
from tests.importers.lean_files import import_lean
from tests.logs import events_of

ROOT = Path(__file__).resolve().parents[2]
DAY = DAYS[0]
HOSTILE = [
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONIOENCODING": "gbk"},
    {"PYTHONHASHSEED": "31337", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "LANG": "de_DE.UTF-8"},
]


def replay_in_process(log: Path, cwd: Path, environment: dict[str, str], *args: str) -> dict:
    command = [sys.executable, str(ROOT / "cli.py"), "-q", "--log", str(log), "replay", *args, "--json"]
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def twice(source: Path, tmp_path: Path, *args: str) -> list[dict]:
    """Replay in two processes whose surroundings differ, each on a copy of the log."""
    told = []
    for n, environment in enumerate(HOSTILE):
        cwd = tmp_path / f"place {n}"
        cwd.mkdir()
        log = shutil.copytree(source, cwd / "log")
        told.append(replay_in_process(log, cwd, environment, *args))
    return told


SMA = ("--strategy", "sma_cross", "--set", "sma_cross.fast=40", "--set", "sma_cross.slow=120")
HOLD = ("--strategy", "buy_and_hold", "--set", "instrument=ZVXA")


def test_the_sample_replays_alike_in_processes_that_share_nothing(sample, tmp_path):
    first, second = twice(sample, tmp_path, DAY, *SMA, *HOLD)
    assert first == second
    assert first["fills"] > 2


@pytest.fixture(scope="session")
def ibm(shared_data, tmp_path_factory):
    root = tmp_path_factory.mktemp("ibm") / "log"
    journal = open_log(root, roll_events=60_000)
    import_lean(journal, LogReader(root), shared_data / "lean", "IBM", "tick", parse_days("2013-10-07"))
    journal.close()
    return root


@pytest.mark.shared_data
def test_the_ibm_day_replays_alike_in_processes_that_share_nothing(ibm, tmp_path):
    sets = ("--set", "sma_cross.instrument=IBM", "--set", "fast=200", "--set", "slow=1000")
    first, second = twice(ibm, tmp_path, "2013-10-07", "--strategy", "sma_cross", *sets)
    assert first == second
    assert first["events"] == 24_293 + 109_067
    assert first["fills"] > 2


def replay(log, *specs, period=Period(DAY, DAY), **options):  # noqa: B008
    return Replay(log, LogReader(log), period, specs, ReplayOptions(**options))


def run(log, *specs, **options):
    return replay(log, *specs, **options).run()


CROSS = StrategySpec("sma_cross", {"instrument": "ZVXA", "fast": 40, "slow": 120})


def figures(done):
    told = done.summary
    return told["run_hash"], told["decisions_hash"], told["end_equity"], told["fills"]


@pytest.mark.shared_data
def test_equal_files_imported_in_another_order_into_another_layout_give_equal_hashes(shared_data, tmp_path):
    lean = shared_data / "lean"
    days = ["2013-10-07", "2013-10-08", "2013-10-09"]

    def build(name, order, *, sealing, **policy):
        root = tmp_path / name
        journal = open_log(root, sealing=sealing, **policy)
        for day in order:
            import_lean(journal, LogReader(root), lean, "SPY", "minute", parse_days(day))
        journal.close()
        return root

    a = build("forward", days, sealing=True, roll_events=1_000)
    b = build("backward", days[::-1], sealing=False)
    assert list((a / "sealed").iterdir())
    assert not list((b / "sealed").iterdir())
    cross = StrategySpec("sma_cross", {"instrument": "SPY", "fast": 5, "slow": 30})
    hold = StrategySpec("buy_and_hold", {"instrument": "SPY"})
    period = Period(days[0], days[-1])
    first, second = (run(root, cross, hold, period=period, latency_ms=20.0) for root in (a, b))
    assert figures(first) == figures(second)
    assert first.id == second.id
    assert first.summary["fills"] > 4


def test_the_same_replay_twice_is_one_run(log):
    first, second = run(log, CROSS), run(log, CROSS)
    assert first.id == second.id
    assert [r.id for r in list_runs(log)] == [first.id]
    assert verify_run(first.path) == []


def test_everything_that_may_change_a_result_changes_the_id(log):
    other = msgspec.structs.replace(CROSS, parameters={**CROSS.parameters, "fast": 41})
    named = msgspec.structs.replace(CROSS, id="another")
    replays = [
        replay(log, CROSS),
        replay(log, other),
        replay(log, named),
        replay(log, CROSS, latency_ms=1.0),
        replay(log, CROSS, partial_fills=True),
        replay(log, CROSS, seed=1),
        replay(log, CROSS, commission="zero"),
    ]
    assert len({r.run_id for r in replays}) == len(replays)


def test_a_run_can_be_made_again_from_what_it_says_of_itself(log):
    first = run(log, CROSS, latency_ms=5.0, partial_fills=True)
    repeated = again(log, LogReader(log), first)
    assert repeated.run_id == first.id
    assert figures(repeated.run()) == figures(first)


PLANTED = """
import time

from truetape import Parameters, Strategy, Subscription


class Planted(Strategy[Parameters]):
    def subscriptions(self):
        return [Subscription("ZVXA")]

    def on_trade(self, trade):
        if self.position("ZVXA") == 0 and not self.working_orders():
            quantity = {quantity}
            self.buy("ZVXA", quantity, reason="now and then")
"""


@pytest.mark.parametrize("quantity", ["1 + time.time_ns() % 999_983", "len(memory)"])
def test_a_strategy_that_depends_on_the_clock_or_on_memory_is_caught(log, tmp_path, quantity):
    prelude = "memory = __import__('sys').modules.setdefault('tape_memory', [])\nmemory.append(0)\n"
    path = tmp_path / "planted.py"
    path.write_text(prelude + PLANTED.format(quantity=quantity))
    spec = StrategySpec(f"{path}:Planted")
    first = run(log, spec)
    with pytest.raises(NondeterministicRun, match="came out different from before") as caught:
        run(log, spec)
    assert caught.value.exit_code == 1
    kept = {r.id: r for r in list_runs(log)}
    assert set(kept) == {first.id, f"{first.id}.differs"}
    assert f"kept as {first.id}.differs" in str(caught.value)
    assert f"tape diff {first.id} {first.id}.differs" in str(caught.value)
    assert verify_run(kept[f"{first.id}.differs"].path) == []
    # The first run is untouched, and the one that differs is replaced by the next.
    assert figures(kept[first.id]) == figures(first)
    with pytest.raises(NondeterministicRun):
        run(log, spec)
    assert len(list_runs(log)) == 2


def test_the_command_says_so_with_its_exit_code(log, tmp_path):
    path = tmp_path / "planted.py"
    path.write_text(PLANTED.format(quantity="1 + time.time_ns() % 999_983"))
    command = [sys.executable, str(ROOT / "cli.py"), "-q", "--log", str(log), "replay", DAY]
    command += ["--strategy", "planted.py"]
    codes = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False) for _ in range(2)
    ]
    assert [done.returncode for done in codes] == [0, 1]
    assert b".differs" in codes[1].stderr
    assert b"Traceback" not in codes[1].stderr


FAILING = """
from truetape import Parameters, Strategy, Subscription


class Failing(Strategy[Parameters]):
    def subscriptions(self):
        return [Subscription("ZVXA")]

    def on_start(self):
        self.seen = 0

    def on_trade(self, trade):
        self.seen += 1
        if self.seen == 500:
            raise ValueError("on purpose")
        if self.seen == 1:
            self.buy("ZVXA", 5, reason="first")
"""


def test_a_failing_strategy_publishes_its_run_every_time_alike(log, tmp_path):
    path = tmp_path / "failing.py"
    path.write_text(FAILING)
    for _ in range(2):
        with pytest.raises(StrategyRaised, match=r"raised in on_trade at failing\.py:15") as caught:
            run(log, StrategySpec(str(path)))
        assert caught.value.exit_code == 8
    (kept,) = list_runs(log)
    assert f"kept as {kept.id}" in str(caught.value)
    (failed,) = events_of(kept, StrategyFailed)
    assert (failed.handler, failed.file, failed.line) == ("on_trade", "failing.py", 15)
    assert kept.summary["fills"] == 1
    assert verify_run(kept.path) == []


def test_a_replay_without_data_leaves_nothing_behind(log):
    with pytest.raises(DataMissing, match=f"nearest dates are {DAY}"):
        run(log, CROSS, period=Period("2024-01-02", "2024-01-02"))
    assert not (log / "runs").exists() or list((log / "runs").iterdir()) == []
