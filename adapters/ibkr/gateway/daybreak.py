"""Where the gateway's day begins in a book: what profit counts from.

Reads a book as it is folded and tells the account when the first entry of the day comes. What the book begins
with (its session and starting cash) is from before the day. Folds nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from adapters.ibkr.gateway.accounts import Accounts
from adapters.ibkr.gateway.book import NO_TIME
from core.events import CashAdjusted, Entry, SessionStarted

_BEGINNINGS = (*NO_TIME, SessionStarted, CashAdjusted)


class DayBreak:
    """Splits a book where a day begins; `closes` are the instruments' prices of the session before."""

    def __init__(self, accounts: Accounts, begin: int, closes: Mapping[str, float]) -> None:
        self._accounts = accounts
        self._begin = begin
        self._closes = closes
        self._begun = False

    def batches(self, batches: Iterable[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        """Yield a book's entries; between those before the day and its own, the account's day begins."""
        for batch in batches:
            first = 0 if self._begun else self._first(batch)
            if self._begun or first == len(batch):
                yield batch
                continue
            yield batch[:first]
            self.end()
            yield batch[first:]

    def _first(self, batch: Sequence[Entry]) -> int:
        """Return the place of the day's first entry."""
        for place, entry in enumerate(batch):
            if not isinstance(entry.event, _BEGINNINGS) and entry.event.ts >= self._begin:
                return place
        return len(batch)

    def end(self) -> None:
        """Let the day begin where a book ends before it."""
        if not self._begun:
            self._accounts.start_day(self._closes)
            self._begun = True
