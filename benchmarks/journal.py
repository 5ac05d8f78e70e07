"""How fast the journal is, in ratios to what the same machine does in the same run.

Run: `python -m benchmarks.journal [DIRECTORY] [--events N]`. Absolute numbers depend on the disk and on
who else uses it; the ratios are what to compare. With `--directories 200 3200` it measures instead what
opening a log and sealing a segment cost beside so many sealed directories; making them takes minutes.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from core.events import Event, Quote, Trade
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal
from eventstore.layout import Layout
from eventstore.sealing.sealing import seal

BATCH = 512
RATE = 5_000
PROBES = 300


def ticks(count: int) -> list[Event]:
    """Trades and quotes as a feed brings them, three quotes to a trade."""
    start = 1_751_463_000_000_000_000
    return [
        Trade(start + n, "ib/stream", "SPY", 600.0 + n % 97 / 100, 100.0, "P", "@F")
        if n % 4 == 0
        else Quote(start + n, "ib/stream", "SPY", 600.0, 300.0, 600.01 + n % 7 / 100, 200.0, "Q")
        for n in range(count)
    ]


def throughput(root: Path, events: list[Event], *, together: bool) -> tuple[float, float, int]:
    """Return events a second by the wall clock and by CPU time, and the journal's size in bytes.

    All checks and the group sync are in it.
    """
    journal = Journal.open(root)
    started, used = time.perf_counter(), time.process_time()
    for n in range(0, len(events), BATCH):
        batch = events[n : n + BATCH]
        if together:
            journal.extend(batch)
        else:
            for event in batch:
                journal.append(event)
        journal.commit(sync=False)
    journal.commit(sync=True)
    elapsed, used = time.perf_counter() - started, time.process_time() - used
    size = sum(path.stat().st_size for path in Layout(root).segments())
    journal.close()
    return len(events) / elapsed, len(events) / used, size


def raw_write_s(root: Path, size: int) -> float:
    """Return how long the same bytes take as plain writes and one sync: the floor."""
    chunk, path = bytes(64 * BATCH), root / "raw"
    started = time.perf_counter()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    for _ in range(size // len(chunk)):
        os.write(fd, chunk)
    os.fdatasync(fd)
    os.close(fd)
    elapsed = time.perf_counter() - started
    path.unlink()
    return elapsed


def sync_latencies_s(root: Path, events: list[Event]) -> tuple[list[float], list[float]]:
    """Return append-to-durable times at `RATE` events a second, and raw writes with `fdatasync` between.

    Both append the same number of bytes; they alternate, so that they meet the same disk.
    """
    journal, raw = Journal.open(root / "paced"), root / "raw"
    fd = os.open(raw, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    durable, plain = [], []
    per_probe = RATE // 200
    next_at = time.perf_counter()
    for n in range(PROBES):
        batch = events[n * per_probe : (n + 1) * per_probe]
        next_at += per_probe / RATE
        time.sleep(max(0.0, next_at - time.perf_counter()))
        # Who comes first after the pause meets a cold cache: take turns.
        if n % 2:
            plain.append(_raw_s(fd, 70 * per_probe))
        durable.append(_journal_s(journal, batch))
        if not n % 2:
            plain.append(_raw_s(fd, 70 * per_probe))
    os.close(fd)
    journal.close()
    return durable, plain


def _journal_s(journal: Journal, batch: list[Event]) -> float:
    started = time.perf_counter()
    for event in batch:
        journal.append(event)
    journal.commit(sync=True)
    return time.perf_counter() - started


def _raw_s(fd: int, size: int) -> float:
    data = bytes(size)
    started = time.perf_counter()
    os.write(fd, data)
    os.fdatasync(fd)
    return time.perf_counter() - started


def recovery_s(root: Path) -> float:
    """Return how long it takes to judge a log from its bytes."""
    started = time.perf_counter()
    inspect(root)
    return time.perf_counter() - started


def beside_directories_s(root: Path, count: int) -> tuple[float, float]:
    """Return how long opening a log and sealing a segment take beside so many sealed directories.

    The fastest of five; directories are those of a session that has not been closed for long: one a seal.
    """
    some = ticks(8)
    journal = Journal.open(root)
    while len(Layout(root).sealed_directories()) < count:
        _sealed_s(journal, some)
    journal.close()
    opened, sealed = [], []
    for _ in range(5):
        started = time.perf_counter()
        journal = Journal.open(root)
        opened.append(time.perf_counter() - started)
        sealed.append(_sealed_s(journal, some))
        journal.close()
    return min(opened), min(sealed)


def _sealed_s(journal: Journal, events: list[Event]) -> float:
    """Close a segment with these events, seal it and unlink it; return how long sealing it took."""
    journal.extend(events)
    journal.commit(sync=True)
    segment = Layout(journal.root).segments()[-1]
    journal.roll()
    started = time.perf_counter()
    seal(journal.root, segment)
    elapsed = time.perf_counter() - started
    segment.unlink()
    return elapsed


def report(directory: Path, count: int) -> None:
    """Measure and print."""
    events = ticks(count)
    together, together_cpu, size = throughput(directory / "extend", events, together=True)
    singly, singly_cpu, _ = throughput(directory / "append", events, together=False)
    floor = raw_write_s(directory, size)
    durable, plain = sync_latencies_s(directory, events)
    p50, raw_p50 = statistics.median(durable), statistics.median(plain)
    print(f"append to durable, p50 at {RATE} events/s: {p50 / raw_p50:.2f} x a raw write and fdatasync")
    print(f"  {p50 * 1e3:.3f} ms against {raw_p50 * 1e3:.3f} ms")
    print(f"recording, batches of {BATCH}: {count / together / floor:.1f} x writing the same bytes raw")
    for name, rate, cpu in (("extend", together, together_cpu), ("append", singly, singly_cpu)):
        print(f"  {name}: {rate:,.0f} events/s by the wall, {cpu:,.0f} by CPU ({1e6 / cpu:.2f} us each)")
    print(f"  {size / count:.1f} bytes an event")
    print(f"recovery: {recovery_s(directory / 'extend') * 1e9 / count:.0f} ns an event")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "directory", nargs="?", type=Path, help="where to write (default: the temp directory)"
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--directories", type=int, nargs="+", metavar="N", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        for count in options.directories:
            opened, sealed = beside_directories_s(Path(directory) / "sealed", count)
            print(f"{count} sealed directories: {opened * 1e3:.1f} ms to open, {sealed * 1e3:.1f} ms to seal")
        if not options.directories:
            report(Path(directory), options.events)


if __name__ == "__main__":
    main()
