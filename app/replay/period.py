"""The session dates that a replay, a session or a search is about."""

from datetime import date

import msgspec

from core.errors import UsageError


class Period(msgspec.Struct, frozen=True):
    """Session dates, first and last inclusive (`2025-07-02`)."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}..{self.last}"


def parse_period(text: str) -> Period:
    """Return `DATE` or `DATE..DATE`; raises `UsageError`."""
    first, dots, last = text.partition("..")
    try:
        days = [date.fromisoformat(day) for day in ([first, last] if dots else [first, first])]
    except ValueError as error:
        raise UsageError(f"{text!r} is no date: expected 2025-07-02 or 2025-07-02..2025-07-03") from error
    if days[0] > days[1]:
        raise UsageError(f"{text}: the first date is after the last one")
    return Period(days[0].isoformat(), days[1].isoformat())
