"""Users' risk rules: from `[risk_management.rules.NAME]` to limits that a run records, and to loaded code.

A rule is found under its name, or at its `path`. What a run records has the digest of its source, so that the
same run has the same code.
"""

from collections.abc import Mapping, Sequence

import msgspec

from app.configuration.settings import RiskRuleSection
from app.plugins.discovery import Found
from app.plugins.kinds import RISK_RULES, instance_of, load_named
from core.errors import UsageError
from core.risk.limits import Limits, OwnLimit
from core.risk.own import LoadedRule
from core.risk.rules import RULES

_TAKEN = {rule.name for rule in RULES.values()}


def own_limits(rules: Mapping[str, RiskRuleSection]) -> tuple[OwnLimit, ...]:
    """Return the configured rules, in their order; raises `UsageError` that names one that does not load."""
    found: list[OwnLimit] = []
    for name, section in rules.items():
        if name in _TAKEN or name in RULES:
            raise UsageError(
                f"[risk_management.rules.{name}]: {name} is a rule of truetape; name yours otherwise"
            )
        path = section.path or name
        found.append(OwnLimit(name, _load(name, path).name, section.limit, ""))
    return renewed(Limits(rules=tuple(found))).rules


def renewed(limits: Limits) -> Limits:
    """Return limits that name the code that is there now."""
    if not limits.rules:
        return limits
    rules = tuple(
        msgspec.structs.replace(one, source=_load(one.name, one.path).source) for one in limits.rules
    )
    return msgspec.structs.replace(limits, rules=rules)


def load_rules(rules: Sequence[OwnLimit]) -> list[LoadedRule]:
    """Load the code of rules; raises `UsageError` with file and line of what does not load."""
    return [LoadedRule(one, instance_of(f"risk rule {one.name}", _load(one.name, one.path))) for one in rules]


def _load(name: str, path: str) -> Found:
    return load_named(RISK_RULES, f"risk rule {name}", path)
