"""The desk a strategy trades at: turns its calls into requests that the step then settles."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast, get_args

from msgspec.structs import replace

from core.agenda import AFTER_SCAN, Agenda
from core.asking import Bracket, Exits, Terms, Times
from core.clock import local
from core.errors import UsageError
from core.events import (
    CancelIntended,
    Event,
    ModifyIntended,
    OrderIntended,
    Recorded,
    RiskRefused,
    Side,
    TimeInForce,
    TimerFired,
)
from core.money import ZERO, plain
from core.order_rules import Refusal, order_type
from core.requests import (
    Bracketed,
    Defect,
    Malformed,
    after,
    amount,
    exact,
    flag,
    known,
    moment,
    recordable,
    shown,
    text,
    words,
)
from core.signals.composite import Composite, Reading, SignalRules
from core.signals.judging import Judge
from core.sizing.desk import SizingDesk, SizingViews
from core.sizing.rules import OwnSizer, Sized, SizingRules
from core.views import (
    AccountView,
    DecidedView,
    InstrumentsView,
    Order,
    OrdersView,
    PositionsView,
    QuotesView,
    RangesView,
    SignalsView,
)

_NO_TERMS = Terms()
_SIDES: tuple[str, ...] = get_args(Side)
_TIFS: tuple[str, ...] = get_args(TimeInForce)
_BUY: Side = "BUY"
_SELL: Side = "SELL"
_DAY: TimeInForce = "DAY"
_NO_PRICES = (None, None, None, None)

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
        requests: list[Any],
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
        self.decided = views.decided
        self._judge = Judge(strategy, views.rules, views.signals, views.decided)
        parts = (
            views.orders,
            views.positions,
            views.accounts,
            views.quotes,
            views.instruments,
            views.decided,
            views.ranges,
        )
        self._sizing = SizingDesk(strategy, account, currency, SizingViews(*parts), views.sizing, views.sizer)
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
        quantity: Decimal | int,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: TimeInForce,
        reason: str,
        terms: Terms | None = None,
    ) -> str:
        """Request a new order."""
        if not self.is_open:
            return ""
        instrument, reason = text("instrument", instrument), words(reason)
        try:
            intent = self._intent(instrument, side, quantity, limit, stop, tif, reason, terms or _NO_TERMS)
        except Defect as defect:
            return self._refused(instrument, reason, defect.why)
        self._request(intent)
        return intent.order

    def refuse(self, instrument: str, reason: str, rule: str, limit: str, value: str, message: str) -> str:
        """Put an order on record that could not be sized, and its refusal; return its id."""
        if not self.is_open:
            return ""
        self._placed += 1
        return self._refused(instrument, reason, Refusal(rule, limit, value, message))

    def _refused(self, instrument: str, reason: str, why: Refusal) -> str:
        order = f"{self._prefix}{self._placed}"
        terms = (self.account, self.id, instrument, "BUY", ZERO, "MKT", None, None, "DAY")
        self._request(Malformed(OrderIntended(self._present.ts, order, *terms, reason), why))  # type: ignore[arg-type]
        return order

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
        """Request an entry and its exits, which are judged and sent as one."""
        profit, loss = exits.get("take_profit"), exits.get("stop_loss")
        trail: dict[str, Any] = {name: exits[name] for name in ("trail", "trail_pct") if name in exits}
        if not self.is_open:
            return Bracket("")
        instrument, reason = text("instrument", instrument), words(reason)
        if profit is None and loss is None and not trail:
            message = "a bracket needs take_profit=, stop_loss=, trail= or trail_pct="
            return Bracket(self.refuse(instrument, reason, "bracket", "an exit", "none", message))
        entry = self._placed + 1
        try:
            exits_at = (exact("take_profit", profit), exact("stop_loss", loss))
            intent = self._intent(instrument, side, quantity, limit, stop, tif, reason, _NO_TERMS)
            return self._bracket(intent, *exits_at, trail)
        except Defect as defect:
            self._placed = entry
            return Bracket(self._refused(instrument, reason, defect.why))

    def _bracket(
        self, entry: OrderIntended, profit: Decimal | None, loss: Decimal | None, trail: dict[str, Any]
    ) -> Bracket:
        terms = (entry.instrument, "SELL" if entry.side == "BUY" else "BUY", entry.quantity)
        children: dict[str, OrderIntended] = {}
        if profit is not None:
            why = f"take-profit of {entry.order}"
            children["take_profit"] = self._intent(*terms, profit, None, "GTC", why, _NO_TERMS)
        if loss is not None or trail:
            why = f"stop-loss of {entry.order}"
            children["stop_loss"] = self._intent(*terms, None, loss, "GTC", why, cast("Terms", trail))
        group = entry.order if len(children) > 1 else ""
        bound = [replace(child, parent=entry.order, oca=group) for child in children.values()]
        self._request(Bracketed(entry, tuple(bound)))
        return Bracket(entry.order, **{name: child.order for name, child in children.items()})

    def _intent(
        self,
        instrument: str,
        side: Any,
        quantity: Decimal | int,
        limit: Decimal | float | None,
        stop: Decimal | float | None,
        tif: Any,
        reason: str,
        terms: Terms,
    ) -> OrderIntended:
        self._placed += 1
        if side is not _BUY and side is not _SELL:  # hot: as a rule it is one of these very words
            _check_side(side)
        if tif is not _DAY:  # hot: as a rule it is the very default
            _check_tif(tif)
        intent = OrderIntended(
            self._present.ts,
            f"{self._prefix}{self._placed}",
            self.account,
            self.id,
            instrument,
            side,
            amount(quantity),
            "MKT" if limit is stop is None else order_type(limit, stop),
            None if limit is None else exact("limit", limit),
            None if stop is None else exact("stop", stop),
            tif,
            reason,
        )
        return self._with(intent, terms) if terms else intent

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
        """Request a new version of an order; what is not given stays as it is."""
        if not self.is_open:
            return
        order, reason = text("order", order), words(reason)
        known = self._latest(order)
        # The broker may have made versions of its own: an order of a group is reduced by the others' fills.
        version = max(self._versions.get(order, 1), self.orders.last_version(order)) + 1
        self._versions[order] = version
        instrument = known.instrument if known else ""
        who = (self._present.ts, order, version, self.account, self.id, instrument)
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
            changed = _checked(times or {})
        except Defect as defect:
            as_it_was = ModifyIntended(*who, held, *had[:2], reason, *had[2:])
            self._request(Malformed(as_it_was, defect.why))
            return
        now = [old if new is None else new for new, old in zip(given, had, strict=True)]
        self._request(ModifyIntended(*who, size, now[0], now[1], reason, now[2], now[3], **changed))

    def cancel(self, order: str, reason: str) -> None:
        """Request that an order is withdrawn."""
        if not self.is_open:
            return
        order, reason = text("order", order), words(reason)
        known = self._latest(order)
        instrument = known.instrument if known else ""
        self._request(CancelIntended(self._present.ts, order, self.account, self.id, instrument, reason))

    def _latest(self, order: str) -> Order | OrderIntended | ModifyIntended | None:
        """Return the order as it was asked for last: in this handler, or before it.

        What was judged meanwhile is in the order as it stands, which a refused change has left as it was.
        """
        known = self.orders.get(order)
        for request in reversed(self._requests):
            intents = (request.entry, *request.exits) if isinstance(request, Bracketed) else (request,)
            for intent in intents:
                if isinstance(intent, OrderIntended | ModifyIntended) and intent.order == order:
                    version = intent.version if isinstance(intent, ModifyIntended) else 1
                    judged = known is not None and self.orders.last_version(order) >= version
                    return known if judged else intent
        return known

    def record(self, name: str, value: float) -> None:
        """Record one value of a named series; of what is no finite number, the refusal."""
        if not self.is_open:
            return
        name = text("name", name)
        try:
            self._request(Recorded(self._present.ts, self.id, name, recordable(name, value)))
        except Defect as defect:
            self._decline(defect.why)

    def _decline(self, why: Refusal) -> None:
        """Put the refusal of what is no order on record: it is of version 0, as of a cancel of nothing."""
        terms = (why.rule, why.limit, why.value, why.message)
        self._request(RiskRefused(self._present.ts, "", 0, self.account, self.id, "", *terms))

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

    def size(self, instrument: str, volatility: float | None) -> Sized:
        """Return how large a position is to be, by the configuration; it is recorded."""
        volatility = known("volatility", volatility)
        found, decision = self._sizing.size(instrument, volatility, self._present.ts)
        if self.is_open:
            self._request(decision)
        return found

    def resize(self, instrument: str, volatility: float | None) -> str:
        """Ask for what brings a holding to its size; return the order's id, empty if there is none."""
        if not self.is_open:
            return ""
        found = self._sizing.resize(instrument, known("volatility", volatility), self._present.ts)
        if found is None:
            return ""
        self._request(found.decision)
        if not found.quantity:
            return ""
        side: Side = "BUY" if found.quantity > ZERO else "SELL"
        return self.place(
            instrument, side, found.quantity.copy_abs(), None, None, "DAY", f"resize: {found.reason}"
        )

    def _request(self, request: Event | Bracketed | Malformed) -> None:
        if len(self._requests) >= MAX_REQUESTS_A_STEP:
            raise UsageError(f"more than {MAX_REQUESTS_A_STEP} requests while handling one event")
        self._requests.append(request)

    def set_timer(self, name: str, at: int | None = None, after_s: float | None = None) -> None:
        """Set or move the timer `name`; a time that is past already is now: time never goes back.

        A time that no clock will ever show is refused, which is recorded, and the timer stays as it was.
        """
        name = text("name", name)
        try:
            due = (
                after("after_s", self._present.ts, 0 if after_s is None else after_s)
                if at is None
                else moment("at", at)
            )
        except Defect as defect:
            if self.is_open:
                self._decline(replace(defect.why, message=f"timer {shown(name)}: {defect.why.message}"))
            return
        self._agenda.set(
            f"timer:{self.id}:{name}",
            max(due, self._present.ts),
            lambda moment: [TimerFired(moment, self.id, name)],
            AFTER_SCAN,
        )

    def clock_time(self, instrument: str, clock: str) -> int:
        """Return when it is `clock` on the present session date of the instrument's exchange."""
        instrument, clock = text("instrument", instrument), text("clock", clock)
        exchange = self.instruments.instrument(instrument).exchange
        session = self.instruments.session(exchange, self._present.ts)
        if session is None:
            raise UsageError(f"no session of {exchange} is known now: clock timers need one")
        return local(session.date, clock, session.timezone)


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
