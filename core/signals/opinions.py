"""What an old bot's `generate_signal` may say, as value and confidence; the rest is refused in words."""

from collections.abc import Mapping
from enum import Enum
from math import isfinite
from numbers import Real
from typing import Any

WORDS = {"BUY": 1.0, "SELL": -1.0, "HOLD": 0.0, "买入": 1.0, "卖出": -1.0, "持有": 0.0}
VALUE_KEYS = ("value", "signal", "score", "action")
EXPECTED = "a number from -1 to 1, 'BUY', 'SELL', 'HOLD', or a dict with value and confidence"


def opinion_of(said: Any) -> tuple[float, float]:
    """Return the value (-1..1) and confidence (0..1) of what was said; raises `ValueError` in words."""
    if not isinstance(said, Mapping):
        return _value(said), 1.0
    key = next((name for name in VALUE_KEYS if name in said), None)
    if key is None:
        raise ValueError(f"said a dict with {_shown(list(said))}: expected one of {', '.join(VALUE_KEYS)}")
    confidence = said.get("confidence", 1.0)
    if not _is_number(confidence) or not 0 <= float(confidence) <= 1:
        raise ValueError(f"said a confidence of {_shown(confidence)}: expected a number from 0 to 1")
    return _value(said[key]), float(confidence)


def _value(said: Any) -> float:
    if isinstance(said, Enum):
        said = said.name if said.name in WORDS else said.value
    if isinstance(said, str) and said.strip().upper() in WORDS:
        return WORDS[said.strip().upper()]
    if not _is_number(said) or not -1 <= float(said) <= 1:
        hint = "; say 0 or 'HOLD' for no opinion" if said is None else ""
        raise ValueError(f"said {_shown(said)}: expected {EXPECTED}{hint}")
    return float(said)


def _is_number(said: Any) -> bool:
    return type(said) is not bool and isinstance(said, Real) and isfinite(float(said))


def _shown(said: Any) -> str:
    try:
        return f"{said!r:.60}"
    except Exception:  # noqa: BLE001  # a user's object
        return f"a {type(said).__name__}"
