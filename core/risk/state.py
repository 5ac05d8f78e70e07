"""What verdicts are a function of: the views, and an intent in the terms that rules need."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.events import ModifyIntended, OrderIntended, OrderType, Side
from core.money import ZERO
from core.order_rules import is_exit
from core.views import AccountView, InstrumentsView, Order, OrdersView, PositionsView, QuotesView


class HistoryView(Protocol):
    """What has happened so far: the day, the peak, the orders of the last minute."""

    def day_pnl(self, account: str, currency: str) -> Decimal | None:
        """Return the equity's change since the day began, deposits left out; `None` if unknown."""

    def peak_equity(self, account: str, currency: str) -> Decimal | None:
        """Return the highest equity marked, moved by deposits; `None` if unknown."""

    def intents_last_minute(self, account: str) -> int:
        """Return how many orders were intended in the minute up to the last one."""

    def recent(self, since_ts: int) -> Sequence[OrderIntended]:
        """Return the orders intended after `since_ts`, at most a minute back, the latest first."""


class Book(OrdersView, Protocol):
    """Orders, and those that count for one account: asked at every order, so nothing else is worked out."""

    def others(self, account: str, besides: str) -> Sequence[Order]:
        """Return the account's orders that may still fill, without the order `besides`, oldest first."""

    def entering(self, account: str, besides: str) -> Sequence[Order]:
        """Return of `others` those that may build up a position: no exits of brackets or of holdings."""

    def count_others(self, account: str, besides: str) -> int:
        """Return how many `others` there are."""


class Holdings(PositionsView, Protocol):
    """Positions, and what one account holds."""

    def held(self, account: str) -> Mapping[str, Decimal]:
        """Return the signed quantities that are not zero, by instrument, sorted."""


class RiskState(msgspec.Struct, frozen=True):
    """The views a verdict is a function of."""

    account: AccountView
    positions: Holdings
    orders: Book
    quotes: QuotesView
    instruments: InstrumentsView
    history: HistoryView
    currency: str


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """An intent in the terms that rules need: a new order, or a new version of one."""

    ts: int
    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    type: OrderType
    quantity: Decimal  # still to be filled
    limit: Decimal | None
    stop: Decimal | None
    outside_rth: bool
    oca: str
    exits_only: bool
    """Whether it is the exit of a bracket or of a holding, and can only reduce what that is."""
    new: OrderIntended | None
    """The intent, if it is a new order."""

    @classmethod
    def of(cls, intent: OrderIntended | ModifyIntended, orders: OrdersView) -> "Proposal":
        """Return the proposal that an intent makes; the order of a modification must be known."""
        known: OrderIntended | Order
        if isinstance(intent, OrderIntended):
            known, filled, new = intent, ZERO, intent
        else:
            order = orders.get(intent.order)
            assert order is not None, "a modification of an unknown order is refused before"
            known, filled, new = order, order.filled, None  # what is filled is part of the position
        return cls(
            intent.ts,
            intent.order,
            intent.account,
            intent.strategy,
            intent.instrument,
            known.side,
            known.type,
            intent.quantity - filled,
            intent.limit,
            intent.stop,
            known.outside_rth,
            known.oca,
            bool(known.parent) or is_exit(intent.order),
            new,
        )

    @property
    def signed(self) -> Decimal:
        """The quantity with the sign of its side."""
        return self.quantity if self.side == "BUY" else -self.quantity
