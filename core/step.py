"""The step: who is seated, and which input concerns whom. Deterministic and without I/O: the loop acts.

`feed` routes an input to the strategies that it concerns, and to what asks for orders by itself: the kill
switch, the exits kept for holdings, the day's stop, retries, what is held. What they all ask for becomes
decisions in `core.deciding`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from core.agenda import Agenda
from core.day_stop import DayStop
from core.deciding import Decisions
from core.desk import StrategyDesk
from core.errors import UsageError
from core.events import (
    AccountMarked,
    BreakAccepted,
    BreakFound,
    BreakResolved,
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
    InstrumentDefined,
    LateBar,
    OrderResolved,
    OrderRetried,
    OrderStatusChanged,
    PositionAdjusted,
    ReconciliationFinished,
    SendFailed,
    SignalReceived,
    TimerFired,
    TradingResumed,
)
from core.exits.protection import Protection, Sweep
from core.halting import KillSwitch
from core.holds import HoldRule, Holds, Release
from core.order_rules import is_exit
from core.ports import Record
from core.present import Present, Views
from core.retry import Retries, RetryRule
from core.risk import RiskGate
from core.strategy import AnyStrategy, Strategy
from core.views import Order, OrdersView


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
    """The strategies of a session, and `decisions` on what they ask for."""

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
        self.seats: dict[str, Seat] = {}
        self.kill_switch: KillSwitch | None = None
        self.protection: Protection | None = None
        self.sweeps: list[Sweep] = []
        # Who hears of market data before the strategies do, by the handler that strategies have for it.
        self.watching: dict[str, Callable[[Any], None]] = {}
        self._is_open = False
        self.day_stop: DayStop | None = None
        self._views = views
        self._agenda = agenda
        self._session = session
        self._account = account
        self._currency = currency
        orders = views.orders
        holds = Holds(hold, orders, agenda, gate.passing, gate.waits)
        parts = (Retries(retry, orders), orders, self.present, account, self._tell_order)
        self.decisions = Decisions(gate, holds, *parts)
        self.requests = self.decisions.requests
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
            InstrumentDefined: self._feed_defined,
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
        self._tell_order(news.order)

    def _feed_halt(self, halt: Any) -> None:
        held = self.decisions.holds.orders()
        self._feed_gate(halt)
        if self.kill_switch is not None:  # what is held is refused by the halt: there is nothing to cancel
            self.requests += [each for each in self.kill_switch.cancels(halt) if each.order not in held]

    def _feed_gate(self, _news: Any) -> None:
        if self.decisions.holds:
            self.requests.append(Release())

    def _feed_defined(self, news: Any) -> None:
        if self.protection is not None and self._is_open:  # its prices may go in other steps now
            at = self.present.seq
            self.sweeps += [Sweep(at, name, news.instrument) for name in self.seats]

    def _feed_reopened(self, news: Any) -> None:
        self._feed_gate(news)
        self.sweep()  # exits that were refused meanwhile

    def _feed_verified(self, verified: Any) -> None:
        if self.kill_switch is not None:
            self.requests += self.kill_switch.closings(verified)

    def _feed_outcome(self, news: Any) -> None:
        order = self.orders.get(news.order)
        if order is not None and order.id.startswith(f"{order.strategy}-{self._session}-"):
            hold = (
                self.decisions.holds.unsent(news, order)
                if type(news) is SendFailed and self._is_open
                else None
            )
            if hold is not None:
                self.requests.append(hold)  # its strategy is told once that it is held
                return
            self.decisions.retries.note(news)
        self._feed_order(news)

    def _feed_compared(self, news: Any) -> None:
        for name, number, why in self.decisions.retries.due(news.ts):
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
                self.decisions.take(request, sweep.at, record)
        self.sweeps.clear()

    def _tell_order(self, order_id: str) -> None:
        if OrderStatusChanged not in self.heard:
            return
        order = self.orders.get(order_id)
        seat = self.seats.get(order.strategy) if order is not None else None
        if order is not None and seat is not None and seat.on_order is not None:
            seat.on_order(order)
