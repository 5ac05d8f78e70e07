"""What a desk asks the step for, beside the events themselves; and values that no event can hold.

A strategy may ask for anything. What makes no order is put on record all the same, with its refusal: a
number that is none, however it came about, never ends a session. What is of the wrong type (a list for an
instrument) is a mistake in the strategy's own lines, and is raised there.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from math import inf, isfinite
from numbers import Real
from typing import Any, SupportsFloat, SupportsIndex, TypeVar

import msgspec

from core.clock import NEVER
from core.errors import InvalidEvent, UsageError
from core.events import ModifyIntended, OrderIntended
from core.money import ZERO, money, price
from core.order_rules import QUANTITY_MAX, Refusal

TEXT_MAX = 4_000
"""Characters of a text that are kept: a reason is for people."""
_SHOWN_MAX = 80
_NO_NUMBER = (InvalidEvent, TypeError, ValueError, ArithmeticError)
_N = TypeVar("_N")


class Bracketed(msgspec.Struct, frozen=True, gc=False):
    """A request for an entry and the exits that depend on it."""

    entry: OrderIntended
    exits: tuple[OrderIntended, ...]


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A request that makes no order, as the intent that it would have been, and what is wrong with it.

    What cannot be recorded (NaN, a side that is none) is left out of the intent and named in the refusal.
    """

    intent: OrderIntended | ModifyIntended
    why: Refusal


class Defect(Exception):
    """Something in a request that no event can hold."""

    def __init__(self, rule: str, limit: str, value: Any, message: str) -> None:
        super().__init__(message)
        self.why = Refusal(rule, limit, shown(value, str), message)


def shown(value: Any, how: Callable[[Any], str] = repr) -> str:
    """Return a value as text for a message, cut to what can be read, and stored."""
    try:
        found = how(value)
    except ValueError:  # an integer of thousands of digits
        return f"a number beyond {'-' if value < 0 else ''}1e4300"
    found = _storable(found)
    return found if len(found) <= _SHOWN_MAX else f"{found[: _SHOWN_MAX - 20]}… ({len(found)} characters)"


def _storable(value: str) -> str:
    # Half a surrogate pair, as a wrongly decoded file brings it, has no bytes in UTF-8.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def text(name: str, value: Any) -> str:
    """Return a text as it can be stored, cut to `TEXT_MAX`; raises `UsageError` for what is none."""
    if type(value) is str and len(value) <= TEXT_MAX and value.isascii():
        return value
    if not isinstance(value, str):
        raise UsageError(f"{name}={shown(value)}: expected text, not {type(value).__name__}")
    found = _storable(str(value))
    return found if len(found) <= TEXT_MAX else f"{found[: TEXT_MAX - 1]}…"


def words(value: object) -> str:
    """Return a reason as text that can be stored; whatever it is, it is for people."""
    if type(value) is str:
        return value if len(value) <= TEXT_MAX and value.isascii() else text("reason", value)
    return text("reason", shown(value, str))


def flag(name: str, value: Any) -> bool:
    """Return a truth value, numpy's too; raises `UsageError` for what is none."""
    if isinstance(value, bool):
        return value
    if (_is_number(value) or _is_truth(value)) and _float(value) in (0.0, 1.0):
        return bool(value)
    raise UsageError(f"{name}={shown(value)}: expected True or False")


def exact(name: str, value: Decimal | float | None) -> Decimal | None:
    """Return a price as exact money; raises `Defect` for what is no number; `True` is none."""
    if value is None:
        return None
    try:
        return money(value) if isinstance(value, Decimal) else price(_no_truth(value))
    except _NO_NUMBER as error:
        message = f"{name} {shown(value)} is no price: expected a finite number"
        raise Defect("price", "a finite number", value, message) from error


def exact_or_nan(name: str, value: Decimal | float) -> Decimal:
    """Return a price as exact money, NaN for one that no order has; raises `UsageError` for no number."""
    number(name, value)
    try:
        return exact(name, value) or ZERO
    except Defect:
        return Decimal("NaN")


def amount(value: Decimal | float) -> Decimal:
    """Return a quantity as exact money; raises `Defect` for no number, or a negative one."""
    try:
        return _amount(value)
    except _NO_NUMBER as error:
        message = f"quantity {shown(value)}: expected a number below 1e30, such as 100"
        raise Defect("quantity", "a number below 1e30", value, message) from error


