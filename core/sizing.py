"""How many: quantities from targets. Pure arithmetic on what a strategy knows.

`MarginSizing` is the model behind `Strategy.target_pct` and `Strategy.target_weights`; the functions are
for strategies that size by risk. Quantities are whole units, rounded towards zero.
"""

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Any, Literal

import msgspec

from core.commissions import commission_model
from core.errors import UsageError
from core.events import InstrumentDefined
from core.money import CONTEXT, ZERO, plain


class Holding(msgspec.Struct, frozen=True):
    """What sizing needs to know of an instrument: definition, price and signed quantity held."""

    definition: InstrumentDefined
    price: Decimal
    held: Decimal


class BeyondMargin(UsageError):
    """A target that needs more margin than there is: `value` times equity, where `limit` times is allowed."""

    def __init__(self, value: Decimal, limit: Decimal, message: str) -> None:
        super().__init__(message)
        self.value, self.limit = plain(value), plain(limit)


class MarginSizing(msgspec.Struct, frozen=True):
    """Size by margin: a target share of equity, less a buffer, at a leverage, with room for the fee.

    The target margin is `share * (1 - buffer) / leverage * (equity - fee)`, a unit needs
    `price * multiplier / leverage`; the quantity is what fits, the fee being that of the order it takes to
    get there. The defaults are those of the LEAN engine (2 : 1, 0.25 % of equity kept free). Source: its
    documented behaviour, checked against the published results under `examples/published`.
    """

    name: str = "margin"
    leverage: Decimal = Decimal(2)
    buffer: Decimal = Decimal("0.0025")
    commission: str = "ibkr_fixed"

    def quantity(self, share: Decimal, equity: Decimal, holding: Holding) -> Decimal:
        """Return the signed quantity to hold for a signed `share` of `equity` (1 is all of it).

        Raises `BeyondMargin` for a share beyond what the leverage allows, `UsageError` for equity or a price
        that is not above 0.
        """
        if abs(share) > self.leverage:
            message = f"a target of {plain(share)} of equity needs more than leverage {self.leverage}"
            raise BeyondMargin(abs(share), self.leverage, message)
        if equity <= 0 or holding.price <= 0:
            raise UsageError(
                f"{holding.definition.instrument}: cannot size with equity {plain(equity)} "
                f"and price {plain(holding.price)}"
            )
        if not share:
            return ZERO
        unit = CONTEXT.divide(holding.price * holding.definition.multiplier, self.leverage)
        sign = 1 if share > 0 else -1
        quantity = _fitting(self._target(share, equity), unit)
        while quantity > 0:
            fee = self._fee(quantity * sign - holding.held, holding)
            target = self._target(share, equity - fee)
            if CONTEXT.multiply(quantity, unit) <= target:
                break
            quantity = min(_fitting(target, unit), quantity - 1)
        return quantity * sign

    def _target(self, share: Decimal, equity: Decimal) -> Decimal:
        adjusted = CONTEXT.multiply(abs(share), 1 - self.buffer)
        return max(CONTEXT.divide(CONTEXT.multiply(adjusted, equity), self.leverage), ZERO)

    def _fee(self, quantity: Decimal, holding: Holding) -> Decimal:
        if not quantity:
            return ZERO
        model = commission_model(self.commission)
        return model.commission(holding.definition, ZERO, ZERO, abs(quantity), holding.price, ZERO)


def _fitting(target: Decimal, unit: Decimal) -> Decimal:
    return CONTEXT.divide(target, unit).to_integral_value(ROUND_FLOOR)


LEAN = MarginSizing("lean", commission="lean")
"""All-in sizing as the LEAN engine does it, for comparing with its published results."""


def rebalanced(
    weights: Mapping[str, Decimal], equity: Decimal, holdings: Mapping[str, Holding], model: MarginSizing
) -> list[tuple[str, Decimal]]:
    """Return (instrument, signed difference) to get to target weights, reductions first, then by name.

    A weight is a signed share of equity; an instrument that has none stays as it is. Raises `BeyondMargin`
    if the weights together need more than the model's leverage.
    """
    gross = sum((abs(weight) for weight in weights.values()), ZERO)
    if gross > model.leverage:
        message = f"weights of {plain(gross)} in all need more than leverage {model.leverage}"
        raise BeyondMargin(gross, model.leverage, message)
    changes = []
    for name in sorted(weights):
        holding = holdings[name]
        difference = model.quantity(weights[name], equity, holding) - holding.held
        if difference:
            changes.append((name, difference, abs(holding.held + difference) < abs(holding.held)))
    return [(name, difference) for name, difference, reduces in sorted(changes, key=lambda c: not c[2])]


