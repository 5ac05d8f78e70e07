"""The state of a log at a glance: what it holds, who writes it, how trading stands.

Of a running session it is what that session says of itself; without one, what is folded from the log. It
reads only.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from app.composition.past import past_of
from app.data.unfinished import unfinished, worded
from app.live.kill_file import KillFile
from app.live.status_file import read_status
from app.look.books import open_log
from app.operation.operating import current_holder
from app.operation.operator import last_account
from core.events import BY_TYPE, SessionScheduled
from core.ports import Coverage, entries_of
from eventstore.journal.watermark import BadMark, look_at_mark
from eventstore.layout import Layout
from eventstore.platform import choose
from eventstore.reading.reader import LogReader
from eventstore.runs.reader import list_runs, unreadable_runs


class Amount(msgspec.Struct, frozen=True):
    """How many files or directories, and their bytes."""

    count: int
    bytes: int


class Status(msgspec.Struct, frozen=True):
    """What `status` shows. `holder` is empty when no process writes the log.

    `live` is what the running session says of itself (`app.live.telling.LiveStatus`), `None` without one;
    then what is open and pending is folded from the log. `damage` is what a glance sees of it, in words:
    `verify` checks all. `unfinished` are imports of which only a part is there, in words.
    """

    log: str
    holder: dict[str, Any]
    connected: bool
    active_positions: int
    pending_orders: int
    halt: str
    breaks: dict[str, str]
    live: dict[str, Any] | None
    last_seq: int
    sealed_seq: int
    sealed: Amount
    hot: Amount
    runs: Amount
    latest_run: str | None
    sessions: list[str]
    coverage: list[dict[str, Any]]
    free_bytes: int
    damage: list[str]
    unfinished: list[str]


def status(root: Path) -> Status:
    """Look at a log without touching it; raises `DataMissing` if there is none."""
    reader, layout = open_log(root), Layout(root)
    found = reader.snapshot()
    runs = list_runs(root)
    held_by = current_holder(layout)
    live = read_status(root, [held_by.get("pid")]) if held_by else None
    return Status(
        log=str(root),
        holder=held_by,
        **(_told(live) if live is not None else _folded(root, reader)),
        live=live,
        last_seq=reader.last_seq(),
        sealed_seq=found.sealed[-1].last_seq if found.sealed else 0,
        sealed=_amount(part.path for part in found.sealed),
        hot=_amount(segment.path for segment in found.hot),
        runs=_amount(run.path for run in runs),
        latest_run=runs[-1].id if runs else None,
        sessions=_sessions(reader),
        coverage=[_covered(item) for item in reader.coverage()],
        free_bytes=choose().free_bytes(root),
        damage=_damage(root, layout, reader),
        unfinished=[worded(one) for one in unfinished(reader)],
    )


def _damage(root: Path, layout: Layout, reader: LogReader) -> list[str]:
    """Return what is missing or cannot be read, as far as names and the high-water mark tell."""
    mark = look_at_mark(layout)  # before the end of the log is looked for: beside a writer it only grows
    last = reader.last_seq()
    found = [str(error) for error in unreadable_runs(root).values()]
    if isinstance(mark, BadMark):
        # Until the first sync there is none: only a log that has gone on to a second segment misses it.
        # Where nobody ever writes (a fixture), there needs to be none either.
        several = len(layout.segments()) + len(layout.sealed_directories()) > 1
        if not mark.blank or (several and layout.hot.is_dir()):
            found.insert(0, f"{layout.hwm}: the high-water mark {mark.why}")
    elif mark.seq > last:
        found.insert(0, f"{root}: ends at seq {last}, but seq {mark.seq} was durable")
    return found


def _told(live: dict[str, Any]) -> dict[str, Any]:
    keys = ("connected", "active_positions", "pending_orders", "halt", "breaks")
    return {key: live[key] for key in keys}


def _folded(root: Path, reader: LogReader) -> dict[str, Any]:
    """Return how the account of the last session stands, if a session ever traded in this log."""
    world, account = past_of(reader, "USD").world, last_account(reader)
    gate = world.gate
    assert gate is not None
    return {
        "connected": False,
        "active_positions": sum(p.account == account for p in world.positions.open_positions()),
        "pending_orders": sum(o.account == account for o in world.orders.working()),
        "halt": gate.halt or ("kill file" if KillFile(root).exists() else ""),
        "breaks": gate.breaks,
    }


def _sessions(reader: LogReader) -> list[str]:
    dates = {
        entry.event.date
        for entry in entries_of(reader, frozenset({SessionScheduled}))
        if isinstance(entry.event, SessionScheduled)
    }
    return sorted(dates)


def _covered(item: Coverage) -> dict[str, Any]:
    return {
        "feed": item.feed,
        "instrument": item.instrument,
        "type": BY_TYPE[item.type].tag,
        "count": item.count,
        "first_ts": item.first_ts,
        "last_ts": item.last_ts,
    }


def _amount(paths: Iterable[Path]) -> Amount:
    listed = list(paths)
    return Amount(len(listed), sum(_bytes(path) for path in listed))


def _bytes(path: Path) -> int:
    with suppress(FileNotFoundError):  # sealed or removed since it was listed
        if path.is_dir():
            return sum(_bytes(inner) for inner in path.iterdir())
        return path.stat().st_size
    return 0
