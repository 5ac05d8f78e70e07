"""The state of a log as files and processes: what it holds, who writes it, sealing it.

Reads sizes and names, and asks the lock. Only `seal_log` writes, by asking the holder or by being it,
and the two ways on after damage, `rebuild_tables` and `accept`, by being it.
"""

import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from app.look.books import open_log
from app.operation.writing import writing
from app.progress import Advance
from core.errors import StoreError, UsageError
from core.events import SegmentSealed
from core.ports import Selection
from eventstore import control
from eventstore.integrity.accepting import accept_loss
from eventstore.integrity.rebuilding import rebuild
from eventstore.integrity.verify import Report, run_directories, verify, visible_directories
from eventstore.layout import Layout
from eventstore.lock import holder
from eventstore.platform import choose
from eventstore.reading.reader import LogReader

_POLL_S = 0.05


def current_holder(layout: Layout) -> dict[str, Any]:
    """Return who holds the log's lock, as written in it; empty if nobody does.

    The lock itself is asked, since its text survives a crash; it is given back at once, nothing is written.
    """
    try:
        fd = os.open(layout.lock, os.O_RDWR)
    except FileNotFoundError:
        return {}
    except OSError:  # no permission to write, or a file system that is mounted read-only
        fd = os.open(layout.lock, os.O_RDONLY)
    try:
        return {} if choose().try_lock(fd) else dict(holder(layout)) or {"pid": None}
    finally:
        os.close(fd)


class Sealed(msgspec.Struct, frozen=True):
    """What sealing did: up to which seq the log is sealed now, how many events were sealed, and by whom."""

    sealed_seq: int
    events: int
    by: str


def seal_log(root: Path, timeout_s: float) -> Sealed:
    """Have all that is recorded sealed; a live writer is asked, else the log is held for the time it takes.

    Raises `StoreError` if the writer does not answer, or a segment cannot be sealed.
    """
    reader, layout = open_log(root), Layout(root)
    before = _sealed_seq(reader)
    if _nothing_new(reader, before):
        return Sealed(before, 0, "nobody: there is nothing new")
    who = current_holder(layout)
    if who and _asked(root, reader, who, timeout_s):
        by = f"process {who.get('pid')}"
    else:
        by = "this command"
        with writing(root) as writer:
            sealer = writer.sealer
        if sealer.failures:
            raise StoreError(
                "\n".join(f"{item.journal}: cannot be sealed: {item.message}" for item in sealer.failures)
            )
    after = _sealed_seq(reader)
    return Sealed(after, after - before, by)


def _nothing_new(reader: LogReader, sealed_seq: int) -> bool:
    """Return whether the hot tail holds only notes of earlier sealing, which are no reason to seal again."""
    tail = reader.entries(Selection(first_seq=sealed_seq + 1))
    return all(isinstance(entry.event, SegmentSealed) for batch in tail for entry in batch)


def released(layout: Layout, who: dict[str, Any]) -> Callable[[], bool]:
    """Return what says whether `who` no longer holds the log."""
    return lambda: current_holder(layout).get("pid") != who.get("pid")


def _asked(root: Path, reader: LogReader, who: dict[str, Any], timeout_s: float) -> bool:
    """Have the holder seal; return whether it did: one that ends meanwhile leaves that to us."""
    by, gone = f"process {who.get('pid')}", released(Layout(root), who)
    answer = control.wait(root, control.request(root, "seal"), timeout_s, gone)
    if answer is None and gone():
        return False
    if answer is None:
        raise StoreError(
            f"{root}: {by} holds the log and did not answer within {timeout_s:g} s; try again later"
        )
    if "error" in answer:
        raise StoreError(f"{root}: {by}: {answer['error']}")
    deadline = time.monotonic() + timeout_s
    while _sealed_seq(reader) < int(answer["rolled_at"]):
        if time.monotonic() > deadline:
            raise StoreError(f"{root}: {by} closed the segment, but it is not sealed after {timeout_s:g} s")
        time.sleep(_POLL_S)
    return True


def _sealed_seq(reader: LogReader) -> int:
    sealed = reader.snapshot().sealed
    return sealed[-1].last_seq if sealed else 0


def check(root: Path, *, deep: bool, progress: Advance) -> Report:
    """Check every byte of the log, beside a writer or not; `progress` counts directories, runs included."""
    open_log(root)  # says what to do where there is none
    done = count(1)
    layout = Layout(root)
    total = len(visible_directories(layout)) + len(run_directories(layout))
    return verify(root, deep=deep, progress=lambda _: progress(next(done), total))


def rebuild_tables(root: Path, found: Report) -> list[str]:
    """Make again what `found` tells of: damaged tables, a high-water mark; return what was replaced.

    Raises `CorruptLog` if what they are made from is damaged too, `LogLocked` beside a writer.
    """
    if found.ok:
        return []
    return [path.name for path in rebuild(root, deep=found.deep)]


def accept(root: Path, reason: str, found: Report) -> dict[str, int]:
    """Give up what is damaged and let the log go on; raises `UsageError` if the journal lost nothing."""
    if found.remedy != "accept_loss":
        first, command = found.findings[0], next_command(found)
        raise UsageError(
            f"{root}: the journal has lost nothing that could be accepted, but {first.path}: "
            f"{first.message}; {f'next: tape {command}' if command else RESTORE}"
        )
    prefix = accept_loss(root, reason)
    return {"first_lost_seq": prefix.next_seq}


UPGRADE = "upgrade truetape: a newer version wrote this log; this one changes nothing in it"
RESTORE = "restore from a backup what is named; a damaged run may be deleted and replayed instead"


def newer(found: Report) -> bool:
    """Return whether a newer version wrote what could not be read: no damage that this one may repair."""
    return any("upgrade truetape" in finding.message for finding in found.findings)


def next_command(found: Report) -> str:
    """Return the command that follows from a check; empty if no command helps, but `RESTORE` does."""
    match found.remedy:
        case "none":
            return "status"
        case "rebuild":
            return f"verify {'--deep ' if found.deep else ''}--rebuild"
        case "accept_loss":
            return "verify --accept-loss REASON (after a copy of the log was made)"
        case "restore":
            return ""
