"""Audit queries through our views against plain DuckDB on the same files: `queries.py [TICKS]`.

Makes a sealed log of trades and quotes of ten instruments with orders among them, then runs each query
both ways in turn and prints the ratio of the medians. Target: at most 1.5.
"""

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duckdb

from core.events import CommissionReported, Event, Filled, OrderIntended, Quote, RiskApproved, Trade
from eventstore.journal.journal import Journal
from eventstore.sealing.client import SealResult
from eventstore.sealing.sealing import seal
from eventstore.sql.connection import Sql, connect

ROUNDS = 5
BATCH = 20_000
DAY_NS = 86_400_000_000_000
START_NS = 1_751_463_000_000_000_000


class SealAtOnce:
    """Seals in this process: the benchmark is of queries."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._offered: list[Path] = []

    def offer(self, path: Path) -> None:
        self._offered.append(path)

    def poll(self) -> list[SealResult]:
        offered, self._offered = self._offered, []
        return [seal(self._root, path) for path in offered]

    def drain(self, timeout_s: float) -> list[SealResult]:  # noqa: ARG002
        return self.poll()

    def compact(self, timeout_s: float) -> None:
        """Leave the directories as a trading day leaves them until its end."""


def ticks(count: int) -> Iterator[list[Event]]:
    """Yield batches of a random walk of ten instruments over five days, 18 % trades."""
    rng = random.Random(20250702)
    prices = [10_000] * 10
    for start in range(0, count, BATCH):
        batch: list[Event] = []
        for n in range(start, min(start + BATCH, count)):
            which = rng.randrange(10)
            prices[which] += rng.choice((-1, 0, 0, 0, 1))
            ts = START_NS + n * 5 * DAY_NS // count // 1_000_000 * 1_000_000
            name, price, size = f"S{which}", prices[which] / 100, float(rng.randrange(1, 30) * 100)
            if rng.random() < 0.18:
                batch.append(Trade(ts, "f", name, price, size, "P"))
            elif rng.random() < 0.5:
                batch.append(Quote(ts, "f", name, price - 0.01, size, None, None, "P"))
            else:
                batch.append(Quote(ts, "f", name, None, None, price + 0.01, size, "P"))
        yield batch


def order(journal: Journal, n: int, ts: int) -> None:
    """Append one order with its verdict, fill and commission, made at the last tick."""
    at, who, qty = journal.last_seq, ("DU1", "s", f"S{n % 10}"), Decimal(100)
    intent = OrderIntended(ts, f"s-1-{n}", *who, "BUY", qty, "MKT", None, None, "DAY", "because")
    seq = journal.append(intent, at=at)
    journal.append(RiskApproved(ts, f"s-1-{n}", 1, *who, "none"), at=at, cause=seq)
    fill = journal.append(Filled(ts, f"F-{n}", f"s-1-{n}", *who, "BUY", qty, Decimal("100.01")))
    journal.append(CommissionReported(ts, f"F-{n}", f"s-1-{n}", *who, Decimal(1), "USD"), cause=None, at=fill)


def build(root: Path, count: int) -> None:
    journal = Journal.open(root, sealer=SealAtOnce(root))
    for number, batch in enumerate(ticks(count)):
        for part in range(0, len(batch), 1000):
            journal.extend(batch[part : part + 1000])
            order(journal, number * (BATCH // 1000) + part // 1000, batch[part].ts)
        journal.commit(sync=False)
    journal.close()


def queries(root: Path) -> dict[str, tuple[str, str]]:
    """Return name → (through our views, over the bare files)."""

    def bare(tag: str) -> str:
        return f"read_parquet('{root}/sealed/*/{tag}.parquet')"

    day = "make_timestamp_ns(ts)::DATE"
    vwap = "SELECT instrument, {day} AS day, sum(price * size) / sum(size) FROM {t} GROUP BY ALL"
    sealed_types = sorted({path.stem for path in (root / "sealed").glob("*/*.parquet")})
    union = " UNION ALL ".join(f"SELECT '{tag}' AS type FROM {bare(tag)}" for tag in sealed_types)
    links = {
        "order_intended": "order",
        "risk_approved": "order",
        "filled": "order",
        "commission": "order",
    }
    wanted = "s-1-17"
    chain = " UNION ALL ".join(
        f"""SELECT seq, ts, '{tag}' AS kind FROM {bare(tag)} WHERE "{name}" = '{wanted}'"""
        for tag, name in links.items()
    )
    root_tick = " UNION ALL ".join(
        f"""SELECT t.seq, t.ts, '{tag}' FROM {bare(tag)} AS t JOIN (SELECT "at" FROM {bare(cause)}
        WHERE "order" = '{wanted}') AS s ON t.seq = s."at" """
        for tag in ("trade", "quote")
        for cause in ("order_intended", "filled")
    )
    asof = (
        "SELECT count(*), avg(q.bid) FROM {fills} AS f ASOF JOIN (SELECT instrument, ts, bid FROM {quotes} "
        "WHERE bid IS NOT NULL) AS q ON f.instrument = q.instrument AND f.ts >= q.ts"
    )
    return {
        "VWAP per symbol and day": (
            vwap.format(day=day, t="trades"),
            vwap.format(day=day, t=bare("trade")),
        ),
        "VWAP of one symbol": (
            "SELECT sum(price * size) / sum(size) FROM trades WHERE instrument = 'S3'",
            f"SELECT sum(price * size) / sum(size) FROM {bare('trade')} WHERE instrument = 'S3'",
        ),
        "count by type": (
            "SELECT type, count(*) FROM events GROUP BY type",
            f"SELECT type, count(*) FROM ({union}) GROUP BY type",
        ),
        "one order's chain": (
            f"SELECT seq, ts, kind FROM chain WHERE order_id = '{wanted}' ORDER BY link",
            f"SELECT * FROM ({chain} UNION ALL {root_tick}) ORDER BY seq",
        ),
        "fills as of quotes": (
            asof.format(fills="fills", quotes="quotes"),
            asof.format(fills=bare("filled"), quotes=bare("quote")),
        ),
        "a range of seq": (
            "SELECT count(*), avg(price) FROM trades WHERE seq BETWEEN 1000 AND 21000",
            f"SELECT count(*), avg(price) FROM {bare('trade')} WHERE seq BETWEEN 1000 AND 21000",
        ),
    }


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def compare(log: Sql, plain: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> tuple[float, float]:
    """Return the median milliseconds of both, run in turn."""
    pairs = [
        (timed(lambda: log.query(ours)), timed(lambda: plain.execute(theirs).fetchall()))
        for _ in range(ROUNDS)
    ]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ticks", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--log", type=Path, help="keep the log here and use it again")
    arguments = parser.parse_args()
    root = arguments.log or Path(tempfile.mkdtemp(prefix="tape-queries-")) / "log"
    if not root.exists():
        start = time.perf_counter()
        build(root, arguments.ticks)
        print(f"built {arguments.ticks:,} ticks in {time.perf_counter() - start:.0f} s")
    size = sum(path.stat().st_size for path in root.glob("sealed/*/*.parquet"))
    print(f"{size / arguments.ticks:.2f} bytes a tick in sealed Parquet")
    try:
        start = time.perf_counter()
        with connect(root) as log, duckdb.connect() as plain:
            print(f"connect: {(time.perf_counter() - start) * 1000:.0f} ms")
            for name, (ours, theirs) in queries(root).items():
                through, over = compare(log, plain, ours, theirs)
                print(f"{name:<26} {through:9.1f} ms   plain {over:9.1f} ms   ratio {through / over:5.2f}")
    finally:
        if arguments.log is None:
            shutil.rmtree(root.parent)


if __name__ == "__main__":
    main()
