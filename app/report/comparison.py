"""Two runs side by side: their figures, what they assumed differently, and where their decisions part.

The first differing decision is that of `diff`. Knows no form of showing it.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.replay.comparing import Comparison, compare
from app.report.building import Material
from app.report.lines import LINES
from app.report.shape import Report

_NUMBERS = frozenset(("money", "share", "ratio", "count", "length"))


class Figure(msgspec.Struct, frozen=True):
    """A figure of both runs; `change` is second less first, `None` where one is unknown or no number."""

    key: str
    first: Any
    second: Any
    change: Any


class Differing(msgspec.Struct, frozen=True):
    """Something that the runs do not share: an assumption, a strategy, one of its parameters, its source."""

    what: str
    first: str | None
    second: str | None


class SideBySide(msgspec.Struct, frozen=True):
    """Two runs compared; the reports themselves are those of `report`."""

    first: str
    second: str
    figures: list[Figure]
    differing: list[Differing]
    decisions: Comparison


def side_by_side(first: Material, second: Material) -> SideBySide:
    """Compare two runs."""
    one, other = first.report, second.report
    return SideBySide(
        one.run,
        other.run,
        [_figure(key, one.figures.get(key), other.figures.get(key)) for key in LINES],
        [*_strategies(one, other), *_assumptions(one, other)],
        compare(first.facts.run, second.facts.run),
    )


def _figure(key: str, first: Any, second: Any) -> Figure:
    if first is None or second is None or LINES[key].kind not in _NUMBERS:
        return Figure(key, first, second, None)
    if isinstance(first, float) or isinstance(second, float):
        return Figure(key, first, second, float(second) - float(first))
    change = Decimal(str(second)) - Decimal(str(first))
    return Figure(key, first, second, int(change) if isinstance(first, int) else change)


def _strategies(one: Report, other: Report) -> Iterator[Differing]:
    before, after = ({item["id"]: item for item in report.strategies} for report in (one, other))
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            yield Differing(f"strategy {name}", _present(name in before), _present(name in after))
            continue
        here, there = before[name], after[name]
        yield from _unequal(name, here["parameters"], there["parameters"])
        yield from _unequal(name, {"source": here["source"]}, {"source": there["source"]})


def _present(there: bool) -> str:  # its only argument
    return "yes" if there else "no"


def _assumptions(one: Report, other: Report) -> Iterator[Differing]:
    yield from _unequal("", {"period": one.period}, {"period": other.period})
    content = {"market data": one.figures["content_hash"]}, {"market data": other.figures["content_hash"]}
    yield from _unequal("", *content)
    yield from _unequal("", one.assumptions, other.assumptions)


def _unequal(of: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Differing]:
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield Differing(f"{of} {key}".strip(), _text(before.get(key)), _text(after.get(key)))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
