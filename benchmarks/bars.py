"""Replay of minute bars against the yardstick of ticks: `python benchmarks/bars.py [--days 252]`.

A year of minute bars of one instrument, and of ten, each without orders (prices rise steadily) and with (a
random walk). The yardstick is that of `benchmarks/replay.py`: trades -> Struct -> the same strategy object's
handler, and nothing else, over as many trades as one instrument has bars. Both run in one process, by turns;
ratios are of CPU seconds, medians over the rounds. Each round makes the run anew. Logs are made in `--dir` (a
temporary directory by default) and kept there if it is given.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from app.replay.options import ReplayOptions
from app.replay.period import Period
from app.replay.replaying import Replay
from benchmarks import market
from benchmarks.market import EXCHANGE, FIRST_DAY, ZONE, names
from benchmarks.replay import cpu, specs, yardstick
from core.clock import DAY_NS, MINUTE_NS, local
from core.events import Bar, FeedDefined, InstrumentDefined, SessionScheduled
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from eventstore.sealing.client import SealWorker

FEED = "bench/minute"
BARS_A_DAY = 390
ROUNDS = 5


def dates(days: int) -> list[str]:
    """Return session dates, one after another (weekends too)."""
    return [str(np.datetime64(FIRST_DAY) + day) for day in range(days)]


def make_log(root: Path, days: int, instruments: int, *, orders: bool) -> None:
    """Make a sealed log of `days` sessions of minute bars."""
    journal = Journal.open(root, sealer=SealWorker(root))
    ts = local(FIRST_DAY, "00:00", ZONE)
    journal.extend([FeedDefined(ts, FEED, "synthetic", "minute", consolidated=True)])
    for name in names(instruments):
        terms = (name, name, "STK", EXCHANGE, "USD", Decimal(1), Decimal("0.01"), ZONE)
        journal.extend([InstrumentDefined(ts, *terms)])
    rng = np.random.default_rng(11)
    for number, day in enumerate(dates(days)):
        begin, opens, closes = (local(day, clock, ZONE) for clock in ("00:00", "09:30", "16:00"))
        journal.extend([SessionScheduled(begin, EXCHANGE, day, ZONE, begin, opens, closes, begin + DAY_NS)])
        shape = (BARS_A_DAY, instruments)
        steps = rng.choice([-0.05, 0.0, 0.05], shape) if orders else np.full(shape, 0.01)
        level = 100.0 if orders else 100.0 + 0.01 * BARS_A_DAY * number
        journal.extend(_day(level + steps.cumsum(axis=0), opens))
        journal.commit(sync=False)
    journal.close()


def _day(prices: np.ndarray, opens: int) -> list[Bar]:
    found = []
    for minute, row in enumerate(np.round(prices, 2).tolist()):
        start = opens + minute * MINUTE_NS
        for name, close in zip(names(len(row)), row, strict=True):
            ohlc = (close, round(close + 0.05, 2), round(close - 0.05, 2), close)
            found.append(Bar(start + MINUTE_NS, start, FEED, name, *ohlc, 1_000.0))
    return found


def replay(root: Path, days: int, instruments: int) -> dict[str, Any]:
    """Replay the whole log with everything on; return the run's summary."""
    first, *_, last = dates(days)
    options = ReplayOptions(cash=Decimal(100_000_000))
    return Replay(root, LogReader(root), Period(first, last), specs(instruments), options).run().summary


def compare(root: Path, ticks: Path, days: int, instruments: int) -> dict[str, Any]:
    """Alternate yardstick and replay; return medians of CPU seconds and of their ratio."""
    ours, theirs, summary = [], [], {}
    trades = days * BARS_A_DAY
    bars = trades * instruments
    for _ in range(ROUNDS):
        seconds, count = cpu(lambda: yardstick(ticks, 1))
        assert count == trades
        theirs.append(seconds / trades * 1e9)
        shutil.rmtree(root / "runs", ignore_errors=True)
        seconds, summary = cpu(lambda: replay(root, days, instruments))
        ours.append(seconds / bars * 1e9)
    return {
        "bars": bars,
        "orders": summary["orders"],
        "yardstick_ns": statistics.median(theirs),
        "replay_ns": statistics.median(ours),
        "rate_to_yardstick": statistics.median(t / o for t, o in zip(theirs, ours, strict=True)),
    }


def case(directory: Path, days: int, instruments: int, *, orders: bool) -> dict[str, Any]:
    """Make what a case needs, each log in a process of its own, and compare."""
    kind = "walk" if orders else "trend"
    root, ticks = directory / f"{days}-{instruments}-{kind}", directory / f"{days}-trades-{kind}"
    call = [sys.executable, __file__, "--days", str(days), "--case", str(root), str(ticks), str(instruments)]
    if not root.exists():
        subprocess.run([*call, kind], check=True)
    done = subprocess.run([*call, "compare"], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _in_child(days: int, root: Path, ticks: Path, instruments: int, what: str) -> None:
    if what == "compare":
        print(json.dumps(compare(root, ticks, days, instruments)))
    else:
        make_log(root, days, instruments, orders=what == "walk")
        market.make_log(ticks, days * BARS_A_DAY, orders=what == "walk")


def show(name: str, row: dict[str, Any]) -> None:
    """Print one case as a line."""
    print(
        f"{name:26} rate / yardstick of ticks {row['rate_to_yardstick']:.2f}   "
        f"({row['replay_ns']:.0f} ns a bar against {row['yardstick_ns']:.0f} ns a tick, "
        f"{row['bars']:,} bars, orders {row['orders'] / row['bars']:.2%})"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=252)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--case", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        root, ticks, instruments, what = options.case
        _in_child(options.days, Path(root), Path(ticks), int(instruments), what)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for orders in (False, True):
            said = "orders" if orders else "no orders"
            one, ten = (
                case(options.dir or Path(scratch), options.days, count, orders=orders) for count in (1, 10)
            )
            show(f"{said}, one instrument", one)
            show(f"{said}, ten instruments", ten)
            print(f"cost a bar, ten instruments against one: {ten['replay_ns'] / one['replay_ns']:.2f}")


if __name__ == "__main__":
    main()
