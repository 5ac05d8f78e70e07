"""Orders and executions as they are known: what others read of them.

The records are those of `projections.orders`, which alone changes them. Whatever is shown is derived from
a record when it is asked for.
"""

from collections.abc import Iterable

from core.order_rules import is_exit
from core.views import Execution, Order
from projections.executions import ExecutionRecord
from projections.records import OrderRecord, Version


class OrderBook:
    """Implements `core.views.OrdersView`; also lists executions."""

    def __init__(self) -> None:
        self._orders: dict[str, OrderRecord] = {}
        self._executions: dict[str, ExecutionRecord] = {}
        self._working: dict[str, OrderRecord] = {}

    def get(self, order: str) -> Order | None:
        """Return the order, or `None` if no intent with this id was seen."""
        record = self._orders.get(order)
        return None if record is None or record.intent is None else record.view()

    def working(self, strategy: str | None = None, instrument: str | None = None) -> list[Order]:
        """Return the orders that may still fill, oldest first; the cost is that of the working orders."""
        records = sorted(self._working.values(), key=by_age)
        return [
            record.view()
            for record in records
            if record.intent is not None
            and (strategy is None or record.intent.strategy == strategy)
            and (instrument is None or record.intent.instrument == instrument)
        ]

    def held(self) -> list[tuple[Order, int]]:
        """Return what is held, oldest order first: orders, and their versions that wait."""
        records = sorted((r for r in self._orders.values() if r.waiting and r.intent), key=by_age)
        return [(record.view(), version) for record in records for version in record.waiting]

    def was_filled(self, order: str, before: int) -> bool:
        """Return whether an order had filled whole, as it was before its version `before`."""
        record = self._orders.get(order)
        return record is not None and record.was_filled(before)

    def others(self, account: str, besides: str) -> list[Order]:
        """Return the account's orders that may still fill, without the order `besides`, oldest first."""
        return [record.view() for record in self._others(account, besides)]

    def entering(self, account: str, besides: str) -> list[Order]:
        """Return of `others` those that may build up a position: no exits of brackets or of holdings."""
        found = [record.view() for record in self._others(account, besides) if not is_exit(record.id)]
        return [order for order in found if not order.parent]

    def count_others(self, account: str, besides: str) -> int:
        """Return how many `others` there are."""
        return len(self._others(account, besides))

    def _others(self, account: str, besides: str) -> list[OrderRecord]:
        if len(self._working) == 1 and besides in self._working:
            return []
        return [
            record
            for record in sorted(self._working.values(), key=by_age)
            if record.id != besides and record.intent is not None and record.intent.account == account
        ]

    def orders(self) -> list[Order]:
        """Return all orders, oldest first."""
        return [
            record.view() for record in sorted(self._orders.values(), key=by_age) if record.intent is not None
        ]

    def versions(self, order: str) -> list[Version]:
        """Return the versions of an order that may be at the broker, the first one first."""
        record = self._orders.get(order)
        if record is None or record.intent is None:
            return []
        first = record.intent
        prices = (first.limit, first.stop, first.reason, first.trail, first.trail_pct)
        times = (first.good_till, first.outside_rth)
        own = Version(1, record.quantity, *prices, *times, tif=first.tif)
        return [own, *(v for v in record.versions if v.number not in record.dropped)]

    def last_version(self, order: str) -> int:
        """Return the highest number of an order's versions, refused ones included; 1 if it is unknown."""
        record = self._orders.get(order)
        return 1 if record is None else record.last_version()

    def execution(self, exec_id: str) -> Execution | None:
        """Return one execution in its highest revision, or `None`."""
        record = self._executions.get(exec_id)
        return None if record is None or record.fill is None else record.view()

    def executions(self, order: str | None = None) -> list[Execution]:
        """Return the executions (of one order) by execution time, then id."""
        found: Iterable[ExecutionRecord] = self._executions.values()
        if order is not None:
            known = self._orders.get(order)
            found = [self._executions[exec_id] for exec_id in known.executions] if known is not None else []
        views = [record.view() for record in found if record.fill is not None]
        return sorted(views, key=lambda execution: (execution.ts, execution.exec_id))


def by_age(record: OrderRecord) -> tuple[int, str]:
    """Return what sorts orders, oldest first."""
    return record.created_seq, record.id
