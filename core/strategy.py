"""The strategy API: what a user writes, live and in replay alike.

A strategy is told of events by handlers and asks for orders through its methods; nothing else. It
must not read a clock, a file or a random number: its state is a function of the inputs it was fed,
which is what makes a replay a proof. Views show the world as of the input being processed; a
request made in a handler shows up in them with the next input.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    TypeVar,
    Unpack,
    get_args,
    get_origin,
)

import msgspec

from core.asking import Bracket, Desk, Exits, Terms, Times
from core.clock import wall
from core.errors import UsageError
from core.events import (
    Bar,
    DataGapChanged,
    Event,
    Filled,
    FilledBar,
    FilledQuoteBar,
    MadeBar,
    MadeQuoteBar,
    Quote,
    QuoteBar,
    Side,
    SignalReceived,
    TimeInForce,
    TimerFired,
    Trade,
)
from core.money import ZERO, price
from core.requests import Defect, is_negative
from core.requests import share as share_of
from core.resolutions import resolution_of
from core.signals.composite import Composite, Reading, SignalRules
from core.sizing.methods import BeyondMargin, Holding, MarginSizing, rebalanced
from core.views import (
    InstrumentsView,
    Order,
    QuotesView,
    SignalsView,
)

Kind = Literal["trades", "quotes", "bars", "quote_bars"]
KINDS: dict[Kind, type[Event]] = {"trades": Trade, "quotes": Quote, "bars": Bar, "quote_bars": QuoteBar}


_SIZING = MarginSizing()


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of a strategy's declared parameters; `typing.Annotated` with `msgspec.Meta` sets limits."""


class Subscription(msgspec.Struct, frozen=True):
    """What a strategy wants to be told of. `None` means: every kind it has a handler for; the finest feed.

    `resolution` is one of a feed (`minute`) or any length of bars (`5m`, `1h`, `1d`): what the log does not
    hold is made from finer data. With `fill_forward`, a replay tells of missing seconds and minutes too, as
    a bar that repeats the last one and says so (`bar.filled`).
    """

    instrument: str
    kinds: tuple[Kind, ...] | None = None
    feed: str | None = None
    resolution: str | None = None
    fill_forward: bool = False

    def wants(self, event_type: type[Event]) -> bool:
        """Return whether events of a market data type are asked for."""
        return self.kinds is None or any(KINDS[kind] is event_type for kind in self.kinds)


class WarmUp(msgspec.Struct, frozen=True):
    """Past data fed before the start with orders refused: so many sessions, or events.

    Whole sessions are fed: as many as hold at least `events` market events of the subscriptions.
    """

    sessions: int = 0
    events: int = 0


P = TypeVar("P", bound=Parameters)


