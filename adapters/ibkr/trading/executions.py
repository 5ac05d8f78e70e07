"""What the broker says of executions and commissions, as events.

A fill is what has an execution id: a higher revision of it is a correction. The same execution comes up to
four times, and again with every look at the book; its commission comes before it or after, in the same
manner. Each revision and each charge is told once: what is remembered here is on its way into the folds.
"""

from collections.abc import Iterable, Sequence

from adapters.ibkr.trading.external import SIDES, Names
from adapters.ibkr.trading.snapshot import split_exec_id
from adapters.ibkr.wire.messages import CommissionReport, Execution
from adapters.ibkr.wire.times import parse_time
from core.clock import SECOND_NS
from core.events import CommissionReported, Event, FillCorrected, Filled
from core.money import money
from core.order_rules import strategy_of
from core.views import Order
from projections.retold import Told, charged
from projections.routes import Routes

_REMEMBERED_MAX = 4096
JUST_NOW_NS = 60 * SECOND_NS
"""An execution that is told unasked is no older than this."""


class Executions:
    """Translates executions and commissions; reads the fold `routes`."""

    def __init__(self, routes: Routes, names: Names, zone: str) -> None:
        self._routes = routes
        self._names = names
        self._zone = zone
        self._told: dict[str, tuple[str, str, str, str]] = {}
        self._revisions: dict[str, set[int]] = {}
        self._charged: dict[str, str] = {}
        self.waiting: dict[str, CommissionReport] = {}
        """Commissions that came before their executions."""

    def folded(self) -> None:
        """Take that all events returned so far are in the folds."""
        for told in (self._told, self._revisions, self._charged):
            told.clear()

    def fill(
        self, said: Execution, order: str | None, known: Order | None, ts: int
    ) -> Sequence[Event] | None:
        """Return an execution as a fill or a correction; nothing if it was told already.

        `order` is the order that it is of, `None` for one of others, and `known` what the folds hold of it.
        `None` if it lacks what makes an execution.
        """
        exec_id, revision = split_exec_id(said.exec_id)
        side = SIDES.get(said.side)
        if side is None or said.quantity is None or said.price is None:
            return None
        if not self.is_news(exec_id, revision):
            return ()
        who = (
            order or f"external-{said.perm_id or said.exec_id}",
            said.account,
            self._strategy(self._routes.execution(exec_id), known, order or ""),
            self._instrument(said, known),
        )
        self._told[exec_id] = who
        self._revisions.setdefault(exec_id, set()).add(revision)
        when = _when(said, self._zone, ts)
        what = (side, money(said.quantity), money(said.price), said.exchange)
        if revision > 1:
            return (FillCorrected(when, exec_id, revision, *who, *what),)
        return (Filled(when, exec_id, *who, *what),)

    @staticmethod
    def _strategy(before: Told | None, known: Order | None, order: str) -> str:
        # The order may be forgotten by now: a correction stays with who was told of the execution, and an
        # execution that nobody has told yet is of whom the order's id names.
        if known is not None:
            return known.strategy
        return before.strategy if before is not None else strategy_of(order)

    def _instrument(self, said: Execution, known: Order | None) -> str:
        if known is not None:
            return known.instrument
        return self._names.instrument(said.contract.con_id, said.contract.symbol)

    def is_news(self, exec_id: str, revision: int) -> bool:
        """Return whether a revision was not told before.

        An older one than the one that counts is kept: it says what was filled at first.
        """
        folded = self._routes.execution(exec_id)
        known = folded.revisions if folded is not None else ()
        return revision not in known and revision not in self._revisions.get(exec_id, ())

    def early_commission(self, said: Execution) -> CommissionReport | None:
        """Return, once, the commission that came before an execution."""
        return self.waiting.pop(split_exec_id(said.exec_id)[0], None)

    def commission(self, said: CommissionReport, ts: int) -> Iterable[Event]:
        """Return what an execution cost; nothing if it was told already, or before the execution came."""
        exec_id, _ = split_exec_id(said.exec_id)
        folded = self._routes.execution(exec_id)
        who = self._told.get(exec_id) if folded is None else folded.who
        if who is None:
            # Should the process end here, the next look at the book brings both again.
            self.waiting[exec_id] = said
            if len(self.waiting) > _REMEMBERED_MAX:
                self.waiting.pop(next(iter(self.waiting)))
            return ()
        if said.amount is None:
            return ()
        amount = money(said.amount)
        charge = charged(amount, said.currency)
        if charge in ("" if folded is None else folded.charge, self._charged.get(exec_id)):
            return ()
        self._charged[exec_id] = charge
        return (CommissionReported(ts, exec_id, *who, amount, said.currency),)


def _when(said: Execution, zone: str, ts: int) -> int:
    """Return the time of an execution that is told at `ts`: the broker's, unless that is of another clock.

    Time would not come back from one that lies ahead. What is told unasked has just happened: if it seems to
    be old, the clocks differ, or its zone is not known. A fill that looks old counts as settled.
    """
    when = parse_time(said.time, zone, near=ts) or ts
    return ts if when > ts or (said.req_id is None and ts - when > JUST_NOW_NS) else when
