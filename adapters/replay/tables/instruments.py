"""The instrument that a table's rows are of: what the user says of it, and what its name says.

Refuses what no instrument can be, and what options and name say differently, before anything is in the log.
Pure.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import TypeVar

import msgspec

from core.contract_names import ContractName, read_name
from core.errors import UsageError
from core.events import InstrumentDefined
from core.money import decimal_of
from core.price_steps import parse_steps, steps_text

SECURITY_TYPES = ("STK", "FUT", "OPT", "CASH", "IND")
_T = TypeVar("_T")
_ENDING = ("FUT", "OPT")
_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}
_EXAMPLE = "such as AAPL-20261218-C-250"


class InstrumentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a user says of the instrument; `None` is what its name says, or the usual (STK, 1, 0.01)."""

    security_type: str | None = None
    currency: str = "USD"
    multiplier: str | None = None
    tick_size: str | None = None
    price_steps: str | None = None
    underlying: str | None = None
    expiry: str | None = None
    strike: str | None = None
    right: str | None = None


def check_options(given: InstrumentOptions) -> None:
    """Refuse options that no instrument can have; raises `UsageError`."""
    kind = given.security_type
    if kind not in {None, *SECURITY_TYPES}:
        raise UsageError(f"--security-type {kind!r}: expected one of {', '.join(SECURITY_TYPES)}")
    if not (len(given.currency) == 3 and given.currency.isalpha() and given.currency.isupper()):
        raise UsageError(f"--currency {given.currency!r}: expected three capital letters, such as USD")
    for option in ("multiplier", "tick_size", "strike"):
        text = getattr(given, option)
        if text is not None:
            _amount(f"--{option.replace('_', '-')}", text)
    if given.price_steps is not None:
        _check_steps(given.price_steps, given.tick_size)
    if given.expiry is not None:
        _date(given.expiry)
    if given.right is not None and given.right.upper() not in _RIGHTS:
        raise UsageError(f"--right {given.right!r}: expected C or P")
    for option, kinds in (
        ("expiry", _ENDING),
        ("underlying", _ENDING),
        ("strike", ("OPT",)),
        ("right", ("OPT",)),
    ):
        if getattr(given, option) is not None and kind not in {None, *kinds}:
            raise UsageError(f"--{option}: only of --security-type {' or '.join(kinds)}, not of {kind}")


def define(
    given: InstrumentOptions, name: str, ts: int, exchange: str, timezone: str, *, alone: bool = True
) -> InstrumentDefined:
    """Return the definition of the instrument `name`.

    `alone` says that all rows are of it. Raises `UsageError` if its name and the options contradict each
    other, or an option's expiry, strike or right is unknown.
    """
    told = read_name(name)
    kind = given.security_type or _kind(given, name, told)
    said = told if told is not None and told.kind == kind else ContractName(kind, name, "")
    if not alone and given.strike is not None:
        raise UsageError(
            f"--strike: the rows are of several instruments; name them for their strikes, {_EXAMPLE}"
        )
    expiry = _expiry(given, name, said.expiry)
    right = _same(name, "right", _RIGHTS[given.right.upper()] if given.right else None, said.right)
    strike = _same(name, "strike", Decimal(given.strike) if given.strike else None, said.strike)
    if kind == "OPT":
        values = {"--expiry DATE": expiry, "--strike PRICE": strike, "--right C|P": right}
        if missing := [option for option, value in values.items() if value is None]:
            raise UsageError(
                f"{name}: of an option, {', '.join(missing)} must be known: add it, or name the option for "
                f"it, {_EXAMPLE}"
            )
    steps = parse_steps(given.price_steps) if given.price_steps else []
    return InstrumentDefined(
        ts,
        instrument=name,
        symbol=given.underlying or said.symbol,
        kind=kind,
        exchange=exchange,
        currency=given.currency,
        multiplier=Decimal(given.multiplier or "1"),
        tick_size=min((step for _, step in steps), default=Decimal(given.tick_size or "0.01")),
        timezone=timezone,
        expiry=expiry,
        strike=strike,
        right=right,
        price_steps=steps_text(steps) if steps else "",
    )


def describe(defined: Iterable[InstrumentDefined]) -> str:
    """Say what futures and options were taken for; nothing of other instruments."""
    words = []
    for one in defined:
        if one.kind not in _ENDING:
            continue
        contract = f"{one.right} {one.strike} of {one.symbol}" if one.kind == "OPT" else f"of {one.symbol}"
        ends = f"expires {one.expiry}" if one.expiry else "expiry unknown (--expiry DATE)"
        words.append(
            f"{one.instrument}: {one.kind} {contract}, {ends}, multiplier {one.multiplier}, "
            + (f"price steps {one.price_steps}" if one.price_steps else f"tick size {one.tick_size}")
        )
    return "; ".join(words)


def _kind(given: InstrumentOptions, name: str, told: ContractName | None) -> str:
    if given.strike is not None or given.right is not None:
        return "OPT"
    if told is not None:
        raise UsageError(
            f"{name}: is it {'an option' if told.kind == 'OPT' else 'a future'}, as its name says? Add "
            f"--security-type {told.kind}, with --multiplier NUMBER; or --security-type STK if it is a share"
        )
    if given.expiry is not None or given.underlying is not None:
        raise UsageError(f"{name}: add --security-type FUT or OPT: a share has no expiry and no underlying")
    return "STK"


def _expiry(given: InstrumentOptions, name: str, said: str) -> str | None:
    expiry = _date(given.expiry) if given.expiry is not None else None
    if not said:
        return expiry
    if expiry is not None and not expiry.replace("-", "").startswith(said):
        raise UsageError(f"--expiry {given.expiry}: the name {name} says {said}; which of them is right?")
    return expiry or (_date(said) if len(said) == 8 else None)


def _same(name: str, option: str, given: _T | None, said: _T | None) -> _T | None:
    if given is not None and said is not None and given != said:
        raise UsageError(f"--{option} {given}: the name {name} says {said}; which of them is right?")
    return said if given is None else given


def _amount(option: str, text: str) -> None:
    try:
        fits = 0 < decimal_of(text) < 10**12
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f"{option} {text!r}: expected a number above 0, such as 0.01 or 50")


def _check_steps(text: str, tick_size: str | None) -> None:
    try:
        parse_steps(text)
    except ValueError as error:
        raise UsageError(f"--price-steps {error}") from error
    if tick_size is not None:
        raise UsageError("--tick-size: --price-steps names all steps already; leave one of them out")


def _date(text: str) -> str:
    try:
        if len(text) not in {8, 10}:
            raise ValueError
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--expiry {text!r}: expected a last trading day, such as 2026-12-18") from None