def fixed_fractional(
    equity: Decimal, fraction: Decimal, entry: Decimal, stop: Decimal, multiplier: Decimal = Decimal(1)
) -> Decimal:
    """Return the quantity that loses `fraction` of `equity` if the price goes from `entry` to `stop`.

    Source: R. Vince, "Portfolio Management Formulas", 1990. Raises `UsageError` if the prices are equal.
    """
    risk = CONTEXT.multiply(abs(entry - stop), multiplier)
    if not risk:
        raise UsageError("fixed_fractional: entry and stop are the same price, so nothing would be at risk")
    return max(CONTEXT.divide(equity * fraction, risk).to_integral_value(ROUND_DOWN), ZERO)


def volatility_target(
    equity: Decimal,
    target: Decimal,
    volatility: Decimal,
    price: Decimal,
    multiplier: Decimal = Decimal(1),
    leverage: Decimal = Decimal(1),
) -> Decimal:
    """Return the quantity whose yearly volatility is `target` of equity, at most `leverage` times equity.

    `volatility` is the instrument's own, yearly, as a fraction. Raises `UsageError` unless it and the price
    are above 0.
    """
    if volatility <= 0 or price <= 0:
        raise UsageError(f"volatility_target: needs volatility and price above 0, not {volatility}, {price}")
    share = min(CONTEXT.divide(target, volatility), leverage)
    units = CONTEXT.divide(equity * share, CONTEXT.multiply(price, multiplier))
    return max(units.to_integral_value(ROUND_DOWN), ZERO)


Method = Literal["fixed", "fixed_fractional", "volatility_target"]


class SizingRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many units an entry is for: `[sizing]` of the configuration.

    `stop_pct` is the distance of the stop as a fraction of the price; `volatility` is yearly and stands in
    for one that is measured. `max_share` caps the position's value, as a share of equity.
    """

    method: Method = "fixed"
    quantity: int = 100
    risk_per_trade: float = 0.01
    stop_pct: float | None = None
    target_volatility: float = 0.10
    volatility: float | None = None
    max_share: float | None = None


class SizingFacts(msgspec.Struct, frozen=True):
    """What sizing goes by: equity and a unit's value in the account's currency, and a yearly volatility."""

    equity: Decimal | None
    unit: Decimal | None
    volatility: float | None = None


class Sized(msgspec.Struct, frozen=True):
    """How many units, before (`wanted`) and after the cap that `capped_by` names; and what it went by."""

    wanted: Decimal
    quantity: Decimal
    capped_by: str
    inputs: dict[str, str]


def sized(rules: SizingRules, facts: SizingFacts) -> Sized:
    """Return the size of a position by the rules; 0, and why in `capped_by`, where a fact is unknown."""
    equity, unit = facts.equity, facts.unit
    volatility = facts.volatility if rules.volatility is None else rules.volatility
    inputs = {"equity": equity, "unit": unit, **_inputs(rules, volatility)}
    told = {name: str(value) for name, value in sorted(inputs.items()) if value is not None}
    if equity is None or unit is None or equity <= 0 or unit <= 0:
        return Sized(ZERO, ZERO, "equity or price is unknown", told)
    if rules.method == "volatility_target" and not volatility:
        return Sized(ZERO, ZERO, "volatility is unknown", told)
    wanted = _wanted(rules, equity, unit, volatility or 0.0)
    if rules.max_share is None:
        return Sized(wanted, wanted, "", told)
    most = CONTEXT.divide(equity * Decimal(repr(rules.max_share)), unit).to_integral_value(ROUND_DOWN)
    return Sized(wanted, wanted, "", told) if wanted <= most else Sized(wanted, most, "max_share", told)


def _inputs(rules: SizingRules, volatility: float | None) -> dict[str, Any]:
    named = {"max_share": rules.max_share}
    if rules.method == "fixed_fractional":
        return named | {"risk_per_trade": rules.risk_per_trade, "stop_pct": rules.stop_pct}
    if rules.method == "volatility_target":
        return named | {"target_volatility": rules.target_volatility, "volatility": volatility}
    return named | {"fixed": rules.quantity}


def _wanted(rules: SizingRules, equity: Decimal, unit: Decimal, volatility: float) -> Decimal:
    if rules.method == "fixed_fractional":
        if rules.stop_pct is None:
            raise UsageError("[sizing] fixed_fractional needs the distance of a stop: stop_pct")
        stop = CONTEXT.multiply(unit, 1 - Decimal(repr(rules.stop_pct)))
        return fixed_fractional(equity, Decimal(repr(rules.risk_per_trade)), unit, stop)
    if rules.method == "volatility_target":
        target = Decimal(repr(rules.target_volatility))
        return volatility_target(equity, target, Decimal(repr(volatility)), unit)
    return Decimal(rules.quantity)
