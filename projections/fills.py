"""Corrections as fills.

A correction carries full new values, so it is kept as the `Filled` event it amounts to; its revision is
kept beside it.
"""

from core.events import FillCorrected, Filled


def plain_fill(event: FillCorrected) -> Filled:
    """Return the values of a correction as a fill."""
    return Filled(
        event.ts,
        event.exec_id,
        event.order,
        event.account,
        event.strategy,
        event.instrument,
        event.side,
        event.quantity,
        event.price,
        event.venue,
    )
