"""Automatic exits: for each holding of a strategy a stop and a target that rest at the broker.

They are orders of the strategy's own, decided from fills and what is folded, never from memory: after a
restart the log says which exits there are. A sweep compares a holding with its exits and asks for what is
missing, resized or over; done again it asks for nothing. What a strategy's own stops cover is left to them.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from core.errors import UnknownInstrument
from core.events import CancelIntended, ModifyIntended, OrderIntended, OrderType, Side
from core.money import CONTEXT, ZERO, money, plain
from core.order_rules import EXIT_PREFIX, STOPS, is_exit
from core.views import InstrumentsView, Order, OrdersView, Position, PositionsView

Request = OrderIntended | ModifyIntended | CancelIntended


class ExitRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Distances from a holding's average cost; fractions, or an amount. None at all places no exits.

    Of the stop's three kinds at most one is set. A trailing stop follows the market at its distance.
    `flatten_day_at` is the day's loss (a fraction) from which on all positions are closed.
    """

    stop_loss_pct: float | None = None
    stop_loss_amount: float | None = None
    trailing_stop_pct: float | None = None
    take_profit_pct: float | None = None
    flatten_day_at: float | None = None

    @property
    def active(self) -> bool:
        """Whether exits are asked for."""
        kinds = (self.stop_loss_pct, self.stop_loss_amount, self.trailing_stop_pct, self.take_profit_pct)
        return any(kind is not None for kind in kinds)

    @property
    def name(self) -> str:
        """The exits in words, for the log and the report."""
        told = [
            *([f"stop-loss {self.stop_loss_pct:.2%}"] if self.stop_loss_pct is not None else []),
            *([f"stop-loss {self.stop_loss_amount:g}"] if self.stop_loss_amount is not None else []),
            *([f"trailing stop {self.trailing_stop_pct:.2%}"] if self.trailing_stop_pct is not None else []),
            *([f"take-profit {self.take_profit_pct:.2%}"] if self.take_profit_pct is not None else []),
            *([f"flat at a day of -{self.flatten_day_at:.2%}"] if self.flatten_day_at is not None else []),
        ]
        return ", ".join(told) or "none"


NO_EXITS = ExitRules()


class Sweep(msgspec.Struct, frozen=True, gc=False):
    """A request to compare one strategy's holding with its exits, once all that the input brought is settled.

    `at` is the input, or the fact in its slice, that made the look needed.
    """

    at: int
    strategy: str
    instrument: str


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    """One exit as it should be; a trailing stop has no price of its own."""

    type: OrderType
    limit: Decimal | None
    stop: Decimal | None
    trail_pct: Decimal | None
    reason: str


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
    ) -> None:
        self._rules = rules
        self._orders = orders
        self._positions = positions
        self._instruments = instruments
        self._account = account
        self._session = session
        self._count = 0
        self._versions: dict[str, int] = {}

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
        wanted = self._wanted(held, side)
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

    def _wanted(self, held: Position, side: Side) -> list[_Wanted]:
        rules, cost = self._rules, held.average_cost
        below = Decimal(-1) if side == "SELL" else Decimal(1)
        found: list[_Wanted] = []
        if rules.trailing_stop_pct is not None:
            share = Decimal(repr(rules.trailing_stop_pct))
            found.append(_Wanted("TRAIL", None, None, share, f"trailing stop {rules.trailing_stop_pct:.2%}"))
        elif rules.stop_loss_pct is not None or rules.stop_loss_amount is not None:
            away = _distance(cost, rules.stop_loss_pct, rules.stop_loss_amount)
            stop = self._rounded(held.instrument, cost + below * away)
            found.append(_Wanted("STP", None, stop, None, f"stop-loss {_words(away, cost)}"))
        if rules.take_profit_pct is not None:
            away = _distance(cost, rules.take_profit_pct, None)
            limit = self._rounded(held.instrument, cost - below * away)
            found.append(_Wanted("LMT", limit, None, None, f"take-profit {_words(away, cost)}"))
        return [exit_ for exit_ in found if all(p is None or p > ZERO for p in (exit_.limit, exit_.stop))]

    def _rounded(self, instrument: str, price: Decimal) -> Decimal:
        try:
            tick = self._instruments.instrument(instrument).tick_size
        except UnknownInstrument:
            tick = ZERO
        if tick <= ZERO:
            return money(price)
        return money((price / tick).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * tick)

    def _fit(self, there: Sequence[Order], exit_: _Wanted, quantity: Decimal, ts: int) -> list[Request]:
        """Return the change that gives the exit its size and price, and cancels of any beyond the first."""
        first, *others = there
        asked: list[Request] = [_cancel(order, ts, "one exit of a kind is enough") for order in others]
        left = CONTEXT.subtract(first.quantity, first.filled)
        prices = (exit_.limit, exit_.stop if exit_.type == "STP" else first.stop)
        if left != quantity or prices != (first.limit, first.stop):
            version = max(self._versions.get(first.id, 1), first.version) + 1
            self._versions[first.id] = version
            who = (first.account, first.strategy, first.instrument)
            size = money(CONTEXT.add(first.filled, quantity))
            asked.append(
                ModifyIntended(
                    ts, first.id, version, *who, size, *prices, exit_.reason, None, exit_.trail_pct
                )
            )
        return asked

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
            trail_pct=exit_.trail_pct,
            oca=group,
        )


def _distance(cost: Decimal, share: float | None, amount: float | None) -> Decimal:
    return cost * Decimal(repr(share)) if share is not None else Decimal(repr(amount))


def _words(away: Decimal, cost: Decimal) -> str:
    share = f"{away / cost:.2%}" if cost > ZERO else plain(money(away))
    return f"{share} from {plain(money(cost))}"


def _cancel(order: Order, ts: int, why: str) -> CancelIntended:
    return CancelIntended(ts, order.id, order.account, order.strategy, order.instrument, why)
