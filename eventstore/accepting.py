"""The operator's way on after damage: what is lost is named in the log, and trading may start again.

The only place where a log continues behind bytes that were durable and are gone. Nothing is deleted:
what cannot be used any more is moved to `quarantine/`.
"""

from pathlib import Path

from core.errors import UsageError
from eventstore.journal import Journal
from eventstore.verdict import Recovery


def accept_loss(root: Path, reason: str) -> Recovery:
    """Go on after damage: what follows it moves to quarantine, `LossAccepted` is the next event.

    Returns the prefix that remains. Raises `UsageError` if nothing is damaged or `reason` is empty, and
    the damage itself where the sealed part of the log is damaged, which has an archive to be rebuilt from.
    """
    if not reason.strip():
        raise UsageError("accepting a loss needs a reason, which is kept in the log")
    return Journal.accept_loss(root, reason)
