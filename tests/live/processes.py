"""Live sessions as processes of their own, and ways to wait for what they do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from app.lifeline import starter
from app.live.status_file import read_status
from tests.logs import events_of

PROJECT = Path(__file__).resolve().parents[2]
EARLY = f"{Path(__file__).with_name('strategies.py')}:Early"
HELD = (str(Path(__file__).with_name("held.py")),)
WAIT_S = 150.0


class Running:
    """`tape live` with some options; it ends with this process."""

    def __init__(self, log: Path, *options: str, program: Sequence[str] = HELD) -> None:
        self.log = log
        self._held = ExitStack()
        self.process = subprocess.Popen(
            [sys.executable, *program, *options],
            stdin=self._held.enter_context(starter()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def until(self, condition: Callable[[], object]) -> object:
        """Wait until a condition holds and return what it gave; fails when the process ends before."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.2)
        raise AssertionError(f"not within {WAIT_S:g} s; {events_of(self.log)[-20:]}")

    def status(self) -> dict:
        """Return what the session says of itself; empty before it does."""
        return read_status(self.log, [self.process.pid]) or {}

    def rested(self) -> Self:
        """Wait until the first order is filled and the two others rest at the broker."""
        self.until(
            lambda: self.status().get("pending_orders") == 2 and self.status()["active_positions"] == 1
        )
        self.until(lambda: {o["state"] for o in self.status()["orders"]} == {"Submitted"})
        return self

    def end_by_itself(self) -> tuple[int, str, str]:
        """Wait for the end and return exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=WAIT_S)
        self._held.close()
        return self.process.returncode, out, err

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal and return exit code, stdout and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end_by_itself()


class Demo(Running):
    """`tape live --demo`, faster than real time but not at once."""

    def __init__(self, log: Path, *more: str, speed: str = "60", strategy: str = EARLY) -> None:
        paced = ["--speed", speed] if speed else []
        options = ["--log", str(log), "live", "--demo", *paced, "--strategy", strategy, "--json", *more]
        super().__init__(log, *options)


class Live(Running):
    """`tape live` at a gateway, as configured."""

    def __init__(self, log: Path, config: Path, *more: str) -> None:
        super().__init__(log, "-c", str(config), "--log", str(log), "live", "--json", *more)


def told(done: tuple[int, str, str]) -> dict:
    """Return the object that a session ended with."""
    return dict(json.loads(done[1]))
