"""What a strategy sees from its seat at a desk: the time, prices, signals, its own positions and orders.

Views only, as of the input being processed: nothing here asks for anything, and outside a session there is
nothing to see.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from core.asking import Desk
from core.clock import wall
from core.errors import UsageError
from core.money import ZERO, money
from core.price_steps import Rounding, steps_in
from core.requests import exact_or_nan, shown
from core.signals.composite import SignalRules
from core.views import InstrumentsView, Order, QuotesView, SignalsView


class _Unseated:
    """Stands for the desk of a strategy that has none; the one it gets takes its place."""

    def __get__(self, seat: object, owner: type) -> Desk:
        raise UsageError(f"{owner.__name__} is not running: orders and views exist from on_start on")


class Seat:
    """A strategy's place at the desk that it trades at."""

    desk: Desk = cast("Desk", _Unseated())
    """The desk this strategy trades at; raises `UsageError` outside a session."""

    def bind(self, desk: Desk) -> None:
        """Seat the strategy at a desk (called by the loop)."""
        self.desk = desk

    @property
    def now(self) -> int:
        """The time of the event being handled, in ns since 1970 UTC."""
        return self.desk.now

    def local_time(self, instrument: str) -> datetime:
        """Return the time of the event being handled on the clock of the instrument's exchange."""
        return wall(self.now, self.instruments.instrument(instrument).timezone)

    def clock_time(self, instrument: str, clock: str) -> int:
        """Return when it is `clock` (`"15:55"`, exchange time) on this session date, in ns UTC."""
        return self.desk.clock_time(instrument, clock)

    @property
    def quotes(self) -> QuotesView:
        """Last trades, best bids and asks."""
        return self.desk.quotes

    @property
    def instruments(self) -> InstrumentsView:
        """Definitions of instruments, and exchange sessions."""
        return self.desk.instruments

    @property
    def signals(self) -> SignalsView:
        """The latest signals received, by source and instrument."""
        return self.desk.signals

    @property
    def signal_rules(self) -> SignalRules:
        """The configured weights of sources, their half-lives and the threshold."""
        return self.desk.signal_rules

    def stance(self, instrument: str) -> str:
        """Return the stance of the last composite that the log has: of this session, or of one before."""
        return self.desk.decided.stance(self.desk.id, instrument)

    def tick_size(self, instrument: str, price: Decimal | float) -> Decimal:
        """Return the step between valid prices that holds at a price; at an edge, the one from there on.

        Raises `UsageError` for what is no finite number.
        """
        at = exact_or_nan("price", price)
        if at.is_nan():
            raise UsageError(f"price={shown(price)}: expected a finite number")
        return steps_in(self.instruments, instrument).at(at)

    def round_to_tick(self, instrument: str, price: Decimal | float, *, to: Rounding = "nearest") -> Decimal:
        """Return a valid price of an instrument: the `nearest`, or the next one `down` or `up`.

        Halfway between two, the nearest is the one of an even number of steps. A price above 0 becomes at
        least the lowest one there is. NaN stays what it is, so that the order it goes into is refused on
        record. It is how automatic exits are rounded, by the steps that the log knows at this moment. Raises
        `UsageError` for what is no number.
        """
        wanted = exact_or_nan("price", price)
        if wanted.is_nan():
            return wanted
        steps = steps_in(self.instruments, instrument)
        found = steps.rounded(wanted, to)
        return money(max(found, steps.lowest) if wanted > ZERO else found)

    def position(self, instrument: str) -> Decimal:
        """Return the signed quantity that this strategy holds."""
        desk = self.desk
        return desk.positions.quantity(instrument, desk.id, desk.account)

    def working_orders(self, instrument: str | None = None) -> Sequence[Order]:
        """Return this strategy's orders that may still fill, oldest first."""
        working = self.desk.orders.working(self.desk.id, instrument)
        return [order for order in working if order.account == self.desk.account]

    def order(self, order: str) -> Order | None:
        """Return an order by id."""
        return self.desk.orders.get(order)

    def cash(self) -> Decimal:
        """Return the account's cash in its base currency."""
        return self.desk.accounts.cash(self.desk.account, self.desk.currency)

    def equity(self) -> Decimal | None:
        """Return the account's equity in its base currency; `None` while a price or rate is unknown."""
        return self.desk.accounts.equity(self.desk.account, self.desk.currency)
