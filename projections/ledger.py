"""Average-cost accounting of one holding: pure arithmetic on executions and adjustments.

`cost` is what the open quantity was entered at (signed like it, without multiplier). Reducing takes out
the proportional share, divided once and rounded to 1e-8, so that closing leaves nothing behind:
`realised + quantity * mark - cost` never changes by rounding.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from typing import TypeAlias

import msgspec

from core.events import Filled
from core.money import CONTEXT, ZERO, divide
from projections.fills import signed_quantity

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply


class Adjustment(msgspec.Struct, frozen=True, gc=False):
    """The operator *sets* a strategy's quantity, at a price; `exec_id` places it among executions."""

    ts: int
    exec_id: str
    account: str
    strategy: str
    instrument: str
    quantity: Decimal
    price: Decimal


Movement: TypeAlias = Filled | Adjustment


def movement_key(movement: Movement) -> tuple[int, str]:
    """Return what orders movements: (execution time, execId)."""
    return movement.ts, movement.exec_id


class Ledger(msgspec.Struct, gc=False):
    """Quantity, its cost, and what was realised, both in price * quantity without multiplier."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO

    @property
    def average_cost(self) -> Decimal:
        """The cost per unit, rounded to 1e-8; 0 when flat."""
        return divide(self.cost, self.quantity) if self.quantity else ZERO

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Buy (positive) or sell (negative) at `price`."""
        held = self.quantity
        value = _multiply(quantity, price)
        if not held:
            self.quantity, self.cost = quantity, value
            return
        if held.is_signed() == quantity.is_signed():
            self.quantity = _add(held, quantity)
            self.cost = _add(self.cost, value)
            return
        left = _add(held, quantity)
        if left and left.is_signed() == held.is_signed():
            removed = divide(_multiply(self.cost, quantity.copy_negate()), held)
            self.realised = _subtract(self.realised, _add(value, removed))
            self.cost = _subtract(self.cost, removed)
        else:
            opened = _multiply(left, price)
            self.realised = _subtract(self.realised, _add(self.cost, _subtract(value, opened)))
            self.cost = opened
        self.quantity = left

    def shift(self, quantity: Decimal, cost: Decimal) -> None:
        """Add an adjustment of one part; what remains of the cost of a flat position is realised."""
        self.quantity = _add(self.quantity, quantity)
        self.cost = _add(self.cost, cost)
        if not self.quantity and self.cost:
            self.realised = _subtract(self.realised, self.cost)
            self.cost = ZERO

    def pnl(self, mark: Decimal) -> Decimal:
        """Return the open quantity's profit at `mark`, without multiplier."""
        return _subtract(_multiply(self.quantity, mark), self.cost)


class Holding:
    """The movements of one instrument in one account, in order, and the ledgers they add up to.

    While one strategy alone trades the instrument, `total` is its ledger, the same object.
    """

    __slots__ = ("ledgers", "movements", "total")

    def __init__(self, movements: Iterable[Movement] = ()) -> None:
        self.movements: list[Movement] = []
        self.total = Ledger()
        self.ledgers: dict[str, Ledger] = {}
        for movement in movements:
            self.add(movement)

    def add(self, movement: Movement) -> None:
        """Add a movement; one that comes late makes the ledgers be computed anew."""
        movements = self.movements
        if movements:
            last = movements[-1]
            if movement.ts <= last.ts and movement_key(movement) < movement_key(last):
                insort(movements, movement, key=movement_key)
                self._refold()
                return
        movements.append(movement)
        self._book(movement)

    def remove(self, movement: Movement) -> None:
        """Remove a movement that is known to be there."""
        del self.movements[bisect_left(self.movements, movement_key(movement), key=movement_key)]
        self._refold()

    def _refold(self) -> None:
        self.total, self.ledgers = Ledger(), {}
        for movement in self.movements:
            self._book(movement)

    def _book(self, movement: Movement) -> None:
        ledger = self.ledgers.get(movement.strategy)
        if ledger is None:
            ledger = self._open(movement.strategy)
        total = self.total
        if type(movement) is Adjustment:
            _adjust(ledger, total, movement)
            return
        assert type(movement) is Filled
        quantity = signed_quantity(movement)
        ledger.trade(quantity, movement.price)
        if total is not ledger:
            total.trade(quantity, movement.price)

    def _open(self, strategy: str) -> Ledger:
        if not self.ledgers:
            self.ledgers[strategy] = self.total
            return self.total
        if len(self.ledgers) == 1:
            self.total = msgspec.structs.replace(self.total)
        ledger = self.ledgers[strategy] = Ledger()
        return ledger


def _adjust(ledger: Ledger, total: Ledger, movement: Adjustment) -> None:
    quantity, cost = movement.quantity, _multiply(movement.quantity, movement.price)
    if total is not ledger:
        total.shift(_subtract(quantity, ledger.quantity), _subtract(cost, ledger.cost))
    ledger.quantity, ledger.cost = quantity, cost
