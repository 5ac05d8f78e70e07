"""The weighted composite of several sources, with decay, and what each of them contributes.

    share        = weight / sum of the weights of the sources that are used
    freshness    = 0.5 ^ (age / half-life)
    part         = share × value × confidence × freshness
    composite    = sum of the parts, from -1 to 1

A source that says nothing, whose word has expired or whose freshness fell below `stale_below` is not used:
the weights of the others are spread over what it leaves. An aging opinion pulls towards 0 until then.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

Stance: TypeAlias = Literal["buy", "sell", "hold"]

DEFAULT_WEIGHTS: dict[str, float] = {
    "bma": 0.4,
    "lstm": 0.3,
    "moving_average": 0.1,
    "rsi": 0.1,
    "bollinger": 0.1,
}
DAY_S = 86_400.0
_PLACES = 9
"""Decimals that composites are rounded to: the last bits of a power differ between machines."""


class SignalRules(msgspec.Struct, frozen=True):
    """How sources become a composite: `[signals]` and `trading.signal_threshold` of the configuration.

    A source without a weight does not count. `half_life` is by source in seconds, `half_life_s` for the rest.
    """

    weights: dict[str, float] = msgspec.field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    threshold: float = 0.6
    half_life_s: float = 2 * DAY_S
    half_life: dict[str, float] = {}
    stale_below: float = 0.05

    def half_life_of(self, source: str) -> float:
        """Return after how many seconds a source's word counts half."""
        return self.half_life.get(source, self.half_life_s)


class Reading(NamedTuple):
    """What a source says: `value` from -1 to 1, `confidence` from 0 to 1, resting on `as_of` (ns)."""

    value: float
    confidence: float
    as_of: int


class Contribution(msgspec.Struct, frozen=True):
    """One source's part in a composite; see the module for the formula."""

    source: str
    value: float
    confidence: float
    freshness: float
    weight: float
    share: float
    part: float
    as_of: int


class Composite(msgspec.Struct, frozen=True):
    """A composite and its explanation. `dropped` has the reason by source; without any source it is 0."""

    value: float
    stance: Stance
    contributions: tuple[Contribution, ...]
    dropped: dict[str, str]

    @property
    def used(self) -> tuple[str, ...]:
        """The sources that make up the value, sorted."""
        return tuple(part.source for part in self.contributions)


def compose(rules: SignalRules, readings: Mapping[str, Reading | str], now: int) -> Composite:
    """Return the composite at `now` (ns) of readings by source; a text is why a source says nothing."""
    live: list[tuple[str, Reading, float, float]] = []
    dropped: dict[str, str] = {}
    for source in sorted(rules.weights):
        weight = rules.weights[source]
        if weight <= 0:
            continue
        reading = readings.get(source, "missing")
        if isinstance(reading, str):
            dropped[source] = reading
            continue
        fresh = freshness(now - reading.as_of, rules.half_life_of(source))
        if fresh < rules.stale_below:
            dropped[source] = "stale"
        else:
            live.append((source, reading, weight, fresh))
    total = sum(weight for _, _, weight, _ in live)
    parts = tuple(_contribution(*one, total) for one in live)
    value = round(sum(part.part for part in parts), _PLACES)
    return Composite(value, stance_of(value, rules.threshold), parts, dropped)


def _contribution(source: str, reading: Reading, weight: float, fresh: float, total: float) -> Contribution:
    share = round(weight / total, _PLACES)
    part = round(share * reading.value * reading.confidence * fresh, _PLACES)
    value, confidence = round(reading.value, _PLACES), round(reading.confidence, _PLACES)
    return Contribution(source, value, confidence, fresh, weight, share, part, reading.as_of)


def freshness(age_ns: int, half_life_s: float) -> float:
    """Return how much of a source's word is left after `age_ns`: 1 at once, half after each half-life."""
    return 1.0 if age_ns <= 0 else round(float(0.5 ** (age_ns / (half_life_s * 1e9))), _PLACES)


def stance_of(value: float, threshold: float) -> Stance:
    """Return `buy` at or beyond the threshold, `sell` at or beyond its negative, else `hold`."""
    if value == 0 or -threshold < value < threshold:
        return "hold"
    return "buy" if value > 0 else "sell"
