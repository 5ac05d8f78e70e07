"""The live path, from a socket: `python benchmarks/live.py [--dir DIR]`.

A broker in a process of its own floods, paces and bursts ticks (`benchmarks/live_broker.py`); here a whole
live session runs over a log on disk: connection, decoding, journal, loop, a strategy, orders. Three figures:
ticks decoded, recorded and dispatched in a second; from a tick's send to the order at the broker's socket,
with the intent synced; from the decision to cancel to the cancel at the broker's socket, within a burst.

Yardsticks of the same run: `ibapi`'s own decoder over the same ticks, and synced writes of 300 bytes, in a
row and at the pace of the orders.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.wire.distribution import installed, load
from app.composition.seating import StrategySpec
from app.live.request import LiveRequest
from app.live.session import LiveSession, run_live
from benchmarks.live_broker import ACCOUNT, GO, OFF
from core.clock import DAY_NS
from core.events import InstrumentDefined, SessionScheduled, Trade
from core.strategy import Parameters, Strategy
from eventstore.journal.journal import Journal

HERE = Path(__file__).resolve()
INSTRUMENT = "ZZ00"
TARGETS = {"rate": 100_000, "order_p99_ms": 5.0, "cancel_ms": 50.0}


class BenchParameters(Parameters, frozen=True, kw_only=True):
    """What to trade."""

    instrument: str = INSTRUMENT


class Bench(Strategy[BenchParameters]):
    """Orders and cancels when a trade says so. It reads a clock, which a strategy that trades must not."""

    def __init__(self, params: BenchParameters) -> None:
        super().__init__(params)
        self.seen = 0
        self.decided_ns: list[int] = []

    def on_quote(self, _quote: Any) -> None:
        """Count."""
        self.seen += 1

    def on_trade(self, trade: Trade) -> None:
        """Count, and do what the trade's conditions ask for."""
        self.seen += 1
        if trade.conditions == GO:
            self.buy(INSTRUMENT, 1, limit=50.0, reason="go")
        elif trade.conditions == OFF:
            order = self.working_orders()[len(self.decided_ns)]
            self.decided_ns.append(time.monotonic_ns())
            self.cancel(order.id, reason="off")


