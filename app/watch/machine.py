"""What the operating system says of this process, its disk and its log, measured in a thread of its own.

Walking the log's directory or asking for the disk may take long; the loop never waits for it.
"""

import os
import time
from collections import deque
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import msgspec
import psutil

SAMPLE_PERIOD_S = 5.0
CPU_WINDOW = 12
SIZE_PERIOD_S = 60.0
_MB = 1e6


class Reading(msgspec.Struct, frozen=True):
    """What the operating system says of this process and its disk."""

    memory_mb: float
    cpu_pct: float | None
    disk_free_mb: float
    log_mb: float


class Machine:
    """Measures in a thread, every few seconds; `reading` is the latest. The first is taken at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process = psutil.Process()
        self._times: deque[tuple[float, float]] = deque(maxlen=CPU_WINDOW + 1)
        self._log_mb, self._sized_s = 0.0, float("-inf")
        self.reading = self.measure()
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="tape-health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(SAMPLE_PERIOD_S)

    def measure(self) -> Reading:
        """Measure now."""
        now = time.monotonic()
        if now - self._sized_s >= SIZE_PERIOD_S:
            self._log_mb, self._sized_s = size_of(self._root) / _MB, now
        with self._process.oneshot():
            memory = self._process.memory_info().rss / _MB
            spent = self._process.cpu_times()
        self._times.append((now, spent.user + spent.system))
        return Reading(memory, self._cpu(), psutil.disk_usage(str(self._root)).free / _MB, self._log_mb)

    def _cpu(self) -> float | None:
        if len(self._times) <= CPU_WINDOW:
            return None
        (begin, before), (end, after) = self._times[0], self._times[-1]
        return 100 * (after - before) / (end - begin) if end > begin else None

    def _run(self) -> None:
        while not self._stop.wait(SAMPLE_PERIOD_S):
            try:
                self.reading = self.measure()
            except OSError:  # a file that was sealed away meanwhile: the next look has it
                continue


def size_of(root: Path) -> int:
    """Return the bytes of all files under a directory; those that vanish meanwhile do not count."""
    total, waiting = 0, [str(root)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as found:
                for item in found:
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(item.path)
                    else:
                        total += item.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total
