"""The mutable record of one execution behind `Orders`: its highest revision, its first, and what it cost."""

from decimal import Decimal

import msgspec

from core.events import CommissionReported, Filled
from core.money import ZERO
from core.views import Execution


class ExecutionRecord(msgspec.Struct, gc=False):
    """What is known of one execution; `fill` is `None` while only its commission was reported.

    `first` is the lowest revision seen and its quantity, if `fill` is a higher one.
    """

    exec_id: str
    fill: Filled | None = None
    revision: int = 0
    first: tuple[int, Decimal] | None = None
    charge: CommissionReported | None = None

    @property
    def first_quantity(self) -> Decimal:
        """The quantity in the lowest revision; 0 while unknown."""
        return self.quantity if self.first is None else self.first[1]

    @property
    def quantity(self) -> Decimal:
        """The quantity in the highest revision; 0 while unknown."""
        return ZERO if self.fill is None else self.fill.quantity

    def copy(self) -> "ExecutionRecord":
        """Return an independent copy."""
        return msgspec.structs.replace(self)

    def take(self, fill: Filled, revision: int) -> bool:
        """Take a report; return whether it changed anything (a duplicate does not)."""
        known = self.fill
        if known is None:
            self.fill, self.revision = fill, revision
            return True
        first = self.first or (self.revision, known.quantity)
        if revision > self.revision:
            self.fill, self.revision, self.first = fill, revision, first
        elif revision < first[0]:
            self.first = (revision, fill.quantity)
        else:
            return False
        return True

    def charged(self, event: CommissionReported) -> None:
        """Take a commission report: the latest by its own time, the larger of two at the same time."""
        known = self.charge
        if known is None or (event.ts, event.amount) > (known.ts, known.amount):
            self.charge = event

    def view(self) -> Execution:
        """Return the execution in its highest revision."""
        fill, charge = self.fill, self.charge
        assert fill is not None
        return Execution(
            exec_id=self.exec_id,
            revision=self.revision,
            ts=fill.ts,
            order=fill.order,
            account=fill.account,
            strategy=fill.strategy,
            instrument=fill.instrument,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
            commission=None if charge is None else charge.amount,
            commission_currency=None if charge is None else charge.currency,
        )