# hot: most orders are of a quantity that was asked for before. By type: 1 is a quantity, and True is none.
@lru_cache(maxsize=4_096, typed=True)
def _amount(value: Decimal | float) -> Decimal:
    found = money(_decimal(_no_truth(value)))
    if found < ZERO:
        message = f"a quantity of {shown(value, str)} is no order: buy or sell a positive one"
        raise Defect("quantity", "above 0", value, message)
    return found


def share(name: str, value: Decimal | float) -> Decimal:
    """Return a share of equity; raises `Defect` for what is no number, or beyond any leverage."""
    try:
        found = _decimal(value if isinstance(value, Decimal) else str(value))
        if -QUANTITY_MAX <= found <= QUANTITY_MAX:
            return found
    except _NO_NUMBER:
        pass
    message = f"{name}: {shown(value)} is no share of equity: expected a number such as 0.25"
    raise Defect("sizing", "a share of equity", value, message)


def recordable(name: str, value: float) -> float:
    """Return a value of a series, 1 or 0 for a truth.

    Raises `Defect` for NaN and infinity, `UsageError` for no number.
    """
    found = float(value) if _is_truth(value) else number(f"series {name!r}: value", value)
    if isfinite(found):
        return found
    message = f"series {name!r}: {shown(value)} cannot be recorded: expected a finite number"
    raise Defect("record", "a finite number", value, message)


def number(name: str, value: Any) -> float:
    """Return a number as a float, NaN for one that no float holds; raises `UsageError` for no number."""
    if _is_number(value):
        return _float(value)
    raise UsageError(f"{name}={shown(value)}: expected a number, not {type(value).__name__}")


def known(name: str, value: float | None) -> float | None:
    """Return a number above 0; `None` for what says that it is not known. Raises as `number` does."""
    found = None if value is None else number(name, value)
    return found if found is not None and 0.0 < found < inf else None


def moment(name: str, value: float) -> int:
    """Return a time in ns UTC; raises `Defect` for one that no clock shows, `UsageError` for what is none."""
    if type(value) is int and -NEVER <= value <= NEVER:
        return value
    if not _is_number(value):
        raise UsageError(f"{name}={shown(value)}: expected a time in ns UTC, not {type(value).__name__}")
    if isinstance(value, SupportsIndex):
        found = value.__index__()
    else:
        found = int(value) if isfinite(_float(value)) else NEVER + 1
    if -NEVER <= found <= NEVER:
        return found
    message = f"{name} {shown(value)} is no time: expected ns UTC before the year 2262"
    raise Defect("time", "a time before 2262", value, message)


def after(name: str, now: int, seconds: float) -> int:
    """Return the time so many seconds after `now`, in ns UTC; raises as `moment` does."""
    if not _is_number(seconds):
        raise UsageError(f"{name}={shown(seconds)}: expected seconds, not {type(seconds).__name__}")
    ahead = _float(seconds) * 1e9
    if isfinite(ahead) and now + round(ahead) <= NEVER:
        return max(now + round(ahead), -NEVER)
    message = f"{name} {shown(seconds)} is no time: expected seconds up to the year 2262"
    raise Defect("time", "a time before 2262", seconds, message)


def is_negative(value: Any) -> bool:
    """Return whether something is a number below zero; whatever is no number is not."""
    try:
        return bool(value < 0)
    except _NO_NUMBER:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal | Real | SupportsIndex) and not _is_truth(value)


def _is_truth(value: object) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # numpy's, too, which says of itself no more than that


def _no_truth(value: _N) -> _N:
    # Python counts with truths, and takes them for 1 and 0 wherever it looks them up.
    if _is_truth(value):
        raise TypeError("a truth is no number")
    return value


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(value)
    except TypeError:  # numpy's integers and short floats, fractions
        if isinstance(value, SupportsIndex):
            return Decimal(value.__index__())
        if isinstance(value, Real):
            return Decimal(repr(float(value)))
        raise


def _float(value: SupportsFloat) -> float:
    try:
        return float(value)
    except (OverflowError, ValueError):  # beyond any float; a signalling NaN
        return float("nan")
