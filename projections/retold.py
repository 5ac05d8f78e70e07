"""Executions that the broker may tell again: what was told of each, for as long as it can be asked for.

A broker tells of an execution several times, and of those of a week whenever its book is looked at. Which of
it is news is decided here and not by the orders, which are forgotten sooner. Part of `projections.routes`.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from core.events import CommissionReported, FillCorrected, Filled
from core.money import plain

FIRST = (1,)
"""The revision of an execution that was never corrected."""


class Told(msgspec.Struct, frozen=True, gc=False):
    """What was told of an execution: whose it is, which revisions, its commission as `1.5 USD`, or ``""``."""

    ts: int
    order: str
    account: str
    strategy: str
    instrument: str
    revisions: tuple[int, ...]
    charge: str

    @property
    def who(self) -> tuple[str, str, str, str]:
        """Order, account, strategy and instrument, as the events of an execution have them."""
        return self.order, self.account, self.strategy, self.instrument


def charged(amount: Decimal, currency: str) -> str:
    """Return a commission as `Told` keeps it."""
    return f"{plain(amount)} {currency}"


class Retold(dict[str, Told]):
    """What was told, by the execution's id without its revision."""

    def __init__(self, known: Mapping[str, Told] = {}) -> None:
        super().__init__(known)
        self._words: dict[str, str] = {}

    def _once(self, word: str) -> str:
        """Return the one copy of a word that comes again with each execution."""
        return self._words.setdefault(word, word)

    def filled(self, event: Filled | FillCorrected) -> None:
        """Take a report of an execution."""
        revision = max(1, event.revision) if isinstance(event, FillCorrected) else 1
        known = self.get(event.exec_id)
        if known is not None and revision in known.revisions:
            return
        earlier = () if known is None else known.revisions
        revisions = tuple(sorted({*earlier, revision})) if earlier or revision > 1 else FIRST
        if known is not None and revision < revisions[-1]:
            self[event.exec_id] = msgspec.structs.replace(known, revisions=revisions)
            return
        self[event.exec_id] = Told(
            event.ts,
            event.order,
            self._once(event.account),
            self._once(event.strategy),
            self._once(event.instrument),
            revisions,
            "" if known is None else known.charge,
        )

    def commission(self, event: CommissionReported) -> None:
        """Take a commission; one whose execution is not known changes nothing."""
        known = self.get(event.exec_id)
        if known is not None:
            charge = charged(event.amount, event.currency)
            self[event.exec_id] = msgspec.structs.replace(known, charge=charge)

    def forget(self, before_ts: int) -> None:
        """Forget what happened before a time."""
        for exec_id in [name for name, told in self.items() if told.ts < before_ts]:
            del self[exec_id]
