"""What fills of orders that wait for a price are measured against: that price, not the market long before.

A stop 5 % below the market that is hit has cost 5 % by intention. Measured against the price when it was
placed, the slippage of a run with automatic exits would be the sum of their distances. So it is measured
against its trigger, and a limit that the market had not reached against itself.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec


class Asked(msgspec.Struct, frozen=True):
    """An order that named a price, in its last version; `stop` is the trigger of all but `LMT`."""

    order: str
    side: str
    type: str
    limit: Decimal | None
    stop: Decimal | None


def measured_against(arrivals: Mapping[str, float], asked: Iterable[Asked]) -> dict[str, float]:
    """Return arrival prices, by order id, where orders that wait have the price that they wait for.

    Where the market was there already when the order was decided, that counts as for any order. Of a trailing
    stop it is not known where it stood: it has no price.
    """
    found = dict(arrivals)
    for one in asked:
        if one.order not in found:
            continue
        if one.type == "TRAIL":
            del found[one.order]
            continue
        waits_for = one.stop if one.stop is not None else one.limit
        if waits_for is not None:
            is_above = one.type in ("STP", "STP LMT") if one.side == "BUY" else one.type in ("LMT", "LIT")
            further = max if is_above else min
            found[one.order] = further(found[one.order], float(waits_for))
    return found