class Strategy(Generic[P]):
    """Base of all strategies: `class Mine(Strategy[MyParameters])`.

    Handlers that are not overridden cost nothing. Prices may be given as float or `Decimal`; a
    quantity is always positive. Every request has a `reason`, which `tape why` shows.
    """

    parameters: ClassVar[type[Parameters]] = Parameters
    warm_up: ClassVar[WarmUp] = WarmUp()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            if get_origin(base) is Strategy and isinstance(get_args(base)[0], type):
                cls.parameters = get_args(base)[0]

    def __init__(self, params: P) -> None:
        self.params = params
        self._desk: Desk | None = None

    # -- to override ---------------------------------------------------------------------------

    def subscriptions(self) -> Iterable[Subscription]:
        """Return what to be told of; by default the parameter `instrument`, if there is one.

        A parameter `resolution` then says of which bars (`"minute"`, `"5m"`); without it, the finest feed.
        """
        instrument = getattr(self.params, "instrument", None)
        resolution = getattr(self.params, "resolution", None)
        return [Subscription(instrument, resolution=resolution)] if instrument else []

    def on_start(self) -> None:
        """Handle the start of the session (warm-up data follow)."""

    def on_trade(self, trade: Trade) -> None:
        """Handle a trade print."""

    def on_quote(self, quote: Quote) -> None:
        """Handle a quote update of one venue; `self.quotes` has the best over all venues."""

    def on_bar(self, bar: Bar) -> None:
        """Handle a bar that has just closed."""

    def on_quote_bar(self, bar: QuoteBar) -> None:
        """Handle a bar of bids and asks that has just closed."""

    def on_gap(self, gap: DataGapChanged) -> None:
        """Handle what a live session could not hear of an instrument: found, filled with late bars, failed.

        Bars that were missed are told to `on_bar` before `filled`, with `bar.late` set.
        """

    def on_signal(self, signal: SignalReceived) -> None:
        """Handle a signal for a subscribed instrument; `self.signals` has the latest of each source."""

    def on_timer(self, timer: TimerFired) -> None:
        """Handle a timer that came due."""

    def on_order(self, order: Order) -> None:
        """Handle news of one of the strategy's orders: acknowledged, held, refused, expired, ended."""

    def on_fill(self, fill: Filled) -> None:
        """Handle an execution of one of the strategy's orders."""

    def on_stop(self) -> None:
        """Handle the end of the session; orders are no longer taken."""

    # -- to call -------------------------------------------------------------------------------

    @property
    def desk(self) -> Desk:
        """The desk this strategy trades at; raises `UsageError` outside a session."""
        if self._desk is None:
            raise UsageError(f"{type(self).__name__} is not running: orders and views exist from on_start on")
        return self._desk

    def bind(self, desk: Desk) -> None:
        """Seat the strategy at a desk (called by the loop)."""
        self._desk = desk

    @property
    def now(self) -> int:
        """The time of the event being handled, in ns since 1970 UTC."""
        return self.desk.now

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

    def composite(self, instrument: str, computed: Mapping[str, Reading | None] | None = None) -> Composite:
        """Return the weighted composite of all sources that have a weight, now.

        `computed` has the readings that the strategy makes itself (`None`: not ready yet); all others are
        taken from `self.signals`. A changed stance or set of sources is recorded as a decision, and is the
        cause of orders in the instrument that are asked for while the same event is handled.
        """
        return self.desk.compose(instrument, computed or {})

    def size(self, instrument: str, volatility: float | None = None) -> Decimal:
        """Return how large a position is to be by `[sizing]` of the configuration; 0 where that is unknown.

        `volatility` is the instrument's own, yearly, as a fraction. What it went by is recorded, and is the
        cause of orders in the instrument that are asked for while the same event is handled.
        """
        return self.desk.size(instrument, volatility).quantity

    def resize(self, instrument: str, volatility: float | None = None) -> str:
        """Ask for what brings a holding to its size by `[sizing]`; return the order's id, empty if none is.

        Does nothing unless `resize` is on there. A holding within the band of its size stays, and one that
        was resized in this session of its exchange, and one with other orders of this strategy on their way.
        """
        return self.desk.resize(instrument, volatility)

    def stance(self, instrument: str) -> str:
        """Return the stance of the last composite that the log has: of this session, or of one before."""
        return self.desk.decided.stance(self.desk.id, instrument)

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

    def buy(
        self,
        instrument: str,
        quantity: Decimal | int,
        *,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = "DAY",
        reason: str,
        **terms: Unpack[Terms],
    ) -> str:
        """Ask to buy; return the order's id.

        Without a price at market; with `limit`, `stop` or both (stop-limit), or as `terms` say.
        """
        return self.desk.place(instrument, "BUY", quantity, limit, stop, tif, reason, terms)

    def sell(
        self,
        instrument: str,
        quantity: Decimal | int,
        *,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = "DAY",
        reason: str,
        **terms: Unpack[Terms],
    ) -> str:
        """Ask to sell; return the order's id. Prices and terms are those of `buy`."""
        return self.desk.place(instrument, "SELL", quantity, limit, stop, tif, reason, terms)

    def change(
        self,
        instrument: str,
        quantity: Decimal | int,
        *,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = "DAY",
        reason: str,
        **terms: Unpack[Terms],
    ) -> str:
        """Ask for a change of the position: buy a positive quantity, sell a negative one; return the id."""
        if is_negative(quantity):
            return self.desk.place(instrument, "SELL", -quantity, limit, stop, tif, reason, terms)
        return self.desk.place(instrument, "BUY", quantity, limit, stop, tif, reason, terms)

    def bracket(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal | int,
        *,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        tif: TimeInForce = "DAY",
        reason: str,
        **exits: Unpack[Exits],
    ) -> Bracket:
        """Ask for an entry whose exits rest at the broker: a take-profit and a fixed or trailing stop.

        The exits wait for the entry's fills and never exceed them; a fill of one reduces the other. They
        are good till cancelled. An entry without any is refused.
        """
        return self.desk.bracket(instrument, side, quantity, limit, stop, tif, reason, exits)

    def target_pct(
        self, instrument: str, share: Decimal | float, *, reason: str, sizing: MarginSizing = _SIZING
    ) -> str:
        """Ask for what brings the position to a share of equity (1 is all, -0.5 short half of it).

        Places a market order for the difference and returns its id; empty if there is none. `sizing` decides
        the quantity. What it cannot size is refused, as in `target_weights`.
        """
        placed = self.target_weights({instrument: share}, reason=reason, sizing=sizing)
        return placed[0] if placed else ""

    def target_weights(
        self, weights: Mapping[str, Decimal | float], *, reason: str, sizing: MarginSizing = _SIZING
    ) -> list[str]:
        """Ask for what brings positions to shares of equity; return the orders' ids, reductions first.

        What is not named stays. While equity or a price are unknown, and for weights beyond the leverage of
        `sizing`, an order in each instrument is refused, with the numbers, by the rule `sizing` or `margin`.
        """
        exact = dict.fromkeys(weights, ZERO)
        try:
            exact = {name: share_of(name, weight) for name, weight in weights.items()}
            holdings = {name: self._holding(name) for name in exact}
            changes = rebalanced(exact, self._known_equity(), holdings, sizing)
        except Defect as defect:
            why = (defect.why.rule, defect.why.limit, defect.why.value, str(defect))
            return [self.desk.refuse(name, reason, *why) for name in sorted(exact)]
        except BeyondMargin as error:
            why = ("margin", error.limit, error.value, str(error))
            return [self.desk.refuse(name, reason, *why) for name in sorted(exact)]
        except UsageError as error:
            why = ("sizing", "known equity and prices", "unknown", str(error))
            return [self.desk.refuse(name, reason, *why) for name in sorted(exact)]
        return [self.change(name, difference, tif="GTC", reason=reason) for name, difference in changes]

    def quantity_for(
        self, instrument: str, share: Decimal | float, *, sizing: MarginSizing = _SIZING
    ) -> Decimal:
        """Return the signed quantity that a share of equity comes to by `sizing`; asks for nothing.

        Raises `UsageError` while equity or price are unknown, and beyond the leverage of `sizing`.
        """
        try:
            wanted = share_of(instrument, share)
        except Defect as defect:
            raise UsageError(str(defect)) from defect
        return sizing.quantity(wanted, self._known_equity(), self._holding(instrument))

    def _known_equity(self) -> Decimal:
        equity = self.equity()
        if equity is None:
            raise UsageError("equity is not known: a price or an exchange rate is missing")
        return equity

    def _holding(self, instrument: str) -> Holding:
        mark = self.quotes.mark(instrument)
        if mark is None:
            raise UsageError(f"{instrument}: there is no price to size with yet")
        return Holding(self.instruments.instrument(instrument), price(mark), self.position(instrument))

    def modify(
        self,
        order: str,
        *,
        quantity: Decimal | int | None = None,
        limit: Decimal | float | None = None,
        stop: Decimal | float | None = None,
        trail: Decimal | float | None = None,
        trail_pct: Decimal | float | None = None,
        reason: str,
        **times: Unpack[Times],
    ) -> None:
        """Ask for a changed version of a working order; what is not given stays."""
        self.desk.modify(order, quantity, limit, stop, reason, trail, trail_pct, times)

    def cancel(self, order: str, *, reason: str) -> None:
        """Ask to withdraw an order."""
        self.desk.cancel(order, reason)

    def record(self, name: str, value: float) -> None:
        """Record one value of a named series; it is in the log, in SQL (`recorded`) and in reports.

        NaN and infinity, which no log takes, are refused: what is recorded then is the refusal.
        """
        self.desk.record(name, value)

    def set_timer(self, name: str, *, at: int | None = None, after_s: float | None = None) -> None:
        """Set a timer to a time (ns UTC) or to some seconds from now; the same name moves it."""
        if (at is None) == (after_s is None):
            raise UsageError(f"timer {name!r}: give either at= (ns UTC) or after_s=")
        self.desk.set_timer(name, at, after_s)

    def local_time(self, instrument: str) -> datetime:
        """Return the time of the event being handled on the clock of the instrument's exchange."""
        return wall(self.now, self.instruments.instrument(instrument).timezone)

    def clock_time(self, instrument: str, clock: str) -> int:
        """Return when it is `clock` (`"15:55"`, exchange time) on this session date, in ns UTC."""
        return self.desk.clock_time(instrument, clock)

    def set_clock_timer(self, name: str, instrument: str, clock: str) -> None:
        """Set a timer to a time of day (`"15:55"`) of the instrument's exchange on this session date."""
        self.desk.set_timer(name, self.desk.clock_time(instrument, clock))


