"""The edge where the broker's numbers become ours: what it uses for "unset" becomes `None`.

Pure. Sizes and money become `Decimal` (core.money), prices and sizes of ticks stay floats. No value
above 1e300 and no NaN gets past this module. It must never turn "unknown" into 0.
"""

import math
from decimal import Decimal, InvalidOperation

from core.errors import InvalidEvent
from core.money import money

UNSET_INTEGERS = frozenset({2**31 - 1, 2**63 - 1, -(2**63)})
_UNSET_FLOAT = 1e300
_UNSET_DECIMALS = frozenset({Decimal(2**127 - 1), *map(Decimal, UNSET_INTEGERS)})


def number(value: float | None) -> float | None:
    """Return a price or ratio as said; `None` for unset, NaN and infinity."""
    if value is None or not -_UNSET_FLOAT < value < _UNSET_FLOAT:
        return None
    return value


def amount(value: float | str | Decimal | None) -> Decimal | None:
    """Return money, a price of an order or a size exactly; `None` for unset, "" and what is not finite."""
    if value is None or value == "":
        return None
    exact = value if isinstance(value, Decimal) else Decimal(str(value))
    if not exact.is_finite() or exact in _UNSET_DECIMALS or not math.fabs(exact) < _UNSET_FLOAT:
        return None
    return money(exact)


def told_amount(text: str) -> Decimal | None:
    """Return the amount that a value of an account is; `None` as above, and for text that is no number."""
    try:
        return amount(text)
    except (InvalidOperation, InvalidEvent):
        return None


def size(value: Decimal | float) -> float | None:
    """Return the size of a tick or a bar as said; `None` for unset and what is not finite."""
    if not -_UNSET_FLOAT < value < _UNSET_FLOAT or value in _UNSET_DECIMALS:
        return None
    return float(value)


def integer(value: int | None) -> int | None:
    """Return a whole number; `None` for unset."""
    return None if value is None or value in UNSET_INTEGERS else int(value)


def identity(value: int | None) -> int | None:
    """Return an id; `None` for unset and for 0, which the broker uses for "no such thing"."""
    return integer(value) or None


def tick_number(field: bytes) -> float | None:
    """Return the number in a field of a tick; `None` for an empty field, unset, NaN and infinity."""
    if not field:
        return None
    value = float(field)
    return value if -_UNSET_FLOAT < value < _UNSET_FLOAT else None


def tick_size(field: bytes) -> float | None:
    """Return the size in a field of a tick; `None` as above, and for the broker's unset integers."""
    if not field or field in _UNSET_SIZES:
        return None
    value = float(field)
    return value if -_UNSET_FLOAT < value < _UNSET_FLOAT else None


_UNSET_SIZES = frozenset(b"%d" % value for value in UNSET_INTEGERS)
