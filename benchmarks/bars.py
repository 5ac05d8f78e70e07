"""Replay of minute bars against its yardstick: `python benchmarks/bars.py [--days 252]`.

A year of minute bars of one instrument, and of ten. The yardstick is Parquet -> Struct -> the same strategy
object's handler, and nothing else, as in `benchmarks/replay.py`; figures are medians of CPU seconds and of
their ratios. Logs are made in `--dir` (a temporary directory by default) and kept there if it is given.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow.parquet as pq

from app.planning import Period
from app.replaying import Replay, ReplayOptions
from app.seating import StrategySpec, seat
from benchmarks.market import EXCHANGE, FIRST_DAY, ZONE, names
from benchmarks.replay import Discarding, cpu, numbers, texts
from core.clock import DAY_NS, MINUTE_NS, local
from core.events import Bar, FeedDefined, InstrumentDefined, SessionScheduled
from core.strategy import AnyStrategy, Parameters, Strategy, Subscription
from eventstore.journal import Journal
from eventstore.layout import Layout
from eventstore.reader import LogReader
from eventstore.seal_client import SealWorker

FEED = "bench/minute"
BARS_A_DAY = 390
ROUNDS = 3


class CrossParameters(Parameters, frozen=True):
    """Which instrument, and how many bars the averages are over."""

    instrument: str
    fast: int = 20
    slow: int = 50


class BarCross(Strategy[CrossParameters]):
    """Hold 100 while the fast average of closes is above the slow one."""

    def subscriptions(self) -> Iterable[Subscription]:
        return [Subscription(self.params.instrument)]

    def on_start(self) -> None:
        self.slow: deque[float] = deque(maxlen=self.params.slow)
        self.fast: deque[float] = deque(maxlen=self.params.fast)
        self.sums = [0.0, 0.0]
        self.above = False

    def on_bar(self, bar: Bar) -> None:
        for number, window in enumerate((self.fast, self.slow)):
            if len(window) == window.maxlen:
                self.sums[number] -= window[0]
            window.append(bar.close)
            self.sums[number] += bar.close
        if len(self.slow) < self.params.slow:
            return
        above = self.sums[0] / self.params.fast > self.sums[1] / self.params.slow
        if above != self.above:
            self.above = above
            (self.buy if above else self.sell)(bar.instrument, 100, reason="the averages crossed")


def dates(days: int) -> list[str]:
    """Return session dates, one after another (weekends too)."""
    return [str(np.datetime64(FIRST_DAY) + day) for day in range(days)]


def make_log(root: Path, days: int, instruments: int) -> None:
    """Make a sealed log of `days` sessions of minute bars."""
    journal = Journal.open(root, sealer=SealWorker(root))
    ts = local(FIRST_DAY, "00:00", ZONE)
    journal.extend([FeedDefined(ts, FEED, "synthetic", "minute", consolidated=True)])
    for name in names(instruments):
        terms = (name, name, "STK", EXCHANGE, "USD", Decimal(1), Decimal("0.01"), ZONE)
        journal.extend([InstrumentDefined(ts, *terms)])
    rng = np.random.default_rng(11)
    for day in dates(days):
        begin, opens, closes = (local(day, clock, ZONE) for clock in ("00:00", "09:30", "16:00"))
        journal.extend([SessionScheduled(begin, EXCHANGE, day, ZONE, begin, opens, closes, begin + DAY_NS)])
        journal.extend(_day(rng, opens, instruments))
        journal.commit(sync=False)
    journal.close()


def _day(rng: np.random.Generator, opens: int, instruments: int) -> list[Bar]:
    steps = rng.choice([-0.05, 0.0, 0.05], (BARS_A_DAY, instruments)).cumsum(axis=0)
    closes = np.round(100.0 + steps, 2)
    found = []
    for minute in range(BARS_A_DAY):
        start = opens + minute * MINUTE_NS
        for number, name in enumerate(names(instruments)):
            close = float(closes[minute, number])
            prices = (close, round(close + 0.05, 2), round(close - 0.05, 2), close)
            found.append(Bar(start + MINUTE_NS, start, FEED, name, *prices, 1_000.0))
    return found


def specs(instruments: int) -> list[StrategySpec]:
    """Return one strategy an instrument."""
    return [
        StrategySpec(f"{Path(__file__).resolve()}:BarCross", {"instrument": n}, n) for n in names(instruments)
    ]


def yardstick(root: Path, instruments: int) -> int:
    """Read the sealed bars and call the strategies' handlers; return the number of bars."""
    strategies: dict[str, AnyStrategy] = {}
    for name, seated in zip(names(instruments), seat(specs(instruments)), strict=True):
        seated.strategy.bind(Discarding())  # type: ignore[arg-type]
        seated.strategy.on_start()
        strategies[name] = seated.strategy
    handlers = {name: strategy.on_bar for name, strategy in strategies.items()}
    count = 0
    for directory in sorted(Layout(root).sealed.iterdir()):
        path = directory / "bar.parquet"
        if not path.exists():
            continue
        file = pq.ParquetFile(path, read_dictionary=["feed", "instrument"])
        for batch in file.iter_batches(65_536, use_threads=False):
            bars = _structs(batch)
            count += len(bars)
            for bar in bars:
                handlers[bar.instrument](bar)
    return count


