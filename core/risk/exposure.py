"""What an account would hold if a proposal and all pending orders filled; and what its stops leave at risk.

Pending orders count as filled. Of a one-cancels-all group only the largest order of an instrument and side
counts, and the exits of a bracket or of a holding do not count at all: they can only reduce what is there.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import cached_property

from msgspec.structs import replace

from core.money import CONTEXT, ZERO
from core.order_rules import STOPS, is_exit
from core.risk.state import Proposal, RiskState
from core.views import Order

_add = CONTEXT.add
_multiply = CONTEXT.multiply
_subtract = CONTEXT.subtract

_Pending = dict[str, list[Order]]


class UnknownRate(Exception):
    """A currency that no reported rate converts."""

    def __init__(self, held: str, wanted: str) -> None:
        super().__init__(f"no rate from {held} to {wanted} is known")
        self.held = held


class Case:
    """One proposal against the state; what rules read of it is worked out once, when it is first asked for.

    `working` are the account's other orders that may fill.
    """

    def __init__(self, proposal: Proposal, state: RiskState, entry_stop: Decimal | None = None) -> None:
        self.proposal = proposal
        self.state = state
        self.entry_stop = entry_stop
        self.held = _held(proposal.account, state)
        self.working = [
            order
            for order in state.orders.working()
            if order.id != proposal.order and order.account == proposal.account
        ]
        self.pending: _Pending = _pending(proposal, self.working) if self.working else {}
        own, signed = self.held.get(proposal.instrument, ZERO), proposal.signed
        if there := self.pending.get(proposal.instrument):
            signed = _add(signed, _signed(o for o in there if o.side == proposal.side))
        self.reduces = own * signed < 0 and abs(signed) <= abs(own)
        self.size = _add(own, signed)

    @cached_property
    def price(self) -> float | None:
        """The price to value the proposal at, or `None` if none is known."""
        return worst_price(self.proposal, self.state.quotes.mark(self.proposal.instrument))

    @cached_property
    def equity(self) -> Decimal | None:
        """The account's equity, or `None` while a price or rate is unknown."""
        return self.state.account.equity(self.proposal.account, self.state.currency)

    @property
    def known_equity(self) -> Decimal:
        """The equity; rules are asked only while it is known."""
        assert self.equity is not None
        return self.equity

    def position_value(self) -> Decimal:
        """Return the value of the proposal's instrument afterwards; raises `UnknownRate`."""
        return self._position_value

    def portfolio_value(self) -> Decimal:
        """Return the value of all instruments afterwards, each with the side that is worse."""
        return self._portfolio_value

    def risk_to_stops(self) -> Decimal:
        """Return what is lost if every stop is hit where it stands; what has no stop counts in full.

        The proposal counts to the stop of its bracket, if it has one.
        """
        stops = _stops(self.working)
        total = self._entry_risk()
        for name, quantity in self.held.items():
            total = _add(total, _held_risk(name, quantity, stops.get(name, ()), self.state))
        for orders in self.pending.values():
            for order in orders:
                distance = _pending_distance(order, self.working, self.state)
                total = _add(total, worth(order.exposed, distance, order.instrument, self.state))
        return total

    @cached_property
    def _position_value(self) -> Decimal:
        assert self.price is not None
        return worth(self.size, self.price, self.proposal.instrument, self.state)

    @cached_property
    def _portfolio_value(self) -> Decimal:
        total = self._position_value
        for name in sorted({*self.held, *self.pending} - {self.proposal.instrument}):
            orders = self.pending.get(name, ())
            size = _largest(self.held.get(name, ZERO), orders)
            total = _add(total, worth(size, _mark(name, orders, self.state), name, self.state))
        return total

    def _entry_risk(self) -> Decimal:
        assert self.price is not None
        distance = self.price if self.entry_stop is None else abs(self.price - float(self.entry_stop))
        return worth(self.proposal.quantity, distance, self.proposal.instrument, self.state)


def worst_price(proposal: Proposal, mark: float | None) -> float | None:
    """Return the highest price at which a proposal may fill: only a buy limit caps it."""
    given = proposal.limit if proposal.limit is not None else proposal.stop
    if given is None or mark is None:
        return mark if given is None else float(given)
    capped = proposal.side == "BUY" and proposal.limit is not None
    return float(given) if capped else max(float(given), mark)