def make_log(root: Path) -> None:
    """Make a log that knows the instrument and today's session."""
    now = time.time_ns()
    begin = now - now % DAY_NS
    date = time.strftime("%Y-%m-%d", time.gmtime(now // 1_000_000_000))
    journal = Journal.open(root)
    journal.append(
        InstrumentDefined(
            begin, INSTRUMENT, INSTRUMENT, "STK", "XNYS", "USD", Decimal(1), Decimal("0.01"), "UTC", con_id=7
        )
    )
    journal.append(SessionScheduled(begin, "XNYS", date, "UTC", begin, begin, begin + DAY_NS, begin + DAY_NS))
    journal.close()


def session(root: Path, options: list[str]) -> dict[str, Any]:
    """Run a live session against the broker until it has measured; return its figures and ours."""
    broker = subprocess.Popen(
        [sys.executable, str(HERE.with_name("live_broker.py")), *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert broker.stdout is not None
    port = int(broker.stdout.readline())
    marks: list[tuple[int, int, int]] = []
    decided: list[int] = []

    def watch(live: LiveSession) -> None:
        strategy: Any = live.seated[0].strategy
        if strategy.seen and (not marks or strategy.seen != marks[-1][0]):
            marks.append((strategy.seen, time.perf_counter_ns(), time.process_time_ns()))
        decided[:] = strategy.decided_ns
        if broker.poll() is not None:
            live.stopping = "finished"

    request = LiveRequest(
        mode="live",
        link=LinkSettings(port=port, account=ACCOUNT),
        strategies=(StrategySpec(f"{HERE}:Bench"),),
        account=ACCOUNT,
    )
    run_live(root, request, watch=watch)
    told = json.loads(broker.stdout.read())
    return {**told, "marks": marks, "decided_ns": decided}


def rate(told: dict[str, Any]) -> tuple[float, float]:
    """Return events a second during the flood, by the clock and by this process's CPU time."""
    flood = [mark for mark in told["marks"] if mark[0] <= told["flood"]["ticks"]]
    (n0, t0, c0), (n1, t1, c1) = flood[0], flood[-1]
    return (n1 - n0) / (t1 - t0) * 1e9, (n1 - n0) / (c1 - c0) * 1e9


def official_decoder(count: int) -> float:
    """Return ticks a second, by CPU time, that `ibapi` decodes of the same stream and drops."""
    from benchmarks.live_broker import Broker  # noqa: PLC0415

    class Still:
        def __getattr__(self, _name: str) -> Any:
            return lambda *_: None

    maker = Broker.__new__(Broker)
    maker.quotes_id, maker.trades_id = 1, 2
    bodies = [maker.tick(number)[4:] for number in range(count)]
    decoder = load("decoder").Decoder(Still(), 200)
    two = installed().interpret_arity == 2
    begun = time.process_time()
    for body in bodies:
        head, _, rest = body.partition(b"\0")
        fields = rest.split(b"\0")[:-1]
        if two:
            decoder.interpret(fields, int(head))
        else:
            decoder.interpret([head, *fields])
    return count / (time.process_time() - begun)


def synced_write_ms(directory: Path, count: int = 200, pause_s: float = 0.0) -> list[float]:
    """Return how long synced writes of 300 bytes take in the log's directory, one after another or with a
    pause before each: a disk and a processor that rested are slower than busy ones."""
    took = []
    with (directory / "yardstick").open("wb", buffering=0) as file:
        for _ in range(count):
            time.sleep(pause_s)
            begun = time.perf_counter_ns()
            file.write(b"x" * 300)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter_ns() - begun) / 1e6)
    return took


def quantile(values: list[float], share: float) -> float:
    """Return the value that a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(told: dict[str, Any], syncs: list[float], rested: list[float], decoder: float) -> None:
    """Print the figures."""
    by_clock, by_cpu = rate(told)
    took = told["pace"]["took_ms"]
    cancels = [
        (a - d) / 1e6 for a, d in zip(sorted(told["burst"]["arrived_ns"]), told["decided_ns"], strict=True)
    ]
    print(f"{'ticks a second, recorded and dispatched':44} {by_clock:,.0f}   (target {TARGETS['rate']:,})")
    ratio = f"{by_cpu:,.0f} / {decoder:,.0f} = {by_cpu / decoder:.2f}"
    print(f"{'the same by CPU time, to ibapi decoding alone':44} {ratio}")
    print(
        f"{'tick in to order out, 5,000 ticks/s, ms':44} p50 {statistics.median(took):.2f}   p99 "
        f"{quantile(took, 0.99):.2f}   max {max(took):.2f}   ({len(took)} of {told['pace']['asked']}; "
        f"target p99 {TARGETS['order_p99_ms']})"
    )
    for what, waited in (("in a row", syncs), ("20 a second", rested)):
        print(
            f"{f'a synced write of 300 bytes, {what}, ms':44} p50 {statistics.median(waited):.2f}   p99 "
            f"{quantile(waited, 0.99):.2f}   max {max(waited):.2f}"
        )
    print(
        f"{'cancel decided to cancel out, in a burst, ms':44} median {statistics.median(cancels):.2f}   max "
        f"{max(cancels):.2f}   (target {TARGETS['cancel_ms']})"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, help="where the log is made (default: a temporary directory)")
    known, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = known.dir or Path(scratch)
        syncs = synced_write_ms(directory)
        decoder = official_decoder(100_000)
        root = directory / f"live-{os.getpid()}"
        make_log(root)
        told = session(root, options)
        syncs += synced_write_ms(directory)  # before and after: a disk's mood changes
        show(told, syncs, synced_write_ms(directory, 100, pause_s=0.05), decoder)


if __name__ == "__main__":
    main()
