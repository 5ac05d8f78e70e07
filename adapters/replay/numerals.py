"""Numbers as they are written in files: which text is one, with which decimal mark, and why another is none.

Pure: text in, a float or a reason out.
"""

import re

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\Z", re.IGNORECASE | re.ASCII)
_WITH_COMMA = re.compile(r"[+-]?[\d.,' ]*\d[,'][\d.,' ]*\Z", re.ASCII)


def number(text: str) -> float | None:
    """Return the number in `text`, an infinity or NaN if it spells one, `None` if it is no number."""
    text = text.strip()
    return float(text) if _NUMBER.match(text) or _NOT_FINITE.match(text) else None


def pointed(text: str, decimal: str) -> str:
    """Return a number with a decimal point; empty if it has one but fractions begin otherwise."""
    return text if decimal == "." else "" if "." in text else text.replace(decimal, ".")


def not_finite(field: str, text: str) -> str:
    """Return the reason to reject a row whose number is NaN, infinite or missing."""
    return f"field {field}: {text!r} is not a {'finite ' if text else ''}number"


def mark_advice(text: str) -> str:
    """Return what to do about a number with a comma in it, to end a message; empty for any other text."""
    if not _WITH_COMMA.match(text.strip()):
        return ""
    return "; expected a decimal point (or --decimal ','), and nothing between thousands"
