"""Replay against its yardstick: `python benchmarks/replay.py [--ticks 2000000] [--full]`.

The yardstick is Parquet -> Struct -> the same strategy object's handler, and nothing else. All cases run
in one process, in turn, each beside its yardstick, and are compared in CPU seconds of the same round: figures
are medians over the rounds. Logs are made in `--dir` (a temporary directory by default) and kept there if it
is given.
"""

import argparse
import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from eventstore.reading.reader import LogReader

ROUNDS = 5


class Case(NamedTuple):
    """A log to replay."""

    name: str
    root: Path
    ticks: int
    instruments: int


class Timed(NamedTuple):
    """One round of a case: CPU nanoseconds a tick of the replay and of its yardstick; how many orders."""

    ours: float
    theirs: float
    orders: int


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


def alternating(cases: Sequence[Case]) -> dict[str, list[Timed]]:
    """Time each case and its yardstick in each round, one after another; return the rounds by name."""
    rounds: dict[str, list[Timed]] = {case.name: [] for case in cases}
    for _ in range(ROUNDS):
        for case in cases:
            theirs, count = cpu(lambda case=case: yardstick(case.root, case.instruments))
            assert count == case.ticks
            ours, summary = cpu(lambda case=case: replay(case.root, case.ticks, case.instruments))
            nanoseconds = 1e9 / case.ticks
            rounds[case.name].append(Timed(ours * nanoseconds, theirs * nanoseconds, summary["orders"]))
    return rounds


def made(directory: Path, name: str, ticks: int, instruments: int, *, orders: bool = True) -> Case:
    """Make the log of a case, in another process."""
    root = directory / f"{ticks}-{instruments}-{'walk' if orders else 'trend'}"
    if not (root / "complete").exists():
        maker = "import sys; from pathlib import Path; from benchmarks.market import make_log; "
        call = f"make_log(Path({str(root)!r}), {ticks}, {instruments}, orders={orders})"
        subprocess.run(
            [sys.executable, "-c", maker + call], check=True, cwd=Path(__file__).resolve().parent.parent
        )
    return Case(name, root, ticks, instruments)


def middle(values: Iterable[float]) -> float:
    """Return the median over the rounds."""
    return statistics.median(values)


def show(case: Case, rounds: Sequence[Timed]) -> None:
    """Print one case as a line."""
    print(
        f"{case.name:34} rate / yardstick {middle(one.theirs / one.ours for one in rounds):.2f}   "
        f"({middle(one.ours for one in rounds):.0f} vs {middle(one.theirs for one in rounds):.0f} ns a tick, "
        f"orders {rounds[0].orders / case.ticks:.2%})"
    )


def show_order(ticks: int, quiet: Sequence[Timed], busy: Sequence[Timed]) -> None:
    """Print what an order costs: what a busy replay takes beyond its yardstick less what a quiet one does."""
    pairs = list(zip(quiet, busy, strict=True))
    costs = [((b.ours - b.theirs) - (q.ours - q.theirs)) * ticks / b.orders for q, b in pairs]
    ticks_each = middle(cost / q.theirs for cost, (q, _) in zip(costs, pairs, strict=True))
    microseconds = middle(costs) / 1000
    print(
        f"{'an order, intent to commission':34} {microseconds:.1f} µs beyond the strategy's own time, "
        f"{ticks_each:.0f} ticks of the yardstick"
    )


def show_against(what: str, ratios: Iterable[float]) -> None:
    """Print how two cases compare."""
    print(f"{what:34} {middle(ratios):.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2_000_000)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--full", action="store_true", help="also four times the ticks, and ten instruments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory, n = options.dir or Path(scratch), options.ticks
        cases = [made(directory, "no orders", n, 1, orders=False), made(directory, "orders", n, 1)]
        if options.full:
            cases.append(made(directory, "four times the ticks", 4 * n, 1))
            cases.append(made(directory, "ten instruments", n, 10))
        rounds = alternating(cases)
        for case in cases:
            show(case, rounds[case.name])
        quiet, busy, *more = rounds.values()
        show_order(n, quiet, busy)
        if options.full:
            large, ten = more
            pairs = zip(busy, large, strict=True)
            show_against("cost an event, 4n against n", (one.ours / few.ours for few, one in pairs))
            pairs = zip(busy, ten, strict=True)
            show_against("rate, ten instruments against one", (one.ours / many.ours for one, many in pairs))
        print(f"{'peak memory':34} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
