"""Commission schedules by name: what a simulated fill costs. Pure arithmetic, in USD.

A schedule prices the whole order so far; a fill is charged what that exceeds the charges before it, so
an order filled in parts pays its minimum once. The rates are those of Interactive Brokers' public pages
"Commissions Stocks", "Commissions Options" and "Commissions Futures" (United States, first monthly
volume tier). Not included, because they depend on venue, side and date: exchange, clearing and
regulatory fees, and exchange rebates. A real statement will therefore differ by fractions of a cent a share.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

import msgspec

from core.errors import UsageError
from core.events import InstrumentDefined
from core.money import CONTEXT, ZERO, divide, money, plain

_add = CONTEXT.add
_multiply = CONTEXT.multiply

CURRENCY = "USD"


class CommissionModel(Protocol):
    """Prices the fills of an order, one after the other."""

    @property
    def name(self) -> str:
        """The name under which a configuration asks for the model."""

    def commission(
        self,
        instrument: InstrumentDefined,
        filled_before: Decimal,
        charged_before: Decimal,
        quantity: Decimal,
        price: Decimal,
        value_before: Decimal,
    ) -> Decimal:
        """Return what the fill of `quantity` at `price` costs, at least 0, in the instrument's currency.

        `filled_before`, `charged_before` and `value_before` (sum of price * quantity *
        multiplier) are those of the order's earlier fills. Raises `UsageError` for a kind or currency
        that the schedule does not cover.
        """


def ibkr_fixed_stocks(quantity: Decimal, value: Decimal, _multiplier: Decimal) -> Decimal:
    """US stocks and ETFs, Fixed: USD 0.005 a share, at least 1.00, at most 1 % of the trade value.

    Where 1 % is below the minimum, 1 % is charged. Source: Interactive Brokers, "Commissions Stocks",
    United States, column Fixed. Exchange and clearing fees are part of it, regulatory fees are not.
    """
    return min(max(_multiply(quantity, _FIXED_SHARE), _FIXED_MINIMUM), _multiply(value, _ONE_PERCENT))


def ibkr_tiered_stocks(quantity: Decimal, value: Decimal, _multiplier: Decimal) -> Decimal:
    """US stocks and ETFs, Tiered: USD 0.0035 a share, at least 0.35, at most 1 % of the trade value.

    This is the tier up to 300,000 shares a month; volume is not tracked, so a busier account pays less.
    Exchange, clearing, regulatory and pass-through fees come on top and are **not** included. Source:
    Interactive Brokers, "Commissions Stocks", United States, column Tiered.
    """
    return min(max(_multiply(quantity, _TIERED_SHARE), _TIERED_MINIMUM), _multiply(value, _ONE_PERCENT))


def ibkr_futures(quantity: Decimal, _value: Decimal, _multiplier: Decimal) -> Decimal:
    """US futures: USD 0.85 a contract, Fixed and Tiered (up to 1,000 contracts a month) alike.

    Exchange and regulatory fees are **not** included, nor are the lower rates of micro contracts. Source:
    Interactive Brokers, "Commissions Futures", United States.
    """
    return _multiply(quantity, _FUTURE)


def ibkr_options(quantity: Decimal, value: Decimal, multiplier: Decimal) -> Decimal:
    """US options: USD 0.65 a contract, 0.50 for a premium below 0.10, 0.25 below 0.05, at least 1.00.

    The premium is the order's average. This is the tier up to 10,000 contracts a month; exchange,
    clearing and regulatory fees are **not** included. Source: Interactive Brokers, "Commissions
    Options", United States.
    """
    premium = divide(value, _multiply(quantity, multiplier))
    rate = next((rate for limit, rate in _OPTION_RATES if premium < limit), _OPTION)
    return max(_multiply(quantity, rate), _FIXED_MINIMUM)


def lean_stocks(quantity: Decimal, value: Decimal, _multiplier: Decimal) -> Decimal:
    """The stock fee of the LEAN engine's IB model: Fixed, but a cap of 0.5 % yields to the minimum.

    For comparing results with that engine's published ones. Source: the expected statistics of its
    regression algorithms, such as USD 3.44 for 688 shares.
    """
    return max(min(_multiply(quantity, _FIXED_SHARE), _multiply(value, _HALF_PERCENT)), _FIXED_MINIMUM)


def nothing(_quantity: Decimal, _value: Decimal, _multiplier: Decimal) -> Decimal:
    """No commission."""
    return ZERO


_FIXED_SHARE, _FIXED_MINIMUM = Decimal("0.005"), Decimal("1.00")
_TIERED_SHARE, _TIERED_MINIMUM = Decimal("0.0035"), Decimal("0.35")
_ONE_PERCENT, _HALF_PERCENT = Decimal("0.01"), Decimal("0.005")
_FUTURE, _OPTION = Decimal("0.85"), Decimal("0.65")
_OPTION_RATES = ((Decimal("0.05"), Decimal("0.25")), (Decimal("0.10"), Decimal("0.50")))

Schedule = Callable[[Decimal, Decimal, Decimal], Decimal]
"""Takes an order's quantity so far, its value (with multiplier) and the multiplier; returns USD."""


