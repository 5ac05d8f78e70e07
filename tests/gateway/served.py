"""`tape gateway` as a process of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

PROJECT = Path(__file__).resolve().parents[2]


class Served:
    """`tape gateway` as a process of its own."""

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
        self.process = subprocess.Popen(
            [*command, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
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
        return self.process.returncode
