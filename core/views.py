"""Protocols of what strategies, risk rules and the matching engine may read.

They are read-only: projections implement them, nobody outside a projection changes its state.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.events import (
    AtrMeasured,
    Bar,
    InstrumentDefined,
    OrderType,
    QuoteBar,
    SessionScheduled,
    Side,
    SignalReceived,
    TimeInForce,
    Trade,
)
from core.money import CONTEXT

HELD = "Held"
"""The state of an order that waits for the gate to open."""


class Order(msgspec.Struct, frozen=True, gc=False):
    """An order as it stands, folded from its events.

    `state` is one of `Intended`, `Approved`, `Refused`, `Sending`, `Sent`, `SendFailed`, `Submitted`,
    `PartiallyFilled`, `Filled`, `CancelPending`, `Cancelled`, `Rejected`, `Unknown`, `Lost`, `Held` (it
    waits for the gate to open), `Expired` (its hold ended before that).
    `exposed` is the quantity that may still fill: the larger version until a modify is acknowledged.
    """

    id: str
    account: str
    strategy: str
    instrument: str
    side: Side
    type: OrderType
    tif: TimeInForce
    version: int
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None
    state: str
    filled: Decimal
    exposed: Decimal
    reason: str
    message: str
    created_ts: int
    updated_ts: int
    trail: Decimal | None = None
    trail_pct: Decimal | None = None
    good_till: int | None = None
    outside_rth: bool = False
    parent: str = ""
    oca: str = ""

    @property
    def working(self) -> bool:
        """Whether the order may still fill."""
        return self.exposed > 0


class Position(msgspec.Struct, frozen=True, gc=False):
    """A holding; `average_cost` is per unit without multiplier, `realised` in the instrument's currency."""

    account: str
    instrument: str
    quantity: Decimal
    average_cost: Decimal
    realised: Decimal


class ClosedTrade(msgspec.Struct, frozen=True, gc=False):
    """A round trip of a strategy, from flat to flat: what it earned after commissions, and what was invested.

    `invested` is all that was entered, at its prices and with the multiplier; both are in the instrument's
    currency.
    """

    instrument: str
    closed_ts: int
    profit: Decimal
    invested: Decimal

    @property
    def result(self) -> Decimal:
        """The profit as a fraction of what was invested, which must not be 0."""
        return CONTEXT.divide(self.profit, self.invested)


class Execution(msgspec.Struct, frozen=True, gc=False):
    """One fill in its highest revision, with the commission known so far (`None` is unknown, not 0)."""

    exec_id: str
    revision: int
    ts: int
    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    commission_currency: str | None


class BookView(Protocol):
    """One instrument's prices. Unknown prices are `None`; suspicious prints never count."""

    @property
    def last(self) -> Trade | None:
        """The last trade that may be traded on."""

    @property
    def bar(self) -> Bar | None:
        """The last trade bar."""

    @property
    def quote_bar(self) -> QuoteBar | None:
        """The last quote bar."""

    @property
    def feed(self) -> str | None:
        """The feed that quoted last; `None` before any quote."""

    @property
    def halted(self) -> bool:
        """Whether trading is halted."""

    @property
    def bid(self) -> float | None:
        """The highest bid over the venues."""

    @property
    def ask(self) -> float | None:
        """The lowest ask over the venues."""

    @property
    def bid_size(self) -> float:
        """The size displayed at the best bid, summed over the venues that show it."""

    @property
    def ask_size(self) -> float:
        """The size displayed at the best ask, summed over the venues that show it."""

    @property
    def mark(self) -> float | None:
        """What to value a position at: last trade or bar close, else the middle of bid and ask."""


class QuotesView(Protocol):
    """Last prices. Unknown prices are `None`; suspicious prints never count."""

    def last_trade(self, instrument: str) -> Trade | None:
        """Return the last trade that may be traded on."""

    def bid(self, instrument: str) -> float | None:
        """Return the highest bid over the venues."""

    def ask(self, instrument: str) -> float | None:
        """Return the lowest ask over the venues."""

    def bid_size(self, instrument: str) -> float:
        """Return the size displayed at the best bid, summed over the venues that show it."""

    def ask_size(self, instrument: str) -> float:
        """Return the size displayed at the best ask, summed over the venues that show it."""

    def has_quotes(self, instrument: str) -> bool:
        """Return whether any quote was ever seen for the instrument."""

    def last_ts(self, instrument: str) -> int | None:
        """Return when the last trade or bar was (ns UTC), or `None` before any."""

    def bar(self, instrument: str) -> Bar | None:
        """Return the last trade bar."""

    def quote_bar(self, instrument: str) -> QuoteBar | None:
        """Return the last quote bar."""

    def mark(self, instrument: str) -> float | None:
        """Return what to value a position at: last trade or bar close, else the middle of bid and ask."""

    def halted(self, instrument: str) -> bool:
        """Return whether trading in the instrument is halted."""


