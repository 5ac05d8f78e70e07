"""Exact money: one way to make a `Decimal` that may enter an event.

Amounts are quantised to 1e-8, half even, under an explicit context, and normalised (`100`, not
`100.00` or `1E+2`), so that equal amounts have equal bytes. A float is never compared with a
`Decimal`: `144.78 <= Decimal("144.78")` is False. Convert an order's price once with `float()`.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import lru_cache

from core.errors import InvalidEvent

CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
SESSION_CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN)
"""What a session runs in: a strategy's file may have set the thread's own context."""
QUANTUM = Decimal("1e-8")
ZERO = Decimal(0)
_NAN = Decimal("NaN")


@lru_cache(maxsize=65_536)
def money(value: Decimal | int | str) -> Decimal:
    """Return `value` quantised to 1e-8 in canonical form; raises `InvalidEvent` if it is not finite."""
    return money_once(value)


def money_once(value: Decimal | int | str) -> Decimal:
    """Return `money(value)`, for numbers that hardly ever repeat: a quarter of the time of one not cached."""
    # They would also push amounts that do repeat out of the cache.
    try:
        amount = CONTEXT.quantize(Decimal(value), QUANTUM)
    except InvalidOperation:
        amount = _NAN
    if amount.is_nan():  # quantize lets a quiet NaN through
        raise InvalidEvent(f"{value!r} is not an amount: expected a finite number below 1e30")
    if not amount:
        return ZERO
    whole = amount.to_integral_value()  # has no exponent, where `normalize` would make 100 a 1E+2
    return whole if whole == amount else amount.normalize(CONTEXT)


@lru_cache(maxsize=65_536)
def price(value: float) -> Decimal:
    """Return a market price as exact money: the shortest decimal that reads back as `value`."""
    text = repr(float(value))
    whole, _, places = text.partition(".")
    if value and len(places) <= 8 and places.isdecimal():
        # As a rule: it is canonical, since `repr` writes no zero at the end but that of 100.0.
        return Decimal(whole if places == "0" else text)
    return money_once(text)


def decimal_of(text: str) -> Decimal:
    """Return the finite number that a text writes in the digits 0 to 9; raises `ValueError` in words."""
    # Decimal alone would take the digits of every script: a slip of an input method would pass unseen.
    if not text.isascii():
        raise ValueError("expected a number in the digits 0 to 9")
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("expected a number") from error
    if not found.is_finite():
        raise ValueError("expected a finite number")
    return found


def divide(numerator: Decimal, denominator: Decimal) -> Decimal:
    """Return the quotient, rounded once to 1e-8."""
    return money_once(CONTEXT.divide(numerator, denominator))


def written(value: Decimal) -> str:
    """Return `plain(money(value))`, for numbers that hardly ever repeat; needs a finite one."""
    text = str(value)
    point = text.find(".")
    if value and "E" not in text:
        if point < 0:
            return text
        if len(text) - point <= 9:  # no more than eight places
            return text.rstrip("0").rstrip(".")
    rounded = CONTEXT.quantize(value, QUANTUM)
    return format(rounded, "f").rstrip("0").rstrip(".") if rounded else "0"


def plain(value: Decimal) -> str:
    """Return `value` without an exponent, for people and for JSON."""
    return format(value, "f")
