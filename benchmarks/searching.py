"""The search that `benchmarks/optimize.py` times: see there."""

import argparse
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import psutil

import cli
from app.composition.seating import StrategySpec
from app.optimize.executing import LocalProcesses
from app.optimize.study import Study, StudyRequest
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from app.replay.researching import Case
from eventstore.reading.reader import LogReader

DAYS = ["2013-10-07", "2013-10-08", "2013-10-09", "2013-10-10", "2013-10-11"]
PERIOD = Period(DAYS[0], DAYS[-1])
PAIRS = (("fast=5:50:5", "slow=60:150:10"), 100)


def main(told_of: str | None) -> None:
    """Measure and print; `told_of` describes the benchmark in its help."""
    parser = argparse.ArgumentParser(description=told_of)
    parser.add_argument("--lean", type=Path, help="a folder that holds equity/usa/…")
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "log"
        instrument = make_log(root, told.lean)
        ratios, paths = [], []
        for number in range(told.rounds):
            (one, one_path), (two, two_path) = (searched(root, instrument, jobs) for jobs in (1, 2))
            ratios.append(one / two)
            paths.append(one_path / two_path)
            print(f"round {number + 1}: {ratios[-1]:.2f} times as fast, critical path {paths[-1]:.2f}")
        print(f"two processes against one, 100 pairs: {statistics.median(ratios):.2f} (aim 1.7)")
        print(f"the same by the critical path of CPU time: {statistics.median(paths):.2f}")
        print(f"a light run against a whole one: {light_share(root, instrument):.2f} of the time")


def make_log(root: Path, lean: Path | None) -> str:
    """Make a log of a week of minute bars; return the instrument."""
    command = ["-q", "--log", str(root), "import"]
    if lean is not None:
        command += ["--format", "lean", "--root", str(lean), "--symbol", "SPY", "--resolution", "minute"]
        assert cli.main([*command, "--date", f"{DAYS[0]}..{DAYS[-1]}"]) == 0
        return "SPY"
    file = root.parent / "bars.csv"
    rng, price, lines = random.Random(7), 145.0, ["ts,open,high,low,close,volume"]
    for day in DAYS:
        for minute in range(9 * 60 + 31, 16 * 60 + 1):
            before, price = price, round(price + rng.gauss(0, 0.05), 2)
            high, low = max(before, price) + 0.01, min(before, price) - 0.01
            clock = f"{day} {minute // 60:02}:{minute % 60:02}:00"
            lines.append(f"{clock},{before},{high:.2f},{low:.2f},{price},1000")
    file.write_text("\n".join(lines) + "\n", "utf-8")
    command += [str(file), "--symbol", "ABC", "--timezone", "America/New_York", "--exchange", "XNYS"]
    assert cli.main(command) == 0
    return "ABC"


class Timed(LocalProcesses):
    """Local processes whose CPU time is read before they end."""

    busiest = 0.0

    def close(self) -> None:
        for worker in self._workers:
            times = psutil.Process(worker.process.pid).cpu_times()
            Timed.busiest = max(Timed.busiest, times.user + times.system)
        super().close()


def searched(root: Path, instrument: str, jobs: int) -> tuple[float, float]:
    """Search with nothing known; return the seconds that passed and those of CPU on the critical path."""
    shutil.rmtree(root / "optimize", ignore_errors=True)
    (fast, slow), count = PAIRS
    case = Case(
        root=root,
        spec=StrategySpec("sma_cross", {"instrument": instrument}),
        period=PERIOD,
        dates=DAYS,
        options=ReplayOptions(),
        config="{}",
        config_hash="",
    )
    Timed.busiest = 0.0
    started, own = time.perf_counter(), time.process_time()
    found = Study(StudyRequest(case=case, ranges=(fast, slow), jobs=jobs), Timed).run()
    seconds = time.perf_counter() - started
    assert found.counts["trials"] == count
    assert found.counts["known"] == 0
    return seconds, time.process_time() - own + Timed.busiest


def light_share(root: Path, instrument: str) -> float:
    """Return the time of a light run over that of a whole one, the least of five each."""
    reader = LogReader(root)

    def replay(slow: int) -> Replay:
        spec = StrategySpec("sma_cross", {"instrument": instrument, "fast": 7, "slow": slow})
        return Replay(root, reader, PERIOD, [spec], ReplayOptions())

    times: dict[str, list[float]] = {"light": [], "whole": []}
    for slow in range(30, 35):
        for name, made in (("light", replay(slow)), ("whole", replay(slow))):
            started = time.perf_counter()
            if name == "light":
                made.run_light(frozenset())
            else:
                made.run()
            times[name].append(time.perf_counter() - started)
    return min(times["light"]) / min(times["whole"])
