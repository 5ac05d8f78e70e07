"""The file in which a running session says how it is, for `status` and for scripts of the user's own.

JSON, replaced as a whole about once a second, gone when the session ends. One that cannot be written or read
stops nothing: it is a convenience, the log is the record.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from eventstore.layout import Layout
from eventstore.platform import choose

_NAME = "status.json"


def _path(root: Path) -> Path:
    return Layout(root).control / _NAME


def write_status(root: Path, text: str) -> None:
    """Replace the file."""
    path = _path(root)
    scratch = path.with_name(f".{_NAME}.{os.getpid()}")
    with suppress(OSError):
        scratch.write_text(text, "utf-8")
        choose().rename(scratch, path)


def remove_status(root: Path) -> None:
    """Remove the file, if it is there."""
    with suppress(OSError):
        _path(root).unlink(missing_ok=True)


def read_status(root: Path, pids: Iterable[Any]) -> dict[str, Any] | None:
    """Return what the session of one of these processes last said; `None` if there is none."""
    with suppress(OSError, ValueError):
        told = msgspec.json.decode(_path(root).read_bytes(), type=dict[str, Any])
        if told.get("pid") in set(pids):
            return told
    return None
