"""The mutable record of one execution behind `Orders`: its highest revision, its first, and what it cost."""

from decimal import Decimal

import msgspec

from core.events import CommissionReported, Filled
from core.money import ZERO
from core.views import Execution


class ExecutionRecord(msgspec.Struct, gc=False):
    """What is known of one execution; `fill` is `None` while only its commission was reported.

    `first_quantity` is that of the lowest revision seen.
    """

    exec_id: str
    fill: Filled | None = None
    revision: int = -1
    first_revision: int = 1 << 31
    first_quantity: Decimal = ZERO
    charge: CommissionReported | None = None

    @property
    def quantity(self) -> Decimal:
        """The quantity in the highest revision; 0 while unknown."""
        return ZERO if self.fill is None else self.fill.quantity

    def copy(self) -> "ExecutionRecord":
        """Return an independent copy."""
        return msgspec.structs.replace(self)

    def take(self, fill: Filled, revision: int) -> bool:
        """Take a report; return whether it changed anything (a duplicate does not)."""
        changed = False
        if revision > self.revision:
            self.revision, self.fill = revision, fill
            changed = True
        if revision < self.first_revision:
            self.first_revision, self.first_quantity = revision, fill.quantity
            changed = True
        return changed

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
