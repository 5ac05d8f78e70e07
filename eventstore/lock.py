"""One writer: an operating-system lock on `log/LOCK`, held for the life of the journal.

The kernel frees it when the process dies, so there is no time-out to guess and no stale lock to remove.
The text in the file is for people. The log's directory is locked too where the system can, so that a
deleted LOCK does not let a second writer in. A forked child gives its copy up at once: otherwise it
would hold the log after its parent's death.
"""

import json
import os
import socket
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from time import time_ns

from core.errors import LogDead, LogLocked, StoreError
from eventstore.files import Files, write_all
from eventstore.layout import Layout
from eventstore.platform import boot_id

_MAX_COMMAND = 200
_LOOKS, _LOOK_S = 10, 0.05
_TRIES, _TRY_S = 3, 0.01
_held: "weakref.WeakSet[Lock]" = weakref.WeakSet()


class Lock:
    """The lock of one log, taken by `acquire` and freed by `release` or by the process's death."""

    def __init__(self, layout: Layout, fd: int, directory_fd: int | None) -> None:
        self._layout = layout
        self._fd = fd
        self._directory_fd = directory_fd
        self.held = True
        _held.add(self)

    @classmethod
    def acquire(cls, layout: Layout, files: Files, *, clock: Callable[[], int] = time_ns) -> "Lock":
        """Take the lock; raises `LogLocked` naming the holder, or `StoreError` if LOCK cannot be written."""
        try:
            fd = files.open_update(layout.lock)
        except OSError as error:
            raise StoreError(
                f"{layout.lock}: cannot be opened for writing ({error.strerror}): "
                "the log's directory must be writable; reading needs no lock"
            ) from error
        held = [fd]
        try:
            directory_fd = _lock_both(layout, fd, files)
            held += [] if directory_fd is None else [directory_fd]
            _write_holder(files, fd, clock())
        except BaseException as error:
            for each in held:
                os.close(each)
            if isinstance(error, OSError):
                raise StoreError(
                    f"{layout.lock}: cannot be locked: {error.strerror} (errno {error.errno})"
                ) from error
            raise
        return cls(layout, fd, directory_fd)

    def check(self) -> None:
        """Raise `LogDead` if LOCK was deleted or replaced, or if this is a forked child."""
        if not self.held:
            raise LogDead(
                f"{self._layout.root}: this process does not hold the log's lock (it was forked or closed)"
            )
        try:
            there, ours = self._layout.lock.stat(), os.fstat(self._fd)
        except OSError as error:
            raise LogDead(
                f"{self._layout.lock}: gone while the log was open ({error.strerror}); restart"
            ) from error
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise LogDead(f"{self._layout.lock}: replaced by another file while the log was open; restart")

    def release(self) -> None:
        """Free the lock; calling it again does nothing."""
        if self.held:
            self.held = False
            _held.discard(self)
            for fd in (self._directory_fd, self._fd):
                if fd is not None:
                    os.close(fd)


def holder(layout: Layout) -> dict[str, object]:
    """Return what the last holder wrote into LOCK: pid, host, boot, start, command; empty if unreadable."""
    try:
        text = json.loads(layout.lock.read_bytes().rstrip(b"\0 \n") or b"{}")
    except (OSError, ValueError):
        return {}
    return text if isinstance(text, dict) else {}


def _lock_both(layout: Layout, fd: int, files: Files) -> int | None:
    # Asked a few times: `status` takes the lock for an instant, a dying holder frees one before the other.
    locked = False
    for _ in range(_TRIES):
        locked = locked or files.platform.try_lock(fd)
        if locked:
            directory_fd = files.platform.lock_directory(layout.root)
            if directory_fd != -1:
                return directory_fd
        time.sleep(_TRY_S)
    raise _locked(layout)


def _locked(layout: Layout) -> LogLocked:
    who = _who_holds(layout)
    if not who:
        return LogLocked(
            f"{layout.root}: another process holds this log, but its LOCK file was deleted or is unreadable; "
            "find it by its open files and stop it; reading needs no lock"
        )
    return LogLocked(
        f"{layout.root}: held by process {who.get('pid')} on {who.get('host')} since {who.get('start')} "
        f"({who.get('command')}); stop it first, or use another --log; reading needs no lock"
    )


def _who_holds(layout: Layout) -> dict[str, object]:
    # The winner may have the lock but not yet written its name over an older one: look a moment later.
    for _ in range(_LOOKS):
        time.sleep(_LOOK_S)
        if who := holder(layout):
            return who
    return {}


def _write_holder(files: Files, fd: int, now_ns: int) -> None:
    text = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot": boot_id(),
        "start": datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).isoformat(),
        "command": " ".join(sys.orig_argv)[:_MAX_COMMAND],
    }
    # One write that also blanks a longer text before it: a reader never sees a mixture.
    data = json.dumps(text).encode()
    files.seek(fd, 0)
    write_all(files, fd, data + b" " * max(0, os.fstat(fd).st_size - len(data) - 1) + b"\n")


def _give_up_in_child() -> None:
    for lock in list(_held):
        with suppress(OSError):
            lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_give_up_in_child)
