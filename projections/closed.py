"""The latest round trips of a strategy in one holding, read off its movements from the end backwards.

Nothing is kept: what is asked for is worked out from what the holding has, so a late or corrected execution
counts as it should.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import chain

from core.money import CONTEXT, ZERO
from core.trips import Fill, RoundTrip, Trips
from core.views import ClosedTrade
from projections.holding import Holding
from projections.ledger import ADJUSTMENT, Ledger, Movement


def last_trades(
    holding: Holding, strategy: str, instrument: str, multiplier: Decimal, last: int
) -> list[ClosedTrade]:
    """Return at most `last` round trips of the strategy, in the order in which they were closed.

    An adjustment (a split, an adopted position) sets quantity and cost anew: what closed before does not
    count any more.
    """
    part = holding.ledgers.parts.get(strategy)
    if part is None:
        return []
    trips = Trips({instrument: multiplier})
    found = [
        ClosedTrade(instrument, trip.closed_ts, trip.profit, trip.quantity * trip.entry * multiplier)
        for movement in _window(holding, strategy, part, last)
        for trip in _folded(trips, movement, strategy, instrument)
    ]
    return found[-last:]


def _window(holding: Holding, strategy: str, part: Ledger, last: int) -> list[Movement]:
    """Return the movements that hold the last trades, oldest first; the first may be one that sets all."""
    window: list[Movement] = []
    after, opened = part.quantity, 0
    for movement in _backwards(holding):
        if movement.strategy != strategy:
            continue
        window.append(movement)
        if movement.revision == ADJUSTMENT:
            break
        before = CONTEXT.subtract(after, movement.quantity)
        opened += bool(movement.quantity) and (not before or before * after < ZERO)
        if opened > last + 1:
            # One that turned the position around: it begins with what it left behind.
            window[-1] = Movement(movement.ts, "", strategy, after, movement.price, ADJUSTMENT)
            break
        after = before
    return window[::-1]


def _backwards(holding: Holding) -> Iterator[Movement]:
    settled = (reversed(block.unpack()) for block in reversed(holding.blocks))
    return chain(reversed(holding.movements), chain.from_iterable(settled))


def _folded(trips: Trips, movement: Movement, strategy: str, instrument: str) -> Iterator[RoundTrip]:
    if movement.revision == ADJUSTMENT:
        trips.open.clear()
        if movement.quantity:
            trips.hold(strategy, instrument, movement.quantity, movement.price, movement.ts)
        return
    charge = movement.charge
    yield from trips.take(
        Fill(
            movement.ts,
            movement.exec_id,
            "",
            strategy,
            instrument,
            "BUY" if movement.quantity > ZERO else "SELL",
            movement.quantity.copy_abs(),
            movement.price,
            "",
            None if charge is None else charge.amount,
            None,
            "",
            None,
        )
    )
