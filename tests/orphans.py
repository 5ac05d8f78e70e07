"""Processes whose starter was killed: whether they are gone, waited for with a limit."""

import time
from collections.abc import Callable

import psutil

LIMIT_S = 60.0


def gone(pid: int) -> bool:
    """Return whether a process has ended; one that nobody has waited for is still listed, and has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def until(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not come within {limit_s:g} s"
        time.sleep(0.01)
