"""Drafts: from a strategy's words to an order's terms, under an id of its own. Sends nothing.

What no event can hold is a `Defect`, or, where the caller has asked for the whole, a request that is refused.
"""

from decimal import Decimal
from typing import Any, cast, get_args

from msgspec.structs import replace

from core.asking import NO_TERMS, Bracket, Exits, Terms, Times
from core.events import CancelIntended, ModifyIntended, OrderIntended, OrderType, Side, TimeInForce
from core.money import ZERO, plain
from core.order_rules import Refusal, order_type
from core.present import Present
from core.requests import Bracketed, Defect, Malformed, amount, exact, flag, moment, shown, text
from core.views import Order, OrdersView

_SIDES: tuple[str, ...] = get_args(Side)
_TIFS: tuple[str, ...] = get_args(TimeInForce)
_BUY: Side = "BUY"
_SELL: Side = "SELL"
_DAY: TimeInForce = "DAY"
_NO_PRICES = (None, None, None, None)


class Drafts:
    """Drafts one strategy's orders, changes and cancels. Ids are deterministic: strategy–session–n.

    `requests` are those of the input at hand: a change builds on what was asked for before it.
    """

    def __init__(
        self,
        strategy: str,
        session: int,
        account: str,
        orders: OrdersView,
        present: Present,
        requests: list[Any],
    ) -> None:
        self._strategy = strategy
        self._prefix = f"{strategy}-{session}-"
        self._account = account
        self._orders = orders
        self._present = present
        self._requests = requests
        self._drafted = 0
        self._versions: dict[str, int] = {}

    def order(
        self,
        instrument: str,
        side: Side,
        quantity: Decimal | int,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        reason: str,
        terms: Terms = NO_TERMS,
    ) -> OrderIntended:
        """Return a new order; raises `Defect`, whose refusal `refused` puts under the same id."""
        self._drafted += 1
        if tif is not _DAY:  # hot: as a rule it is the very default
            _check_tif(tif)
        size = amount(quantity)
        kind: OrderType = "MKT"
        if not (limit is None and stop is None):
            kind, limit, stop = order_type(limit, stop), exact("limit", limit), exact("stop", stop)
        intent = OrderIntended(
            self._present.ts,
            f"{self._prefix}{self._drafted}",
            self._account,
            self._strategy,
            instrument,
            side,
            size,
            kind,
            limit,
            stop,
            tif,
            reason,
        )
        return self._with(intent, terms) if terms else intent

    def refused(self, instrument: str, reason: str, why: Refusal, *, fresh: bool = False) -> Malformed:
        """Return an order that is refused: the one drafted last, or a `fresh` one; its terms say nothing."""
        if fresh:
            self._drafted += 1
        order = f"{self._prefix}{self._drafted}"
        terms = (self._account, self._strategy, instrument, "BUY", ZERO, "MKT", None, None, "DAY")
        return Malformed(OrderIntended(self._present.ts, order, *terms, reason), why)  # type: ignore[arg-type]

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
    ) -> tuple[Bracketed | Malformed, Bracket]:
        """Return an entry with its exits, and their ids; or the entry, refused, where one has a defect."""
        profit, loss = exits.get("take_profit"), exits.get("stop_loss")
        trail: dict[str, Any] = {name: exits[name] for name in ("trail", "trail_pct") if name in exits}
        number = self._drafted + 1
        try:
            if profit is None and loss is None and not trail:
                message = "a bracket needs take_profit=, stop_loss=, trail= or trail_pct="
                raise Defect("bracket", "an exit", "none", message)
            exits_at = (exact("take_profit", profit), exact("stop_loss", loss))
            _check_side(side)  # which only a bracket is told: the others are named for theirs
            entry = self.order(instrument, side, quantity, limit, stop, tif, reason)
            return self._bracket(entry, *exits_at, trail)
        except Defect as defect:
            self._drafted = number
            request = self.refused(instrument, reason, defect.why)
            return request, Bracket(request.intent.order)

    def _bracket(
        self, entry: OrderIntended, profit: Decimal | None, loss: Decimal | None, trail: dict[str, Any]
    ) -> tuple[Bracketed, Bracket]:
        terms = (entry.instrument, _SELL if entry.side == _BUY else _BUY, entry.quantity)
        children: dict[str, OrderIntended] = {}
        if profit is not None:
            why = f"take-profit of {entry.order}"
            children["take_profit"] = self.order(*terms, profit, None, "GTC", why)
        if loss is not None or trail:
            why = f"stop-loss of {entry.order}"
            children["stop_loss"] = self.order(*terms, None, loss, "GTC", why, cast("Terms", trail))
        group = entry.order if len(children) > 1 else ""
        bound = [replace(child, parent=entry.order, oca=group) for child in children.values()]
        ids = {name: child.order for name, child in children.items()}
        return Bracketed(entry, tuple(bound)), Bracket(entry.order, **ids)

    def _with(self, intent: OrderIntended, terms: Terms) -> OrderIntended:
        touch, trail, share = terms.get("touch"), terms.get("trail"), terms.get("trail_pct")
        trails = trail is not None or share is not None
        at_close, group = flag("at_close", terms.get("at_close", False)), text("oca", terms.get("oca", ""))
        till = terms.get("good_till")
        if touch is not None and intent.stop is not None:
            message = "an order has a stop or a touch price, not both: both would be its trigger"
            raise Defect(
                "price", "one trigger", f"stop={plain(intent.stop)} touch={shown(touch, str)}", message
            )
        return replace(
            intent,
            type=order_type(intent.limit, intent.stop, touch=touch, trails=trails, at_close=at_close),
            stop=intent.stop if touch is None else exact("touch", touch),
            trail=exact("trail", trail),
            trail_pct=exact("trail_pct", share),
            good_till=None if till is None else moment("good_till", till),
            outside_rth=flag("outside_rth", terms.get("outside_rth", False)),
            oca=f"{self._prefix}{group}" if group else "",
        )

    def change(
        self,
        order: str,
        quantity: Decimal | int | None,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        reason: str,
        trail: Decimal | float | None,
        trail_pct: Decimal | float | None,
        times: Times,
    ) -> ModifyIntended | Malformed:
        """Return a new version of an order, refused where it has a defect; what is not given stays."""
        known = self._latest(order)
        # The broker may have made versions of its own: an order of a group is reduced by the others' fills.
        version = max(self._versions.get(order, 1), self._orders.last_version(order)) + 1
        self._versions[order] = version
        instrument = known.instrument if known else ""
        who = (self._present.ts, order, version, self._account, self._strategy, instrument)
        had = (known.limit, known.stop, known.trail, known.trail_pct) if known else _NO_PRICES
        held = known.quantity if known else ZERO
        try:
            given = (
                exact("limit", limit),
                exact("stop", stop),
                exact("trail", trail),
                exact("trail_pct", trail_pct),
            )
            size = held if quantity is None else amount(quantity)
            changed = _checked(times)
        except Defect as defect:
            as_it_was = ModifyIntended(*who, held, *had[:2], reason, *had[2:])
            return Malformed(as_it_was, defect.why)
        now = [old if new is None else new for new, old in zip(given, had, strict=True)]
        return ModifyIntended(*who, size, now[0], now[1], reason, now[2], now[3], **changed)

    def cancel(self, order: str, reason: str) -> CancelIntended:
        """Return the request to withdraw an order."""
        known = self._latest(order)
        instrument = known.instrument if known else ""
        return CancelIntended(self._present.ts, order, self._account, self._strategy, instrument, reason)

    def _latest(self, order: str) -> Order | OrderIntended | ModifyIntended | None:
        """Return the order as it was asked for last: in this handler, or before it.

        What was judged meanwhile is in the order as it stands, which a refused change has left as it was.
        """
        known = self._orders.get(order)
        for request in reversed(self._requests):
            intents = (request.entry, *request.exits) if isinstance(request, Bracketed) else (request,)
            for intent in intents:
                if isinstance(intent, OrderIntended | ModifyIntended) and intent.order == order:
                    version = intent.version if isinstance(intent, ModifyIntended) else 1
                    judged = known is not None and self._orders.last_version(order) >= version
                    return known if judged else intent
        return known


def _check_side(side: object) -> None:
    if not (isinstance(side, str) and side in _SIDES):
        raise Defect("side", "BUY or SELL", side, f"{shown(side)} is no side of an order: BUY or SELL")


def _check_tif(tif: object) -> None:
    if not (isinstance(tif, str) and tif in _TIFS):
        raise Defect("tif", ", ".join(_TIFS), tif, f"{shown(tif)} is no time in force: {', '.join(_TIFS)}")


def _checked(times: Times) -> Times:
    """Return what a change is to change of an order's times; raises `Defect` for what no event can hold."""
    found = times.copy()
    if (tif := times.get("tif")) is not None:
        _check_tif(tif)
    if (till := times.get("good_till")) is not None:
        found["good_till"] = moment("good_till", till)
    if (outside := times.get("outside_rth")) is not None:
        found["outside_rth"] = flag("outside_rth", outside)
    return found
