"""A user's own risk rules: a function of the case that says a number, against the limit configured for it.

They are asked after the rules of this package, and not about an order that only reduces. One that raises
refuses the entry and is named; it can neither approve by failing nor stop an exit.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from core.money import money, plain
from core.plugged import asked
from core.risk.exposure import Case, UnknownRate
from core.risk.limits import OwnLimit
from core.risk.rules import Reading, Rule

OwnRule = Callable[[Case], float | Decimal | None]
_T = TypeVar("_T", bound=Callable[..., Any])
_MARK = "__truetape_risk_rule__"


def risk_rule(rule: _T) -> _T:
    """Mark a function `rule(case)`, or a class whose instances are called so, as a risk rule.

    It returns the present value, which the configured limit bounds, or `None` where it has nothing to say.
    It must be pure: what it says may follow from the case alone.
    """
    setattr(rule, _MARK, True)
    return rule


def is_risk_rule(item: object) -> bool:
    """Return whether `risk_rule` marked it."""
    return getattr(item, "__dict__", {}).get(_MARK) is True


class LoadedRule(msgspec.Struct, frozen=True):
    """A configured rule and its code."""

    limit: OwnLimit
    call: OwnRule


def rules_of(loaded: Sequence[LoadedRule]) -> list[tuple[Rule, float]]:
    """Return users' rules as the gate asks rules, each with its limit."""
    return [(_rule(one), one.limit.limit) for one in loaded]


def _rule(one: LoadedRule) -> Rule:
    name, call = one.limit.name, one.call

    def read(case: Case, cap: float) -> Reading | None:
        value = asked(call, case, (UnknownRate,))
        if value is None:
            return None
        limit = Decimal(repr(cap))
        return Reading(limit, value, value > limit)

    return Rule(name, read, lambda _, r: f"{name} is {plain(money(r.value))}, above {plain(money(r.limit))}")
