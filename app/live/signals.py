"""Ctrl-C and SIGTERM as a request to stop in order; asked a second time, the process ends at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_WANTED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))


class Stopping:
    """Which signal asked to stop, or none."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def exit_code(self) -> int:
        """The exit code of a process that stopped in order because of it; 0 without one."""
        return (
            128 + (signal.SIGINT if self.number not in (0, signal.SIGTERM) else self.number)
            if self.number
            else 0
        )


@contextmanager
def stopping(tell: Callable[[], None]) -> Iterator[Stopping]:
    """Call `tell` when a signal asks to stop; outside the main thread nothing is changed."""
    asked = Stopping()

    def handle(number: int, _frame: Any) -> None:
        asked.number = number
        for one, before in earlier.items():
            signal.signal(one, before)
        tell()

    earlier: dict[int, Any] = {}
    try:
        for one in _WANTED:
            earlier[one] = signal.signal(one, handle)
    except ValueError:  # not the main thread: whoever runs us there handles signals
        earlier.clear()
    try:
        yield asked
    finally:
        for one, before in earlier.items():
            signal.signal(one, before)
