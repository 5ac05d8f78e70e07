"""A live session left running over many days: `python benchmarks/soak.py [--days 20] [--ticks 100000]`.

One session, one process, one log. Each simulated day is served by a gateway process of its own, as fast as it
goes, and ends with it: the session loses its connection, connects again, compares itself with the broker's
book and goes on. Memory is printed as a curve. What is kept for each order is meant to be kept (orders and
positions are folds of the whole log); what is kept for each tick is a leak.
"""

import argparse
import gc
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.seating import StrategySpec
from app.configuration.settings import HealthSection
from app.lifeline import starter
from app.live.request import LiveRequest
from app.live.session import LiveSession, run_live
from app.watch.logs import LogSettings
from app.watch.watching import Watching
from core.clock import DAY_NS, local
from core.events import Event, FeedDefined, InstrumentDefined, Quote, SessionScheduled, Trade
from eventstore.journal.journal import Journal
from eventstore.sealing.client import SealWorker

PROJECT = Path(__file__).resolve().parent.parent
FEED, NAME, EXCHANGE, ZONE, ACCOUNT = "soak/tick", "ZZ00", "XNYS", "America/New_York", "DU1000001"
FIRST = "2025-01-06"
SILENCE_S, PATIENCE_S = 1.0, 60.0
"""A day is over when all its ticks have come and then nothing for a second, or nothing for a minute."""


class GatewayEnded(RuntimeError):
    """A gateway ended by itself; the message has its words."""


class Sample(NamedTuple):
    """Where the session stood: `blocks` are Python's allocated objects and pieces of memory."""

    day: int
    inputs: int
    orders: int
    rss_mb: float
    blocks: int


def days(count: int) -> list[str]:
    """Return session dates, one after another."""
    begin = local(FIRST, "00:00", ZONE)
    return [time.strftime("%Y-%m-%d", time.gmtime((begin + n * DAY_NS) / 1e9)) for n in range(count)]


def definitions(dates: list[str]) -> list[Event]:
    """Return what both logs know before any data."""
    ts = local(FIRST, "00:00", ZONE)
    found: list[Event] = [
        InstrumentDefined(ts, NAME, NAME, "STK", EXCHANGE, "USD", Decimal(1), Decimal("0.01"), ZONE, con_id=7)
    ]
    for date in dates:
        begin = local(date, "00:00", ZONE)
        hours = local(date, "09:30", ZONE), local(date, "16:00", ZONE)
        found.append(SessionScheduled(begin, EXCHANGE, date, ZONE, begin, *hours, begin + DAY_NS - 1))
    return found


def make_logs(place: Path, dates: list[str], ticks: int) -> tuple[Path, Path]:
    """Make the log that the gateways serve, and the session's own, which knows the instrument only."""
    served, own = place / "served", place / "own"
    journal = Journal.open(served, sealer=SealWorker(served))
    journal.extend([FeedDefined(0, FEED, "synthetic", "tick", consolidated=True), *definitions(dates)])
    rng, price = random.Random(7), 100.0
    for date in dates:
        opens, step = local(date, "09:30", ZONE), int(6.4 * 3600 * 1e9) // ticks
        batch: list[Event] = []
        for number in range(ticks):
            ts = opens + number * step
            price = round(max(50.0, price + rng.choice((-0.01, 0.0, 0.01))), 2)
            if number % 2:
                batch.append(Trade(ts, FEED, NAME, price, float(rng.randint(1, 9) * 100), "N"))
            else:
                batch.append(Quote(ts, FEED, NAME, price - 0.01, 500.0, price + 0.01, 500.0))
        journal.extend(batch)
        journal.commit(sync=False)
    journal.close()
    journal = Journal.open(own)
    journal.extend(definitions(dates))
    journal.close()
    return served, own