AnyStrategy = Strategy[Any]


HANDLERS: dict[type[Event], str] = {
    Trade: "on_trade",
    Quote: "on_quote",
    Bar: "on_bar",
    QuoteBar: "on_quote_bar",
}


def handles(strategy: AnyStrategy, event_type: type[Event]) -> bool:
    """Return whether the strategy overrides the handler of a market data type."""
    name = HANDLERS[event_type]
    return getattr(type(strategy), name) is not getattr(Strategy, name)


_DERIVED: dict[type[Event], tuple[type[Event], type[Event]]] = {
    Bar: (FilledBar, MadeBar),
    QuoteBar: (FilledQuoteBar, MadeQuoteBar),
}


def derived_keys(
    event_type: type[Event], wanted: Iterable[Subscription], made: Mapping[tuple[str, str | None], str]
) -> list[tuple[type[Event], str]]:
    """Return which derived bars subscriptions to a type ask for: their types and periods, each once.

    `made` tells of which subscriptions, by instrument and resolution, bars are made, and in which feed they
    come: a live session records them as bars. Without a name they come as made bars, and no others are told.
    """
    if event_type not in _DERIVED:
        return []
    filled_type, made_type = _DERIVED[event_type]
    found: list[tuple[type[Event], str]] = []
    for subscription in wanted:
        feed = made.get((subscription.instrument, subscription.resolution))
        if feed:
            found.append((event_type, feed))
        elif feed is not None:
            found.append((made_type, resolution_of(str(subscription.resolution)).name))
        elif subscription.fill_forward:
            found.append((filled_type, ""))
    return list(dict.fromkeys(found))