class ScheduledCommission(msgspec.Struct, frozen=True):
    """A `CommissionModel` with one schedule for each kind of instrument; `""` stands for any kind."""

    name: str
    schedules: Mapping[str, Schedule]

    def commission(
        self,
        instrument: InstrumentDefined,
        filled_before: Decimal,
        charged_before: Decimal,
        quantity: Decimal,
        price: Decimal,
        value_before: Decimal,
    ) -> Decimal:
        """Return the order's commission with this fill, less what was charged before; at least 0."""
        schedule = self.schedules.get("") or self._schedule(instrument)
        value = _add(value_before, _multiply(_multiply(quantity, price), instrument.multiplier))
        total = schedule(_add(filled_before, quantity), value, instrument.multiplier)
        return money(max(CONTEXT.subtract(total, charged_before), ZERO))

    def _schedule(self, instrument: InstrumentDefined) -> Schedule:
        schedule = self.schedules.get(instrument.kind)
        if schedule is None or instrument.currency != CURRENCY:
            kinds = ", ".join(sorted(self.schedules))
            raise UsageError(
                f"commission model {self.name!r} does not cover {instrument.instrument} "
                f"({instrument.kind} in {instrument.currency}): it has {kinds} in {CURRENCY}; "
                f"use a rate ('2 each'), the model 'zero', or leave the instrument out"
            )
        return schedule


def _model(name: str, **schedules: Schedule) -> ScheduledCommission:
    return ScheduledCommission(name, schedules)


COMMISSION_MODELS: Mapping[str, CommissionModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            _model("ibkr_fixed", STK=ibkr_fixed_stocks, FUT=ibkr_futures, OPT=ibkr_options),
            _model("ibkr_tiered", STK=ibkr_tiered_stocks, FUT=ibkr_futures, OPT=ibkr_options),
            _model("lean", STK=lean_stocks),
            ScheduledCommission("zero", {"": nothing}),
        )
    }
)
"""All named models; `commission_model` knows rates beside them."""

_RATE = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?(%|bps|each)", re.ASCII)
_RATES = {"%": Decimal("0.01"), "bps": Decimal("0.0001"), "each": Decimal(1)}


def rate_of_value(rate: Decimal) -> Schedule:
    """Any instrument in any currency: a share `rate` of the value traded, without a minimum.

    This is what backtesting.py calls `commission=0.002` (`0.2 %` here) and backtrader
    `setcommission(commission=0.002)`. Source: the documentation of both; each side of a trade pays.
    """
    return lambda _quantity, value, _multiplier: _multiply(abs(value), rate)


def rate_each(amount: Decimal) -> Schedule:
    """Any instrument in any currency: `amount` for each share or contract, without a minimum.

    This is what backtrader calls `setcommission(commission=2, margin=...)`. Source: its documentation.
    """
    return lambda quantity, _value, _multiplier: _multiply(quantity, amount)


def _rated(text: str) -> CommissionModel | None:
    found = _RATE.fullmatch(text)
    if found is None:
        return None
    amount, unit = Decimal(found[1]), found[2]
    if unit != "each" and CONTEXT.multiply(amount, _RATES[unit]) >= 1:
        raise UsageError(f"commission {text!r}: a rate of the value must be below 100 %")
    make = rate_each if unit == "each" else rate_of_value
    name = f"{plain(amount)} {unit}"
    return ScheduledCommission(name, {"": make(CONTEXT.multiply(amount, _RATES[unit]))})


def commission_model(name: str) -> CommissionModel:
    """Return the model of that name, or of a rate (`0.2 %` or `20 bps` of the value, `2 each`).

    Raises `UsageError` listing the names there are.
    """
    model = COMMISSION_MODELS.get(name) or _rated(name)
    if model is None:
        from difflib import get_close_matches  # noqa: PLC0415  # only for a message

        near = get_close_matches(name, COMMISSION_MODELS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"unknown commission model {name!r}: expected one of {', '.join(COMMISSION_MODELS)}, "
            f"or a rate such as '0.2 %', '20 bps' (of the value) or '2 each' (share or contract){hint}"
        )
    return model


def check_commission(name: str) -> None:
    """Raise `ValueError` for a commission model that is none: a key's check in a configuration."""
    try:
        commission_model(name)
    except UsageError as error:
        raise ValueError(str(error)) from error
