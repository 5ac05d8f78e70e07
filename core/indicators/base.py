"""What every indicator is: counted updates, a value once it is ready, a state that can be kept."""

from collections.abc import Iterable
from math import isfinite
from typing import Any, ClassVar, Self

from core.errors import InvalidEvent, UsageError

State = dict[str, Any]
"""A snapshot as plain data (numbers and lists), which any encoder takes."""


class Indicator:
    """Base of all indicators.

    `fields` names the attributes that make up the state. `value` holds 0.0 until `ready`; `warm_up` is the
    number of updates after which it is. Subclasses set their attributes in `reset`.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.count = 0
        self.value = 0.0
        self.reset()

    @property
    def ready(self) -> bool:
        """Whether there have been enough updates for a value."""
        return self.count >= self.warm_up

    def reset(self) -> None:
        """Forget everything."""
        self.count = 0
        self.value = 0.0

    def state(self) -> State:
        """Return a snapshot that shares nothing with the indicator."""
        names = ("count", "value", *self.fields)
        return {name: _copied(getattr(self, name)) for name in names}

    def restore(self, state: State) -> Self:
        """Go on from a snapshot of an indicator with the same parameters; return the indicator."""
        expected = {"count", "value", *self.fields}
        if set(state) != expected:
            raise UsageError(f"{type(self).__name__}: expected a state with {', '.join(sorted(expected))}")
        for name, value in state.items():
            setattr(self, name, _copied(value))
        return self


def _copied(value: Any) -> Any:
    return [_copied(item) for item in value] if isinstance(value, list | tuple) else value


def period(value: int, least: int = 1) -> int:
    """Return a window's length; raises `UsageError` if it is none."""
    if type(value) is not int or value < least:
        raise UsageError(f"period {value!r}: expected a whole number from {least} on")
    return value


def finite(values: Iterable[float]) -> None:
    """Raise `InvalidEvent` for NaN or infinity, which would stay in a sum for ever."""
    for value in values:
        if not isfinite(value):
            raise InvalidEvent(f"{value!r} is no price: expected a finite number")
