"""The operator's way on after damage: what is lost is named in the log, and trading may start again.

The only place where a log continues behind bytes that were durable and are gone. Nothing is deleted:
what cannot be used any more is moved to `quarantine/`.
"""

from pathlib import Path
from time import monotonic_ns, time_ns

from core.errors import UsageError
from core.events import LossAccepted
from eventstore.build_area import building_in
from eventstore.files import Files
from eventstore.journal.inspection import inspect
from eventstore.journal.journal import Journal, Outside, dead_at, take_lock
from eventstore.journal.recovery import set_aside
from eventstore.journal.verdict import Damage, Lost, Recovery
from eventstore.layout import Layout


def accept_loss(root: Path, reason: str) -> Recovery:
    """Go on after damage: what follows it moves to quarantine, `LossAccepted` is the next event.

    Returns the prefix that remains. Raises `UsageError` if nothing is damaged or `reason` is empty, and
    the damage itself where the sealed part of the log is damaged, which has an archive to be rebuilt from.
    """
    if not reason.strip():
        raise UsageError("accepting a loss needs a reason, which is kept in the log")
    layout, outside = Layout(root), Outside(time_ns, monotonic_ns, Files())
    lock = take_lock(layout, outside.files, time_ns)
    try:
        with building_in(layout, outside.files):  # a killed writer's sealer publishes nothing after it
            damage, prefix = _damage_of(root)
            place = (damage.path or layout.hwm, damage.offset or 0)
            set_aside(layout, outside.files, prefix)
        # The mark stays until the new segment's first sync overwrites it: till then, this is damage.
        loss = LossAccepted(
            ts=time_ns(),
            file=place[0].relative_to(root).as_posix(),
            offset=place[1],
            first_lost_seq=prefix.next_seq,
            reason=reason,
        )
        Journal.start(layout, lock, prefix, outside, loss=loss).close()
    except OSError as error:
        raise dead_at(layout.root, error) from error
    finally:
        lock.release()
    return prefix


def _damage_of(root: Path) -> tuple[Damage | Lost, Recovery]:
    try:
        inspect(root)
    except (Damage, Lost) as damage:
        return damage, damage.prefix
    raise UsageError(f"{root}: nothing is damaged, so there is no loss to accept")