def worth(quantity: Decimal, price: float, instrument: str, state: RiskState) -> Decimal:
    """Return |quantity| * price * multiplier in the account's currency; raises `UnknownRate`."""
    definition = state.instruments.instrument(instrument)
    value = _multiply(_multiply(quantity.copy_abs(), Decimal(repr(price))), definition.multiplier)
    if definition.currency == state.currency:
        return value
    converted = state.account.convert(value, definition.currency, state.currency)
    if converted is None:
        raise UnknownRate(definition.currency, state.currency)
    return converted


def account_risk(account: str, state: RiskState) -> Decimal:
    """Return what the open positions lose if every stop is hit where it stands; raises `UnknownRate`."""
    stops = _stops([order for order in state.orders.working() if order.account == account])
    held = sorted(_held(account, state).items())
    return sum((_held_risk(name, q, stops.get(name, ()), state) for name, q in held), ZERO)


def _held(account: str, state: RiskState) -> dict[str, Decimal]:
    return {p.instrument: p.quantity for p in state.positions.open_positions() if p.account == account}


def _pending(proposal: Proposal, working: Sequence[Order]) -> _Pending:
    found: _Pending = {}
    groups: dict[tuple[str, str, str], Order] = {}
    for order in working:
        if order.parent or is_exit(order.id):
            continue
        if order.oca:
            key = (order.oca, order.instrument, order.side)
            known = groups.get(key)
            if known is None or order.exposed > known.exposed:
                groups[key] = order
        else:
            found.setdefault(order.instrument, []).append(order)
    own = groups.pop((proposal.oca, proposal.instrument, proposal.side), None)
    if own is not None and own.exposed > proposal.quantity:
        groups["", "", ""] = replace(own, exposed=_subtract(own.exposed, proposal.quantity))
    for order in groups.values():
        found.setdefault(order.instrument, []).append(order)
    return found


def _signed(orders: Iterable[Order]) -> Decimal:
    return sum((o.exposed if o.side == "BUY" else -o.exposed for o in orders), ZERO)


def _largest(held: Decimal, orders: Sequence[Order]) -> Decimal:
    """Return the largest size a position can come to while `orders` fill."""
    bought = held + _signed(o for o in orders if o.side == "BUY")
    sold = held + _signed(o for o in orders if o.side == "SELL")
    return max(abs(bought), abs(sold))


def _mark(instrument: str, orders: Sequence[Order], state: RiskState) -> float:
    """Return the price to value an instrument at: its mark, or what the orders for it name before any."""
    mark = state.quotes.mark(instrument)
    named = [float(price) for o in orders for price in (o.limit, o.stop) if price is not None]
    return mark if mark is not None else max(named, default=0.0)


def _stops(working: Sequence[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in working:
        if order.type in STOPS:
            found.setdefault(order.instrument, []).append(order)
    return found


def _held_risk(instrument: str, held: Decimal, stops: Sequence[Order], state: RiskState) -> Decimal:
    """Return what a holding loses to its stops, the furthest first; what they do not cover counts in full."""
    mark = _mark(instrument, (), state)
    side, sign = ("SELL", 1.0) if held > 0 else ("BUY", -1.0)
    left, total = held.copy_abs(), ZERO
    distances = [(max(0.0, (mark - _stop_price(o, mark)) * sign), o.exposed) for o in stops if o.side == side]
    for distance, quantity in sorted(distances, reverse=True):
        part = min(left, quantity)
        total = _add(total, worth(part, distance, instrument, state))
        left = _subtract(left, part)
    return _add(total, worth(left, mark, instrument, state)) if left else total


def _stop_price(order: Order, mark: float) -> float:
    if order.stop is not None:
        return float(order.stop)
    away = float(order.trail) if order.trail is not None else mark * float(order.trail_pct or 0)
    return mark - away if order.side == "SELL" else mark + away


def _pending_distance(order: Order, working: Sequence[Order], state: RiskState) -> float:
    price = _mark(order.instrument, [order], state) if order.limit is None else float(order.limit)
    stops = (o for o in working if o.parent == order.id and o.type != "LMT")
    exit_ = next(stops, None)
    return price if exit_ is None else abs(price - _stop_price(exit_, price))
