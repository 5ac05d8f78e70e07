"""`tape gateway` as a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.lifeline import starter
from tests.gateway.raw import connected

PROJECT = Path(__file__).resolve().parents[2]


class Served:
    """`tape gateway` as a process of its own, which ends with the one that started it."""

    LIFELINE = ("--with-parent",)

    def __init__(self, log: Path, *args: str) -> None:
        command = [
            sys.executable,
            str(PROJECT / "cli.py"),
            "--log",
            str(log),
            "gateway",
            "2025-07-02",
            "--port",
            "0",
        ]
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._held = ExitStack()
        self.process = subprocess.Popen(
            [*command, "--json", *self.LIFELINE, *args],
            stdin=self._held.enter_context(starter()),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        self.told: dict[str, object] = {}

    def ready(self) -> int:
        """Wait for what the process prints once it listens; return its port."""
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            text += line
        self.told = msgspec.json.decode(text)
        return int(str(self.told["port"]))

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        self._held.close()
        return self.process.returncode


class Careless(Served):
    """A broken variant: it does not know that its starter is gone."""

    LIFELINE = ()


def start_and_be_killed(log: Path, place: Path) -> None:
    """Start a gateway that is held and one that is careless, say which they are, and die.

    Both answer by then: what they say at the start is said, so a pipe that nobody reads ends neither.
    """
    started = [Served(log, "--book", str(place / "held")), Careless(log, "--book", str(place / "careless"))]
    for served in started:
        with connected(served.ready()):
            pass
    (place / "started.json").write_bytes(msgspec.json.encode([served.process.pid for served in started]))
    os.kill(os.getpid(), signal.SIGKILL)
