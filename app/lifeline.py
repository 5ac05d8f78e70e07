"""A process that another starts ends when that one is gone, however it went: no code of ours has to run then.

Whoever starts it holds the other end of its standard input and writes no more there than a first message. A
killed session thus leaves nothing behind that waits for ever, or still writes when the next one has begun.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread


@contextmanager
def starter() -> Iterator[int]:
    """Hold the other end of the descriptor that is given, which is to be a process's standard input."""
    line, held = os.pipe()
    try:
        yield line
    finally:
        os.close(held)
        os.close(line)


def when_starter_ends(act: Callable[[], object]) -> None:
    """Call `act`, in a thread, when standard input ends; from here on nobody else can read from that."""
    line = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        # Not sys.stdin: its lock, held by a thread that waits, would disturb the end of the process.
        while os.read(line, 1024):
            pass
        act()

    Thread(target=wait, name="starter", daemon=True).start()


def end_with_starter(grace_s: float = 0.0) -> None:
    """End this process and the group that it leads so long after standard input ended."""

    def end() -> None:
        time.sleep(grace_s)
        with suppress(OSError, AttributeError):
            if os.getpgrp() == os.getpid():
                os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)

    when_starter_ends(end)
