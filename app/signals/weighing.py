"""Whether what is configured under `[signals]` can count: sources without a weight, files that are not there.

A source without a weight is no mistake by itself, since a strategy may look at it alone; but no composite
counts it, and a misspelt name looks the same. So it is told, and refused nowhere.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import msgspec

from app.configuration.settings import SignalsSection


class Neglect(msgspec.Struct, frozen=True):
    """A source that will not count as configured: what was found, and what to do about it."""

    source: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"signals of {self.source}: {self.found}; {self.remedy}"


def neglected(signals: SignalsSection) -> list[Neglect]:
    """Return the configured sources that have no weight, and watched files that are not there."""
    return [*_weightless(signals), *_missing(signals)]


def unweighed(signals: SignalsSection, source: str) -> Neglect | None:
    """Return what to say of a source that has no weight; `None` if it has one."""
    if source in signals.weights:
        return None
    near = get_close_matches(source, signals.weights, n=1)
    found = "has no weight in [signals] weights: no composite counts it"
    return Neglect(source, found, f"did you mean {near[0]}?" if near else f"add {source} there")


def _weightless(signals: SignalsSection) -> Iterator[Neglect]:
    files, models = [one.source for one in signals.file], [one.source for one in signals.model]
    for source in dict.fromkeys([*files, *models, *(one.source for one in signals.plugin)]):
        told = unweighed(signals, source)
        if told is not None:
            yield told


def _missing(signals: SignalsSection) -> Iterator[Neglect]:
    for one in signals.file:
        if not Path(one.path).exists():
            yield Neglect(
                one.source, f"{one.path} is not there", "a session watches for it; correct the path"
            )
