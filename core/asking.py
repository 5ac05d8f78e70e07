"""What a strategy may ask of the desk that it trades at: the terms of orders, and the port itself.

The loop provides a desk (`core.desk`); a strategy reaches it by its own methods (`core.requesting`).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol, TypedDict

import msgspec

from core.errors import UsageError
from core.events import Side, TimeInForce
from core.signals.composite import Composite, Reading, SignalRules
from core.sizing.rules import Sized
from core.views import (
    AccountView,
    DecidedView,
    InstrumentsView,
    OrdersView,
    PositionsView,
    QuotesView,
    SignalsView,
)


class Times(TypedDict, total=False):
    """What else a change may change, as keywords of `modify`: how long an order is good, and in which hours.

    Only between `DAY`, `GTC` and `GTD` (with `good_till`, ns UTC) can be chosen once an order rests.
    """

    tif: TimeInForce
    good_till: int
    outside_rth: bool


class Terms(TypedDict, total=False):
    """Further terms of an order, as keywords of `buy` and `sell`.

    `trail` or `trail_pct` (a fraction: 0.02 is 2 %) makes a trailing stop, which starts at `stop` or else at
    its distance from the market. `touch` with a `limit` makes a limit-if-touched. `at_close` makes a
    market-on-close; market-on-open is `tif="OPG"`. `good_till` (ns UTC, see `clock_time`) is when a
    `tif="GTD"` ends. `outside_rth` lets it fill outside regular hours. Of the orders with one `oca` name a
    fill of one reduces the others, a complete one cancels them.
    """

    trail: Decimal | float
    trail_pct: Decimal | float
    touch: Decimal | float
    at_close: bool
    good_till: int
    outside_rth: bool
    oca: str


NO_TERMS = Terms()


class Bracket(msgspec.Struct, frozen=True):
    """The ids of a bracket's orders; an exit that was not asked for is empty."""

    entry: str
    take_profit: str = ""
    stop_loss: str = ""


class Exits(TypedDict, total=False):
    """The exits of a bracket: prices, or a trailing stop's distance instead of `stop_loss`."""

    take_profit: Decimal | float
    stop_loss: Decimal | float
    trail: Decimal | float
    trail_pct: Decimal | float


def check_terms(given: Mapping[str, object], kind: type, *others: str) -> None:
    """Raise `UsageError` for a keyword that is no term of its kind: misspelt, it would do nothing.

    `others` are the keywords beside them, which may have been meant.
    """
    wrong = sorted(given.keys() - kind.__annotations__.keys())
    if wrong:
        from difflib import get_close_matches  # noqa: PLC0415  # only for a message

        names = [*kind.__annotations__, *others]
        near = get_close_matches(wrong[0], names, n=1)
        hint = f"did you mean {near[0]}=?" if near else f"expected {', '.join(sorted(names))}"
        raise UsageError(f"{wrong[0]}=: there is no such term; {hint}")


class Desk(Protocol):
    """What stands behind a strategy's methods; the loop provides it."""

    id: str
    account: str
    orders: OrdersView
    positions: PositionsView
    accounts: AccountView
    quotes: QuotesView
    instruments: InstrumentsView
    signals: SignalsView
    decided: DecidedView
    currency: str

    @property
    def now(self) -> int:
        """The time of the input being processed."""

    def place(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal | int,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        reason: str,
        terms: Terms = NO_TERMS,
    ) -> str:
        """Ask for an order; return its id."""

    def bracket(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal | int,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        reason: str,
        exits: Exits,
    ) -> Bracket:
        """Ask for an order with exits; return the ids."""

    def modify(
        self,
        order: str,
        quantity: Decimal | int | None,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        reason: str,
        trail: Decimal | float | None = None,
        trail_pct: Decimal | float | None = None,
        times: Times | None = None,
    ) -> None:
        """Ask for a new version of an order."""

    def cancel(self, order: str, reason: str) -> None:
        """Ask for an order to be withdrawn."""

    def refuse(self, instrument: str, reason: str, rule: str, limit: str, value: str, message: str) -> str:
        """Put an order on record that could not be sized, and its refusal; return its id."""

    @property
    def signal_rules(self) -> SignalRules:
        """The weights of sources, their half-lives and the threshold."""

    def compose(self, instrument: str, computed: Mapping[str, Reading | None]) -> Composite:
        """Return the composite signal of an instrument; what changed in it is recorded."""

    def size(self, instrument: str, volatility: float | None) -> Sized:
        """Return how large a position is to be, by the configuration; it is recorded."""

    def resize(self, instrument: str, volatility: float | None) -> str:
        """Ask for what brings a holding to its size; return the order's id, empty if there is none."""

    def record(self, name: str, value: float) -> None:
        """Record one value of a named series."""

    def set_timer(self, name: str, at: int | None = None, after_s: float | None = None) -> None:
        """Set or move the timer `name`."""

    def clock_time(self, instrument: str, clock: str) -> int:
        """Return when it is `clock` on the present session date of the instrument's exchange."""
