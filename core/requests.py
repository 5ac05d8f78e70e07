"""What a desk asks the step for, beside the events themselves; and values that no event can hold.

A strategy may ask for anything. What makes no order is put on record all the same, with its refusal.
"""

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec

from core.errors import InvalidEvent
from core.events import ModifyIntended, OrderIntended
from core.money import money, price
from core.order_rules import Refusal


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
        self.why = Refusal(rule, limit, str(value), message)


def exact(name: str, value: Decimal | float | None) -> Decimal | None:
    """Return a price as exact money; raises `Defect` for what is no number."""
    if value is None:
        return None
    try:
        return money(value) if isinstance(value, Decimal) else price(value)
    except (InvalidEvent, TypeError, ValueError) as error:
        message = f"{name} {value!r} is no price: expected a finite number"
        raise Defect("price", "a finite number", value, message) from error


@lru_cache(maxsize=4_096)  # hot: most orders are of a quantity that was asked for before
def _amount(value: Decimal | int) -> Decimal:
    return money(Decimal(value))


def amount(value: Decimal | int) -> Decimal:
    """Return a quantity as exact money; raises `Defect` for what is no number."""
    try:
        return _amount(value)
    except (InvalidEvent, InvalidOperation, TypeError, ValueError) as error:
        message = f"quantity {value!r}: expected a number below 1e30, such as 100"
        raise Defect("quantity", "a number below 1e30", value, message) from error
