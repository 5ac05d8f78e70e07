"""The port of sources of history: whatever has bars of a symbol between two dates. Runs outside the core."""

from collections.abc import Iterable
from datetime import date, datetime

BarRow = tuple[datetime | date, float, float, float, float, float]
"""Start (aware; of a daily bar its date), open, high, low, close and volume."""


class DataSource:
    """Base of sources for `fetch --source`. It is made without arguments."""

    def bars(self, symbol: str, bar: str, first: date, last: date) -> Iterable[BarRow]:
        """Return bars of `bar` (`1min`, `1day`) of the dates `first` to `last` inclusive, oldest first."""
        raise NotImplementedError
