"""The desk a strategy trades at: turns its calls into requests that the step then settles."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from core.agenda import AFTER_SCAN, Agenda
from core.asking import NO_TERMS, Bracket, Exits, Terms, Times
from core.clock import local
from core.drafting import Drafts
from core.errors import UsageError
from core.events import (
    Event,
    Recorded,
    RiskRefused,
    Side,
    TimeInForce,
    TimerFired,
)
from core.money import ZERO
from core.order_rules import Refusal
from core.present import Present, Views
from core.requests import (
    TEXT_MAX,
    Bracketed,
    Defect,
    Malformed,
    after,
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
from core.sizing.rules import Sized

MAX_REQUESTS_A_STEP = 1000
"""A handler that asks for more is taken for one that does not end."""


class StrategyDesk:
    """One strategy's desk.

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
        self._drafts = Drafts(strategy, session, account, views.orders, present, requests)
        self._present = present
        self._agenda = agenda
        self._requests = requests

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
        terms: Terms = NO_TERMS,
    ) -> str:
        """Request a new order."""
        if not self.is_open:
            return ""
        # hot: as a rule both are stored as they are
        if not (
            type(instrument) is str
            and type(reason) is str
            and len(instrument) + len(reason) <= TEXT_MAX
            and instrument.isascii()
            and reason.isascii()
        ):
            instrument, reason = text("instrument", instrument), words(reason)
        try:
            intent = self._drafts.order(instrument, side, quantity, limit, stop, tif, reason, terms)
        except Defect as defect:
            return self._refuse(self._drafts.refused(instrument, reason, defect.why))
        if len(self._requests) >= MAX_REQUESTS_A_STEP:  # hot: as `_request` does
            raise _endless()
        self._requests.append(intent)
        return intent.order

    def refuse(self, instrument: str, reason: str, rule: str, limit: str, value: str, message: str) -> str:
        """Put an order on record that could not be sized, and its refusal; return its id."""
        if not self.is_open:
            return ""
        why = Refusal(rule, limit, value, message)
        return self._refuse(self._drafts.refused(instrument, reason, why, fresh=True))

    def _refuse(self, request: Malformed) -> str:
        self._request(request)
        return request.intent.order

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
        if not self.is_open:
            return Bracket("")
        instrument, reason = text("instrument", instrument), words(reason)
        request, ids = self._drafts.bracket(instrument, side, quantity, limit, stop, tif, reason, exits)
        self._request(request)
        return ids

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
        self._request(
            self._drafts.change(order, quantity, limit, stop, reason, trail, trail_pct, times or {})
        )

    def cancel(self, order: str, reason: str) -> None:
        """Request that an order is withdrawn."""
        if not self.is_open:
            return
        order, reason = text("order", order), words(reason)
        self._request(self._drafts.cancel(order, reason))

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
            raise _endless()
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


def _endless() -> UsageError:
    return UsageError(f"more than {MAX_REQUESTS_A_STEP} requests while handling one event")
