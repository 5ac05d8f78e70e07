"""What an account would hold if a proposal and all pending orders filled; and what its stops leave at risk.

Pending orders count as filled. Of a one-cancels-all group only the largest order of an instrument and side
counts, and the exits of a bracket or of a holding do not count at all: they can only reduce what is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec.structs import replace

from core.money import CONTEXT, ZERO
from core.money import price as _exact
from core.order_rules import STOPS
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
    """One proposal against the state; what rules read of it is worked out once, when first asked for."""

    __slots__ = (
        "_equity",
        "_held",
        "_near_equity",
        "_near_portfolio",
        "_near_position",
        "_portfolio",
        "_position",
        "_price",
        "entry_stop",
        "pending",
        "proposal",
        "reduces",
        "size",
        "state",
    )

    def __init__(
        self,
        proposal: Proposal,
        state: RiskState,
        entering: Sequence[Order],
        own: Decimal,
        entry_stop: Decimal | None = None,
    ) -> None:
        """`entering` are the account's other orders that may build up a position, `own` what it holds."""
        self.proposal = proposal
        self.state = state
        self.entry_stop = entry_stop
        self.pending: _Pending = _pending(proposal, entering) if entering else {}
        signed = proposal.signed
        if there := self.pending.get(proposal.instrument):
            signed = _add(signed, _signed(o for o in there if o.side == proposal.side))
        self.reduces = own * signed < 0 and abs(signed) <= abs(own)
        self.size = _add(own, signed)
        # Kept by hand: `functools.cached_property` takes a lock each, at every order.
        self._equity: Decimal | None = None
        self._price: float | None = None
        self._held: Mapping[str, Decimal] | None = None
        self._position: Decimal | None = None
        self._portfolio: Decimal | None = None
        self._near_equity: float | None = None
        self._near_position: float | None = None
        self._near_portfolio: float | None = None

    @property
    def price(self) -> float | None:
        """The price to value the proposal at, or `None` if none is known."""
        if self._price is None:
            self._price = worst_price(self.proposal, self.state.quotes.mark(self.proposal.instrument))
        return self._price

    @property
    def equity(self) -> Decimal | None:
        """The account's equity, or `None` while a price or rate is unknown."""
        if self._equity is None:
            self._equity = self.state.account.equity(self.proposal.account, self.state.currency)
        return self._equity

    @property
    def known_equity(self) -> Decimal:
        """The equity; rules are asked only while it is known."""
        equity = self.equity
        assert equity is not None
        return equity

    @property
    def held(self) -> Mapping[str, Decimal]:
        """What the account holds, by instrument."""
        if self._held is None:
            self._held = self.state.positions.held(self.proposal.account)
        return self._held

    # Nearly the same in floats, at a fraction of the cost: enough to see that a limit is far away.

    @property
    def near_equity(self) -> float:
        """The equity, nearly."""
        if self._near_equity is None:
            self._near_equity = float(self.known_equity)
        return self._near_equity

    def near_position(self) -> float:
        """Return `position_value`, nearly."""
        if self._near_position is None:
            definition = self.state.instruments.instrument(self.proposal.instrument)
            if definition.currency == self.state.currency:
                assert self.price is not None
                self._near_position = abs(float(self.size)) * self.price * float(definition.multiplier)
            else:
                self._near_position = float(self.position_value())
        return self._near_position

    def near_portfolio(self) -> float:
        """Return `portfolio_value`, nearly."""
        if self._near_portfolio is None:
            held, name = self.held, self.proposal.instrument
            alone = not self.pending and (not held or (len(held) == 1 and name in held))
            self._near_portfolio = self.near_position() if alone else float(self.portfolio_value())
        return self._near_portfolio

    def near_risk(self) -> float:
        """Return `risk_to_stops`, nearly."""
        if self.held or self.pending or self.entry_stop is not None:
            return float(self.risk_to_stops())
        return self.near_position()

    def position_value(self) -> Decimal:
        """Return the value of the proposal's instrument afterwards; raises `UnknownRate`."""
        if self._position is None:
            assert self.price is not None
            self._position = worth(self.size, self.price, self.proposal.instrument, self.state)
        return self._position

    def portfolio_value(self) -> Decimal:
        """Return the value of all instruments afterwards, each with the side that is worse."""
        if self._portfolio is None:
            self._portfolio = _add(self.position_value(), self._others_value())
        return self._portfolio

    def risk_to_stops(self) -> Decimal:
        """Return what is lost if every stop is hit where it stands; what has no stop counts in full.

        The proposal counts to the stop of its bracket, if it has one.
        """
        total = self._entry_risk()
        if not self.held and not self.pending:
            return total
        working = self.state.orders.others(self.proposal.account, self.proposal.order)
        stops = _stops(working)
        for name, quantity in self.held.items():
            total = _add(total, _held_risk(name, quantity, stops.get(name, ()), self.state))
        for orders in self.pending.values():
            for order in orders:
                distance = _pending_distance(order, working, self.state)
                total = _add(total, worth(order.exposed, distance, order.instrument, self.state))
        return total

    def others(self) -> Iterable[tuple[str, Decimal, float]]:
        """Yield the other instruments afterwards, each with its largest size and its price."""
        for name in sorted({*self.held, *self.pending} - {self.proposal.instrument}):
            orders = self.pending.get(name, ())
            yield name, _largest(self.held.get(name, ZERO), orders), _mark(name, orders, self.state)

    def _others_value(self) -> Decimal:
        total = ZERO
        for name, size, price in self.others():
            total = _add(total, worth(size, price, name, self.state))
        return total

    def _entry_risk(self) -> Decimal:
        proposal, price = self.proposal, self.price
        assert price is not None
        if self.entry_stop is None:
            if proposal.quantity == self.size.copy_abs():
                return self.position_value()
            return worth(proposal.quantity, price, proposal.instrument, self.state)
        distance = abs(price - float(self.entry_stop))
        return worth(proposal.quantity, distance, proposal.instrument, self.state)


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
    value = _multiply(_multiply(quantity.copy_abs(), _exact(price)), definition.multiplier)
    if definition.currency == state.currency:
        return value
    converted = state.account.convert(value, definition.currency, state.currency)
    if converted is None:
        raise UnknownRate(definition.currency, state.currency)
    return converted


def account_risk(account: str, state: RiskState) -> Decimal:
    """Return what the open positions lose if every stop is hit where it stands; raises `UnknownRate`."""
    stops = _stops(state.orders.others(account, ""))
    held = state.positions.held(account).items()
    return sum((_held_risk(name, q, stops.get(name, ()), state) for name, q in held), ZERO)


def _pending(proposal: Proposal, entering: Sequence[Order]) -> _Pending:
    found: _Pending = {}
    groups: dict[tuple[str, str, str], Order] = {}
    for order in entering:
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
