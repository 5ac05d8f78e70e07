"""An order at the simulated broker: what matching needs of it, and how far it has filled."""

from decimal import Decimal
from typing import ClassVar, Literal

import msgspec
from msgspec.structs import replace

from core.clock import NEVER
from core.events import ModifyIntended, OrderIntended, OrderStatus, OrderType, Side
from core.money import CONTEXT, ZERO


class Resting(msgspec.Struct, gc=False, eq=False):
    """One order. `allowed` is what it may fill in all by now: less than `quantity` for a bracket's child.

    `type` changes when an order triggers: a stop becomes a market order, a stop-limit and a
    limit-if-touched become limits. `stop` of a trailing stop moves. `opens` is when a market-on-open
    may fill at the earliest, `due` the close of a market-on-close, `expires` when the order ends by
    itself (all ns UTC). `ended` says how it did, once it has.
    """

    MARKET_LIKE: ClassVar = frozenset({"MKT", "STP", "TRAIL"})
    """The types that pay the spread when they fill, whatever the price."""

    intent: OrderIntended
    side: Side
    type: OrderType
    quantity: Decimal
    allowed: Decimal
    created_ts: int
    limit: float | None = None
    stop: float | None = None
    trail: float | None = None
    trail_pct: float | None = None
    version: int = 1
    promised: int = 1  # the highest version that is known to be on its way
    fresh: bool = True  # has not met a market event yet
    triggered: bool = False  # in bar mode: of a stop-limit or limit-if-touched
    opens: int | None = None
    due: int | None = None
    expires: int = NEVER
    immediate: bool = False  # what does not fill at its first chance is cancelled
    listed: bool = True  # whether market data meet it
    related: bool = False  # whether it belongs to a bracket or a group
    ended: OrderStatus | Literal[""] = ""
    start: Decimal | None = None  # the stop that the latest version names
    filled: Decimal = ZERO
    charged: Decimal = ZERO
    traded_value: Decimal = ZERO

    @classmethod
    def arrived(cls, intent: OrderIntended, ts: int) -> "Resting":
        """Return a new order that reaches the broker at `ts`."""
        quantity = intent.quantity
        order = cls(intent, intent.side, intent.type, quantity, quantity, ts)
        if order.type != "MKT":  # hot: a market order has no prices
            order._take_prices(intent)
        return order

    @property
    def remaining(self) -> Decimal:
        """The quantity that may still fill now."""
        return CONTEXT.subtract(self.allowed, self.filled) if self.filled else self.allowed

    @property
    def complete(self) -> bool:
        """Whether all of it has filled."""
        filled, quantity = self.filled, self.quantity
        return filled is quantity or filled >= quantity

    def amend(self, request: ModifyIntended) -> None:
        """Take the values of a new version; it meets the market as if it had just arrived.

        What triggered stays triggered. A trailing stop stays where it is, unless another start is named.
        """
        self.version = max(self.version, request.version)
        self.quantity = self.allowed = request.quantity
        self._take_prices(request)
        self.fresh = True

    def _take_prices(self, request: OrderIntended | ModifyIntended) -> None:
        self.limit = _float(request.limit)
        if self.intent.type != "TRAIL" or request.stop != self.start:
            self.stop, self.start = _float(request.stop), request.stop
        self.trail, self.trail_pct = _float(request.trail), _float(request.trail_pct)

    def change_times(self, request: ModifyIntended) -> bool:
        """Take how long a new version is good and in which hours; return whether that has changed."""
        intent = self.intent
        tif = request.tif or intent.tif
        till = request.good_till if request.good_till is not None else intent.good_till
        hours = request.outside_rth if request.outside_rth is not None else intent.outside_rth
        changed = (tif, till if tif == "GTD" else None, hours)
        if changed == (intent.tif, intent.good_till, intent.outside_rth):
            return False
        self.intent = replace(intent, tif=tif, good_till=changed[1], outside_rth=hours)
        return True


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
