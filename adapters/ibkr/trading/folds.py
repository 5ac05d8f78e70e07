"""What the log says, as far as the broker's book is compared with it: ports to the folds, read only."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from adapters.ibkr.trading.external import Names
from core.events import BreakFound
from core.views import AccountView, Execution, InstrumentsView, Order, PositionsView
from projections.records import Version
from projections.routes import Routes


class Book(Protocol):
    """Our orders and executions as folded."""

    def get(self, order: str) -> Order | None:
        """Return the order, or `None` if the id is unknown."""

    def working(self) -> list[Order]:
        """Return the orders that may still fill."""

    def versions(self, order: str) -> Sequence[Version]:
        """Return the versions of an order that may be at the broker."""

    def last_version(self, order: str) -> int:
        """Return the highest number that a version of an order ever had."""

    def executions(self, order: str | None = None) -> list[Execution]:
        """Return the executions of an order, or all."""


class Balances(AccountView, Protocol):
    """Cash as folded."""

    def opened(self, account: str, currency: str) -> bool:
        """Return whether a balance was ever given, which trades then move."""


class Breaks(Protocol):
    """The breaks that are open, and those that were accepted as they stand."""

    def found(self) -> list[BreakFound]:
        """Return those that are open."""

    def accepted(self) -> list[BreakFound]:
        """Return those that were accepted and may be found again, which is no news."""


class Folds(msgspec.Struct, frozen=True):
    """What the log says."""

    orders: Book
    positions: PositionsView
    account: Balances
    routes: Routes
    names: Names
    breaks: Breaks | None = None
    instruments: InstrumentsView | None = None
    zone: str = "UTC"  # of times that the broker gives without one
