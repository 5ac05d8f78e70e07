"""What is searched: an axis for each parameter, from `--range`, `--choice` or the declared limits. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from random import Random
from typing import Annotated, Any, get_args, get_origin

import msgspec

from app.plugins.parameters import converted
from core.errors import UsageError
from core.money import decimal_of
from core.strategy import AnyStrategy

GRID_MAX = 100_000
_DECLARED_VALUES = 10
"""How many values a grid takes of an axis whose limits come from the declaration."""


class Axis(msgspec.Struct, frozen=True):
    """The values of one parameter: `choices`, or numbers from `low` to `high`, by `step` if there is one."""

    name: str
    low: float | int = 0
    high: float | int = 0
    step: float | int | None = None
    choices: tuple[Any, ...] = ()
    whole: bool = False

    @property
    def count(self) -> int:
        """How many values there are; raises `UsageError` for a continuous axis."""
        if self.choices:
            return len(self.choices)
        if self.step is None:
            raise UsageError(
                f"--range {self.name}={self.low:g}:{self.high:g}: a grid needs a step, such as "
                f"{self.name}={self.low:g}:{self.high:g}:{(self.high - self.low) / 10:g}; or --search random"
            )
        return int((Decimal(str(self.high)) - Decimal(str(self.low))) / Decimal(str(self.step))) + 1

    def value(self, index: int) -> Any:
        """Return the value at a place, from 0 on, ascending."""
        if self.choices:
            return self.choices[index]
        number = Decimal(str(self.low)) + index * Decimal(str(self.step))
        return int(number) if self.whole else float(number)

    def values(self) -> list[Any]:
        """Return every value, ascending; raises `UsageError` for a continuous axis."""
        return [self.value(index) for index in range(self.count)]

    def draw(self, rng: Random) -> Any:
        """Return one value by chance."""
        if self.choices or self.step is not None:
            return self.value(rng.choice(range(self.count)))
        return rounded(rng.uniform(self.low, self.high))


def rounded(value: float) -> float:
    """Return a number of six significant digits: what is tried can be written down."""
    return float(f"{value:.6g}") if math.isfinite(value) else value


def axes(
    strategy: type[AnyStrategy],
    ranges: Sequence[str],
    choices: Sequence[str],
    settled: Collection[str] = (),
) -> list[Axis]:
    """Return the axes that the command line names, else those whose limits the strategy declares.

    `settled` are parameters with a value of their own: none of them is searched. Raises `UsageError` naming
    every problem.
    """
    fields = {field.name: field for field in msgspec.structs.fields(strategy.parameters)}
    found: dict[str, Axis] = {}
    problems: list[str] = []
    for option, texts in (("--range", ranges), ("--choice", choices)):
        for text in texts:
            try:
                axis = _axis(option, text, fields)
            except UsageError as error:
                problems.append(str(error))
                continue
            if axis.name in found:
                problems.append(f"{option} {text}: {axis.name!r} is given twice")
            if axis.name in settled:
                problems.append(f"{option} {text}: {axis.name!r} has a value by --set; leave out one of them")
            found[axis.name] = axis
    if problems:
        raise UsageError("\n".join(problems))
    if found:
        return list(found.values())
    free = [field for name, field in fields.items() if name not in settled]
    declared = [one for field in free if (one := _declared(field)) is not None]
    if not declared:
        raise UsageError(
            f"nothing to search: {strategy.__name__} declares no parameter with both limits; next: "
            f"--range NAME=LOW:HIGH:STEP or --choice NAME=A,B (it has {', '.join(fields) or 'no parameters'})"
        )
    return declared


def grid(found: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """Yield every combination, the last axis fastest; raises `UsageError` for more than `GRID_MAX`."""
    count = math.prod(axis.count for axis in found)
    if count > GRID_MAX:
        raise UsageError(
            f"a grid of {count:,} combinations; at most {GRID_MAX:,}: widen a step, or "
            "--search random --trials N"
        )
    names = [axis.name for axis in found]
    columns = [axis.values() for axis in found]
    return (dict(zip(names, values, strict=True)) for values in product(*columns))


def _axis(option: str, text: str, fields: Mapping[str, Any]) -> Axis:
    name, equals, rest = text.partition("=")
    if not equals or not rest:
        form = "NAME=LOW:HIGH[:STEP]" if option == "--range" else "NAME=A,B"
        raise UsageError(f"{option} {text}: expected {form}")
    if name not in fields:
        from difflib import get_close_matches  # noqa: PLC0415  # only for a message

        near = get_close_matches(name, list(fields), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(fields)}"
        raise UsageError(f"{option} {text}: no parameter {name!r}; {hint}")
    kind = fields[name].type
    if option == "--choice":
        values = tuple(dict.fromkeys(_converted(option, text, part, kind) for part in rest.split(",")))
        return Axis(name, choices=values)
    parts = rest.split(":")
    if len(parts) not in {2, 3}:
        raise UsageError(f"{option} {text}: expected {name}=LOW:HIGH or {name}=LOW:HIGH:STEP")
    low, high = (_converted(option, text, part, kind) for part in parts[:2])
    for end in (low, high):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            raise UsageError(f"{option} {text}: {name!r} is not a number; next: --choice {name}=A,B")
    whole = isinstance(low, int) and isinstance(high, int)
    step = _step(text, parts[2], whole=whole) if len(parts) == 3 else (1 if whole else None)
    if low > high:
        raise UsageError(f"{option} {text}: {low} is above {high}")
    return Axis(name, low, high, step, whole=whole)


def _step(text: str, part: str, *, whole: bool) -> float | int:
    try:
        step = decimal_of(part)
    except ValueError as error:
        raise UsageError(f"--range {text}: the step {part!r}: {error}") from error
    if step <= 0:
        raise UsageError(f"--range {text}: the step must be above 0, not {part}")
    if not whole:
        return float(step)
    if step != int(step):
        raise UsageError(f"--range {text}: whole numbers need a whole step, not {part}")
    return int(step)


def _converted(option: str, text: str, part: str, kind: Any) -> Any:
    try:
        return converted(part, kind)
    except msgspec.ValidationError as error:
        words = str(error).replace("`", "")
        raise UsageError(f"{option} {text}: {part!r}: {words[:1].lower()}{words[1:]}") from error


def _declared(field: Any) -> Axis | None:
    if get_origin(field.type) is not Annotated:
        return None
    kind, *notes = get_args(field.type)
    limits = [note for note in notes if isinstance(note, msgspec.Meta)]
    low = next((m.ge for m in limits if m.ge is not None), None)
    high = next((m.le for m in limits if m.le is not None), None)
    if low is None or high is None or kind not in {int, float}:
        return None
    if kind is int:
        return Axis(
            field.name, int(low), int(high), max(1, math.ceil((high - low) / _DECLARED_VALUES)), whole=True
        )
    step = rounded((high - low) / _DECLARED_VALUES)
    return Axis(field.name, float(low), float(high), step or None)
