"""Automatic exits: for each holding of a strategy a stop and a target that rest at the broker.

They are orders of the strategy's own, decided from fills and what is folded, never from memory: after a
restart the log says which exits there are. A sweep compares a holding with its exits and asks for what is
missing, resized or over; done again it asks for nothing. What a strategy's own stops cover is left to them.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from core.events import AtrMeasured, CancelIntended, ModifyIntended, OrderIntended, OrderType, Side
from core.exits.rules import Distance, ExitRules
from core.money import CONTEXT, ZERO, money, plain, price
from core.order_rules import EXIT_PREFIX, STOPS, is_exit
from core.price_steps import PriceSteps, steps_in
from core.views import DecidedView, InstrumentsView, Order, OrdersView, Position, PositionsView, RangesView

Request = OrderIntended | ModifyIntended | CancelIntended | AtrMeasured

CHANGE_TRIES = 3
"""How often one and the same change is asked of an exit while the broker refuses it."""


class Sweep(msgspec.Struct, frozen=True, gc=False):
    """A request to compare one strategy's holding with its exits, once all that the input brought is settled.

    `at` is the input, or the fact in its slice, that made the look needed.
    """

    at: int
    strategy: str
    instrument: str


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    """One exit as it should be; a trailing stop has no price of its own, but a distance."""

    type: OrderType
    reason: str
    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Decimal | None = None
    trail_pct: Decimal | None = None


class Protection:
    """Decides the exits of one account in one session."""

    def __init__(
        self,
        rules: ExitRules,
        orders: OrdersView,
        positions: PositionsView,
        instruments: InstrumentsView,
        account: str,
        session: int,
        ranges: RangesView | None = None,
        memory: DecidedView | None = None,
    ) -> None:
        """`ranges` and `memory` are needed by rules that go by the range."""
        self._rules = rules
        self._loss, self._trail, self._profit = rules.stop_loss, rules.trailing_stop, rules.take_profit
        self._by_range = rules.by_range
        self._ranges = ranges
        self._memory = memory
        self._orders = orders
        self._positions = positions
        self._instruments = instruments
        self._account = account
        self._session = session
        self._count = 0
        self._versions: dict[str, int] = {}
        self._tried: dict[str, tuple[object, int]] = {}  # the change last asked of an exit, and how often

    def requests(self, sweep: Sweep, ts: int) -> list[Request]:
        """Return what brings the exits of a holding in line with it; nothing if they are."""
        held = self._positions.position(self._account, sweep.instrument, sweep.strategy)
        working = [
            order
            for order in self._orders.working(sweep.strategy, sweep.instrument)
            if order.account == self._account and order.state != "CancelPending"
        ]
        mine = [order for order in working if is_exit(order.id)]
        side: Side = "SELL" if held.quantity > ZERO else "BUY"
        quantity = held.quantity.copy_abs() - self._covered(working, side)
        if quantity <= ZERO:
            return [_cancel(order, ts, "nothing is left to protect") for order in mine]
        asked: list[Request] = [
            _cancel(order, ts, "the position turned around") for order in mine if order.side != side
        ]
        right = [order for order in mine if order.side == side]
        group = next((order.oca for order in right if order.oca), "")
        measured = self._measured(sweep, held, ts, anew=not right) if self._by_range else None
        if measured is not None and measured is not self._known(sweep):
            asked.append(measured)
        wanted = self._wanted(held, side, ZERO if measured is None else measured.atr)
        if not group and len(wanted) > 1:
            group = f"{EXIT_PREFIX}{sweep.strategy}-{self._session}-{self._count + 1}"
        for exit_ in wanted:
            there = [o for o in right if (o.type in STOPS) == (exit_.type in STOPS)]
            asked += (
                self._fit(there, exit_, quantity, ts)
                if there
                else [self._new(sweep, side, quantity, exit_, group, ts)]
            )
        return asked

    def _covered(self, working: Sequence[Order], side: Side) -> Decimal:
        """Return how much the strategy's own stops cover; the exits of a bracket cover what has filled."""
        covered = ZERO
        for order in working:
            if order.side == side and order.type in STOPS and not is_exit(order.id):
                quantity = order.quantity
                if order.parent:
                    entry = self._orders.get(order.parent)
                    quantity = quantity if entry is None else min(quantity, entry.filled)
                covered = CONTEXT.add(covered, max(ZERO, quantity - order.filled))
        return covered

    def _known(self, sweep: Sweep) -> AtrMeasured | None:
        who = (self._account, sweep.strategy, sweep.instrument)
        return None if self._memory is None else self._memory.atr(*who)

    def _measured(self, sweep: Sweep, held: Position, ts: int, *, anew: bool) -> AtrMeasured:
        """Return the range that a holding's exits go by: measured once, and kept while any of them stands.

        What stood in for it is replaced as soon as it is known.
        """
        known, rules = self._known(sweep), self._rules
        assert self._ranges is not None
        name = sweep.instrument
        atr, bars = self._ranges.atr(name), self._ranges.bars(name)
        exact = price(atr) if atr is not None else ZERO
        if known is not None and not anew and (known.bars or not exact):
            return known
        who, length = (self._account, sweep.strategy, name), self._ranges.length
        if exact:
            return AtrMeasured(ts, *who, exact, bars, length, f"{length} bars of {rules.atr_bar}")
        stands_in = CONTEXT.multiply(held.average_cost.copy_abs(), Decimal(repr(rules.atr_unknown_pct)))
        why = (
            f"{bars} of {length + 1} bars of {rules.atr_bar} so far: {rules.atr_unknown_pct:.2%} of the cost"
        )
        return AtrMeasured(ts, *who, money(stands_in), 0, length, why)

    def _wanted(self, held: Position, side: Side, atr: Decimal) -> list[_Wanted]:
        cost = held.average_cost
        below = Decimal(-1) if side == "SELL" else Decimal(1)
        steps = steps_in(self._instruments, held.instrument)
        least = steps.at(cost)
        found: list[_Wanted] = []
        if (trail := self._trail) is not None:
            found.append(_trailing(trail, cost, atr, steps))
        elif (loss := self._loss) is not None:
            away = max(loss.of(cost, atr), least)
            # However far away it is meant to be: a stop at the lowest price there is covers the holding.
            stop = money(max(steps.nearest(cost + below * away), steps.lowest))
            found.append(_Wanted("STP", f"stop-loss {loss.words(cost, atr)}", stop=stop))
        if (profit := self._profit) is not None:
            limit = money(steps.nearest(cost - below * max(profit.of(cost, atr), least)))
            found.append(_Wanted("LMT", f"take-profit {profit.words(cost, atr)}", limit=limit))
        return [exit_ for exit_ in found if exit_.limit is None or exit_.limit > ZERO]

    def _fit(self, there: Sequence[Order], exit_: _Wanted, quantity: Decimal, ts: int) -> list[Request]:
        """Return the change that gives the exit its size and price, and cancels of any beyond the first."""
        first, *others = there
        asked: list[Request] = [_cancel(order, ts, "one exit of a kind is enough") for order in others]
        left = CONTEXT.subtract(first.quantity, first.filled)
        stop = exit_.stop if exit_.type == "STP" else first.stop
        now = (exit_.limit, stop, exit_.trail, exit_.trail_pct)
        if left != quantity or now != (first.limit, first.stop, first.trail, first.trail_pct):
            if not self._may_try(first.id, (quantity, now)):
                return asked
            version = max(self._versions.get(first.id, 1), self._orders.last_version(first.id)) + 1
            self._versions[first.id] = version
            who = (first.account, first.strategy, first.instrument)
            size = money(CONTEXT.add(first.filled, quantity))
            asked.append(
                ModifyIntended(
                    ts,
                    first.id,
                    version,
                    *who,
                    size,
                    exit_.limit,
                    stop,
                    exit_.reason,
                    exit_.trail,
                    exit_.trail_pct,
                )
            )
        return asked

    def _may_try(self, order: str, change: object) -> bool:
        """Return whether to ask for a change (again): a broker that keeps refusing is not asked for ever."""
        last, times = self._tried.get(order, (None, 0))
        times = times + 1 if last == change else 1
        self._tried[order] = (change, times)
        return times <= CHANGE_TRIES

    def _new(
        self, sweep: Sweep, side: Side, quantity: Decimal, exit_: _Wanted, group: str, ts: int
    ) -> OrderIntended:
        self._count += 1
        return OrderIntended(
            ts,
            f"{EXIT_PREFIX}{sweep.strategy}-{self._session}-{self._count}",
            self._account,
            sweep.strategy,
            sweep.instrument,
            side,
            money(quantity),
            exit_.type,
            exit_.limit,
            exit_.stop,
            "GTC",
            exit_.reason,
            trail=exit_.trail,
            trail_pct=exit_.trail_pct,
            oca=group,
        )


def _trailing(trail: Distance, cost: Decimal, atr: Decimal, steps: PriceSteps) -> _Wanted:
    if trail.kind == "pct":
        return _Wanted("TRAIL", f"trailing stop {trail}", trail_pct=Decimal(repr(trail.value)))
    away = money(steps.distance(trail.of(cost, atr), cost))
    told = f"{trail} of {plain(atr)}" if trail.kind == "atr" else f"{trail}"
    return _Wanted("TRAIL", f"trailing stop {told}", trail=away)


def _cancel(order: Order, ts: int, why: str) -> CancelIntended:
    return CancelIntended(ts, order.id, order.account, order.strategy, order.instrument, why)
