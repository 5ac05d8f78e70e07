"""Fault 5: kill -9 at random times of a process that acknowledges seqs over a pipe (I1, I2)."""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import ExitCode
from core.events import Trade
from eventstore.journal.journal import Journal
from tests.conftest import sampled
from tests.faults.journals import UnsyncedFiles, read_all

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("writer_child.py")


def start(root: Path, mode: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-B", str(CHILD), str(root), mode],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def kill_after(root: Path, mode: str, delay_s: float) -> int:
    """Let a child write for `delay_s`, kill it, and return the last seq that it acknowledged."""
    child = start(root, mode)
    assert child.stdout is not None
    first = child.stdout.readline()
    time.sleep(delay_s)
    child.kill()
    rest, _ = child.communicate(timeout=60)
    lines = (first + rest).split("\n")
    return int(lines[-2])  # the last line may be cut


def check_kill(root: Path, mode: str, delay_s: float) -> int:
    acked = kill_after(root, mode, delay_s)
    found = check_survivors(root)
    assert found >= acked, f"acknowledged {acked}, found {found}"
    return acked


def check_survivors(root: Path) -> int:
    """Open the log again; its trades are those written, in order. Returns how many events there are."""
    Journal.open(root, files=UnsyncedFiles()).close()
    found = read_all(root)
    assert [e.seq for e in found] == list(range(1, len(found) + 1))
    assert all(e.event.ts == e.seq for e in found if isinstance(e.event, Trade))
    return len(found)


def check_kills(root: Path, mode: str, delays_s: list[float]) -> list[int]:
    return [check_kill(root, mode, delay_s) for delay_s in delays_s]


@pytest.mark.slow
@pytest.mark.parametrize("kills", sampled([8, 32], 2))
def test_a_killed_writer_loses_nothing_that_it_acknowledged(kills: int, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    delays = random.Random(seed)
    acked = check_kills(tmp_path / "log", "write", [delays.uniform(0, 0.06) for _ in range(kills)])
    assert acked == sorted(acked)
    assert acked[-1] > kills


def test_the_check_catches_a_writer_that_acknowledges_too_early(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="acknowledged"):
        check_kills(tmp_path / "log", "lie", [0.005] * 5)


def test_a_file_size_limit_of_the_system_stops_the_log_and_keeps_what_was_acknowledged(
    tmp_path: Path,
) -> None:
    child = start(tmp_path / "log", "full")
    out, _ = child.communicate(timeout=60)
    *acked, message = out.splitlines()
    assert child.returncode == ExitCode.STORE
    assert re.search(r"00000001\.evj: File too large \(errno 27\)", message)
    assert check_survivors(tmp_path / "log") >= int(acked[-1]) > 100
