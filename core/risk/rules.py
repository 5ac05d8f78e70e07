"""The rules: each reads its limit and the present value off a case, and words a refusal.

A rule is pure, and is not asked about an order that only reduces. What it reads comes as plain numbers;
words are made for a refusal only, because rules are asked at every order.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from core.clock import SECOND_NS
from core.events import OrderIntended
from core.money import CONTEXT, ZERO, divide, money, plain
from core.risk import near
from core.risk.exposure import Case
from core.risk.limits import Limits, MarginRules
from core.risk.margin import initial_margin
from core.risk.state import RiskState

_ONE = Decimal(1)


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a rule found: its limit, the value that counts, and whether that is too much."""

    limit: Decimal
    value: Decimal
    broken: bool

    @property
    def headroom(self) -> Decimal:
        """What is left: negative when the limit is exceeded."""
        return CONTEXT.subtract(self.limit, self.value)

    @property
    def used(self) -> float:
        """How much of the limit is used: 1 is all of it."""
        if not self.value:
            return 0.0 if self.limit else 1.0
        return float(self.value) / float(self.limit) if self.limit else 1.0


class Rule(msgspec.Struct, frozen=True):
    """A rule by the name that verdicts give it. `read` takes a case and the limit that switches the rule on.

    `read` returns `None` where the rule has nothing to say. `words` says a refusal. `near` says quickly how
    much of the limit is used: what `read` would, but for rounding, and a negative number where it would say
    nothing. From `near.NEARLY` on `read` is asked, which alone decides; always where there is no `near`.
    """

    name: str
    read: Callable[[Case, Any], Reading | None]
    words: Callable[[Case, Reading], str]
    near: Callable[[Case, Any], float] | None = None


def position_size(case: Case, cap: float) -> Reading | None:
    """At most `max_position_size` of equity in one instrument, pending orders counted."""
    return _share(case, cap, case.position_value)


def portfolio_exposure(case: Case, cap: float) -> Reading | None:
    """At most `max_portfolio_risk` of equity in all instruments together, each with its worse side.

    The same rule, as `max_leverage`, is the buying power: 1 is a cash account, 2 a margin account.
    """
    return _share(case, cap, case.portfolio_value)


def risk_to_stops(case: Case, cap: float) -> Reading | None:
    """At most `max_risk_to_stops` of equity lost if every stop is hit; what has no stop counts in full."""
    return _share(case, cap, case.risk_to_stops)


def margin(case: Case, rules: MarginRules) -> Reading:
    """Initial margin of all positions at most equity, by a named model; raises `NoMargin`."""
    needed = initial_margin(case, rules)
    return Reading(case.known_equity, needed, needed > case.known_equity)


def daily_loss(case: Case, cap: float) -> Reading | None:
    """Entries end once the day has lost `max_daily_loss` of the equity that it began with."""
    pnl = case.state.history.day_pnl(case.proposal.account, case.state.currency)
    if pnl is None:
        return None
    lost, limit = day_loss(pnl, case.known_equity), _exact(cap)
    return Reading(limit, lost, lost >= limit)


def drawdown(case: Case, cap: float) -> Reading | None:
    """Entries end once equity is `max_drawdown` below its peak."""
    peak = case.state.history.peak_equity(case.proposal.account, case.state.currency)
    if peak is None:
        return None
    fall, limit = fall_from(peak, case.known_equity), _exact(cap)
    return Reading(limit, fall, fall >= limit)


def day_loss(pnl: Decimal, equity: Decimal) -> Decimal:
    """Return a day's loss as a fraction of the equity that the day began with; 0 for a gain."""
    return divide(-pnl, equity - pnl) if pnl < 0 and equity > pnl else ZERO


def fall_from(peak: Decimal, equity: Decimal) -> Decimal:
    """Return how far equity is below its peak, as a fraction of the peak."""
    return divide(peak - equity, peak) if ZERO < peak > equity else ZERO


