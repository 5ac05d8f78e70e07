"""How long commands take to begin, in CPU seconds against bare imports measured in the same run.

`python -m benchmarks.startup`. Bytecode is cached in a directory of its own, as on a user's machine.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
ROUNDS = 7
BARE = "import numpy, pyarrow.parquet, msgspec, click"
FIRST_EVENT = """
import os
import sys
import click
import cli
from pathlib import Path
from app.configuration.reading import load
from app.replay import running
from core.loop import Loop
Loop._take = lambda self, batch: os._exit(0)
running.run_replay(Path(sys.argv[1]), load([]), running.ReplayRequest(what="2025-07-02"))
"""


def seconds(cache: Path, *arguments: str) -> float:
    """Return the CPU seconds of a Python process."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONPYCACHEPREFIX": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(cache: Path, ours: list[str], yardstick: list[str]) -> tuple[float, float, float]:
    """Alternate both; return medians of the ratio and of both CPU seconds."""
    seconds(cache, *ours)
    seconds(cache, *yardstick)
    pairs = [(seconds(cache, *ours), seconds(cache, *yardstick)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    return ratio, *(statistics.median(column) for column in zip(*pairs, strict=True))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        cache, log = Path(scratch) / "cache", Path(scratch) / "log"
        make = ["--log", str(log), "import", "--format", "sample", "-q"]
        seconds(cache, str(PROJECT / "cli.py"), *make)
        rows = {
            "help / import click": ([str(PROJECT / "cli.py"), "--help"], ["-c", "import click"]),
            "replay to first event / bare imports": (["-c", FIRST_EVENT, str(log)], ["-c", BARE]),
        }
        for name, (ours, yardstick) in rows.items():
            ratio, mine, theirs = compare(cache, ours, yardstick)
            print(f"{name:40} {ratio:.2f}   ({mine:.3f} s vs {theirs:.3f} s CPU)")


if __name__ == "__main__":
    main()
