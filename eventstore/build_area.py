"""The build area `tmp/`: one process at a time builds there, and it is emptied only while none does.

The log's lock is not enough for that. The sealing process of a writer that was killed still finishes its
segment while the next writer opens the log; if that one emptied the area meanwhile, half a directory
could be renamed into `sealed/`. So whoever builds holds `tmp/LOCK` until what it built is published, and what
is published is durable before it is seen.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import StoreError
from eventstore.files import Files, write_all
from eventstore.layout import Layout

WAIT_S = 120.0
"""How long to wait for the one who builds: a seal takes seconds, a merge of directories up to a minute."""

_TRY_S = 0.02


@contextmanager
def building_in(layout: Layout, files: Files, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the build area; raises `StoreError` if another process does for longer than `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    fd = files.open_update(layout.build_lock)
    try:
        while not files.platform.try_lock(fd):
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{layout.tmp}: another process has been building there for {wait_s:g} s: the sealing "
                    "process of a writer that was killed? Wait for it or end it, then try again"
                )
            time.sleep(_TRY_S)
        yield
    finally:
        os.close(fd)


def wipe(layout: Layout, files: Files) -> bool:
    """Empty the build area and return `True`, or leave it and return `False` if another process builds."""
    fd = files.open_update(layout.build_lock)
    try:
        if not files.platform.try_lock(fd):
            return False
        for path in layout.tmp.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path != layout.build_lock:
                with suppress(OSError):
                    path.unlink()
        return True
    finally:
        os.close(fd)


def publish(layout: Layout, building: Path, target: Path, files: Files) -> None:
    """Make a finished directory durable and visible: sync files, sync it, rename, sync both parents."""
    for path in sorted(building.iterdir()):
        sync_file(files, path)
    files.sync_directory(building)
    files.rename(building, target)
    files.sync_directory(layout.sealed)
    files.sync_directory(layout.tmp)


def sync_file(files: Files, path: Path) -> None:
    """Make a finished file durable."""
    fd = files.open_read(path)
    try:
        files.data_sync(fd)
    finally:
        files.close(fd)


def write_file(files: Files, path: Path, data: bytes) -> None:
    """Write a new file; durable only once it is synced."""
    fd = files.create(path)
    try:
        write_all(files, fd, data)
    finally:
        files.close(fd)
