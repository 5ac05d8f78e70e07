"""Listeners that tests load by path, in processes of their own."""

import os
import sys
import time
from pathlib import Path

from truetape import ConnectionChanged, Filled, Listener, Quote, Trade, on


class Writer(Listener):
    """Writes what it hears into the file that `LISTENER_FILE` names."""

    def on_start(self) -> None:
        self.file = Path(os.environ["LISTENER_FILE"])
        self.write("start")

    def write(self, line: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    @on(Filled, instruments=["SPY"])
    def filled(self, event: Filled) -> None:
        self.write(f"filled {event.instrument} {event.quantity} at {self.entry.seq}")

    @on(ConnectionChanged)
    def link(self, event: ConnectionChanged) -> None:
        self.write(f"link {event.state}")

    def on_stop(self) -> None:
        self.write("stop")


class Raising(Listener):
    @on(Filled)
    def filled(self, event: Filled) -> None:
        raise ValueError(f"no {event.instrument} please")


class Blocking(Listener):
    @on(Filled, Trade, Quote)
    def filled(self, event: Filled) -> None:
        time.sleep(3600)


class Computing(Listener):
    @on(Filled)
    def filled(self, event: Filled) -> None:
        while True:
            sum(range(1000))


class Dying(Listener):
    @on(Filled)
    def filled(self, event: Filled) -> None:
        os._exit(7)


class Leaving(Listener):
    @on(Filled)
    def filled(self, event: Filled) -> None:
        sys.exit("done with it")


class Deaf(Listener):
    pass


class Unmade(Listener):
    def __init__(self) -> None:
        raise RuntimeError("no licence")

    @on(Filled)
    def filled(self, event: Filled) -> None: ...
