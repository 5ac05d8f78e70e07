"""A live session against a simulated gateway, both real, in one process; their books compared."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.ibkr.link.link_settings import LinkSettings
from app.composition.past import past_of
from app.composition.seating import StrategySpec
from app.composition.trading_rules import TradingRules
from app.live.request import LiveRequest
from app.live.session import LiveSession
from core.events import (
    DEFINITIONS,
    Entry,
    Event,
    OrderAttempted,
)
from core.holds import HoldRule
from core.ports import entries_of
from core.risk import Limits
from core.views import Order
from eventstore.journal.journal import Journal
from eventstore.reading.reader import LogReader
from tests.live.quick import QUICK
from tests.logs import events_of

DRILL = f"{Path(__file__).parent / 'drill.py'}:Drill"
ACCOUNT = "DU1000001"
DAY_BEGIN_NS = 1_751_443_200_000_000_000
LIMIT_S = 150.0
"""No session of a test lasts longer."""
OVER = frozenset(("Filled", "Cancelled", "Rejected", "Refused", "SendFailed", "Expired"))


def new_log(sample: Path, root: Path) -> Path:
    """Make a log that knows the sample's instruments and sessions, and nothing that happened."""
    journal = Journal.open(root)
    for entry in entries_of(LogReader(sample), DEFINITIONS):
        journal.append(entry.event)
    journal.commit(sync=True)
    journal.close()
    return root


def link(gateway: Any, **given: Any) -> LinkSettings:
    """Return the settings of a link to a gateway; in lock step unless told otherwise."""
    options = {"lock_step": True, "start_ns": DAY_BEGIN_NS, "account": ACCOUNT, **QUICK, **given}
    return LinkSettings(host=gateway.host, port=gateway.port, tick_by_tick_max=100, **options)


class Rig:
    """One session: `run` returns when the drill is over, or after `LIMIT_S`.

    `later` are the settings of the link from the second attempt to connect on: limits that only the first one
    is to miss.
    """

    def __init__(
        self,
        root: Path,
        settings: LinkSettings,
        *,
        client: Callable[[LiveSession], None] = lambda _: None,
        until: Callable[["Rig"], bool] | None = None,
        hold: HoldRule = HoldRule(),  # noqa: B008
        limits: Limits = Limits(),  # noqa: B008
        later: LinkSettings | None = None,
        **drill: Any,
    ) -> None:
        self._journal = Journal.open(root)
        self.root = root
        spec = StrategySpec(DRILL, drill, id="drill")
        request = LiveRequest(
            mode="test",
            link=settings,
            strategies=(spec,),
            account=ACCOUNT,
            rules=TradingRules(hold=hold, limits=limits),
        )
        self.session = LiveSession(self._journal, request, lambda _: (), watch=self._watch)
        client(self.session)
        self.drill = self.session.seated[0].strategy
        self._until = until or Rig.settled
        self._later = later
        self._deadline_s = time.monotonic() + LIMIT_S
        self.timed_out = False

    def run(self) -> "Rig":
        """Run to the end; raises what the session raises."""
        try:
            self.session.run()
        finally:
            self._journal.commit(sync=True)
            self._journal.close()
        return self

    def settled(self) -> bool:
        """Whether the drill is done and nothing of it works any more."""
        working = [order for order in self.session.world.orders.working() if order.strategy]
        return bool(self.drill.finished and not working)  # type: ignore[attr-defined]

    def _watch(self, session: LiveSession) -> None:
        if self._later is not None and session.client._connection.attempt:
            session.client._connection._settings, self._later = self._later, None
        if self._until(self):
            session.stopping = "done"
        elif time.monotonic() > self._deadline_s:
            self.timed_out = True
            session.stopping = "too long"

    def events(self, *types: type[Event]) -> list[Any]:
        """Return the events of some types that the log holds, in order."""
        return events_of(self.root, *types)


class Books:
    """What a log and a gateway's book say; `differences` is empty if it is the same."""

    def __init__(self, root: Path, book: Path) -> None:
        self.ours = past_of(LogReader(root), "USD").world
        self.theirs = past_of(LogReader(book), "USD").world
        self._attempts = [e.event for e in _entries(root, OrderAttempted)]

    def differences(self) -> list[str]:
        """Return in words where positions, executions, money or orders differ."""
        return [
            *_compare("position", self._positions(self.ours), self._positions(self.theirs)),
            *_compare("execution", self._executions(self.ours), self._executions(self.theirs)),
            *_compare("money", self._money(self.ours), self._money(self.theirs)),
            *self._order_differences(),
        ]

    def sent_twice(self) -> list[str]:
        """Return the intents of which the gateway's book has more than one order."""
        counts = Counter(ref.split(".")[1] for ref in self._refs())
        return [intent for intent, count in counts.items() if count > 1]

    def _refs(self) -> list[str]:
        return [_ref(order) for order in self.theirs.orders.orders()]

    def _order_differences(self) -> list[str]:
        theirs = {_ref(order): order.state for order in self.theirs.orders.orders()}
        names = {a.order: a.ref for a in self._attempts}
        found = []
        for order in self.ours.orders.orders():
            state = theirs.get(names.get(order.id, ""), "never seen")
            ours = order.state if order.state in OVER else "working"
            if state == "never seen":
                same = ours in OVER and ours != "Filled"
            else:
                same = ours == state if state in OVER else ours == "working"
            if not same:
                found.append(f"order {order.id}: {order.state}, at the gateway {state}")
        return found

    @staticmethod
    def _positions(world: Any) -> dict[str, Any]:
        return {p.instrument: p.quantity for p in world.positions.open_positions() if p.account == ACCOUNT}

    @staticmethod
    def _executions(world: Any) -> dict[str, Any]:
        return {e.exec_id: (e.side, e.quantity, e.price) for e in world.orders.executions()}

    @staticmethod
    def _money(world: Any) -> dict[str, Decimal]:
        account = world.account
        return {
            "cash": account.cash(ACCOUNT, "USD"),
            "commissions": account.commissions(ACCOUNT, "USD"),
        }


def _ref(order: Order) -> str:
    import msgspec  # noqa: PLC0415

    return str(msgspec.json.decode(order.reason).get("order_ref", ""))


def _entries(root: Path, *types: type[Event]) -> Sequence[Entry]:
    return list(entries_of(LogReader(root), frozenset(types)))


def _compare(what: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    return [
        f"{what} {key}: {ours.get(key)}, at the gateway {theirs.get(key)}"
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key) != theirs.get(key)
    ]
