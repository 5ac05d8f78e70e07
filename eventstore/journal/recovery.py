"""Making the tail of a log trustworthy again, after the verdict of `inspection`; for the lock holder only.

Every unsealed segment is first made durable: a crash may leave bytes visible that a power cut would still
take. A torn tail and a damaged mark are copied to quarantine. Old bytes are never edited: the next segment's
header fixes where they end.
"""

from collections.abc import Callable
from pathlib import Path

from core.events import Recovered
from eventstore.files import Files, publish
from eventstore.journal.inspection import inspect
from eventstore.journal.verdict import Recovery
from eventstore.journal.watermark import MARK_BYTES
from eventstore.layout import Layout


def recover(root: Path, files: Files) -> Recovery:
    """Make the log's tail trustworthy and say where it goes on; for the lock holder only."""
    result = settle(root, files, whole=False)
    set_aside(Layout(root), files, result)
    return result


def settle(root: Path, files: Files, *, whole: bool = True) -> Recovery:
    """Sync every hot segment, then `inspect`: what is seen is durable; for the lock holder only."""
    layout = Layout(root)
    for path in layout.segments():
        fd = files.open_read(path)
        try:
            files.data_sync(fd)
        finally:
            files.close(fd)
    return inspect(root, whole=whole)


def set_aside(layout: Layout, files: Files, result: Recovery) -> None:
    """Copy a torn tail and a damaged mark to quarantine; move there what holds no valid event."""
    if result.torn is not None:
        name = f"{result.torn.segment:08d}-{result.torn.valid_length}.torn"
        publish(files, result.torn.data, layout.quarantine / name, layout.tmp / name)
    keep_mark(layout, files, result)
    for path in result.empty:
        files.unlink(path)
    moved = [*result.stillborn, *result.discarded]
    for path in moved:
        files.rename(path, _free_name(layout.quarantine / path.name))
    if moved or result.empty:
        for directory in (layout.quarantine, layout.hot, layout.sealed):
            files.sync_directory(directory)


def recovered_from(result: Recovery, clock: Callable[[], int]) -> Recovered | None:
    """Return the event that says what was repaired; `None` if the log was whole."""
    mark = result.mark.why if result.mark is not None else ""
    torn = result.torn
    if torn is not None:
        return Recovered(clock(), torn.segment, torn.valid_length, len(torn.data), mark)
    return Recovered(clock(), result.previous_number, result.previous_length, 0, mark) if mark else None


def keep_mark(layout: Layout, files: Files, result: Recovery) -> None:
    """Copy a mark that says nothing to quarantine; the writer writes it anew with its first sync."""
    data = result.mark.data if result.mark is not None else None
    if data:
        target = _free_name(layout.quarantine / layout.hwm.name)
        publish(files, data, target, layout.tmp / target.name)
        if len(data) > MARK_BYTES:  # the rest would stay behind what is written over it
            files.unlink(layout.hwm)


def _free_name(path: Path) -> Path:
    """Return `path`, numbered if something of that name is there already."""
    candidate, n = path, 1
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{n}")
        n += 1
    return candidate
