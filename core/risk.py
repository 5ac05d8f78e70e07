"""Risk verdicts: functions of an intent and of state, giving approval or refusal with numbers.

A refusal is an event, never an exception, and names rule, limit and value. Orders that reduce a
position always pass the limits. The profile `none` has no limits: it refuses only what is no order
at all (unknown instrument, quantity of zero, a price that is not one).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from core.errors import UnknownInstrument
from core.events import ModifyIntended, OrderIntended, RiskApproved, RiskRefused, Side
from core.money import ZERO, divide, money, plain
from core.order_rules import Refusal, bracket_defect, order_defect, version_defect
from core.views import AccountView, GateView, InstrumentsView, Order, OrdersView, PositionsView, QuotesView


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits as fractions of equity; `None` is no limit."""

    max_position_size: float | None = None
    max_portfolio_risk: float | None = None
    max_daily_loss: float | None = None

    @property
    def profile(self) -> str:
        """The name that verdicts carry."""
        return "none" if self == Limits() else "limits"


class DayView(Protocol):
    """What the daily-loss rule reads."""

    def day_pnl(self, account: str, currency: str) -> Decimal | None:
        """Return the equity's change since the day began, deposits left out; `None` if unknown."""


class RiskState(msgspec.Struct, frozen=True):
    """The views a verdict is a function of."""

    account: AccountView
    positions: PositionsView
    orders: OrdersView
    quotes: QuotesView
    instruments: InstrumentsView
    day: DayView
    currency: str


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """An intent in the terms that rules need: a new order, or a new version of one."""

    order: str
    account: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal  # still to be filled
    limit: Decimal | None
    stop: Decimal | None
    exits_only: bool
    """Whether it belongs to a bracket's entry, and can only reduce what that builds up."""
    oca: str


class RiskGate:
    """Judge intents by the order checks and the configured limits, in a fixed order.

    `priced` names the instruments whose market data this session gets: an order in another one could
    never fill and is refused. `None` leaves that open. `gate` says, in live trading, whether orders may
    leave at all; a replay has none.
    """

    def __init__(
        self,
        limits: Limits,
        state: RiskState,
        priced: frozenset[str] | None = None,
        gate: GateView | None = None,
    ) -> None:
        self._limits = limits
        self._state = state
        self._priced = priced
        self._gate = gate
        self.profile = limits.profile

    def judge(self, intent: OrderIntended | ModifyIntended) -> RiskApproved | RiskRefused:
        """Return the verdict on a new order or a new version."""
        if isinstance(intent, ModifyIntended):
            refusal = self._check_working(intent) or self._check_instrument(intent)
        else:
            refusal = self._check_instrument(intent) or order_defect(intent)
        if refusal is None and self._gate is not None:
            refusal = self._check_gate(intent, self._gate)
        if refusal is None and self.profile != "none":
            refusal = self._check_limits(intent)
        return self.approve(intent) if refusal is None else refused(intent, refusal)

    def judge_bracket(
        self, parent: OrderIntended, children: Sequence[OrderIntended]
    ) -> RiskApproved | RiskRefused:
        """Return the verdict on a bracket's parent, in the light of its children.

        The children share it: they only reduce what the parent builds up.
        """
        defect = bracket_defect(parent, children)
        return self.judge(parent) if defect is None else refused(parent, defect)

    def approve(self, intent: OrderIntended | ModifyIntended) -> RiskApproved:
        """Return the approval of an intent."""
        version = intent.version if type(intent) is ModifyIntended else 1
        who = (intent.account, intent.strategy, intent.instrument)
        return RiskApproved(intent.ts, intent.order, version, *who, self.profile)

    def _check_gate(self, intent: OrderIntended | ModifyIntended, gate: GateView) -> Refusal | None:
        why = gate.closed(intent.instrument)
        if why is None and not self._reduces(intent):
            why = gate.entries_closed(intent.instrument)
        return None if why is None else Refusal("gate", "open", "closed", why)

    def _reduces(self, intent: OrderIntended | ModifyIntended) -> bool:
        proposal = self._proposal(intent)
        if proposal.exits_only:
            return True
        held = self._state.positions.position(proposal.account, proposal.instrument).quantity
        signed = proposal.quantity if proposal.side == "BUY" else -proposal.quantity
        return held * signed < 0 and abs(signed) <= abs(held)

    def _check_instrument(self, intent: OrderIntended | ModifyIntended) -> Refusal | None:
        name = intent.instrument
        try:
            self._state.instruments.instrument(name)
        except UnknownInstrument as error:
            return Refusal("instrument", "a defined instrument", name, str(error))
        if self._priced is None or name in self._priced:
            return None
        message = f"no strategy subscribes to {name}, so it has no prices in this session"
        return Refusal("instrument", "an instrument with prices", name, message)

    def _check_working(self, intent: ModifyIntended) -> Refusal | None:
        order = self._state.orders.get(intent.order)
        if order is not None and order.strategy != intent.strategy:
            message = f"{intent.order} is not an order of {intent.strategy}"
            return Refusal("order", f"of {intent.strategy}", f"of {order.strategy or 'another'}", message)
        if order is not None and order.working:
            return version_defect(intent, order.type)
        state = order.state if order else "unknown"
        return Refusal("order", "a working order", state, f"{intent.order} is {state}: nothing to modify")

    def _proposal(self, intent: OrderIntended | ModifyIntended) -> Proposal:
        if isinstance(intent, OrderIntended):
            side, filled, parent, oca = intent.side, ZERO, intent.parent, intent.oca
        else:
            order = self._state.orders.get(intent.order)
            assert order is not None, "checked by _check_working"
            side, parent, oca = order.side, order.parent, order.oca
            filled = order.filled  # is part of the position
        return Proposal(
            intent.order,
            intent.account,
            intent.strategy,
            intent.instrument,
            side,
            intent.quantity - filled,
            intent.limit,
            intent.stop,
            bool(parent),
            oca,
        )

    def _check_limits(self, intent: OrderIntended | ModifyIntended) -> Refusal | None:
        proposal = self._proposal(intent)
        if proposal.exits_only:
            return None
        exposure = _Exposure.after(proposal, self._state)
        if exposure.reduces or proposal.quantity <= ZERO:
            return None
        equity = self._state.account.equity(proposal.account, self._state.currency)
        if equity is None or equity <= 0 or exposure.price is None:
            return Refusal(
                "equity", "known and positive", str(equity), "equity or price is unknown: entries are refused"
            )
        for rule, cap, value in (
            ("max_position_size", self._limits.max_position_size, exposure.position),
            ("max_portfolio_risk", self._limits.max_portfolio_risk, exposure.portfolio),
        ):
            if cap is not None and value > equity * Decimal(str(cap)):
                allowed = money(equity * Decimal(str(cap)))
                message = (
                    f"{proposal.instrument} would bring {rule[4:]} to {plain(money(value))}, "
                    f"above {cap:.2%} of equity ({plain(allowed)})"
                )
                return Refusal(rule, plain(allowed), plain(money(value)), message)
        return self._check_day(proposal, equity)

    def _check_day(self, proposal: Proposal, equity: Decimal) -> Refusal | None:
        cap = self._limits.max_daily_loss
        pnl = self._state.day.day_pnl(proposal.account, self._state.currency)
        if cap is None or pnl is None or pnl >= 0:
            return None
        day = divide(pnl, equity - pnl)
        if day > -Decimal(str(cap)):
            return None
        message = f"the day stands at {day:.2%}: entries are refused from -{cap:.2%} on"
        return Refusal("max_daily_loss", f"-{cap}", plain(day), message)


