"""One strategy's sizes: the facts from the views, the size by the rules, the event that records both.

Whether a holding was resized in a session already is looked up in what is folded, so a restart does not
resize it again.
"""

from decimal import Decimal

import msgspec

from core.clock import DAY_NS
from core.events import OrderSized, SizingPurpose
from core.money import ZERO, money, price
from core.order_rules import is_exit
from core.sizing.rules import OwnSizer, Sized, SizingFacts, SizingRules, resized, sized
from core.views import (
    AccountView,
    DecidedView,
    InstrumentsView,
    OrdersView,
    PositionsView,
    QuotesView,
    RangesView,
)

_ENCODER = msgspec.json.Encoder(order="deterministic")


class SizingViews(msgspec.Struct, frozen=True):
    """The views that sizing reads."""

    orders: OrdersView
    positions: PositionsView
    accounts: AccountView
    quotes: QuotesView
    instruments: InstrumentsView
    decided: DecidedView
    ranges: RangesView | None = None


class Resize(msgspec.Struct, frozen=True):
    """What to trade, signed, to bring a holding to its size; why; and the decision to be recorded.

    A quantity of 0 says that the strategy's own sizer failed, which is recorded and trades nothing.
    """

    quantity: Decimal
    reason: str
    decision: OrderSized


class SizingDesk:
    """Sizes the entries and holdings of one strategy in one account."""

    def __init__(
        self,
        strategy: str,
        account: str,
        currency: str,
        views: SizingViews,
        rules: SizingRules,
        own: OwnSizer | None,
    ) -> None:
        self._strategy = strategy
        self._account = account
        self._currency = currency
        self._views = views
        self._rules = rules
        self._own = own
        self._asked: dict[str, int] = {}  # resizings of this handler: they are folded after it
        self._failures: dict[str, tuple[int, str]] = {}  # of the own sizer: the session's begin and the words

    def size(self, instrument: str, volatility: float | None, now: int) -> tuple[Sized, OrderSized]:
        """Return how large a position is to be, and the decision to be recorded."""
        held = self._views.positions.quantity(instrument, self._strategy, self._account)
        found = sized(self._rules, self._facts(instrument, volatility, held), self._own)
        return found, self._decision(instrument, found, now, "entry", found.reason)

    def resize(self, instrument: str, volatility: float | None, now: int) -> Resize | None:
        """Return what brings a holding to its size; `None` if it is near enough, or had its turn.

        A holding has one turn in a session of its exchange, and none while orders of the strategy's own are
        on their way: those may change it yet. An own sizer that fails does not use up the turn; that it did
        is told once a session, and again if it fails in another way.
        """
        if self._rules.resize_band is None:
            return None
        held = self._views.positions.quantity(instrument, self._strategy, self._account)
        if not held or self._had_its_turn(instrument, now) or self._on_the_way(instrument):
            return None
        found = sized(self._rules, self._facts(instrument, volatility, held), self._own)
        quantity, why = resized(self._rules, held, found)
        if not quantity:
            return self._failed(instrument, found, now)
        self._asked[instrument] = now
        return Resize(quantity, why, self._decision(instrument, found, now, "resize", why))

    def _failed(self, instrument: str, found: Sized, now: int) -> Resize | None:
        """Return what records that the own sizer gave no size, unless it is recorded already."""
        if self._rules.own is None or not found.capped_by or found.wanted or found.quantity:
            return None
        failure = (self._session_began(instrument, now), found.capped_by)
        if self._failures.get(instrument) == failure:
            return None
        self._failures[instrument] = failure
        return Resize(ZERO, "", self._decision(instrument, found, now, "resize", ""))

    def _had_its_turn(self, instrument: str, now: int) -> bool:
        folded = self._views.decided.resized_ts(self._strategy, instrument)
        last = max(folded or 0, self._asked.get(instrument, 0))
        return bool(last) and last >= self._session_began(instrument, now)

    def _session_began(self, instrument: str, now: int) -> int:
        instruments = self._views.instruments
        session = instruments.session(instruments.instrument(instrument).exchange, now)
        return now - now % DAY_NS if session is None else session.begin

    def _on_the_way(self, instrument: str) -> bool:
        working = self._views.orders.working(self._strategy, instrument)
        return any(order.account == self._account and not is_exit(order.id) for order in working)

    def _facts(self, instrument: str, volatility: float | None, held: Decimal) -> SizingFacts:
        views, account = self._views, self._account
        mark = views.quotes.mark(instrument)
        return SizingFacts(
            views.accounts.equity(account, self._currency),
            None if mark is None else self._unit(instrument, mark),
            volatility,
            lambda last: views.positions.closed_trades(account, self._strategy, last),
            self._strategy,
            instrument,
            mark,
            held,
            atr=None if views.ranges is None else views.ranges.atr(instrument),
        )

    def _unit(self, instrument: str, mark: float) -> Decimal | None:
        """Return what one unit is worth in the account's currency; `None` without a rate."""
        definition = self._views.instruments.instrument(instrument)
        worth = price(mark) * definition.multiplier
        return self._views.accounts.convert(worth, definition.currency, self._currency)

    def _decision(
        self, instrument: str, found: Sized, now: int, purpose: SizingPurpose, reason: str
    ) -> OrderSized:
        amounts: tuple[Decimal, Decimal, str] = (money(found.wanted), money(found.quantity), found.capped_by)
        inputs = found.inputs
        if purpose == "resize":
            held = self._views.positions.quantity(instrument, self._strategy, self._account)
            inputs = inputs | {"held": str(held or ZERO), "resize_band": str(self._rules.resize_band)}
        text = _ENCODER.encode(inputs).decode()
        method = self._rules.method
        who = (self._strategy, instrument, method)
        return OrderSized(now, *who, *amounts, text, purpose=purpose, reason=reason)
