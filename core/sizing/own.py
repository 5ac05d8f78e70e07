"""A user's own sizing: a function of the case that says how many units a position is to have.

What it says is capped as every size is, and the order that follows meets every limit. One that raises, or
says what is no number of units, sizes nothing: the entry is off, by name, and exits go on.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from core.money import ZERO
from core.plugged import PluginRaised, asked
from core.sizing.rules import OwnSizer, OwnSizing, SizingFacts, Unsized

_T = TypeVar("_T", bound=Callable[..., Any])
_MARK = "__truetape_sizer__"


def sizer(item: _T) -> _T:
    """Mark a function `size(case)`, or a class whose instances are called so, as a sizer.

    It returns units, 0 or more, which are rounded down to whole ones, or `None` where it has no size. It must
    be pure: what it says may follow from the case alone.
    """
    setattr(item, _MARK, True)
    return item


def is_sizer(item: object) -> bool:
    """Return whether `sizer` marked it."""
    return getattr(item, "__dict__", {}).get(_MARK) is True


class LoadedSizer(msgspec.Struct, frozen=True):
    """A configured sizer and its code."""

    own: OwnSizing
    call: Callable[[SizingFacts], float | Decimal | None]


def asking(loaded: LoadedSizer) -> OwnSizer:
    """Return the sizer as sizing asks it: units, or `Unsized` with the reason."""
    name = loaded.own.name

    def size(case: SizingFacts) -> Decimal:
        try:
            units = asked(loaded.call, case)
        except PluginRaised as error:
            raise Unsized(f"sizer {name} {error}") from error
        if units is None:
            raise Unsized(f"sizer {name} has no size")
        if units < ZERO:
            raise Unsized(f"sizer {name} said {units}: expected units of 0 or more")
        return units

    return size
