"""Synthetic trade ticks for the benchmarks: a log of sealed days, made once and kept in a directory.

`orders=True` is a random walk: moving averages of 20 and 50 trades cross on about 2 % of them. With
`orders=False` prices rise steadily and averages cross once.
"""

from decimal import Decimal
from pathlib import Path

import numpy as np

from core.clock import DAY_NS, local
from core.events import FeedDefined, InstrumentDefined, SessionScheduled, Trade
from eventstore.journal.journal import Journal
from eventstore.sealing.client import SealWorker

FEED = "bench/tick"
EXCHANGE = "XNYS"
ZONE = "America/New_York"
FIRST_DAY = "2025-01-06"
TICKS_A_DAY = 2_000_000
CHUNK = 50_000


def names(count: int) -> list[str]:
    """Return the symbols of `count` instruments."""
    return [f"ZZ{number:02d}" for number in range(count)]


def days(ticks: int) -> list[str]:
    """Return the session dates that `ticks` are spread over, one after another (weekends too)."""
    first = np.datetime64(FIRST_DAY)
    return [str(first + day) for day in range(-(-ticks // TICKS_A_DAY))]


def make_log(root: Path, ticks: int, instruments: int = 1, *, orders: bool = True) -> Path:
    """Return `root` with a sealed log of `ticks` trades over `instruments`; made if it is not there."""
    if (root / "complete").exists():
        return root
    journal = Journal.open(root, sealer=SealWorker(root))
    journal.extend(_definitions(ticks, instruments))
    rng = np.random.default_rng(7)
    level = np.full(instruments, 100.0)
    for start in range(0, ticks, CHUNK):
        journal.extend(_chunk(rng, level, start, min(CHUNK, ticks - start), instruments, orders=orders))
        journal.commit(sync=False)
    journal.close()
    (root / "complete").touch()
    return root


def _definitions(ticks: int, instruments: int) -> list[FeedDefined | InstrumentDefined | SessionScheduled]:
    ts = local(FIRST_DAY, "00:00", ZONE)
    found: list[FeedDefined | InstrumentDefined | SessionScheduled] = [
        FeedDefined(ts, FEED, "synthetic", "tick", consolidated=True)
    ]
    found.extend(
        InstrumentDefined(ts, name, name, "STK", EXCHANGE, "USD", Decimal(1), Decimal("0.01"), ZONE)
        for name in names(instruments)
    )
    for day in days(ticks):
        begin = local(day, "00:00", ZONE)
        hours = local(day, "09:30", ZONE), local(day, "16:00", ZONE)
        found.append(SessionScheduled(begin, EXCHANGE, day, ZONE, begin, *hours, begin + DAY_NS))
    return found


def _chunk(
    rng: np.random.Generator, level: np.ndarray, start: int, count: int, instruments: int, *, orders: bool
) -> list[Trade]:
    index = np.arange(start, start + count)
    which = index % instruments
    step_ns = int(6.5 * 3600 * 1e9) // TICKS_A_DAY
    opens = np.array([local(day, "09:30", ZONE) for day in days(start + count)])
    ts = opens[index // TICKS_A_DAY] + (index % TICKS_A_DAY) * step_ns
    moves = rng.choice([-0.01, 0.0, 0.01], count) if orders else np.full(count, 0.001)
    price = np.empty(count)
    for number in range(instruments):
        mine = which == number
        price[mine] = level[number] + np.cumsum(moves[mine])
        if mine.any():
            level[number] = price[mine][-1]
    size = rng.integers(1, 10, count) * 100.0
    symbols = names(instruments)
    return list(
        map(
            Trade,
            ts.tolist(),
            [FEED] * count,
            [symbols[i] for i in which.tolist()],
            np.round(price + 100.0, 2).tolist(),
            size.tolist(),
            np.array(["N", "Q", "P", "Z"], dtype=object)[rng.integers(0, 4, count)].tolist(),
        )
    )
