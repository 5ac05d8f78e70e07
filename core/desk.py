"""The desk a strategy trades at: turns its calls into requests that the step then settles."""

from collections.abc import Mapping
from decimal import Decimal

from core.agenda import AFTER_SCAN, Agenda
from core.clock import local
from core.errors import UsageError
from core.events import (
    CancelIntended,
    Event,
    ModifyIntended,
    OrderIntended,
    OrderType,
    Recorded,
    Side,
    TimeInForce,
    TimerFired,
)
from core.money import ZERO, money, price
from core.signals.composite import Composite, Reading, SignalRules
from core.signals.judging import Judge
from core.views import (
    AccountView,
    InstrumentsView,
    OrdersView,
    PositionsView,
    QuotesView,
    SignalsView,
)

MAX_REQUESTS_A_STEP = 1000
"""A handler that asks for more is taken for one that does not end."""


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
        rules: SignalRules,
    ) -> None:
        self.orders = orders
        self.positions = positions
        self.accounts = accounts
        self.quotes = quotes
        self.instruments = instruments
        self.signals = signals
        self.rules = rules


class StrategyDesk:
    """One strategy's desk. Ids are deterministic: strategy–session–n.

    While `is_open` is false (warm-up, after the end) orders are refused without a trace, so that a
    strategy may be fed the past without trading it again.
    """

    def __init__(
        self,
        strategy: str,
        session: int,
        account: str,
        currency: str,
        views: Views,
        present: Present,
        agenda: Agenda,
        requests: list[Event],
    ) -> None:
        self.id = strategy
        self.account = account
        self.currency = currency
        self.orders = views.orders
        self.positions = views.positions
        self.accounts = views.accounts
        self.quotes = views.quotes
        self.instruments = views.instruments
        self.signals = views.signals
        self._judge = Judge(strategy, views.rules, views.signals)
        self.is_open = False
        self._prefix = f"{strategy}-{session}-"
        self._present = present
        self._agenda = agenda
        self._requests = requests
        self._placed = 0
        self._versions: dict[str, int] = {}

    @property
    def now(self) -> int:
        """The time of the input being processed."""
        return self._present.ts

    def place(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        reason: str,
    ) -> str:
        """Request a new order."""
        if limit is not None and stop is not None:
            raise UsageError("an order has a limit or a stop price; stop-limit orders are not available yet")
        if not self.is_open:
            return ""
        kind: OrderType = "MKT" if limit is None and stop is None else "LMT" if stop is None else "STP"
        self._placed += 1
        order = f"{self._prefix}{self._placed}"
        self._request(
            OrderIntended(
                self._present.ts,
                order,
                self.account,
                self.id,
                instrument,
                side,
                money(quantity),
                kind,
                _exact(limit),
                _exact(stop),
                tif,
                reason,
            )
        )
        return order

    def modify(
        self,
        order: str,
        quantity: Decimal | None,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        reason: str,
    ) -> None:
        """Request a new version of an order; what is not given stays as it is."""
        if not self.is_open:
            return
        known = self.orders.get(order)
        version = self._versions[order] = self._versions.get(order, 1) + 1
        quantity = quantity if quantity is not None else (known.quantity if known else ZERO)
        self._request(
            ModifyIntended(
                self._present.ts,
                order,
                version,
                self.account,
                self.id,
                known.instrument if known else "",
                money(quantity),
                _exact(limit) if limit is not None else (known.limit if known else None),
                _exact(stop) if stop is not None else (known.stop if known else None),
                reason,
            )
        )

    def cancel(self, order: str, reason: str) -> None:
        """Request that an order is withdrawn."""
        if not self.is_open:
            return
        known = self.orders.get(order)
        instrument = known.instrument if known else ""
        self._request(CancelIntended(self._present.ts, order, self.account, self.id, instrument, reason))

    def record(self, name: str, value: float) -> None:
        """Record one value of a named series."""
        if self.is_open:
            self._request(Recorded(self._present.ts, self.id, name, float(value)))

    @property
    def signal_rules(self) -> SignalRules:
        """The weights of sources, their half-lives and the threshold."""
        return self._judge.rules

    def compose(self, instrument: str, computed: Mapping[str, Reading | None]) -> Composite:
        """Return the composite signal of an instrument; what changed in it is recorded."""
        now = self._present.ts
        found = self._judge.compose(instrument, computed, now)
        if self.is_open:
            for news in self._judge.news(instrument, found, now):
                self._request(news)
        return found

    def _request(self, request: Event) -> None:
        if len(self._requests) >= MAX_REQUESTS_A_STEP:
            raise UsageError(f"more than {MAX_REQUESTS_A_STEP} requests while handling one event")
        self._requests.append(request)

    def set_timer(self, name: str, due: int) -> None:
        """Set or move the timer `name`; a time that is past already is now: time never goes back."""
        self._agenda.set(
            f"timer:{self.id}:{name}",
            max(due, self._present.ts),
            lambda moment: [TimerFired(moment, self.id, name)],
            AFTER_SCAN,
        )

    def clock_time(self, instrument: str, clock: str) -> int:
        """Return when it is `clock` on the present session date of the instrument's exchange."""
        exchange = self.instruments.instrument(instrument).exchange
        session = self.instruments.session(exchange, self._present.ts)
        if session is None:
            raise UsageError(f"no session of {exchange} is known now: clock timers need one")
        return local(session.date, clock, session.timezone)


def _exact(value: Decimal | float | None) -> Decimal | None:
    if value is None:
        return None
    return money(value) if isinstance(value, Decimal) else price(value)
