"""Holding a log to write to it: the journal, its sealer, and the commands that other processes send.

The lock holder answers requests from `log/control/` between two pieces of its work. Owns the order of
opening and closing; never decides what is written.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventstore import control
from eventstore.control import Command
from eventstore.journal.journal import Journal
from eventstore.sealing.client import SealWorker

_CONTROL_PERIOD_S = 0.2


Handler = Callable[[Command], dict[str, Any] | None]
"""Does what a command asks and returns its answer; `None` if `Writer.answer` is called with it later."""


class Writer:
    """A held log: `journal` to write, `serve` to be called often while working.

    `commands` says who does what; `busy` what the process is doing, for those who ask for something else.
    """

    def __init__(self, journal: Journal, sealer: SealWorker) -> None:
        self.journal = journal
        self.sealer = sealer
        self.busy = "importing data"
        self.commands: dict[str, Handler] = {"seal": self._seal}
        self._taken: set[str] = set()
        self._served_s = 0.0

    def serve(self) -> None:
        """Do what other processes asked for since the last call; cheap when called often."""
        now = time.monotonic()
        if now - self._served_s < _CONTROL_PERIOD_S:
            return
        self._served_s = now
        for command in control.pending(self.journal.root):
            if command.id not in self._taken:
                self._do(command)

    def answer(self, key: str, result: dict[str, Any]) -> None:
        """Answer a command that was taken; what it did must be durable."""
        self._taken.discard(key)
        control.answer(self.journal.root, key, result)

    def _do(self, command: Command) -> None:
        handler = self.commands.get(command.command)
        if handler is None:
            text = f"the process that holds the log does not know {command.command!r}; it is {self.busy}"
            control.answer(self.journal.root, command.id, {"error": text})
            return
        self._taken.add(command.id)
        result = handler(command)
        if result is not None:
            self.answer(command.id, result)

    def _seal(self, _command: Command) -> dict[str, Any]:
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
