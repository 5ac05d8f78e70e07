"""What a configuration may say of sources: checks that name the value, the range and what was meant."""

from collections.abc import Mapping
from math import isfinite

from core.signals.rules import SOURCE

HALF_LIFE_MAX_S = 3.2e8
"""Ten years."""


def check_source(source: str) -> None:
    """Raise `ValueError` unless `source` can name a source."""
    if not SOURCE.fullmatch(source):
        raise ValueError("expected the name of a source: a letter, then at most 63 letters, digits or _ . -")


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise `ValueError` unless every weight is a share from 0 to 1 and one of them is above 0."""
    for source, weight in weights.items():
        check_source(source)
        if not isfinite(weight) or not 0 <= weight <= 1:
            hint = f"; did you mean {weight / 100:g}?" if 1 < weight <= 100 else ""
            raise ValueError(f"{source} = {weight!r}: expected a weight from 0 to 1, such as 0.4{hint}")
    if not any(weights.values()):
        raise ValueError("expected at least one weight above 0: without any there is no composite")


def check_half_lives(seconds: Mapping[str, float]) -> None:
    """Raise `ValueError` unless every half-life is from a second to ten years."""
    for source, value in seconds.items():
        check_source(source)
        if not isfinite(value) or not 1 <= value <= HALF_LIFE_MAX_S:
            raise ValueError(f"{source} = {value!r}: expected seconds from 1 to {HALF_LIFE_MAX_S:.0f}")
