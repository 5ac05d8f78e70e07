"""Holding a log to write to it: the journal, its sealer, and the commands that other processes send.

The lock holder answers requests from `log/control/` between two pieces of its work. Owns the order of
opening and closing; never decides what is written.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventstore import control
from eventstore.journal import Journal
from eventstore.seal_client import SealWorker

_CONTROL_PERIOD_S = 0.2


class Writer:
    """A held log: `journal` to write, `serve` to be called often while working."""

    def __init__(self, journal: Journal, sealer: SealWorker) -> None:
        self.journal = journal
        self.sealer = sealer
        self._served_s = 0.0

    def serve(self) -> None:
        """Answer what other processes asked for since the last call; cheap when called often."""
        now = time.monotonic()
        if now - self._served_s < _CONTROL_PERIOD_S:
            return
        self._served_s = now
        for command in control.pending(self.journal.root):
            control.answer(self.journal.root, command.id, self._do(command.command))

    def _do(self, command: str) -> dict[str, Any]:
        if command != "seal":
            return {
                "error": f"the process that holds the log does not know {command!r}; it is importing data"
            }
        seq = self.journal.last_seq
        self.journal.roll()
        return {"rolled_at": seq}


@contextmanager
def writing(root: Path) -> Iterator[Writer]:
    """Hold the log at `root`, made if need be; on leaving, all is durable and what can be is sealed."""
    sealer = SealWorker(root)
    journal = Journal.open(root, sealer=sealer)
    control.clear(root)
    try:
        yield Writer(journal, sealer)
    finally:
        try:
            journal.close()
        finally:
            sealer.close()
