"""The projections of one session, wired to each other: what strategies see, what events are folded into."""

from collections.abc import Sequence

from app.plugins.sizers import load_sizer
from core.events import Entry, Event
from core.exits.ranges import TrueRanges
from core.ports import Fold
from core.present import Views
from core.risk import RiskState
from core.signals.composite import SignalRules
from core.sizing.rules import SizingRules
from projections.account import Account
from projections.base import Projection, fold
from projections.decided import Decided
from projections.gate import Gate
from projections.orders import Orders
from projections.positions import Positions
from projections.quotes import Quotes
from projections.reported import Reported
from projections.risk import Risk
from projections.routes import Routes
from projections.sessions import Sessions
from projections.signals import Signals

ORDERS_KEPT = 1_000
"""Orders at their end that a session still knows. Ten times as many cost 3 us an order: they leave the
processor's cache before they are forgotten."""
MOVEMENTS_KEPT = 500
"""Movements of a holding that are at hand; those before them are packed, at no loss."""


class World:
    """The projections of a session, wired; every definition of the log is folded at the start.

    What they keep does not grow with a session's length, but for some 20 bytes an execution; with
    `every_order`, no order that ended is forgotten.
    """

    def __init__(
        self,
        sessions: Sessions,
        definitions: Sequence[Entry],
        currency: str,
        *,
        every_order: bool = False,
    ) -> None:
        self.quotes = Quotes()
        self.orders = Orders(None if every_order else ORDERS_KEPT)
        self.positions = Positions(MOVEMENTS_KEPT)
        self.account = Account(self.quotes, self.positions, currency)
        self.risk = Risk(self.positions, self.account)
        self.sessions = sessions
        self.gate: Gate | None = None
        self.routes = Routes()
        self.reported = Reported()
        self.signals = Signals()
        self.decided = Decided()
        self._all: tuple[Projection, ...] = (
            self.quotes,
            self.orders,
            self.positions,
            self.account,
            self.risk,
            self.signals,
            self.decided,
        )
        fold(self._all, [definitions])

    def go_live(self, *, delayed_data: bool) -> Gate:
        """Put up the gate that live orders pass, and know orders by the broker's names; return the gate."""
        self.gate = Gate(delayed_data=delayed_data)
        self._all = (*self._all, self.gate, self.routes, self.reported)
        return self.gate

    def apply(self, entry: Entry) -> None:
        """Fold one entry of the log's past."""
        for projection in self._all:
            projection.apply(entry)

    @property
    def types(self) -> frozenset[type[Event]]:
        """The event types that any of the projections folds."""
        return frozenset[type[Event]]().union(*(projection.folds for projection in self._all))

    def risk_state(self, currency: str) -> RiskState:
        """Return the views that risk is worked out from, with amounts in `currency`."""
        views = (self.account, self.positions, self.orders, self.quotes, self.sessions, self.risk)
        return RiskState(*views, currency)

    def views(
        self,
        signals: SignalRules = SignalRules(),  # noqa: B008
        sizing: SizingRules = SizingRules(),  # noqa: B008
        ranges: TrueRanges | None = None,
    ) -> Views:
        """Return what strategies see; raises `UsageError` for a sizer that does not load."""
        parts = (self.orders, self.positions, self.account, self.quotes, self.sessions)
        return Views(*parts, self.signals, self.decided, signals, sizing, load_sizer(sizing), ranges)

    def folds(self) -> dict[type[Event], list[Fold]]:
        """Return the handlers by event type, in a fixed order."""
        routes: dict[type[Event], list[Fold]] = {}
        for projection in (self.sessions, *self._all):
            for event_type, handler in projection.handlers.items():
                routes.setdefault(event_type, []).append(handler)
        return routes
