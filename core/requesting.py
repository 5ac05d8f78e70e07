"""What a strategy may ask for: orders and their changes, holdings of a size, timers, series.

Each request is passed to the desk, which numbers it; whether anything comes of it the step and the risk gate
decide. What is asked for in a handler shows up in the views with the next input.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

from core.asking import Bracket, Exits, Terms, Times, check_terms
from core.errors import UsageError
from core.events import Side, TimeInForce
from core.money import ZERO, price
from core.requests import Defect, is_negative
from core.requests import share as share_of
from core.seat import Seat
from core.signals.composite import Composite, Reading
from core.sizing.methods import BeyondMargin, Holding, MarginSizing, rebalanced

_SIZING = MarginSizing()
_PRICES = ("limit", "stop", "tif")


class Requesting(Seat):
    """The requests of a strategy. Prices may be given as float or `Decimal`; a quantity is always positive.

    Every request for an order has a `reason`, which `tape why` shows.
    """

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
        if terms:
            check_terms(terms, Terms, *_PRICES)
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
        if terms:
            check_terms(terms, Terms, *_PRICES)
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
        if terms:
            check_terms(terms, Terms, *_PRICES)
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
        check_terms(exits, Exits, *_PRICES)
        return self.desk.bracket(instrument, side, quantity, limit, stop, tif, reason, exits)

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
        if times:
            check_terms(times, Times, "quantity", "limit", "stop", "trail", "trail_pct")
        self.desk.modify(order, quantity, limit, stop, reason, trail, trail_pct, times)

    def cancel(self, order: str, *, reason: str) -> None:
        """Ask to withdraw an order."""
        self.desk.cancel(order, reason)

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

    def set_clock_timer(self, name: str, instrument: str, clock: str) -> None:
        """Set a timer to a time of day (`"15:55"`) of the instrument's exchange on this session date."""
        self.desk.set_timer(name, self.desk.clock_time(instrument, clock))
