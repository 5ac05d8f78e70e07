"""Market data and what is needed to read it: feeds, instruments, sessions.

Prices are float64 as received. Bodies are stored as arrays, so fields may only be added at the end.
"""

from decimal import Decimal
from typing import ClassVar

from core.events.base import Event, event


@event("feed", "market")
class FeedDefined(Event, frozen=True, gc=False):
    """A stream of market data: where it comes from and what its events mean.

    `resolution` is one of `tick`, `second`, `minute`, `hour`, `daily`. A consolidated feed has one
    venue; otherwise each quote speaks for its venue only. `adjusted` tells split-adjusted prices.
    """

    feed: str
    source: str
    resolution: str
    consolidated: bool
    adjusted: bool = False
    description: str = ""


@event("instrument", "market")
class InstrumentDefined(Event, frozen=True, gc=False):
    """A tradable thing under its readable id (`SPY`, `ES-202612`, `AAPL-20261218-C-250`).

    `kind` is IB's security type: `STK`, `FUT`, `OPT`, `CASH`, `IND`. Cash moves by price × quantity
    × `multiplier`, except for `FUT`, where only realised P&L and commission move it.

    `tick_size` is the smallest step of its prices. Where the step grows with the price, `price_steps` has all
    of them, `EDGE:STEP` each: with `0:0.05,3:0.1` prices go by 0.05 below 3 and by 0.10 from there on. Empty
    means that `tick_size` is the only one.
    """

    instrument: str
    symbol: str
    kind: str
    exchange: str
    currency: str
    multiplier: Decimal
    tick_size: Decimal
    timezone: str
    con_id: int | None = None
    expiry: str | None = None
    strike: Decimal | None = None
    right: str | None = None
    description: str = ""
    price_steps: str = ""


@event("session", "market")
class SessionScheduled(Event, frozen=True, gc=False):
    """One trading day of an exchange: regular hours `open`..`close`, all data `begin`..`end` (ns UTC).

    `date` is the exchange's session date (`2025-07-02`). `ts` equals `begin`.
    """

    exchange: str
    date: str
    timezone: str
    begin: int
    open: int
    close: int
    end: int


@event("halt", "market")
class HaltChanged(Event, frozen=True, gc=False):
    """Trading in an instrument was halted or resumed by its venue."""

    feed: str
    instrument: str
    halted: bool
    reason: str = ""


@event("fx", "market")
class FxRateReported(Event, frozen=True, gc=False):
    """One unit of `base` is worth `rate` units of `quote`."""

    base: str
    quote: str
    rate: Decimal


@event("corporate_action", "market")
class CorporateAction(Event, frozen=True, gc=False):
    """A split, a cash dividend, both or neither: one row of what a source says of a price history.

    It takes effect with the session of `date` (`ts` is the midnight before it): `ratio` shares for each one
    held before (1 is no split), and `dividend` in cash for each share held before the split.
    `reference_price` is the last price before it. `price_factor` (dividends) and `split_factor` are what
    prices before `date`, and after the action before, are multiplied by to compare with today's: cumulative,
    as the source gives them, or empty.
    """

    feed: str
    instrument: str
    date: str
    ratio: Decimal
    dividend: Decimal
    currency: str
    reference_price: float | None = None
    price_factor: float | None = None
    split_factor: float | None = None


@event("trade", "market")
class Trade(Event, frozen=True, gc=False, array_like=True):
    """A trade print. A `suspicious` print is recorded and shown, never traded on."""

    feed: str
    instrument: str
    price: float
    size: float
    venue: str = ""
    conditions: str = ""
    suspicious: bool = False


@event("quote", "market")
class Quote(Event, frozen=True, gc=False, array_like=True):
    """An update of the bid, the ask or both at one venue.

    A side that is `None` is not part of the update and keeps its last value; a size of 0 clears it.
    """

    feed: str
    instrument: str
    bid: float | None
    bid_size: float | None
    ask: float | None
    ask_size: float | None
    venue: str = ""
    conditions: str = ""
    suspicious: bool = False


@event("bar", "market")
class Bar(Event, frozen=True, gc=False, array_like=True):
    """Trades between `start` and `ts` (its end), in one open-high-low-close bar."""

    start: int
    feed: str
    instrument: str
    open: float
    high: float
    low: float
    close: float
    volume: float

    filled: ClassVar[bool] = False
    """Whether this only repeats the last real bar, because there was none: see `FilledBar`."""
    late: ClassVar[bool] = False
    """Whether this was missed when it was over, and comes from the broker's history: see `LateBar`."""


@event("quote_bar", "market")
class QuoteBar(Event, frozen=True, gc=False, array_like=True):
    """Bids and asks between `start` and `ts` (its end); sizes are those at the close.

    A side that had no quote in the bar is `None` throughout.
    """

    start: int
    feed: str
    instrument: str
    bid_open: float | None
    bid_high: float | None
    bid_low: float | None
    bid_close: float | None
    bid_size: float | None
    ask_open: float | None
    ask_high: float | None
    ask_low: float | None
    ask_close: float | None
    ask_size: float | None

    filled: ClassVar[bool] = False
    """Whether this only repeats the last real bar: see `FilledQuoteBar`."""


class FilledBar(Bar, frozen=True, gc=False, array_like=True):
    """A bar that is missing, filled forward: the prices of the last real one, which was told before.

    A replay makes it for strategies that ask for it. It is not stored, and nothing is matched with it.
    """

    filled: ClassVar[bool] = True


class FilledQuoteBar(QuoteBar, frozen=True, gc=False, array_like=True):
    """A quote bar that is missing, filled forward like a `FilledBar`."""

    filled: ClassVar[bool] = True


class MadeBar(Bar, frozen=True, gc=False, array_like=True):
    """A bar made from finer data (`core.consolidating`) for strategies that ask for its `period` (`5m`).

    A replay makes it and does not store it. Prices and matching know the finer data already.
    """

    period: str = ""


class LateBar(Bar, frozen=True, gc=False, array_like=True):
    """A bar that a live session missed, told as soon as it is known; a request for an order is refused.

    Stored as `late_bar`: prices and matching do not follow from it.
    """

    late: ClassVar[bool] = True


class MadeQuoteBar(QuoteBar, frozen=True, gc=False, array_like=True):
    """A quote bar made from finer data, like a `MadeBar`."""

    period: str = ""
