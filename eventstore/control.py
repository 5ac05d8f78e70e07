"""Commands to the process that holds a log, as files that are renamed into `log/control/`.

A request is `<id>.request`, its answer `<id>.answer`, both JSON and each complete when it appears. The
holder lists requests, acts and answers; the asking side waits for the answer and removes it. Nothing
here is part of the log: what a command does to trading is an event that the holder appends.
"""

import json
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from core.errors import StoreError, UsageError
from eventstore.layout import Layout
from eventstore.platform import choose

_REQUEST, _ANSWER = ".request", ".answer"
_ID = re.compile(r"[0-9]{19}-[0-9]{1,10}-[0-9a-f]{8}")
_COMMAND = re.compile(r"[a-z][a-z_]{0,31}")
_MAX_BYTES = 64 << 10
_MAX_PENDING = 256
_POLL_S, _POLLS_A_LOOK = 0.02, 25


class Command(msgspec.Struct, frozen=True):
    """A request: `command` with its named arguments (JSON values)."""

    id: str
    command: str
    args: dict[str, Any]


def request(root: Path, command: str, **args: Any) -> str:
    """Ask the holder of the log at `root` for `command`; return the request's id.

    Raises `UsageError` for a name that is no command or arguments that are no JSON, `StoreError` if the
    directory cannot be written.
    """
    if not _COMMAND.fullmatch(command):
        raise UsageError(f"{command!r} is no command: expected a word of lower-case letters and _")
    key = f"{time.time_ns():019d}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        data = json.dumps({"id": key, "command": command, "args": args}, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(f"the arguments of {command!r} cannot be written as JSON: {error}") from error
    if len(data) > _MAX_BYTES:
        raise UsageError(f"the arguments of {command!r} take {len(data)} bytes, at most {_MAX_BYTES}")
    _publish(_directory(root), key + _REQUEST, data)
    return key


def pending(root: Path) -> list[Command]:
    """Return the requests that are not answered yet, oldest first; for the holder.

    A file that is no request is answered with its error (if its name allows) and never returned.
    """
    directory = _directory(root)
    commands: list[Command] = []
    for path in sorted(directory.glob(f"*{_REQUEST}"))[:_MAX_PENDING]:
        key = path.name.removesuffix(_REQUEST)
        if not _ID.fullmatch(key):
            continue
        command = _read(path, key)
        if command is None:
            answer(root, key, {"error": "this file is no request"})
        else:
            commands.append(command)
    return commands


def answer(root: Path, key: str, result: dict[str, Any]) -> None:
    """Answer a request and remove it; for the holder, after the effect is durable."""
    directory = _directory(root)
    _publish(directory, key + _ANSWER, json.dumps(result).encode())
    with suppress(FileNotFoundError):
        (directory / (key + _REQUEST)).unlink()


def wait(
    root: Path, key: str, timeout_s: float, gone: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Return the answer to a request and remove it; `None` after `timeout_s`, with the request withdrawn.

    So it is as soon as the holder is `gone`, which is asked now and then: nobody else takes the request.
    """
    path = _directory(root) / (key + _ANSWER)
    deadline = time.monotonic() + timeout_s
    looks = 0
    while True:
        looks += 1
        over = time.monotonic() >= deadline or (looks % _POLLS_A_LOOK == 0 and gone())
        with suppress(FileNotFoundError):  # looked for once more: it may have come just before
            result = json.loads(path.read_bytes())
            path.unlink()
            return dict(result)
        if over:
            with suppress(FileNotFoundError):
                (_directory(root) / (key + _REQUEST)).unlink()
            return None
        time.sleep(_POLL_S)


def clear(root: Path) -> int:
    """Remove what an earlier holder left behind, and return how many requests nobody answered."""
    directory = _directory(root)
    stale = [path for path in directory.iterdir() if path.suffix in (_REQUEST, _ANSWER)]
    for path in stale:
        with suppress(FileNotFoundError):
            path.unlink()
    return sum(path.suffix == _REQUEST for path in stale)


def _read(path: Path, key: str) -> Command | None:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        command = msgspec.json.decode(path.read_bytes(), type=Command)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    return command if command.id == key and _COMMAND.fullmatch(command.command) else None


def _directory(root: Path) -> Path:
    directory = Layout(root).control
    if not directory.is_dir():
        raise StoreError(f"{directory}: missing: {root} is no log; name one with --log DIR")
    return directory


def _publish(directory: Path, name: str, data: bytes) -> None:
    # Not synced: a command that a power cut takes away was not answered either.
    scratch = directory / f".{name}.{os.getpid()}"
    try:
        scratch.write_bytes(data)
        choose().rename(scratch, directory / name)
    except OSError as error:
        raise StoreError(f"{directory / name}: cannot be written: {error.strerror}") from error
