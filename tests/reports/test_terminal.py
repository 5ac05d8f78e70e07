"""The report on a terminal: as many columns as fit, nothing beyond its width."""

import os
import pty
import re
import struct
import subprocess
import sys
from decimal import Decimal
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from eventstore.runs.reader import RunReader

ROOT = Path(__file__).resolve().parents[2]


def on_terminal(columns: int, *args: str) -> list[str]:
    """Run a command on a terminal of so many columns and return its lines without colours."""
    ours, theirs = pty.openpty()
    ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, str(ROOT / "cli.py"), "-q", *args]
    running = subprocess.Popen(command, stdout=theirs, stdin=theirs, env=environment)
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # what Linux says when the other side is closed
            break
        if not part:
            break
        found += part
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", found.decode()).splitlines()


@pytest.mark.parametrize(("columns", "beside"), [(60, False), (80, True), (160, True)])
def test_sections_stand_side_by_side_where_they_fit(logs, columns, beside):
    lines = on_terminal(columns, "--log", str(logs["root"]), "report", logs["crosses"].name)
    text = "\n".join(lines)
    assert any(re.match(r"Results\s+Trades", line) for line in lines) is beside
    begin = next(i for i, line in enumerate(lines) if line.startswith("Results"))
    end = next(i for i, line in enumerate(lines) if "average price" in line)
    assert max(len(line.rstrip()) for line in lines[begin:end]) <= columns
    assert ("profit factor   expectancy   commissions" in text) is (columns > 140)
    told = RunReader(logs["crosses"]).summary
    assert f"{Decimal(told['end_equity']) - Decimal(told['start_equity']):,.2f}" in text
