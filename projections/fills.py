"""Executions as values: what several projections need to know of a fill and its corrections.

A correction carries full new values, so it is kept as the `Filled` event it amounts to; its revision is
kept beside it.
"""

from decimal import Decimal

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


def signed_quantity(fill: Filled) -> Decimal:
    """Return the quantity, negative for a sale. Exact: no context rounds a change of sign."""
    return fill.quantity if fill.side == "BUY" else fill.quantity.copy_negate()
