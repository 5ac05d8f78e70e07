"""The few file-system calls that the log depends on, behind one object, so that each can be made to fail.

Every call raises `OSError` with the file's name and never retries a failed sync: after one, Linux marks
the pages clean, and a second call may report success for data that is gone.
"""

import os
from pathlib import Path

from eventstore.platform import Platform, choose

_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class Files:
    """The real file system. Tests inherit from it and fail the k-th call."""

    def __init__(self, platform: Platform | None = None) -> None:
        self.platform = platform or choose()

    def create(self, path: Path) -> int:
        """Create a file that must not exist, for appending; return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _BINARY, 0o644)

    def open_update(self, path: Path) -> int:
        """Open or create a file to be overwritten in place; return its descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o644)

    def open_read(self, path: Path) -> int:
        """Open a file that exists; writable where the system wants that for a sync."""
        return os.open(path, (os.O_RDWR if os.name == "nt" else os.O_RDONLY) | _BINARY)

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> int:
        """Write once; return how many bytes were taken, which may be fewer than given."""
        return os.write(fd, data)

    def seek(self, fd: int, offset: int) -> None:
        """Set where the next write goes."""
        os.lseek(fd, offset, os.SEEK_SET)

    def data_sync(self, fd: int) -> None:
        """Make a file's content durable."""
        self.platform.data_sync(fd)

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory durable."""
        self.platform.sync_directory(path)

    def rename(self, source: Path, target: Path) -> None:
        """Rename atomically."""
        self.platform.rename(source, target)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        path.unlink()

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Return how much may still be written on the file system of `path`."""
        return self.platform.free_bytes(path)


def write_all(files: Files, fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data`, looping on short writes: a full disk shows as one first, then as an error."""
    rest = memoryview(data)
    while rest:
        written = files.write(fd, rest)
        if written <= 0:
            raise OSError(0, f"write took {written} of {len(rest)} bytes")
        rest = rest[written:]


def publish(files: Files, data: bytes | bytearray | memoryview, target: Path, scratch: Path) -> None:
    """Make `target` appear durably with all of `data` or not at all, by way of `scratch`."""
    scratch.unlink(missing_ok=True)
    fd = files.create(scratch)
    try:
        write_all(files, fd, data)
        files.data_sync(fd)
    finally:
        files.close(fd)
    files.rename(scratch, target)
    files.sync_directory(target.parent)
