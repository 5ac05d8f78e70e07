"""A process that writes a log until it is killed: `python writer_child.py ROOT hold|write|lie|fork|full`.

It prints `held` once it has the lock, then (in `write` and `lie`) each durable seq. `lie` acknowledges
what it has not even written: the negative control. `fork` leaves a child behind that sleeps. `full` may
write files of 20,000 bytes at most, and prints the error that ends it.
"""

import os
import resource
import sys
import time
from pathlib import Path

from core.errors import LogDead
from core.events import Trade
from eventstore.files import Files
from eventstore.journal.journal import Journal


class Lying(Files):
    """Keeps writes to itself for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, bytes] = {}

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        if len(data) == 64:
            return len(data)  # the high-water mark would give it away
        self.kept[fd] = self.kept.get(fd, b"") + bytes(data)
        if len(self.kept[fd]) > 20_000:
            super().write(fd, self.kept.pop(fd))
        return len(data)


def write(journal: Journal, mode: str) -> None:
    while True:
        # The trade's time counts the trades, whatever housekeeping the log adds between.
        for _ in range(1 + journal.last_seq % 7):
            journal.append(Trade(journal.last_seq + 1, "f", "SPY", 1.0, 1.0))
        if mode != "full" and journal.last_seq % 500 > 490:
            journal.roll()
        journal.commit(sync=journal.last_seq % 3 > 0)
        print(journal.durable_seq, flush=True)


def main(root: Path, mode: str) -> None:
    journal = Journal.open(root)
    if mode == "lie":
        journal.close()
        journal = Journal.open(root)
        journal._files = journal._writer._files = Lying()
    print("held", flush=True)
    if mode in ("write", "lie"):
        write(journal, mode)
    if mode == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            write(journal, mode)
        except LogDead as error:
            print(error, flush=True)
            raise SystemExit(int(error.exit_code)) from error
    if mode == "fork" and os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(300)
        os._exit(0)
    time.sleep(300)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
