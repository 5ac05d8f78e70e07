"""The directory in which a run is built, aside: its builder holds it by a lock until the run is published.

What a killed builder left is removed by the next one, which finds it without a lock. Where directories
cannot be locked nothing is removed.
"""

import os
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path

from core.errors import StoreError
from eventstore.platform import Platform

_ASIDE = ".tmp-"
_TAKEN = -1


class Building:
    """A new directory among the runs, empty; `release` it once it is renamed or gone."""

    def __init__(self, path: Path, lock: int | None) -> None:
        self.path = path
        self.release = weakref.finalize(self, _close, lock)

    @classmethod
    def begin(cls, runs: Path, platform: Platform) -> "Building":
        """Make one, and remove what others left; raises `StoreError` if none can be made here."""
        runs.mkdir(parents=True, exist_ok=True)
        _sweep(runs, platform)
        for number in count():
            path = runs / f"{_ASIDE}{os.getpid()}-{number}"
            try:
                path.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise StoreError(
                    f"{path}: cannot build a run here: {error.strerror}; a replay writes its run into "
                    "the log's directory: make it writable, or replay in a copy of it"
                ) from error
            lock = _locked(path, platform)
            # One who sweeps may have found it before it was locked: then it is gone, or about to be.
            if lock != _TAKEN and path.is_dir():
                return cls(path, lock)
            _close(lock)
        raise AssertionError("unreachable")


def remove(path: Path, *, must: bool = True) -> None:
    """Remove a directory and all in it; unless it `must` go, what cannot be removed is left."""
    import shutil  # noqa: PLC0415  # it loads every compressor there is, and is not needed to begin a run

    shutil.rmtree(path, ignore_errors=not must)


def _sweep(runs: Path, platform: Platform) -> None:
    for path in runs.glob(f"{_ASIDE}*"):
        lock = _locked(path, platform)
        if lock not in (None, _TAKEN):
            remove(path, must=False)
        _close(lock)


def _locked(path: Path, platform: Platform) -> int | None:
    try:
        return platform.lock_directory(path)
    except FileNotFoundError:
        return _TAKEN  # by one who has swept it meanwhile
    except OSError:
        return None  # a file system that has no such locks


def _close(lock: int | None) -> None:
    if lock not in (None, _TAKEN):
        with suppress(OSError):
            os.close(lock)