def order_rate(case: Case, cap: int) -> Reading | None:
    """At most `max_orders_per_minute` new orders in any 60 s of event time, refused ones counted."""
    if case.proposal.new is None:
        return None
    return _count(cap, case.state.history.intents_last_minute(case.proposal.account))


def open_orders(case: Case, cap: int) -> Reading | None:
    """At most `max_open_orders` orders that may fill at one time, this one counted."""
    proposal = case.proposal
    if proposal.new is None:
        return None
    return _count(cap, case.state.orders.count_others(proposal.account, proposal.order) + 1)


def price_collar(case: Case, cap: float) -> Reading | None:
    """A limit at most `price_collar` beyond the last price, on the side that costs more."""
    proposal = case.proposal
    if proposal.limit is None:
        return None
    mark = case.state.quotes.mark(proposal.instrument)
    if mark is None or mark <= 0:
        return None
    beyond = float(proposal.limit) / mark - 1.0
    value = money(f"{max(0.0, beyond if proposal.side == 'BUY' else -beyond):.8f}")
    return Reading(_exact(cap), value, value > _exact(cap))


def duplicate(case: Case, within_s: float) -> Reading | None:
    """Not the same order again (strategy, instrument, side, quantity, prices) within `duplicate_within_s`."""
    new = case.proposal.new
    if new is None:
        return None
    return _flag(broken=_earlier(new, within_s, case.state) is not None)


def data_age(case: Case, cap: float) -> Reading | None:
    """The last trade or bar of the instrument at most `max_data_age_s` old."""
    last = case.state.quotes.last_ts(case.proposal.instrument)
    if last is None or case.proposal.ts - last <= cap * SECOND_NS:
        return None
    return Reading(_exact(cap), money(f"{(case.proposal.ts - last) / SECOND_NS:.3f}"), broken=True)


def halted(case: Case, _on: bool) -> Reading | None:
    """No entry in an instrument that its venue halted."""
    return _flag(broken=case.state.quotes.halted(case.proposal.instrument))


def restricted(case: Case, names: tuple[str, ...]) -> Reading | None:
    """No entry in an instrument of the `restricted` list."""
    return _flag(broken=case.proposal.instrument in names)


def session_hours(case: Case, _on: bool) -> Reading | None:
    """No entry outside the exchange's regular hours, unless the order says that it may fill there."""
    proposal, instruments = case.proposal, case.state.instruments
    if proposal.outside_rth:
        return None
    session = instruments.session(instruments.instrument(proposal.instrument).exchange, proposal.ts)
    return _flag(broken=session is None or not session.open <= proposal.ts < session.close)


def _share(case: Case, cap: float, value: Callable[[], Decimal]) -> Reading:
    limit, found = CONTEXT.multiply(case.known_equity, _exact(cap)), value()
    return Reading(limit, found, found > limit)


def _count(cap: int, count: int) -> Reading:
    return Reading(Decimal(cap), Decimal(count), count > cap)


def _flag(*, broken: bool) -> Reading | None:
    return Reading(ZERO, _ONE, broken=True) if broken else None


def _earlier(new: OrderIntended, within_s: float, state: RiskState) -> str | None:
    """Return the latest order that is the same as `new`, young enough and not refused."""
    for intent in state.history.recent(new.ts - round(within_s * SECOND_NS)):
        if intent.order != new.order and _same(intent, new):
            known = state.orders.get(intent.order)
            if known is not None and known.state != "Refused":
                return intent.order
    return None


def _same(one: OrderIntended, other: OrderIntended) -> bool:
    return (
        one.instrument == other.instrument
        and one.side == other.side
        and one.quantity == other.quantity
        and (one.strategy, one.account) == (other.strategy, other.account)
        and (one.type, one.limit, one.stop) == (other.type, other.limit, other.stop)
        and (one.parent, one.trail, one.trail_pct) == (other.parent, other.trail, other.trail_pct)
    )