class InstrumentsView(Protocol):
    """What is known of instruments and sessions."""

    def instrument(self, instrument: str) -> InstrumentDefined:
        """Return the definition; raises `UnknownInstrument`."""

    @property
    def definitions(self) -> Mapping[str, InstrumentDefined]:
        """The definitions by instrument: the live mapping, for those who look often."""

    def session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the session whose `begin`..`end` holds `ts`."""

    def next_session(self, exchange: str, ts: int) -> SessionScheduled | None:
        """Return the first session that opens after `ts`, or `None` if none is known."""


class SignalsView(Protocol):
    """The latest signals of each source, as received; those computed by a strategy are its own."""

    def current(self, source: str, instrument: str, ts: int) -> SignalReceived | None:
        """Return what the source says of the instrument at `ts`; `None` if nothing, or nothing any more."""

    def expired(self, source: str, instrument: str, ts: int) -> bool:
        """Return whether the source said something of the instrument that no longer holds at `ts`."""

    def sources(self, instrument: str) -> Sequence[str]:
        """Return the sources that ever said something of the instrument, sorted."""


class OrdersView(Protocol):
    """Orders by id; an order is a list of versions, of which the latest is shown."""

    def get(self, order: str) -> Order | None:
        """Return the order, or `None` if the id is unknown."""

    def working(self, strategy: str | None = None, instrument: str | None = None) -> Sequence[Order]:
        """Return the orders that may still fill, oldest first."""

    def held(self) -> Sequence[tuple[Order, int]]:
        """Return the orders of which something is held, and which version, oldest order first."""

    def last_version(self, order: str) -> int:
        """Return the highest number of an order's versions, refused ones included; 1 if it is unknown."""

    def was_filled(self, order: str, before: int) -> bool:
        """Return whether an order had filled whole, as it was before its version `before`."""


class PositionsView(Protocol):
    """Positions per account and instrument, with a sub-ledger per strategy that sums to them."""

    def quantity(self, instrument: str, strategy: str | None = None, account: str | None = None) -> Decimal:
        """Return the signed quantity held; of one strategy, in one account if given."""

    def position(self, account: str, instrument: str, strategy: str | None = None) -> Position:
        """Return the position; flat if there never was one."""

    def open_positions(self) -> Sequence[Position]:
        """Return the account-level positions whose quantity is not zero, sorted by account and instrument."""

    def closed_trades(self, account: str, strategy: str, last: int) -> Sequence[ClosedTrade]:
        """Return the strategy's latest round trips, at most `last`, in the order in which they closed."""


class DecidedView(Protocol):
    """What was decided last, by strategy and instrument."""

    def stance(self, strategy: str, instrument: str) -> str:
        """Return the stance of the last composite that was recorded; `hold` before any."""

    def resized_ts(self, strategy: str, instrument: str) -> int | None:
        """Return when a holding was last resized (ns UTC); `None` if it never was."""

    def atr(self, account: str, strategy: str, instrument: str) -> AtrMeasured | None:
        """Return the range that the exits of a holding were last measured by, or `None`."""


class RangesView(Protocol):
    """Average true ranges of instruments, as far as they are known."""

    @property
    def length(self) -> int:
        """Return how many bars make a range."""

    def bars(self, instrument: str) -> int:
        """Return how many bars are complete."""

    def atr(self, instrument: str) -> float | None:
        """Return the range; `None` while there are too few bars for one."""


class GateView(Protocol):
    """Whether orders may leave at all: connection, reconciliation, halts, state of the data."""

    def closed(self, instrument: str) -> str | None:
        """Return why no order in the instrument may leave, or `None`."""

    def passing(self, instrument: str) -> str | None:
        """Return what closes the gate for the moment only, or `None` if it is open or closed for good."""

    def bars(self, order: str, instrument: str) -> str | None:
        """Return why an approved order may not leave, or `None`; what closes a position may pass a halt."""

    def entries_closed(self, instrument: str) -> str | None:
        """Return why no order that adds to a position may leave, or `None`."""


class AccountView(Protocol):
    """Cash and value of one account."""

    def cash(self, account: str, currency: str) -> Decimal:
        """Return the cash balance."""

    def equity(self, account: str, currency: str) -> Decimal | None:
        """Return cash plus positions at their marks in `currency`; `None` if a rate or price is unknown."""

    def market_value(self, position: Position, currency: str) -> Decimal | None:
        """Return quantity * mark * multiplier in `currency`, or `None` if a price or rate is unknown."""

    def commissions(self, account: str, currency: str) -> Decimal:
        """Return what was paid in commissions so far."""

    def convert(self, amount: Decimal, held: str, wanted: str) -> Decimal | None:
        """Return `amount` of currency `held` in `wanted`, or `None` if no rate leads there."""