def _structs(batch: Any) -> list[Bar]:
    prices = [numbers(batch, name) for name in ("open", "high", "low", "close", "volume")]
    return list(
        map(
            Bar,
            numbers(batch, "ts"),
            numbers(batch, "start"),
            texts(batch, "feed"),
            texts(batch, "instrument"),
            *prices,
        )
    )


def replay(root: Path, days: int, instruments: int) -> dict[str, Any]:
    """Replay the whole log with everything on; return the run's summary."""
    first, *_, last = dates(days)
    options = ReplayOptions(cash=Decimal(100_000_000))
    return Replay(root, LogReader(root), Period(first, last), specs(instruments), options).run().summary


def compare(root: Path, days: int, instruments: int) -> dict[str, Any]:
    """Alternate yardstick and replay; return medians of CPU seconds and of their ratio."""
    ours, theirs, summary = [], [], {}
    bars = days * BARS_A_DAY * instruments
    for _ in range(ROUNDS):
        seconds, count = cpu(lambda: yardstick(root, instruments))
        assert count == bars
        theirs.append(seconds)
        seconds, summary = cpu(lambda: replay(root, days, instruments))
        ours.append(seconds)
    return {
        "bars": bars,
        "orders": summary["orders"],
        "yardstick_ns": statistics.median(theirs) / bars * 1e9,
        "replay_ns": statistics.median(ours) / bars * 1e9,
        "rate_to_yardstick": statistics.median(t / o for t, o in zip(theirs, ours, strict=True)),
    }


def show(name: str, row: dict[str, Any]) -> None:
    """Print one case as a line."""
    print(
        f"{name:16} rate / yardstick {row['rate_to_yardstick']:.2f}   ({row['replay_ns']:.0f} vs "
        f"{row['yardstick_ns']:.0f} ns a bar, {row['bars']:,} bars, orders {row['orders'] / row['bars']:.2%})"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=252)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        root, instruments = Path(options.case[0]), int(options.case[1])
        if not root.exists():
            make_log(root, options.days, instruments)
        print(json.dumps(compare(root, options.days, instruments)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        rows = {}
        for instruments in (1, 10):
            root = (options.dir or Path(scratch)) / f"{options.days}-{instruments}"
            call = [
                sys.executable,
                __file__,
                "--days",
                str(options.days),
                "--case",
                str(root),
                str(instruments),
            ]
            done = subprocess.run(call, capture_output=True, text=True, check=True)
            rows[instruments] = json.loads(done.stdout.splitlines()[-1])
            show(f"{instruments} instrument{'s' if instruments > 1 else ''}", rows[instruments])
        ratio = rows[10]["replay_ns"] / rows[1]["replay_ns"]
        print(f"cost a bar, ten instruments against one: {ratio:.2f}")


if __name__ == "__main__":
    main()
