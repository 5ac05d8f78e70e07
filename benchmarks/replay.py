"""Replay against its yardstick: `python benchmarks/replay.py [--ticks 2000000] [--full]`.

The yardstick is Parquet -> Struct -> the same strategy object's handler, and nothing else. Both
run in this process, alternating, and are compared in CPU seconds: figures are medians of ratios. Logs
are made in `--dir` (a temporary directory by default) and kept there if it is given.
"""

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow.parquet as pq

from app.composition.seating import StrategySpec, seat
from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from benchmarks.market import days, names
from core.events import Trade
from core.strategy import AnyStrategy
from eventstore.layout import Layout
from eventstore.reader import LogReader

ROUNDS = 5


class Discarding:
    """A desk that takes orders and forgets them: the strategy runs, nothing follows."""

    id, account, currency, now = "bench", "SIM", "USD", 0

    def __init__(self) -> None:
        self.orders = self.positions = self

    def place(self, *_: Any) -> str:
        """Forget an order."""
        return ""

    def quantity(self, *_: Any) -> int:
        """Hold something, so that the strategy also sells."""
        return 1


def specs(instruments: int) -> list[StrategySpec]:
    """Return one `sma_cross` an instrument."""
    return [StrategySpec("sma_cross", {"instrument": name}) for name in names(instruments)]


def yardstick(root: Path, instruments: int) -> int:
    """Read the sealed trades and call the strategies' handlers; return the number of trades."""
    strategies: dict[str, AnyStrategy] = {}
    for name, seated in zip(names(instruments), seat(specs(instruments)), strict=True):
        seated.strategy.bind(Discarding())  # type: ignore[arg-type]
        strategies[name] = seated.strategy
    handlers = {name: strategy.on_trade for name, strategy in strategies.items()}
    one = handlers[names(1)[0]] if instruments == 1 else None
    count = 0
    for directory in sorted(Layout(root).sealed.iterdir()):
        path = directory / "trade.parquet"
        if not path.exists():
            continue
        file = pq.ParquetFile(path, read_dictionary=["feed", "instrument", "venue", "conditions"])
        for batch in file.iter_batches(65_536, use_threads=False):
            trades = _structs(batch)
            count += len(trades)
            if one is not None:
                for trade in trades:
                    one(trade)
            else:
                for trade in trades:
                    handlers[trade.instrument](trade)
    return count


def texts(batch: Any, name: str) -> list[str]:
    """Return a dictionary column as a list in which equal texts are one object."""
    column = batch.column(name)
    values = np.array(column.dictionary.to_pylist(), dtype=object)
    return list(values[column.indices.to_numpy()].tolist())


def numbers(batch: Any, name: str) -> list[Any]:
    """Return a column of numbers as a list."""
    return list(batch.column(name).to_numpy().tolist())


def _structs(batch: Any) -> list[Trade]:
    flags = batch.column("suspicious").to_numpy(zero_copy_only=False).tolist()
    return list(
        map(
            Trade,
            numbers(batch, "ts"),
            texts(batch, "feed"),
            texts(batch, "instrument"),
            numbers(batch, "price"),
            numbers(batch, "size"),
            texts(batch, "venue"),
            texts(batch, "conditions"),
            flags,
        )
    )


def replay(root: Path, ticks: int, instruments: int) -> dict[str, Any]:
    """Replay the whole log with everything on; return the run's summary."""
    dates = days(ticks)
    run = Replay(
        root,
        LogReader(root),
        Period(dates[0], dates[-1]),
        specs(instruments),
        ReplayOptions(commission="ibkr_fixed", cash=100_000_000),  # type: ignore[arg-type]
    ).run()
    return run.summary


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that `work` took, and its result."""
    gc.collect()
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def compare(root: Path, ticks: int, instruments: int) -> dict[str, Any]:
    """Alternate yardstick and replay; return medians of CPU seconds and of their ratio."""
    ours, theirs, summary = [], [], {}
    for _ in range(ROUNDS):
        seconds, count = cpu(lambda: yardstick(root, instruments))
        assert count == ticks
        theirs.append(seconds)
        seconds, summary = cpu(lambda: replay(root, ticks, instruments))
        ours.append(seconds)
    ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    return {
        "ticks": ticks,
        "instruments": instruments,
        "orders": summary["orders"],
        "yardstick_ns": statistics.median(theirs) / ticks * 1e9,
        "replay_ns": statistics.median(ours) / ticks * 1e9,
        "rate_to_yardstick": ratio,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_child(*arguments: str) -> dict[str, Any]:
    """Run one case in a process of its own, so that peak memory is its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", *arguments], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def case(directory: Path, ticks: int, instruments: int, *, orders: bool) -> dict[str, Any]:
    """Make the log of a case (in another process) and compare."""
    root = directory / f"{ticks}-{instruments}-{'walk' if orders else 'trend'}"
    if not (root / "complete").exists():
        maker = "import sys; from pathlib import Path; from benchmarks.market import make_log; "
        call = f"make_log(Path({str(root)!r}), {ticks}, {instruments}, orders={orders})"
        subprocess.run(
            [sys.executable, "-c", maker + call], check=True, cwd=Path(__file__).resolve().parent.parent
        )
    return in_child(str(root), str(ticks), str(instruments))


def show(name: str, row: dict[str, Any]) -> None:
    """Print one case as a line."""
    share = row["orders"] / row["ticks"]
    print(
        f"{name:34} rate / yardstick {row['rate_to_yardstick']:.2f}   "
        f"({row['replay_ns']:.0f} vs {row['yardstick_ns']:.0f} ns a tick, orders {share:.2%}, "
        f"peak {row['peak_mb']:.0f} MB)"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--full", action="store_true", help="also four times the ticks, and ten instruments")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        root, ticks, instruments = options.case
        print(json.dumps(compare(Path(root), int(ticks), int(instruments))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        directory, n = options.dir or Path(scratch), options.ticks
        quiet = case(directory, n, 1, orders=False)
        show("no orders", quiet)
        busy = case(directory, n, 1, orders=True)
        show("orders", busy)
        beyond = [row["replay_ns"] - row["yardstick_ns"] for row in (busy, quiet)]
        an_order = (beyond[0] - beyond[1]) * n / busy["orders"]
        print(
            f"{'an order, intent to commission':34} {an_order / 1000:.1f} µs beyond the strategy's own time, "
            f"{an_order / quiet['yardstick_ns']:.0f} ticks of the yardstick"
        )
        if options.full:
            large = case(directory, 4 * n, 1, orders=True)
            show("four times the ticks", large)
            print(f"{'cost an event, 4n against n':34} {large['replay_ns'] / busy['replay_ns']:.2f}")
            ten = case(directory, n, 10, orders=True)
            show("ten instruments", ten)
            ratio = busy["replay_ns"] / ten["replay_ns"]
            print(f"{'rate, ten instruments against one':34} {ratio:.2f}")


if __name__ == "__main__":
    main()