class Gateways:
    """One gateway process after another, a day each, on one port and with one book.

    `line` is their standard input, and each ends with that (`app.lifeline`).
    """

    def __init__(self, log: Path, place: Path, dates: list[str], line: int) -> None:
        self._log = log
        self._line = line
        self._book = place / "book"
        self._words = place / "gateway-errors.txt"
        self._dates = iter(dates)
        self._date = ""
        self._process: subprocess.Popen[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]

    def next(self) -> bool:
        """End the day's gateway and start that of the next; `False` after the last."""
        self.end()
        date = next(self._dates, None)
        if date is None:
            return False
        command = [sys.executable, str(PROJECT / "cli.py"), "-v", "--log", str(self._log), "gateway", date]
        options = [
            "--port",
            str(self.port),
            "--speed",
            "max",
            "--account",
            ACCOUNT,
            "--book",
            str(self._book),
        ]
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [*command, *options, "--start", "open", "--with-parent"],
                stdin=self._line,
                stdout=subprocess.DEVNULL,
                stderr=words,
            )
        self._date = date
        return True

    def failure(self) -> str:
        """Return what the gateway said if it ended by itself; empty while it runs."""
        code = None if self._process is None else self._process.poll()
        if code is None:
            return ""
        return f"the gateway of {self._date} ended with code {code}:\n{self._words.read_text()}"

    def end(self) -> None:
        """End the gateway that runs."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class Soak:
    """Called by the session in between: samples, and turns to the next day when one is over."""

    def __init__(self, gateways: Gateways, ticks: int, say: Any = print) -> None:
        self._gateways = gateways
        self._ticks = ticks
        self._say = say
        self._process = psutil.Process()
        self._inputs, self._began = 0, 0
        self._heard_s = self._looked_s = time.monotonic()
        self.day = 1
        self.failure = ""
        self.samples: list[Sample] = []
        self.snapshots: list[tracemalloc.Snapshot] = []

    def __call__(self, session: LiveSession) -> None:
        """Look at the session."""
        if failure := self._gateways.failure():
            self.failure, session.stopping = failure, "its gateway ended"
            return
        inputs, now = session.inputs, time.monotonic()
        if now - self._looked_s >= 1.0:
            if inputs - self._inputs > 2:  # more than heartbeats
                self._heard_s = now
            self._inputs, self._looked_s = inputs, now
        patience_s = SILENCE_S if inputs - self._began >= self._ticks else PATIENCE_S
        if now - self._heard_s < patience_s:
            return
        self.sample(session, inputs)
        self.day += 1
        self._began, self._heard_s = inputs, now
        if not self._gateways.next():
            session.stopping = "finished"

    def sample(self, session: LiveSession, inputs: int) -> None:
        """Measure and print a line of the curve."""
        gc.collect()
        if tracemalloc.is_tracing():
            self.snapshots.append(tracemalloc.take_snapshot())
        orders = len(session.world.routes.attempts())
        rss = self._process.memory_info().rss / 1e6
        found = Sample(self.day, inputs, orders, rss, sys.getallocatedblocks())
        self.samples.append(found)
        line = f"day {self.day:3d}  inputs {inputs:10,d}  orders {orders:7,d}  {rss:7.1f} MB"
        self._say(f"{line}  {found.blocks:9,d} blocks", flush=True)


@contextmanager
def gateways_of(log: Path, place: Path, dates: list[str]) -> Iterator[Gateways]:
    """Serve days; end the last gateway on leaving."""
    with starter() as line:
        gateways = Gateways(log, place, dates, line)
        try:
            gateways.next()
            yield gateways
        finally:
            gateways.end()


def soak(
    place: Path, count: int, ticks: int, *, fast: int = 50, slow: int = 200, say: Any = print
) -> list[Sample]:
    """Run a session over so many days; return a sample for the end of each. Raises `GatewayEnded`."""
    dates = days(count)
    served, own = make_logs(place, dates, ticks)
    with gateways_of(served, place, dates) as gateways:
        link = LinkSettings(
            port=gateways.port, account=ACCOUNT, reconnect_interval_s=0.1, max_reconnect_attempts=1000
        )
        request = LiveRequest(
            mode="demo",
            link=link,
            strategies=(
                StrategySpec("sma_cross", {"instrument": NAME, "fast": str(fast), "slow": str(slow)}),
            ),
            account=ACCOUNT,
            watching=Watching(health=HealthSection(), logs=LogSettings(directory=place / "logs")),
        )
        watch = Soak(gateways, ticks, say)
        run_live(own, request, watch=watch)
        if watch.failure:
            raise GatewayEnded(watch.failure)
    if watch.snapshots:
        for line in watch.snapshots[-1].compare_to(watch.snapshots[len(watch.snapshots) // 3], "lineno")[:25]:
            say(line)
    return watch.samples


def growth(samples: list[Sample]) -> dict[str, float]:
    """Return what was kept after the first days: in MB, and in blocks for each input."""
    first, last = samples[len(samples) // 3], samples[-1]
    inputs, orders = last.inputs - first.inputs, last.orders - first.orders
    return {
        "days": len(samples),
        "inputs": last.inputs,
        "orders": last.orders,
        "rss_mb_first": round(samples[0].rss_mb, 1),
        "rss_mb_last": round(last.rss_mb, 1),
        "rss_bytes_an_input": round((last.rss_mb - first.rss_mb) * 1e6 / inputs, 2),
        "blocks_an_input": round((last.blocks - first.blocks) / inputs, 4),
        "blocks_an_order": round((last.blocks - first.blocks) / max(1, orders), 1),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--ticks", type=int, default=100_000, help="in each day")
    parser.add_argument("--fast", type=int, default=50, help="of the averages that cross: fewer, more orders")
    parser.add_argument("--trace", action="store_true", help="print which lines keep memory; slow")
    asked = parser.parse_args()
    if asked.trace:
        tracemalloc.start()
    with tempfile.TemporaryDirectory(prefix="tape-soak-") as scratch:
        try:
            samples = soak(Path(scratch), asked.days, asked.ticks, fast=asked.fast, slow=4 * asked.fast)
        except GatewayEnded as error:
            sys.exit(str(error))
    print(json.dumps(growth(samples), indent=2))


if __name__ == "__main__":
    main()
