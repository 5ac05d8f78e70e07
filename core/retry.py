"""Orders that certainly never were at the broker, and may be put up once more.

Certain is only a send that wrote no byte, or a look at the broker's book that found nothing of an order that
the broker had refused. Whatever may have left is never sent again. Off unless configured; a function of
recorded inputs, so that a replay retries the same orders.
"""

import msgspec

from core.clock import SECOND_NS
from core.events import OrderResolved, SendFailed
from core.views import OrdersView


class RetryRule(msgspec.Struct, frozen=True, kw_only=True):
    """How many further attempts an order gets, and for how long after it was intended."""

    attempts: int = 0
    within_s: float = 60.0


class Retries:
    """Remembers what did not leave, until the books were compared; then says what may go again."""

    def __init__(self, rule: RetryRule, orders: OrdersView) -> None:
        self._rule = rule
        self._orders = orders
        self._unsent: dict[str, str] = {}
        self._tried: dict[str, int] = {}

    def note(self, news: SendFailed | OrderResolved) -> None:
        """Take what became of a send."""
        if isinstance(news, SendFailed):
            if news.version == 1 and news.bytes_written == 0:
                self._unsent[news.order] = news.message
        elif news.outcome == "not_sent":
            self._unsent[news.order] = news.evidence
        else:
            self._unsent.pop(news.order, None)

    def forget(self, order: str) -> None:
        """Take that nobody wants the order any more."""
        self._unsent.pop(order, None)

    def due(self, ts: int) -> list[tuple[str, int, str]]:
        """Return the orders to put up again, once: id, number of the further attempt, why."""
        unsent, self._unsent = self._unsent, {}
        found = []
        for name, why in unsent.items():
            order, tried = self._orders.get(name), self._tried.get(name, 0)
            if order is None or order.working or order.version > 1 or order.filled:
                continue
            if tried < self._rule.attempts and ts - order.created_ts <= self._rule.within_s * SECOND_NS:
                self._tried[name] = tried + 1
                found.append((name, tried + 1, why))
        return found
