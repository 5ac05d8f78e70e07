"""How many: quantities from targets. Pure arithmetic on what a strategy knows.

`MarginSizing` is the model behind `Strategy.target_pct` and `Strategy.target_weights`; the functions are
for strategies that size by risk. Quantities are whole units, rounded towards zero.
"""

from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal

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
    get there. The defaults are those of the LEAN engine (2 : 1, 0.25 % of equity kept free). A change whose
    margin is below the share `minimum` of equity is not made, so that a target that is asked for again and
    again trades only when the market has moved; a target of nothing always is. Source: LEAN's documented
    behaviour (`MinimumOrderMarginPortfolioPercentage`), checked against `examples/published`.
    """

    name: str = "margin"
    leverage: Decimal = Decimal(2)
    buffer: Decimal = Decimal("0.0025")
    commission: str = "ibkr_fixed"
    minimum: Decimal = ZERO

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
        target = self._target(share, equity)
        if abs(target * sign - CONTEXT.multiply(holding.held, unit)) < CONTEXT.multiply(self.minimum, equity):
            return holding.held
        quantity = _fitting(target, unit)
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


LEAN = MarginSizing("lean", commission="lean", minimum=Decimal("0.001"))
"""Sizing as the LEAN engine does it with its default settings, for comparing with its published results."""


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
