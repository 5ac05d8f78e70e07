"""Orders that left and of which nothing was heard: after a while the broker's book is to be read.

A gateway that is about to restart takes orders and answers nothing, and some refusals come as a number that
nobody knows, without a status. Pure: times are passed in. It decides nothing: what the book shows does.
"""

from collections.abc import Callable

from core.clock import SECOND_NS

PATIENCE_NS = 5 * SECOND_NS
"""Brokers were seen to answer within a second."""


class Unanswered:
    """The orders that left on this connection, since when, until the broker shows them."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}

    def sent(self, order: str, ts: int) -> None:
        """Take that an order left."""
        self._sent[order] = ts

    def due(self, ts: int, open_still: Callable[[str], bool]) -> list[str]:
        """Return the orders that wait for too long, each once; `open_still` tells whether one waits."""
        late: list[str] = []
        for order, since in list(self._sent.items()):
            if not open_still(order):
                del self._sent[order]
            elif ts - since >= PATIENCE_NS:
                del self._sent[order]
                late.append(order)
        return late

    def drop(self) -> None:
        """Forget them: the connection is gone, and a look follows the next one."""
        self._sent.clear()
