"""Single cells as numbers, dates and symbols; a value that could be misread is refused, with the reason."""

import re
from datetime import UTC, date, datetime, time
from math import isfinite
from typing import Any

from core.signals.opinions import WORDS

_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{4})(\d{2})(\d{2})")
_DATE_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_./年]?(\d{1,2})[-_./月]?(\d{1,2})(?!\d)")
_TIMED = re.compile(r"(.+?)[T ](\d{1,2}:\d{2}(?::\d{2})?)")
_SHOWN = 40


class BadCell(Exception):
    """A cell that cannot be taken; the message has the value and what was expected."""


def number(value: Any, *, texts: bool) -> float:
    """Return a finite number; raises `BadCell`. Text is a number only where everything is text (CSV)."""
    if isinstance(value, bool):
        raise BadCell(f"{value} is true or false, expected a number")
    if isinstance(value, int | float):
        found = _float(value)
    elif isinstance(value, str) and texts:
        try:
            found = float(value)
        except ValueError:
            raise BadCell(f"{shown(value)} is no number") from None
    elif isinstance(value, str) and value.startswith("#"):
        raise BadCell(f"{shown(value)} is what an error left, expected a number")
    elif isinstance(value, str):
        raise BadCell(f"{shown(value)} is text, expected a number: convert the column to numbers")
    else:
        raise BadCell("is empty, expected a number" if value is None else f"{shown(value)} is no number")
    if not isfinite(found):
        raise BadCell(f"{shown(value)} is not finite, expected a number")
    return found


def score(value: Any, *, texts: bool) -> tuple[float, str]:
    """Return the number of a score, or of a word such as `buy` its value and the word; raises `BadCell`."""
    word = value.strip().upper() if isinstance(value, str) else ""
    if word in WORDS:
        return WORDS[word], word
    try:
        return number(value, texts=texts), ""
    except BadCell as error:
        if not word or word.startswith("#") or any(sign.isdigit() for sign in word):
            raise
        raise BadCell(f"{shown(value)} is text, expected a number, or BUY, SELL or HOLD") from error


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def symbol(value: Any) -> str:
    """Return the text of a symbol; raises `BadCell`. A whole number is taken for its digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadCell("is empty, expected a symbol" if value is None else f"{shown(value)} is no symbol")
    if isinstance(value, float):
        if not value.is_integer():
            raise BadCell(f"{shown(value)} is no symbol")
        value = int(value)
    text = str(value).strip()
    if not 0 < len(text) <= 64 or not text.isprintable():
        raise BadCell(f"{shown(text)} is no symbol")
    return text


def moment(value: Any) -> tuple[date, time | None]:
    """Return a date, and a time of day if one is given; raises `BadCell`."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            value = value.astimezone(UTC).replace(tzinfo=None)
        return value.date(), value.time() if value.time() != time() else None
    if isinstance(value, date):
        return value, None
    if isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer():
        value = str(int(value))
    if not isinstance(value, str):
        raise BadCell("is empty, expected a date" if value is None else f"{shown(value)} is no date")
    return _text_moment(value.strip())


def _text_moment(text: str) -> tuple[date, time | None]:
    timed = _TIMED.fullmatch(text)
    day, clock = (timed[1], timed[2]) if timed else (text, None)
    found = _DATE.fullmatch(day.strip())
    try:
        if not found:
            raise ValueError
        parts = [int(part) for part in found.groups() if part is not None]
        return date(*parts), time.fromisoformat(
            clock.zfill(5) if clock.count(":") == 1 else clock
        ) if clock else None
    except ValueError:
        raise BadCell(f"{shown(text)} is no date, expected such as 2025-07-02") from None


def date_in(name: str) -> date | None:
    """Return the date that a sheet's or file's name holds (`BMA 2025-07-02`, `bma_20250702`), or `None`."""
    for found in _DATE_IN_NAME.finditer(name):
        try:
            return date(*(int(part) for part in found.groups()))
        except ValueError:
            continue
    return None


def shown(value: Any) -> str:
    """Return a value for a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
