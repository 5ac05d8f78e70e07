"""What a session's desks share: the input being processed, and the views of what is known at it."""

from core.signals.composite import SignalRules
from core.sizing.rules import OwnSizer, SizingRules
from core.views import (
    AccountView,
    DecidedView,
    InstrumentsView,
    OrdersView,
    PositionsView,
    QuotesView,
    RangesView,
    SignalsView,
)


class Present:
    """The input being processed: its seq, and the time it speaks of."""

    __slots__ = ("seq", "ts")

    def __init__(self) -> None:
        self.seq = 0
        self.ts = 0


class Views:
    """The views every desk shows."""

    def __init__(
        self,
        orders: OrdersView,
        positions: PositionsView,
        accounts: AccountView,
        quotes: QuotesView,
        instruments: InstrumentsView,
        signals: SignalsView,
        decided: DecidedView,
        rules: SignalRules,
        sizing: SizingRules = SizingRules(),  # noqa: B008
        sizer: OwnSizer | None = None,
        ranges: RangesView | None = None,
    ) -> None:
        self.orders = orders
        self.positions = positions
        self.accounts = accounts
        self.quotes = quotes
        self.instruments = instruments
        self.signals = signals
        self.decided = decided
        self.rules = rules
        self.sizing = sizing
        self.sizer = sizer
        self.ranges = ranges
