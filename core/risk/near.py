"""How much of a limit is used, nearly: in floats, at a fraction of the cost of exact numbers.

Almost every order is far from every limit. Where one is not, `core.risk.rules` is asked, which alone decides;
so is the rule with least left, for the numbers of the verdict. A negative answer: there is nothing to say.
"""

from core.clock import SECOND_NS
from core.money import ZERO
from core.risk.exposure import Case

NEARLY = 1 - 1e-6
"""How much of a limit may be used before exact numbers are asked for."""
_NOTHING, _ASK = -1.0, 2.0


def position(case: Case, cap: float) -> float:
    """Return how much of `max_position_size` is used."""
    return case.near_position() / (case.near_equity * cap)


def portfolio(case: Case, cap: float) -> float:
    """Return how much of `max_portfolio_risk` and `max_leverage` is used."""
    return case.near_portfolio() / (case.near_equity * cap)


def risk(case: Case, cap: float) -> float:
    """Return how much of `max_risk_to_stops` is used."""
    return case.near_risk() / (case.near_equity * cap)


def loss(case: Case, cap: float) -> float:
    """Return how much of `max_daily_loss` is used."""
    pnl = case.state.history.day_pnl(case.proposal.account, case.state.currency)
    if pnl is None:
        return _NOTHING
    if pnl >= ZERO:
        return 0.0
    lost = -float(pnl)
    return lost / (case.near_equity + lost) / cap


def fall(case: Case, cap: float) -> float:
    """Return how much of `max_drawdown` is used."""
    peak = case.state.history.peak_equity(case.proposal.account, case.state.currency)
    if peak is None:
        return _NOTHING
    top = float(peak)
    fall = top - case.near_equity
    return fall / top / cap if fall > 0 and top > 0 else 0.0


def rate(case: Case, cap: int) -> float:
    """Return how much of `max_orders_per_minute` is used."""
    if case.proposal.new is None:
        return _NOTHING
    return case.state.history.intents_last_minute(case.proposal.account) / cap


def open_orders(case: Case, cap: int) -> float:
    """Return how much of `max_open_orders` is used."""
    proposal = case.proposal
    if proposal.new is None:
        return _NOTHING
    return (case.state.orders.count_others(proposal.account, proposal.order) + 1) / cap


def collar(case: Case, _cap: float) -> float:
    """Return how much of `price_collar` is used."""
    return _NOTHING if case.proposal.limit is None else _ASK


def duplicate(case: Case, within_s: float) -> float:
    """Return how much of `duplicate_within_s` is used."""
    new = case.proposal.new
    if new is None:
        return _NOTHING
    # The order itself is among the recent ones: another one has to be.
    recent = case.state.history.recent(new.ts - round(within_s * SECOND_NS))
    return _NOTHING if len(recent) < 2 and (not recent or recent[0] is new) else _ASK
