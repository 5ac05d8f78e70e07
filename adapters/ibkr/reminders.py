"""What should have been told and was not: fills, commissions, an answer to an order.

Owns the patience with each; what is to be done about it is the client's. It reads the folds, and moves no
position: executions alone do.
"""

from decimal import Decimal

from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.missing_commissions import MissingCommissions
from adapters.ibkr.trading.missing_fills import MissingFills
from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.trading.unanswered import Unanswered
from adapters.ibkr.wire.messages import ExecutionsEnd, Message, OrderStatus
from core.events import Event, Filled, OrderSent
from core.money import ZERO


class Reminders:
    """The fills, commissions and answers that are awaited."""

    def __init__(self, folds: Folds, channel: OrderChannel, client_id: int) -> None:
        self._folds = folds
        self._channel = channel
        self._client_id = client_id
        self._fills = MissingFills()
        self._commissions = MissingCommissions()
        self._unanswered = Unanswered()

    def drop(self) -> None:
        """Forget what was asked: the connection is gone."""
        self._commissions.drop()
        self._unanswered.drop()

    def left(self, event: Event, ts: int) -> None:
        """Note an order that left: the broker has to show it."""
        if type(event) is OrderSent and event.version == 1:
            self._unanswered.sent(event.order, ts)

    def status(self, said: OrderStatus, ts: int) -> None:
        """Note the filled quantity that a status tells."""
        routes, orders = self._folds.routes, self._folds.orders
        order = routes.find(perm_id=said.perm_id, ref="")
        if order is None and said.client_id == self._client_id:
            order = self._channel.speaks_of(said.order_id)  # its permanent id is not folded yet
        if order and said.filled and orders.get(order) is not None:
            self._fills.told(order, said.filled, ts)

    def executed(self, event: Event, ts: int) -> None:
        """Note an execution: its commission has to follow."""
        if isinstance(event, Filled):
            self._commissions.told(event.exec_id, ts)

    def asked(self, req_id: int) -> int:
        """Note the id of a question for commissions; return the id."""
        return self._commissions.asked(req_id)

    def answered(self, message: Message) -> bool:
        """Return, once, whether a message ends the answer to such a question."""
        return isinstance(message, ExecutionsEnd) and self._commissions.answered(message.req_id)

    def late_fills(self, ts: int) -> list[str]:
        """Return the orders whose executions are missing for too long, each once for a quantity."""
        return self._fills.due(ts, self._executed)

    def late_answers(self, ts: int) -> list[str]:
        """Return the orders of which nothing was heard for too long, each once."""
        return self._unanswered.due(ts, self._waits)

    def late_commissions(self, ts: int) -> bool:
        """Return whether executions are to be asked for again now, and take that they are."""
        return self._commissions.due(ts, self._charged)

    def _waits(self, order: str) -> bool:
        known = self._folds.orders.get(order)
        return known is not None and known.working and not self._channel.acknowledged(order)

    def _charged(self, exec_id: str) -> bool:
        known = self._folds.routes.execution(exec_id)
        return known is not None and bool(known.charge)

    def _executed(self, order: str) -> Decimal:
        return sum((each.quantity for each in self._folds.orders.executions(order)), ZERO)
