"""What else follows from a day's loss, if the configuration says so: positions are closed, not only kept.

The risk rules refuse entries from the limit on by themselves. This asks, at each equity sample beyond it, for
the cancel of entries that rest and for orders that close what strategies hold. It goes by what is folded:
what is on its way already is not asked for again.
"""

from decimal import Decimal
from typing import Protocol

from core.events import AccountMarked, CancelIntended, OrderIntended
from core.money import ZERO, money
from core.order_rules import DAY_STOP, is_exit
from core.risk.rules import day_loss
from core.views import OrdersView, Position

Request = OrderIntended | CancelIntended


class DayView(Protocol):
    """The day's result."""

    def day_pnl(self, account: str, currency: str) -> Decimal | None:
        """Return the equity's change since the day began, deposits left out; `None` if unknown."""


class Ledgers(Protocol):
    """Who holds what."""

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position (of one strategy's sub-ledger)."""

    def open_positions(self) -> list[Position]:
        """Return the account-level positions that are not flat."""

    def strategies(self, account: str, instrument: str) -> list[str]:
        """Return the strategies that ever moved this position."""


class DayStop:
    """Closes one account's positions once the day has lost `limit`, a fraction of what it began with."""

    def __init__(
        self, limit: float, day: DayView, orders: OrdersView, ledgers: Ledgers, session: int
    ) -> None:
        self._limit = Decimal(repr(limit))
        self._day = day
        self._orders = orders
        self._ledgers = ledgers
        self._session = session
        self._count = 0

    def requests(self, mark: AccountMarked) -> list[Request]:
        """Return what to cancel and close after an equity sample; nothing while the day is within limits."""
        pnl = self._day.day_pnl(mark.account, mark.currency)
        if pnl is None or mark.equity is None or day_loss(pnl, mark.equity) < self._limit:
            return []
        working = [
            order for order in self._orders.working() if order.account == mark.account and order.strategy
        ]
        asked: list[Request] = [
            CancelIntended(mark.ts, o.id, o.account, o.strategy, o.instrument, "the day's loss limit")
            for o in working
            if o.state != "CancelPending" and not (is_exit(o.id) or o.parent or o.id.startswith(DAY_STOP))
        ]
        closing = {(o.strategy, o.instrument) for o in working if o.id.startswith(DAY_STOP)}
        for held in self._ledgers.open_positions():
            if held.account == mark.account:
                for strategy in self._ledgers.strategies(held.account, held.instrument):
                    if strategy and (strategy, held.instrument) not in closing:
                        asked += self._closing(held, strategy, mark.ts)
        return asked

    def _closing(self, held: Position, strategy: str, ts: int) -> list[OrderIntended]:
        quantity = self._ledgers.position(held.account, held.instrument, strategy).quantity
        if quantity == ZERO:
            return []
        self._count += 1
        return [
            OrderIntended(
                ts,
                f"{DAY_STOP}{strategy}-{self._session}-{self._count}",
                held.account,
                strategy,
                held.instrument,
                "SELL" if quantity > ZERO else "BUY",
                money(quantity.copy_abs()),
                "MKT",
                None,
                None,
                "DAY",
                f"the day has lost {self._limit:.2%}: positions are closed",
            )
        ]
