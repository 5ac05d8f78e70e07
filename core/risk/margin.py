"""Initial margin: what an account has to hold for its positions, by a named model. Pure rules.

`reg_t` is a margin account in stocks: half of the value of each position, long or short (Federal Reserve,
Regulation T, 12 CFR 220.12); a bought option is paid in full; a future needs an amount a contract, which its
exchange sets and the configuration names. `cash` asks for the whole value and sells nothing short.

Margin is asked of entries. What becomes of a position afterwards is not: there are no margin calls.
"""

from decimal import Decimal

from core.money import CONTEXT
from core.risk.exposure import Case, worth
from core.risk.limits import MarginModel, MarginRules
from core.risk.state import RiskState

_SHARES: dict[MarginModel, Decimal] = {"cash": Decimal(1), "reg_t": Decimal("0.5")}
_FUTURES = frozenset({"FUT"})
_OPTIONS = frozenset({"OPT", "FOP"})


class NoMargin(Exception):
    """Something that a model has no margin for; the message says why."""


def initial_margin(case: Case, rules: MarginRules) -> Decimal:
    """Return the margin of everything that is held once the proposal and all pending orders have filled.

    In the account's currency. Raises `NoMargin` for what the model does not allow, `UnknownRate`.
    """
    name = case.proposal.instrument
    assert case.price is not None
    _check(name, case.size, rules, case.state)
    total = _needed(name, case.size, case.price, rules, case.state)
    for other, size, price in case.others():
        total = CONTEXT.add(total, _needed(other, size, price, rules, case.state))
    return total


def _check(name: str, size: Decimal, rules: MarginRules, state: RiskState) -> None:
    kind = state.instruments.instrument(name).kind
    if size >= 0 or kind in _FUTURES:
        return
    if kind in _OPTIONS:
        raise NoMargin(f"{name}: there is no margin for options sold short ({rules.model})")
    if rules.model == "cash":
        raise NoMargin(f"{name}: a cash account sells nothing short")


def _needed(name: str, size: Decimal, price: float, rules: MarginRules, state: RiskState) -> Decimal:
    definition = state.instruments.instrument(name)
    if definition.kind in _FUTURES:
        known = dict(rules.futures)
        amount = known.get(name, known.get(definition.symbol))
        if amount is None and size:
            raise NoMargin(
                f"{name}: its margin a contract is not known; next: set it in [replay.futures_margin]"
            )
        # `worth` multiplies, so a contract counts with its margin instead of its value.
        return CONTEXT.divide(worth(size, amount or 0.0, name, state), definition.multiplier)
    value = worth(size, price, name, state)
    return value if definition.kind in _OPTIONS else CONTEXT.multiply(value, _SHARES[rules.model])
