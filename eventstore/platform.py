"""Everything of the store that differs between Linux, macOS and Windows, one class for each.

The modules that exist on one system only are handed in, so that every branch can be tested anywhere.
Only Linux is run by this project's own tests on real files; the other branches are tested at this seam.
It must know nothing of logs.
"""

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

LOCK_BYTE = 1 << 30
"""Windows locks a byte range and forbids reading it: the byte lies far beyond the holder's text."""
_WINDOWS_LOCKED = (errno.EACCES, errno.EDEADLK, errno.EAGAIN)
_NOT_SUPPORTED = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP)


class Platform(Protocol):
    """What the store asks of the operating system. All methods raise `OSError`."""

    def data_sync(self, fd: int) -> None:
        """Make the file's content and size durable."""

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""

    def try_lock(self, fd: int) -> bool:
        """Take the exclusive lock on an open file; `False` if another process has it."""

    def lock_directory(self, path: Path) -> int | None:
        """Lock a directory against a deleted lock file: an fd to keep, -1 if taken, `None` if impossible."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically, replacing a file of that name."""

    def free_bytes(self, path: Path) -> int:
        """Return what an unprivileged process may still write on this file system."""


class _Posix:
    def __init__(self, fcntl: Any, os_module: Any = os) -> None:
        self._fcntl = fcntl
        self._os = os_module

    def sync_directory(self, path: Path) -> None:
        fd = self._os.open(path, self._os.O_RDONLY)
        try:
            self._os.fsync(fd)
        finally:
            self._os.close(fd)

    def try_lock(self, fd: int) -> bool:
        try:
            self._fcntl.flock(fd, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock_directory(self, path: Path) -> int | None:
        fd: int = self._os.open(path, self._os.O_RDONLY)
        if self.try_lock(fd):
            return fd
        self._os.close(fd)
        return -1

    def rename(self, source: Path, target: Path) -> None:
        self._os.replace(source, target)

    def free_bytes(self, path: Path) -> int:
        stat = self._os.statvfs(path)
        return int(stat.f_bavail) * int(stat.f_frsize)


class Linux(_Posix):
    """Linux: `fdatasync`, `flock`, directories are synced like files."""

    def data_sync(self, fd: int) -> None:
        """Make the file's content and size durable."""
        self._os.fdatasync(fd)


class MacOS(_Posix):
    """macOS: `fsync` stops at the drive's cache, only `F_FULLFSYNC` empties it."""

    def data_sync(self, fd: int) -> None:
        """Make the file's content and size durable; plain `fsync` where the file system has no better."""
        try:
            self._fcntl.fcntl(fd, self._fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            self._os.fsync(fd)


class Windows:
    """Windows: `FlushFileBuffers`, a byte-range lock, no directory sync (NTFS logs its names)."""

    def __init__(self, msvcrt: Any, os_module: Any = os, disk_usage: Any = None) -> None:
        self._msvcrt = msvcrt
        self._os = os_module
        self._disk_usage = disk_usage or import_module("shutil").disk_usage

    def data_sync(self, fd: int) -> None:
        """Make the file's content and size durable."""
        self._os.fsync(fd)

    def sync_directory(self, path: Path) -> None:
        """Do nothing: a directory cannot be opened for syncing."""

    def try_lock(self, fd: int) -> bool:
        """Take the exclusive lock on one byte beyond the text; `False` if another process has it."""
        self._os.lseek(fd, LOCK_BYTE, self._os.SEEK_SET)
        try:
            self._msvcrt.locking(fd, self._msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _WINDOWS_LOCKED:
                return False
            raise
        finally:
            with suppress(OSError):
                self._os.lseek(fd, 0, self._os.SEEK_SET)
        return True

    def lock_directory(self, path: Path) -> int | None:
        """Return `None`: not needed, since an open file cannot be deleted."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically, replacing a file of that name."""
        self._os.replace(source, target)

    def free_bytes(self, path: Path) -> int:
        """Return what may still be written on this file system."""
        return int(self._disk_usage(path).free)


def choose(system: str = sys.platform) -> Platform:
    """Return the branch for `system` (`sys.platform`); imports only what that system has."""
    if system == "win32":
        return Windows(import_module("msvcrt"))
    fcntl = import_module("fcntl")
    return MacOS(fcntl) if system == "darwin" else Linux(fcntl)


def boot_id() -> str:
    """Return what changes at every boot of this machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
