"""Where the gateway's day begins in a book that has days before it: what profit counts from.

Reads a book as it is folded and tells the account when the first entry of the day comes. Folds nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from adapters.ibkr.gateway.accounts import Accounts
from adapters.ibkr.gateway.book import NO_TIME
from core.events import AccountMarked, Entry


class DayBreak:
    """Splits a book where a day begins."""

    def __init__(self, accounts: Accounts, begin: int, cash: Decimal) -> None:
        self._accounts = accounts
        self._begin = begin
        self._equity = cash
        self._begun = False

    def batches(self, batches: Iterable[Sequence[Entry]]) -> Iterator[Sequence[Entry]]:
        """Yield a book's entries; between those before the day and its own, the account's day begins."""
        for batch in batches:
            first = 0 if self._begun else self._first(batch)
            if self._begun or first == len(batch):
                yield batch
                continue
            yield batch[:first]
            self._accounts.start_day(self._equity)
            self._begun = True
            yield batch[first:]

    def _first(self, batch: Sequence[Entry]) -> int:
        """Return the place of the day's first entry; the account's last equity before it is noted."""
        for place, entry in enumerate(batch):
            event = entry.event
            if not isinstance(event, NO_TIME) and event.ts >= self._begin:
                return place
            if isinstance(event, AccountMarked) and event.equity is not None:
                self._equity = event.equity
        return len(batch)

    def end(self) -> None:
        """Let the day begin where a book ends before it, at the last prices that are known."""
        if not self._begun:
            self._accounts.start_day(self._accounts.equity())
