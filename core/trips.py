"""Round trips: from flat to flat again, per strategy and instrument, with what each earned after commissions.

Derived from fills alone, exact. An open position is no trade yet; it is left over in `open`. A fill that
turns a position around ends one round trip and begins the next; its commission is shared by quantity.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import msgspec

from core.events import Side
from core.money import CONTEXT, ZERO, money

_ONE = Decimal(1)


class Fill(msgspec.Struct, frozen=True, gc=False):
    """An execution in its highest revision, with its order's `reason` and the price at the order's intent.

    `arrival` is the middle of bid and ask, or the last trade, when the order was decided; `None`: unknown.
    """

    ts: int
    exec_id: str
    order: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    venue: str
    commission: Decimal | None
    commission_currency: str | None
    reason: str
    arrival: float | None


class RoundTrip(msgspec.Struct, frozen=True, gc=False):
    """One closed trade; `profit` is in the instrument's currency, net of `commissions`. Times are ns UTC.

    `quantity` is all that was entered; `entry` and `exit` are average prices. `reason` is that of the order
    that made the position flat.
    """

    strategy: str
    instrument: str
    side: str
    opened_ts: int
    closed_ts: int
    quantity: Decimal
    entry: Decimal
    exit: Decimal
    commissions: Decimal
    profit: Decimal
    reason: str


class OpenTrade(msgspec.Struct):
    """A position that is not flat: what is held, and what was paid for it and taken out so far.

    `flow` is the cash that moved, commissions included; `entered` and `exited` are (quantity, value).
    """

    side: str
    opened_ts: int
    quantity: Decimal = ZERO
    flow: Decimal = ZERO
    commissions: Decimal = ZERO
    entered: tuple[Decimal, Decimal] = (ZERO, ZERO)
    exited: tuple[Decimal, Decimal] = (ZERO, ZERO)


class Trips:
    """Folds fills in time order; `take` yields the trades that a fill closes, `open` holds the rest."""

    def __init__(self, multipliers: Mapping[str, Decimal]) -> None:
        self.open: dict[tuple[str, str], OpenTrade] = {}
        self._multipliers = multipliers

    def hold(self, strategy: str, instrument: str, quantity: Decimal, cost: Decimal, ts: int) -> None:
        """Begin with a position that is there already, at its average cost."""
        trade = OpenTrade("long" if quantity > 0 else "short", ts)
        _take(trade, quantity, cost, ZERO, self._multipliers.get(instrument, _ONE))
        self.open[(strategy, instrument)] = trade

    def take(self, fill: Fill) -> Iterator[RoundTrip]:
        """Fold a fill; yield the trade that it closes, if it closes one."""
        key = (fill.strategy, fill.instrument)
        multiplier = self._multipliers.get(fill.instrument, _ONE)
        left = fill.quantity if fill.side == "BUY" else -fill.quantity
        while left:
            trade = self.open.setdefault(key, OpenTrade("long" if left > 0 else "short", fill.ts))
            against = trade.quantity * left < 0
            part = max(-trade.quantity, left, key=lambda q: -abs(q)) if against else left
            paid = CONTEXT.divide(CONTEXT.multiply(fill.commission or ZERO, abs(part)), fill.quantity)
            _take(trade, part, fill.price, paid, multiplier)
            left -= part
            if not trade.quantity:
                del self.open[key]
                yield _closed(key, trade, fill)


def round_trips(fills: Iterable[Fill], multipliers: Mapping[str, Decimal]) -> list[RoundTrip]:
    """Return the closed trades of fills in time order, by the time at which they were closed."""
    trips = Trips(multipliers)
    return [trade for fill in fills for trade in trips.take(fill)]


def _take(trade: OpenTrade, part: Decimal, price: Decimal, paid: Decimal, multiplier: Decimal) -> None:
    entering = trade.quantity * part >= 0
    worth = CONTEXT.multiply(part, price)
    quantity, value = trade.entered if entering else trade.exited
    both = (CONTEXT.add(quantity, abs(part)), CONTEXT.add(value, CONTEXT.multiply(abs(part), price)))
    trade.entered, trade.exited = (both, trade.exited) if entering else (trade.entered, both)
    trade.quantity = CONTEXT.add(trade.quantity, part)
    trade.commissions = CONTEXT.add(trade.commissions, paid)
    trade.flow = CONTEXT.subtract(CONTEXT.subtract(trade.flow, CONTEXT.multiply(worth, multiplier)), paid)


def _closed(key: tuple[str, str], trade: OpenTrade, fill: Fill) -> RoundTrip:
    return RoundTrip(
        *key,
        trade.side,
        trade.opened_ts,
        fill.ts,
        money(trade.entered[0]),
        average(trade.entered),
        average(trade.exited),
        money(trade.commissions),
        money(trade.flow),
        fill.reason,
    )


def average(amount: tuple[Decimal, Decimal]) -> Decimal:
    """Return the average price of (quantity, value), also where a price is negative or nothing is there."""
    quantity, value = amount
    return money(CONTEXT.divide(value, quantity)) if quantity else ZERO
