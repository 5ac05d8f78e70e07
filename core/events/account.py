"""Cash and positions that change without one of our orders, and what the broker reports of them."""

from decimal import Decimal

from core.events.base import Event, event


@event("cash_adjusted", "operator")
class CashAdjusted(Event, frozen=True, gc=False):
    """Cash came in (positive) or went out: a deposit, a dividend, a simulation's starting cash."""

    account: str
    currency: str
    amount: Decimal
    reason: str


@event("position_adjusted", "operator")
class PositionAdjusted(Event, frozen=True, gc=False):
    """The operator sets a position to `quantity` at `price`; the difference has no cash effect."""

    account: str
    strategy: str
    instrument: str
    quantity: Decimal
    price: Decimal
    reason: str


@event("position_reported", "broker")
class PositionReported(Event, frozen=True, gc=False):
    """A position as the broker sees it: evidence for reconciliation, never a source of positions.

    `average_cost` is the broker's, which includes the multiplier.
    """

    account: str
    instrument: str
    quantity: Decimal
    average_cost: Decimal


@event("account_reported", "broker")
class AccountReported(Event, frozen=True, gc=False):
    """One account value as the broker sees it, such as `NetLiquidation`."""

    account: str
    key: str
    currency: str
    value: str


@event("account_marked", "storage")
class AccountMarked(Event, frozen=True, gc=False):
    """Equity sampled while a run goes on (each minute of event time and at each end of session).

    `equity` is `None` while a needed exchange rate or price is missing; it is never guessed.
    """

    account: str
    currency: str
    equity: Decimal | None
    cash: Decimal
