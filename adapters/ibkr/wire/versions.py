"""Which version of an order the broker shows: its terms against those that were sent. Pure."""

from collections.abc import Sequence

from adapters.ibkr.wire.order_fields import LIMITED, STOPPED
from adapters.ibkr.wire.terms import OrderTerms
from core.events import OrderType
from projections.records import Version


def shown_version(kind: OrderType, versions: Sequence[Version], said: OrderTerms) -> int | None:
    """Return the latest version whose terms the broker shows, or `None` if it shows other terms.

    Prices count only for order types that have them: the broker shows a market order with a limit of 0.
    """
    for version in reversed(versions):
        if (
            said.quantity == version.quantity
            and (kind not in LIMITED or said.limit == version.limit)
            and (kind not in STOPPED or said.stop == version.stop)
        ):
            return version.number
    return None