def refused(intent: OrderIntended | ModifyIntended, why: Refusal) -> RiskRefused:
    """Return the refusal of an intent as an event."""
    version = intent.version if type(intent) is ModifyIntended else 1
    who = (intent.account, intent.strategy, intent.instrument)
    return RiskRefused(intent.ts, intent.order, version, *who, why.rule, why.limit, why.value, why.message)


class _Exposure(msgspec.Struct, frozen=True, gc=False):
    """Values after a proposal filled in full, pending orders counted as filled too, exits of brackets not.

    `position` takes the proposal's side; other instruments enter `portfolio` with the side that is worse.
    """

    reduces: bool
    price: float | None
    position: Decimal
    portfolio: Decimal

    @classmethod
    def after(cls, proposal: Proposal, state: RiskState) -> "_Exposure":
        account, instrument = proposal.account, proposal.instrument
        held = {p.instrument: p.quantity for p in state.positions.open_positions() if p.account == account}
        own = held.pop(instrument, ZERO)
        pending = [
            o
            for o in state.orders.working()
            if o.account == account and o.id != proposal.order and not o.parent
            if not (proposal.oca == o.oca != "" and o.exposed <= proposal.quantity)  # it fills in place of it
        ]
        signed = proposal.quantity if proposal.side == "BUY" else -proposal.quantity
        signed += _signed(o for o in pending if (o.instrument, o.side) == (instrument, proposal.side))
        reduces = own * signed < 0 and abs(signed) <= abs(own)
        price = _worst(proposal, state.quotes.mark(instrument))
        if reduces or price is None:
            return cls(reduces, price, ZERO, ZERO)
        value = _value(own + signed, price, instrument, state)
        rest = ZERO
        for other in sorted({*held, *(o.instrument for o in pending)} - {instrument}):
            there = [o for o in pending if o.instrument == other]
            rest += _value(_most(held.get(other, ZERO), there), _mark(other, there, state), other, state)
        return cls(reduces, price, value, value + rest)


def _signed(orders: Iterable[Order]) -> Decimal:
    """Return what orders of one side add up to; of a group in which one cancels the others, the largest."""
    total, groups = ZERO, dict[str, Decimal]()
    for order in orders:
        signed = order.exposed if order.side == "BUY" else -order.exposed
        if order.oca:
            groups[order.oca] = max(groups.get(order.oca, ZERO), signed, key=abs)
        else:
            total += signed
    return total + sum(groups.values(), ZERO)


def _most(held: Decimal, orders: Sequence[Order]) -> Decimal:
    """Return the largest size a position can come to while `orders` fill."""
    bought = held + _signed(o for o in orders if o.side == "BUY")
    sold = held + _signed(o for o in orders if o.side == "SELL")
    return max(abs(bought), abs(sold))


def _worst(proposal: Proposal, mark: float | None) -> float | None:
    """Return the highest price at which a proposal may fill: only a buy limit caps it."""
    given = proposal.limit if proposal.limit is not None else proposal.stop
    if given is None or mark is None:
        return mark if given is None else float(given)
    capped = proposal.side == "BUY" and proposal.limit is not None
    return float(given) if capped else max(float(given), mark)


def _mark(instrument: str, orders: Sequence[Order], state: RiskState) -> float:
    """Return the price to value an instrument at: its mark, or what the orders for it name before any."""
    mark = state.quotes.mark(instrument)
    named = [float(price) for o in orders for price in (o.limit, o.stop) if price is not None]
    return mark if mark is not None else max(named, default=0.0)


def _value(quantity: Decimal, price: float, instrument: str, state: RiskState) -> Decimal:
    return abs(quantity) * Decimal(repr(price)) * state.instruments.instrument(instrument).multiplier
