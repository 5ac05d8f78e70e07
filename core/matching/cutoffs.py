"""Until when orders for the close are taken: by each exchange, and where bars are replayed. Pure.

On ticks the deadline of each exchange's closing auction holds: 10 minutes before the close at NYSE and NYSE
American, 5 at Nasdaq, 1 at NYSE Arca and Cboe BZX. Where none is known, orders are taken until the close. On
bars every exchange has the rule of LEAN's `MarketOnCloseOrder`, whose results are reproduced: a quarter of an
hour and 30 seconds.
"""

from collections.abc import Mapping
from types import MappingProxyType

from core.clock import MINUTE_NS, SECOND_NS

BAR_CUTOFF_NS = 15 * MINUTE_NS + 30 * SECOND_NS
CUTOFFS_NS: Mapping[str, int] = MappingProxyType(
    {
        "XNYS": 10 * MINUTE_NS,
        "XASE": 10 * MINUTE_NS,
        "XNAS": 5 * MINUTE_NS,
        "ARCX": MINUTE_NS,
        "BATS": MINUTE_NS,
    }
)
"""By the exchange's MIC."""


def cutoff_ns(exchange: str, *, in_bars: bool) -> int:
    """Return how long before the close the last order for it is taken, in ns."""
    return BAR_CUTOFF_NS if in_bars else CUTOFFS_NS.get(exchange, 0)
