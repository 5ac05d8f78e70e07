"""Where a run is built: a directory of its own under `runs/`, invisible until it is renamed.

A process that was killed leaves its directory behind. Each is locked by who builds in it, where the system
can lock a directory, so the next run to be built removes those that nobody holds.
"""

import os
import shutil
from itertools import count
from pathlib import Path

from core.errors import StoreError
from eventstore.files import Files
from eventstore.layout import Layout

_PREFIX = ".tmp-"
_TAKEN = -1


class RunSite:
    """A new directory at `path`, held until `release`."""

    def __init__(self, layout: Layout, files: Files) -> None:
        """Make it, and remove what dead processes left; raises `StoreError` if `runs/` cannot be written."""
        try:
            layout.runs.mkdir(parents=True, exist_ok=True)
            _remove_left_over(layout, files)
            self.path, self._fd = _new_directory(layout, files)
        except OSError as error:
            raise StoreError(
                f"{error.filename or layout.runs}: cannot build a run here: {error.strerror}; a replay "
                "writes its run into the log's directory: make it writable, or replay in a copy of it"
            ) from error

    def release(self) -> None:
        """Give up the directory, which was renamed or removed; idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _new_directory(layout: Layout, files: Files) -> tuple[Path, int | None]:
    for number in count():
        path = layout.runs / f"{_PREFIX}{os.getpid()}-{number}"
        try:
            path.mkdir()
            fd = files.platform.lock_directory(path)
        except (FileExistsError, FileNotFoundError):
            continue  # taken, or taken away again before it was locked
        if fd is None or (fd != _TAKEN and path.exists()):
            return path, fd
        if fd != _TAKEN:
            os.close(fd)
    raise AssertionError("unreachable")


def _remove_left_over(layout: Layout, files: Files) -> None:
    for path in layout.runs.glob(f"{_PREFIX}*"):
        try:
            fd = files.platform.lock_directory(path)
        except OSError:
            continue  # published or removed meanwhile
        if fd is None or fd == _TAKEN:
            continue
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(fd)
