"""Average-cost accounting of one holding: pure arithmetic on executions and adjustments.

`cost` is what the open quantity was entered at (signed like it, without multiplier). Reducing takes out
the proportional share, divided once and rounded to 1e-8, so that closing leaves nothing behind:
`realised + quantity * mark - cost` never changes by rounding.
"""

from decimal import Decimal

import msgspec

from core.money import CONTEXT, ZERO, divide

_add = CONTEXT.add
_subtract = CONTEXT.subtract
_multiply = CONTEXT.multiply

ADJUSTMENT = -1
"""The `revision` of a movement that no execution made."""


class Charge(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The commission of one execution; `ts` is when it was reported."""

    ts: int
    account: str
    currency: str
    amount: Decimal


class Movement(msgspec.Struct, gc=False, array_like=True):
    """What moves a holding: an execution in its highest revision, or an operator's adjustment.

    An execution adds its signed `quantity`; an adjustment *sets* that of its strategy, and its
    `exec_id` only places it among the executions.
    """

    ts: int
    exec_id: str
    strategy: str
    quantity: Decimal
    price: Decimal
    revision: int = 0
    charge: Charge | None = None


class Ledger:
    """Quantity, its cost, and what was realised, both in price * quantity without multiplier.

    `adjusted` is the cost that adjustments brought in: it was never paid.
    """

    # No struct, as it is never stored: a fill sets three fields, which costs a struct five times as much.
    __slots__ = ("adjusted", "cost", "quantity", "realised")

    def __init__(self) -> None:
        self.quantity = self.cost = self.realised = self.adjusted = ZERO

    def copy(self) -> "Ledger":
        """Return a copy."""
        made = Ledger()
        made.quantity, made.cost = self.quantity, self.cost
        made.realised, made.adjusted = self.realised, self.adjusted
        return made

    @property
    def average_cost(self) -> Decimal:
        """The cost per unit, rounded to 1e-8; 0 when flat."""
        return divide(self.cost, self.quantity) if self.quantity else ZERO

    @property
    def proceeds(self) -> Decimal:
        """What the trades brought in less what they cost: exact, since no trade rounds the sum of both."""
        return _add(_subtract(self.realised, self.cost), self.adjusted)

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Buy (positive) or sell (negative) at `price`."""
        held = self.quantity
        value = _multiply(quantity, price)
        if not held:
            self.quantity, self.cost = quantity, value
            return
        left = _add(held, quantity)
        if not left:
            self.realised = _subtract(self.realised, _add(self.cost, value))
            self.cost = ZERO
        elif held.is_signed() == quantity.is_signed():
            self.cost = _add(self.cost, value)
        elif left.is_signed() == held.is_signed():
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
        self.adjusted = _add(self.adjusted, cost)
        if not self.quantity and self.cost:
            self.realised = _subtract(self.realised, self.cost)
            self.cost = ZERO

    def reset(self, quantity: Decimal, cost: Decimal) -> None:
        """Set quantity and cost by an adjustment."""
        self.adjusted = _add(self.adjusted, _subtract(cost, self.cost))
        self.quantity, self.cost = quantity, cost

    def pnl(self, mark: Decimal) -> Decimal:
        """Return the open quantity's profit at `mark`, without multiplier."""
        return _subtract(_multiply(self.quantity, mark), self.cost)


class Ledgers:
    """The ledger of an account's holding, `total`, and its parts by strategy.

    While one strategy alone trades the instrument, `total` is its ledger, the same object.
    """

    __slots__ = ("parts", "total")

    def __init__(self) -> None:
        self.total = Ledger()
        self.parts: dict[str, Ledger] = {}

    def copy(self) -> "Ledgers":
        """Return a copy that shares nothing with this one."""
        made = Ledgers()
        made.parts = {strategy: part.copy() for strategy, part in self.parts.items()}
        if len(made.parts) == 1:
            (made.total,) = made.parts.values()
        else:
            made.total = self.total.copy()
        return made

    def book(self, movement: Movement) -> None:
        """Add the movement that follows on all booked before."""
        part = self.parts.get(movement.strategy)
        if part is None:
            part = self.open(movement.strategy)
        total = self.total
        quantity, price = movement.quantity, movement.price
        if movement.revision == ADJUSTMENT:
            cost = _multiply(quantity, price)
            if total is not part:
                total.shift(_subtract(quantity, part.quantity), _subtract(cost, part.cost))
            part.reset(quantity, cost)
            return
        part.trade(quantity, price)
        if total is not part:
            total.trade(quantity, price)

    def open(self, strategy: str) -> Ledger:
        """Return the ledger of a strategy that had none."""
        if not self.parts:
            self.parts[strategy] = self.total
            return self.total
        if len(self.parts) == 1:
            self.total = self.total.copy()
        part = self.parts[strategy] = Ledger()
        return part