@lru_cache(maxsize=64)
def _exact(number: float) -> Decimal:
    """Return a configured number as the decimal that it was written as."""
    return Decimal(repr(number))


def _says_share(what: str) -> Callable[[Case, Reading], str]:
    def words(case: Case, reading: Reading) -> str:
        cap = float(reading.limit / case.known_equity)
        value, limit = plain(money(reading.value)), plain(money(reading.limit))
        return (
            f"{case.proposal.instrument} would bring {what} to {value}, above {cap:.2%} of equity ({limit})"
        )

    return words


def _says_collar(case: Case, reading: Reading) -> str:
    limit = plain(case.proposal.limit or ZERO)
    mark = case.state.quotes.mark(case.proposal.instrument)
    beyond = f"{reading.value:.2%} beyond the last price {mark:g}"
    return f"a limit of {limit} is {beyond}; allowed is {reading.limit:.2%}"


def _says_margin(case: Case, reading: Reading) -> str:
    needed, equity = plain(money(reading.value)), plain(money(reading.limit))
    name = case.proposal.instrument
    return f"{name} would bring the initial margin of all positions to {needed}; equity is {equity}"


def _says_duplicate(_case: Case, _reading: Reading) -> str:
    return "the same order was asked for just before; change it, or wait"


RULES: Mapping[str, Rule] = {
    "restricted": Rule(
        "restricted", restricted, lambda c, _: f"{c.proposal.instrument} is on the restricted list"
    ),
    "refuse_halted": Rule("halted", halted, lambda c, _: f"trading in {c.proposal.instrument} is halted"),
    "regular_hours_only": Rule(
        "regular_hours_only",
        session_hours,
        lambda c, _: f"the exchange of {c.proposal.instrument} is outside its regular hours",
    ),
    "max_data_age_s": Rule(
        "max_data_age_s",
        data_age,
        lambda c, r: f"the last price of {c.proposal.instrument} is {r.value} s old; allowed are {r.limit} s",
    ),
    "price_collar": Rule("price_collar", price_collar, _says_collar, near.collar),
    "duplicate_within_s": Rule("duplicate", duplicate, _says_duplicate, near.duplicate),
    "max_orders_per_minute": Rule(
        "max_orders_per_minute",
        order_rate,
        lambda _, r: f"{r.value} orders within a minute, with this one, are more than {r.limit}",
        near.rate,
    ),
    "max_open_orders": Rule(
        "max_open_orders",
        open_orders,
        lambda _, r: f"{r.value} open orders, with this one, are more than {r.limit}",
        near.open_orders,
    ),
    "max_position_size": Rule(
        "max_position_size", position_size, _says_share("position_size"), near.position
    ),
    "max_portfolio_risk": Rule(
        "max_portfolio_risk", portfolio_exposure, _says_share("portfolio_risk"), near.portfolio
    ),
    "max_risk_to_stops": Rule(
        "max_risk_to_stops", risk_to_stops, _says_share("the risk to stops"), near.risk
    ),
    "max_leverage": Rule(
        "buying_power", portfolio_exposure, _says_share("all positions together"), near.portfolio
    ),
    "margin": Rule("margin", margin, _says_margin),
    "max_daily_loss": Rule(
        "max_daily_loss",
        daily_loss,
        lambda _, r: f"the day stands at {-r.value:.2%}: entries are refused from -{r.limit:.2%} on",
        near.loss,
    ),
    "max_drawdown": Rule(
        "max_drawdown",
        drawdown,
        lambda _, r: f"equity is {r.value:.2%} below its peak: entries are refused from {r.limit:.2%} on",
        near.fall,
    ),
}
"""The rules by the limit that switches each on, in the order in which they are asked."""


def active(limits: Limits) -> list[tuple[Rule, Any]]:
    """Return the rules that the limits switch on, each with its limit."""
    caps = ((rule, getattr(limits, name)) for name, rule in RULES.items())
    return [(rule, cap) for rule, cap in caps if cap not in (None, False, ())]
