"""The orders at work at the simulated broker: who rests, who waits, how orders ended, who is related to whom.

Carries out what a fill or an end means for brackets and groups (`core.matching.families` decides it), and
reports it. Knows no market data: when an order fills, and at what price, is a pit's business.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from core.events import (
    CancelIntended,
    Event,
    ModifyIntended,
    OrderAmended,
    OrderIntended,
    OrderStatus,
    OrderStatusChanged,
)
from core.matching import (
    Change,
    Families,
    Resting,
    is_priced,
    pay_dividend,
    restated_quantity,
    split_order,
)
from core.money import ZERO, plain, price
from core.price_steps import PriceSteps

Request = OrderIntended | ModifyIntended | CancelIntended


class Working:
    """Orders by id and by instrument. `memory_ns` is how long a request can be on its way."""

    def __init__(self, memory_ns: int, start_trail: Callable[[Resting], None]) -> None:
        self._memory_ns = memory_ns
        self._start_trail = start_trail  # puts a trailing stop where it starts
        self._families = Families()
        self._resting: defaultdict[str, list[Resting]] = defaultdict(list)
        self._orders: dict[str, Resting] = {}
        self._done: dict[str, Resting] = {}
        self._done_before: dict[str, Resting] = {}
        self._done_until = memory_ns  # of what ended after it, `_done` begins anew

    def __iter__(self) -> Iterator[Resting]:
        return iter(list(self._orders.values()))

    def get(self, order: str) -> Resting | None:
        """Return an order that has not ended."""
        return self._orders.get(order)

    def resting(self, instrument: str) -> list[Resting]:
        """Return the live list of the orders that an instrument's market data may fill."""
        return self._resting[instrument]

    def ended(self, order: str) -> Resting | None:
        """Return an order that has ended, as long as requests for it may be on their way."""
        return self._done.get(order) or self._done_before.get(order)

    @property
    def remembered(self) -> int:
        """Of how many orders it is known how they ended."""
        return len(self._done) + len(self._done_before)

    # -- coming and going ----------------------------------------------------------------------

    def join(self, order: Resting) -> str:
        """Take an order into its bracket and group; return why it cannot be, or nothing."""
        parent = order.intent.parent
        filled, over = ZERO, False
        order.related = True
        if parent and (known := self._orders.get(parent)) is not None:
            known.related = True
            filled = known.filled
        elif parent:
            past = self.ended(parent)
            if past is None or not past.filled:
                how = f"was {past.ended.lower()}" if past is not None else "is not at the broker"
                return f"the parent {parent} {how}"
            filled, over = past.filled, True
        self._families.join(order, filled, parent_over=over)
        return ""

    def add(self, order: Resting, facts: list[Event], ts: int) -> None:
        """Put a new order to work, or let it wait for its parent."""
        intent = order.intent
        self._orders[intent.order] = order
        if intent.parent and self._families.waits(order):
            order.listed = False
            facts.append(status(ts, intent, 1, "PreSubmitted", f"waits until {intent.parent} fills"))
            return
        facts.append(  # hot: `status` would be one more call
            OrderStatusChanged(
                ts, intent.order, 1, intent.account, intent.strategy, intent.instrument, "Submitted"
            )
        )
        if order.type == "TRAIL":
            self._start_trail(order)
        self._resting[intent.instrument].append(order)

    def resume(self, orders: Sequence[tuple[Resting, bool]]) -> None:
        """Take back orders that were here before, with what they filled, and whether they are over."""
        over = [order for order, ended in orders if ended]
        for order in over:
            order.ended = "Filled" if order.complete else "Cancelled"
            self._done[order.intent.order] = order
        for order in (order for order, ended in orders if not ended):
            if order.intent.parent or order.intent.oca:
                self.join(order)
            self.add(order, [], order.created_ts)
        for order in over:
            self._families.filled_before(order)

    def reject(self, order: Resting, why: str, facts: list[Event], ts: int) -> None:
        """Report that a new order is not taken."""
        order.ended = "Rejected"
        self._done[order.intent.order] = order
        facts.append(status(ts, order.intent, 1, "Rejected", why))

    def end(self, order: Resting, how: OrderStatus, facts: list[Event], ts: int, message: str) -> None:
        """End an order, and its children with it as far as they exceed its fills."""
        facts.append(status(ts, order.intent, order.version, how, message))
        self.remove(order, how, ts)
        if order.related:
            self._apply(self._families.ended(order), facts, ts)

    def remove(self, order: Resting, how: OrderStatus, ts: int) -> None:
        """Forget an order but for how it ended."""
        name = order.intent.order
        order.ended = how
        del self._orders[name]
        if ts > self._done_until:
            self._done_before, self._done, self._done_until = self._done, {}, ts + self._memory_ns
        self._done[name] = order
        if order.listed:
            order.listed = False
            self._resting[order.intent.instrument].remove(order)

    def amended(self, order: Resting, request: ModifyIntended, facts: list[Event], ts: int) -> None:
        """Report a new version that was taken, as far as its parent's fills allow it."""
        overtaken = order.version > request.version  # by an amendment of the broker's own
        facts.append(status(ts, order.intent, request.version, "Submitted"))
        change = self._families.amended(order)
        if change is not None:
            self._apply([change], facts, ts)
        elif overtaken:
            self._amend(order, facts, ts)
        self._enlist(order, facts, ts, "")

    def split(self, instrument: str, ratio: Decimal, steps: PriceSteps, reason: str, ts: int) -> list[Event]:
        """Restate the orders in an instrument after a forward split; return the facts."""
        found = [order for order in self._orders.values() if order.intent.instrument == instrument]
        for order in found:
            split_order(order, ratio, steps)
        self._families.split(found, lambda quantity: restated_quantity(quantity, ratio))
        facts: list[Event] = []
        for order in found:
            self._restated(order, facts, ts, f"{reason}: {plain(order.remaining or order.quantity)} to fill")
        return facts

    def pay_dividend(
        self, instrument: str, dividend: Decimal, steps: PriceSteps, reason: str, ts: int
    ) -> list[Event]:
        """Lower the limits of buys and stops of sells in an instrument by a dividend; return the facts."""
        facts: list[Event] = []
        for order in list(self._orders.values()):
            if order.ended or order.intent.instrument != instrument:
                continue
            if pay_dividend(order, dividend, steps):
                self._restated(order, facts, ts, reason)
        return facts

    def _restated(self, order: Resting, facts: list[Event], ts: int, reason: str) -> None:
        if not is_priced(order):
            self.end(order, "Cancelled", facts, ts, f"{reason}: nothing would be left of its price")
            return
        self._amend(order, facts, ts)
        how: OrderStatus = "Submitted" if order.listed else "PreSubmitted"
        facts.append(status(ts, order.intent, order.version, how, reason))

    def filled(self, order: Resting, quantity: Decimal, facts: list[Event], ts: int) -> None:
        """Note that an order filled, by a part or all of it; its relatives follow."""
        complete = order.filled is order.quantity or order.complete  # hot: as a rule they are the same object
        if complete:
            self.remove(order, "Filled", ts)
        if not order.related:
            return
        self._apply(self._families.filled(order, quantity), facts, ts)
        if complete:
            self._apply(self._families.ended(order), facts, ts)
        else:
            self._enlist(order, facts, ts, "")

    # -- relatives -----------------------------------------------------------------------------

    def _apply(self, changes: Iterable[Change], facts: list[Event], ts: int) -> None:
        """Carry out what a fill or an end means for an order's relatives."""
        for change in changes:
            order = change.order
            if order.ended:
                continue
            if change.quantity is not None and change.quantity <= order.filled:
                self.end(order, "Cancelled", facts, ts, change.why)
                continue
            if change.quantity is not None:
                order.quantity = change.quantity
                order.allowed = min(order.allowed, change.quantity)
                self._amend(order, facts, ts)
                said = f"{change.why}: reduced to {plain(order.quantity)}"
                facts.append(status(ts, order.intent, order.version, "Submitted", said))
            self._enlist(order, facts, ts, change.why)

    def _amend(self, order: Resting, facts: list[Event], ts: int) -> None:
        """Report the order's terms as a version of the broker's own."""
        order.version = order.promised = max(order.version, order.promised) + 1
        limit, stop, trail, share = (
            None if value is None else price(value)
            for value in (order.limit, order.stop, order.trail, order.trail_pct)
        )
        terms = (order.quantity, limit, stop, trail, share)
        facts.append(OrderAmended(ts, order.intent.order, order.version, *terms))

    def _enlist(self, order: Resting, facts: list[Event], ts: int, why: str) -> None:
        """Put an order to work when it has something to fill, and aside when it has not."""
        works = order.remaining > 0
        if works == order.listed or order.ended:
            return
        if not works:
            self._unlist(order)
            return
        order.listed, order.fresh, order.created_ts = True, True, ts
        if order.type == "TRAIL":
            self._start_trail(order)
        self._resting[order.intent.instrument].append(order)
        facts.append(status(ts, order.intent, order.version, "Submitted", why))

    def _unlist(self, order: Resting) -> None:
        if order.listed:
            order.listed = False
            self._resting[order.intent.instrument].remove(order)


def status(
    ts: int, request: Request, version: int, how: OrderStatus, message: str = ""
) -> OrderStatusChanged:
    """Return what the broker says of a request's order."""
    who = (request.account, request.strategy, request.instrument)
    return OrderStatusChanged(ts, request.order, version, *who, how, message)
