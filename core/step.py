"""The step: one input in, decisions out. Deterministic, without I/O; the loop does the acting.

`feed` routes an input to the strategies that it concerns; `settle` turns what they asked for into
decisions: intent, verdict, send. Every decision is recorded, and so folded, before the next request
is judged: two orders asked for in one breath cannot both use the same headroom.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from core.agenda import Agenda
from core.day_stop import DayStop
from core.desk import Present, StrategyDesk, Views
from core.effects import Effect
from core.errors import UsageError
from core.events import (
    AccountMarked,
    AtrMeasured,
    BreakAccepted,
    BreakFound,
    BreakResolved,
    CancelIntended,
    CancelSendStarted,
    CompositeSignal,
    ConnectionChanged,
    DataGapChanged,
    DataStateChanged,
    Event,
    FillCorrected,
    Filled,
    HaltChanged,
    HaltRequested,
    HaltVerified,
    HoldEnded,
    HoldOutcome,
    LateBar,
    ModifyIntended,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderSendStarted,
    OrderSized,
    OrderStatusChanged,
    PositionAdjusted,
    ReconciliationFinished,
    Recorded,
    RiskApproved,
    RiskRefused,
    SendFailed,
    SignalReceived,
    SignalSourcesChanged,
    TimerFired,
    TradingResumed,
)
from core.halting import PROFILE, Closing, KillSwitch
from core.holds import Held, Hold, HoldRule, Holds, Release, ended, fresh, intent_of, lapsed
from core.order_rules import Refusal, is_exit
from core.protection import Protection, Sweep
from core.requests import Bracketed, Malformed
from core.retry import Retries, RetryRule
from core.risk import GATE, RiskGate, no_cancel, refused
from core.strategy import AnyStrategy, Strategy
from core.views import HELD, Order, OrdersView

Record = Callable[[Event, int, int | None], int]
"""Append an output and fold it: `(event, at, cause) -> seq`."""


class Seat(msgspec.Struct, frozen=True):
    """A strategy at its desk; handlers that it does not override are `None`."""

    strategy: AnyStrategy
    desk: StrategyDesk
    on_fill: Callable[[Filled], None] | None
    on_order: Callable[[Order], None] | None
    on_signal: Callable[[SignalReceived], None] | None = None
    on_gap: Callable[[DataGapChanged], None] | None = None
    instruments: frozenset[str] = frozenset()


class Step:
    """The strategies of a session and the gate that judges what they ask for."""

    def __init__(
        self,
        gate: RiskGate,
        views: Views,
        agenda: Agenda,
        session: int,
        account: str,
        currency: str,
        retry: RetryRule = RetryRule(),  # noqa: B008
        hold: HoldRule = HoldRule(),  # noqa: B008
    ) -> None:
        self.present = Present()
        self.requests: list[Any] = []
        self.effects: list[Effect] = []
        self.seats: dict[str, Seat] = {}
        self.kill_switch: KillSwitch | None = None
        self.protection: Protection | None = None
        self.sweeps: list[Sweep] = []
        # Who hears of market data before the strategies do, by the handler that strategies have for it.
        self.watching: dict[str, Callable[[Any], None]] = {}
        self._is_open = False
        self.day_stop: DayStop | None = None
        self._gate = gate
        self._views = views
        self._agenda = agenda
        self._session = session
        self._account = account
        self._currency = currency
        self._retries = Retries(retry, views.orders)
        self._holds = Holds(hold, views.orders, agenda, gate.passing, gate.waits)
        # What orders follow from: the composites and sizes made while handling the input at hand.
        self._grounds: dict[tuple[str, str], int] = {}
        # Types of facts that some strategy has a handler for.
        self.heard: set[type[Event]] = {TimerFired, HoldEnded}
        self._routes: dict[type[Event], Callable[[Any], None]] = {
            Filled: self._feed_fill,
            TimerFired: self._feed_timer,
            OrderStatusChanged: self._feed_order,
            OrderResolved: self._feed_outcome,
            ReconciliationFinished: self._feed_compared,
            SendFailed: self._feed_outcome,
            HaltRequested: self._feed_halt,
            HaltVerified: self._feed_verified,
            SignalReceived: self._feed_signal,
            FillCorrected: self._sweep_one,
            PositionAdjusted: self._sweep_one,
            AccountMarked: self._feed_marked,
            HoldEnded: self._feed_order,
            TradingResumed: self._feed_reopened,
            BreakAccepted: self._feed_reopened,
            BreakResolved: self._feed_gate,
            BreakFound: self._feed_gate,
            ConnectionChanged: self._feed_gate,
            DataStateChanged: self._feed_gate,
            DataGapChanged: self._feed_gap,
            HaltChanged: self._feed_gate,
        }
        self._settlers: dict[type[Any], Callable[[Any, int, Record], None]] = {
            OrderIntended: self._settle_intent,
            ModifyIntended: self._settle_intent,
            CancelIntended: self._settle_cancel,
            OrderRetried: self._settle_retry,
            Recorded: self._settle_series,
            RiskRefused: self._settle_series,
            CompositeSignal: self._settle_ground,
            OrderSized: self._settle_ground,
            SignalSourcesChanged: self._settle_series,
            AtrMeasured: self._settle_series,
            Closing: self._settle_closing,
            Bracketed: self._settle_bracket,
            Malformed: self._settle_malformed,
            Hold: self._settle_hold,
            Release: self._settle_release,
        }

    @property
    def orders(self) -> OrdersView:
        """The orders as folded so far."""
        return self._views.orders

    def seat(self, strategy_id: str, strategy: AnyStrategy) -> None:
        """Give a strategy a desk; raises `UsageError` if the id is taken."""
        if strategy_id in self.seats:
            raise UsageError(f"two strategies have the id {strategy_id!r}")
        desk = StrategyDesk(
            strategy_id,
            self._session,
            self._account,
            self._currency,
            self._views,
            self.present,
            self._agenda,
            self.requests,
        )
        strategy.bind(desk)
        on_fill = strategy.on_fill if type(strategy).on_fill is not Strategy.on_fill else None
        on_order = strategy.on_order if type(strategy).on_order is not Strategy.on_order else None
        if on_fill is not None:
            self.heard.add(Filled)
        if on_order is not None:
            self.heard |= {OrderStatusChanged, SendFailed}
        on_signal = strategy.on_signal if type(strategy).on_signal is not Strategy.on_signal else None
        on_gap = strategy.on_gap if type(strategy).on_gap is not Strategy.on_gap else None
        by_name = on_signal or on_gap
        names = frozenset(s.instrument for s in strategy.subscriptions()) if by_name else frozenset[str]()
        self.seats[strategy_id] = Seat(strategy, desk, on_fill, on_order, on_signal, on_gap, names)

    def open(self, *, is_open: bool) -> None:
        """Let the desks take orders, or stop taking them."""
        self._is_open = is_open
        for seat in self.seats.values():
            seat.desk.is_open = is_open

    def feed(self, seq: int, event: Event) -> None:
        """Tell the strategies concerned of an input that is not market data."""
        route = self._routes.get(type(event))
        if route is not None:
            # Time does not go back: the broker tells of an execution later, and in whole seconds.
            self.present.seq, self.present.ts = seq, max(self.present.ts, event.ts)
            route(event)

    def _feed_fill(self, fill: Any) -> None:
        seat = self.seats.get(fill.strategy)
        if seat is not None and seat.on_fill is not None:
            seat.on_fill(fill)
        if not is_exit(fill.order) or self._exit_left(fill):
            self._sweep_one(fill)

    def _feed_timer(self, timer: Any) -> None:
        seat = self.seats.get(timer.strategy)
        if seat is not None:
            seat.strategy.on_timer(timer)

    def _feed_signal(self, signal: Any) -> None:
        for seat in self.seats.values():
            if seat.on_signal is not None and signal.instrument in seat.instruments:
                seat.on_signal(signal)

    def _feed_gap(self, gap: Any) -> None:
        for seat in self.seats.values():
            if seat.on_gap is not None and gap.instrument in seat.instruments:
                seat.on_gap(gap)

    def tell_late(self, seq: int, bar: LateBar, handler: Callable[[Any], None]) -> None:
        """Tell of a bar that was missed, as in warm-up: what is asked for meanwhile is refused.

        The time stays what it is: only the bar is of the past.
        """
        self.present.seq = seq
        was_open = self._is_open
        self.open(is_open=False)
        try:
            handler(bar)
        finally:
            self.open(is_open=was_open)

    def _feed_order(self, news: Any) -> None:
        if OrderStatusChanged in self.heard:
            self._tell_order(news.order)

    def _feed_halt(self, halt: Any) -> None:
        held = self._holds.orders()
        self._feed_gate(halt)
        if self.kill_switch is not None:  # what is held is refused by the halt: there is nothing to cancel
            self.requests += [each for each in self.kill_switch.cancels(halt) if each.order not in held]

    def _feed_gate(self, _news: Any) -> None:
        if self._holds:
            self.requests.append(Release())

    def _feed_reopened(self, news: Any) -> None:
        self._feed_gate(news)
        self.sweep()  # exits that were refused meanwhile

    def _feed_verified(self, verified: Any) -> None:
        if self.kill_switch is not None:
            self.requests += self.kill_switch.closings(verified)

    def _feed_outcome(self, news: Any) -> None:
        order = self.orders.get(news.order)
        if order is not None and order.id.startswith(f"{order.strategy}-{self._session}-"):
            hold = self._holds.unsent(news, order) if type(news) is SendFailed and self._is_open else None
            if hold is not None:
                self.requests.append(hold)  # its strategy is told once that it is held
                return
            self._retries.note(news)
        self._feed_order(news)

    def _feed_compared(self, news: Any) -> None:
        for name, number, why in self._retries.due(news.ts):
            order = self.orders.get(name)
            if order is not None and order.strategy in self.seats:
                who = (order.account, order.strategy, order.instrument)
                self.requests.append(OrderRetried(news.ts, name, number, *who, why))
        self._feed_reopened(news)

    def _feed_marked(self, mark: Any) -> None:
        if self.day_stop is not None and self._is_open:
            self.requests += self.day_stop.requests(mark)

    def protect(self, protection: Protection) -> None:
        """Keep exits for what the strategies hold."""
        self.protection = protection
        self.heard |= {Filled, FillCorrected, PositionAdjusted}

    def stop_days(self, day_stop: DayStop) -> None:
        """Close positions once a day has lost its limit."""
        self.day_stop = day_stop
        self.heard.add(AccountMarked)

    def sweep(self) -> None:
        """Ask for a look at the exits of everything that the strategies hold."""
        if self.protection is None or not self._is_open:
            return
        held = {p.instrument for p in self._views.positions.open_positions() if p.account == self._account}
        at = self.present.seq
        self.sweeps += [Sweep(at, name, instrument) for name in self.seats for instrument in sorted(held)]

    def _sweep_one(self, news: Any) -> None:
        if self.protection is not None and self._is_open and news.strategy in self.seats:
            self.sweeps.append(Sweep(self.present.seq, news.strategy, news.instrument))

    def _exit_left(self, fill: Any) -> bool:
        # A fill of one exit reduces the others at the broker. Only one that fills whole and leaves something
        # of a holding that has grown since has to be followed by others.
        if self.protection is None:
            return False
        order = self.orders.get(fill.order)
        held = self._views.positions.quantity(fill.instrument, fill.strategy, fill.account)
        return bool(held) and (order is None or not order.working)

    def settle_sweeps(self, record: Record) -> None:
        """Bring exits in line with holdings, after all that one input brought."""
        assert self.protection is not None
        for sweep in dict.fromkeys(msgspec.structs.replace(s, at=self.sweeps[-1].at) for s in self.sweeps):
            for request in self.protection.requests(sweep, self.present.ts):
                self._settlers[type(request)](request, sweep.at, record)
        self.sweeps.clear()

    def settle(self, at: int, record: Record) -> None:
        """Turn the requests made while processing the input `at` into recorded decisions and effects."""
        requests = self.requests
        for request in requests:  # it may grow: refusals may lead to further requests, which the desk limits
            self._settlers[type(request)](request, at, record)
        requests.clear()
        if self._grounds:
            self._grounds.clear()

    def _settle_ground(self, request: CompositeSignal | OrderSized, at: int, record: Record) -> None:
        key = (request.strategy, request.instrument)
        self._grounds[key] = record(request, at, self._grounds.get(key))

    def _settle_series(
        self,
        request: Recorded | RiskRefused | SignalSourcesChanged | AtrMeasured,
        at: int,
        record: Record,
    ) -> None:
        record(request, at, None)

    def _settle_intent(self, request: OrderIntended | ModifyIntended, at: int, record: Record) -> None:
        cause = None
        if self._grounds:
            cause = self._grounds.get((request.strategy, request.instrument))
        self._decide(request, record(request, at, cause), at, record)

    def _settle_malformed(self, request: Malformed, at: int, record: Record) -> None:
        """Refuse what no rule needs to be asked about."""
        seq = record(request.intent, at, None)
        record(refused(request.intent, request.why), at, seq)
        self._feed_order(request.intent)

    def _decide(self, request: OrderIntended | ModifyIntended, seq: int, at: int, record: Record) -> None:
        verdict = self._gate.judge(request)
        if type(verdict) is RiskApproved:
            self._send(request, verdict, at, record(verdict, at, seq), record)
        elif why := self._hold_why(verdict, request):
            self._hold(request, seq, why, at, record)
        else:
            record(verdict, at, seq)
            self._feed_order(request)

    def _settle_bracket(self, request: Bracketed, at: int, record: Record) -> None:
        entry, exits = request.entry, request.exits
        seq = record(entry, at, None)
        verdict = self._gate.judge_bracket(entry, exits)
        why = self._hold_why(verdict, entry)
        if why:
            self._hold(entry, seq, why, at, record)
            for intent in exits:
                self._hold(intent, record(intent, at, None), why, at, record)
            return
        self._decide_entry(entry, verdict, seq, at, record)
        for intent in exits:
            self._decide_exit(intent, verdict, record(intent, at, None), at, record)

    def _decide_entry(
        self, entry: OrderIntended, verdict: RiskApproved | RiskRefused, seq: int, at: int, record: Record
    ) -> None:
        cause = record(verdict, at, seq)
        if isinstance(verdict, RiskRefused):
            self._feed_order(entry)
        else:
            self._send(entry, verdict, at, cause, record)

    def _decide_exit(
        self, intent: OrderIntended, verdict: RiskApproved | RiskRefused, seq: int, at: int, record: Record
    ) -> None:
        """Let the exit of a bracket share the verdict on its entry."""
        if isinstance(verdict, RiskRefused):
            name = intent.parent
            why = Refusal("bracket", "an approved entry", name, f"{name} was refused")
            record(refused(intent, why), at, seq)
            self._feed_order(intent)
        else:
            approved = self._gate.approve(intent)
            self._send(intent, approved, at, record(approved, at, seq), record)

    # -- what is held --------------------------------------------------------------------------

    def _hold_why(self, verdict: RiskApproved | RiskRefused, intent: OrderIntended | ModifyIntended) -> str:
        """Return why an intent is held and not refused; empty if the verdict stands."""
        if not isinstance(verdict, RiskRefused) or verdict.rule != GATE:
            return ""
        return self._holds.why(intent)

    def _hold(
        self, intent: OrderIntended | ModifyIntended, cause: int | None, why: str, at: int, record: Record
    ) -> None:
        if isinstance(intent, ModifyIntended):
            for each in self._holds.replaced(intent):
                self._end_hold(each, "replaced", f"version {intent.version} stands for it", at, record)
        self._holds.keep(intent, record(self._holds.event(intent, self.present.ts, why), at, cause))
        self._feed_order(intent)

    def _settle_hold(self, request: Hold, at: int, record: Record) -> None:
        self._hold(request.intent, None, request.why, at, record)

    def _end_hold(self, held: Held, outcome: HoldOutcome, why: str, at: int, record: Record) -> int:
        return record(ended(held.intent, self.present.ts, outcome, why), at, held.seq)

    def _settle_release(self, _request: Release, at: int, record: Record) -> None:
        """Judge anew what the gate does not bar for the moment any more: it is sent, or refused, once."""
        for family in self._holds.ready():
            freed = [
                (fresh(each.intent, self.present.ts), self._end_hold(each, "released", "", at, record))
                for each in family
            ]
            (first, seq), *others = freed
            exits = [(i, n) for i, n in others if isinstance(i, OrderIntended) and i.parent == first.order]
            if isinstance(first, OrderIntended) and exits:
                verdict = self._gate.judge_bracket(first, [intent for intent, _ in exits])
                self._decide_entry(first, verdict, seq, at, record)
                for intent, number in exits:
                    self._decide_exit(intent, verdict, number, at, record)
            else:
                self._decide(first, seq, at, record)
            for change, number in others:
                if not isinstance(change, OrderIntended):
                    self._decide(change, number, at, record)

    def lapse(self, record: Record, why: str, *, tell: bool = True) -> None:
        """End what is held: nothing is kept for another session, nor from one that broke off."""
        at, known = self.present.seq, len(self._holds)
        for each in self._holds.all():
            self._end_hold(each, "expired", why, at, record)
            if tell:
                self._feed_order(each.intent)
        left = [] if known or self._gate.free else self.orders.held()
        for order, version in left:
            if order.account == self._account:
                record(lapsed(order, version, self.present.ts, why), at, None)
                if tell:
                    self._tell_order(order.id)

    def _settle_closing(self, request: Closing, at: int, record: Record) -> None:
        intent = request.intent
        who = (intent.account, intent.strategy, intent.instrument)
        seq = record(intent, at, None)
        verdict = RiskApproved(intent.ts, intent.order, 1, *who, PROFILE)
        self._send(intent, verdict, at, record(verdict, at, seq), record)

    def _send(
        self,
        intent: OrderIntended | ModifyIntended,
        verdict: RiskApproved,
        at: int,
        cause: int,
        record: Record,
    ) -> None:
        if type(intent) is ModifyIntended:
            self._holds.leaves(intent)
        account, strategy, instrument = intent.account, intent.strategy, intent.instrument
        send = OrderSendStarted(intent.ts, intent.order, verdict.version, account, strategy, instrument)
        self.effects.append(Effect(record(send, at, cause), intent))

    def _settle_retry(self, request: OrderRetried, at: int, record: Record) -> None:
        seq = record(request, at, None)
        order = self.orders.get(request.order)
        assert order is not None
        again = intent_of(order, request.ts)
        self._decide(again, seq, at, record)

    def _settle_cancel(self, request: CancelIntended, at: int, record: Record) -> None:
        known = self.orders.get(request.order)
        if known is None or known.strategy != request.strategy:
            record(no_cancel(request, known), at, None)
            return
        seq = record(request, at, None)
        self._retries.forget(request.order)
        if not known.working:
            return  # nothing to withdraw any more; the intent stays on record
        for each in self._holds.take(request.order):
            self._end_hold(each, "cancelled", request.reason, at, record)
            if each.intent.order != request.order:
                self._feed_order(each.intent)
        if known.state == HELD:
            self._feed_order(request)
            return
        self._holds.unwanted(request.order)
        who = (request.account, request.strategy, request.instrument)
        cancel = CancelSendStarted(request.ts, request.order, *who)
        self.effects.append(Effect(record(cancel, at, seq), request))

    def _tell_order(self, order_id: str) -> None:
        order = self.orders.get(order_id)
        seat = self.seats.get(order.strategy) if order is not None else None
        if order is not None and seat is not None and seat.on_order is not None:
            seat.on_order(order)
