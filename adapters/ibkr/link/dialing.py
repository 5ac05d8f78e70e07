"""One attempt to connect at a time, in a thread of its own, so that a gateway that does not answer never
holds up the loop.

The thread does the waiting of connect and handshake and nothing else; the loop takes the result when a byte
wakes its selector. An attempt that is given up closes what it opened. It decides nothing: when to dial and
what a failure means is elsewhere.
"""

import contextlib
import socket
from collections.abc import Callable
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What an attempt opens."""

    def close(self) -> None:
        """Give it up."""


T = TypeVar("T", bound=Closable)


class Dialer(Generic[T]):
    """Runs `dial` in a thread; `fileno` is readable when there is a result."""

    def __init__(self) -> None:
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)  # noqa: FBT003  (its only argument)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._wanted = False
        self._result: T | Exception | None = None

    @property
    def busy(self) -> bool:
        """Whether an attempt goes on, or its result was not taken yet."""
        return self._thread is not None

    def fileno(self) -> int:
        """Return the descriptor that a selector watches for reading."""
        return self._woken.fileno()

    def start(self, dial: Callable[[], T]) -> None:
        """Begin an attempt."""
        assert not self.busy, "one attempt at a time"
        self._wanted = True
        self._thread = Thread(target=self._run, args=(dial,), name="ibkr-dial", daemon=True)
        self._thread.start()

    def take(self) -> T | None:
        """Return what an attempt opened, once, or `None` while it goes on; raises what it raised."""
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(64)
        with self._lock:
            result, self._result = self._result, None
        if result is None:
            return None
        assert self._thread is not None
        self._thread.join()
        self._thread = None
        if isinstance(result, Exception):
            raise result
        return result

    def close(self) -> None:
        """Give up an attempt that goes on; what it opens later is closed by its thread."""
        with self._lock:
            self._wanted = False
            result, self._result = self._result, None
        if result is not None and not isinstance(result, Exception):
            result.close()
        with self._lock:
            self._wake.close()
            self._woken.close()

    def _run(self, dial: Callable[[], T]) -> None:
        result: T | Exception
        try:
            result = dial()
        except Exception as error:  # noqa: BLE001  (raised again where the result is taken)
            result = error
        with self._lock:
            if self._wanted:
                self._result = result
                self._wake.send(b".")
                return
        if not isinstance(result, Exception):
            result.close()
