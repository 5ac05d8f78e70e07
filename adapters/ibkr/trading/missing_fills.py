"""Fills that a status speaks of and no execution has shown: after a while the broker's book is to be read.

Pure: times are passed in. A status moves no position, here as elsewhere; it raises a doubt, and the doubt
ends when executions add up to what was said, or when somebody looked.
"""

from collections.abc import Callable
from decimal import Decimal

from core.clock import SECOND_NS

PATIENCE_NS = 5 * SECOND_NS


class MissingFills:
    """The filled quantities that statuses told, by order, until executions confirm them."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Decimal, int]] = {}
        self._looked: dict[str, Decimal] = {}

    def told(self, order: str, filled: Decimal, ts: int) -> None:
        """Note what a status says; the first time counts."""
        if filled <= self._looked.get(order, Decimal(0)):
            return
        known = self._told.get(order)
        if known is None or filled > known[0]:
            self._told[order] = (filled, known[1] if known is not None else ts)

    def due(self, ts: int, executed: Callable[[str], Decimal]) -> list[str]:
        """Return the orders whose executions are missing for too long, each once for a quantity."""
        late: list[str] = []
        for order, (filled, since) in list(self._told.items()):
            if executed(order) >= filled:
                del self._told[order]
            elif ts - since >= PATIENCE_NS:
                del self._told[order]
                self._looked[order] = filled
                late.append(order)
        return late
