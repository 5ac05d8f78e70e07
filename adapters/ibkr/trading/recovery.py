"""Looking at the broker's book: when, how often, and what the log makes of it.

One look at a time. It begins at each start of a connection and at each doubt, and ends in
`ReconciliationFinished`; the comparison is made when everything heard so far is in the folds. Orders that
were nowhere make it look again later. A cancelled order is looked for once more without stopping trade:
brokers were seen to fill such orders. It sends nothing itself: the requests it wants are for the caller.
"""

from collections.abc import Callable

from adapters.ibkr.trading.families import entry_cancel, outlived
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.trading.reconcile import PATIENCE_S, extra_orders, recheck, reconcile
from adapters.ibkr.trading.snapshot import PAUSE_S, Snapshot
from adapters.ibkr.wire.encoder import Encoder
from adapters.ibkr.wire.messages import Message
from core.clock import DAY_NS, SECOND_NS
from core.effects import Effect
from core.events import BreakFound, CancelIntended, Event, OrderResolved, ReconciliationStarted
from projections.gate import UNPROTECTED

FOREVER_S = 1e9
DAYS_MAX = 7
"""Executions of more days than this cannot be asked for."""


class Recovery:
    """The looks of one client. `failed` says why one could not be finished."""

    def __init__(
        self,
        channel: OrderChannel,
        folds: Folds,
        *,
        patience_s: float = PATIENCE_S,
        pause_s: float = PAUSE_S,
        farms_well: Callable[[int, float], bool] = lambda _now_ns, _for_s: True,
    ) -> None:
        self.looks = 0
        self.account = ""
        self._channel = channel
        self._folds = folds
        self._patience_s = patience_s
        self._farms_well = farms_well
        self._pause_s = pause_s
        self._snapshot: Snapshot | None = None
        self._reason = ""
        self._again = ""
        self._look_ns: int | None = None
        self._recheck_ns: int | None = None
        self._settled: dict[str, int] | None = None
        self._cancels: list[Effect] = []
        self._extra: list[int] = []

    @property
    def active(self) -> bool:
        """Whether a look is under way."""
        return self._snapshot is not None

    @property
    def failed(self) -> str:
        """Why the look cannot be finished, or nothing."""
        return self._snapshot.failed if self._snapshot is not None else ""

    def begin(self, reason: str, account: str, ts: int) -> list[Event]:
        """Start a look; while one is under way, another follows it."""
        self.account = account
        if self._snapshot is not None and self._settled is None:
            self._again = reason
            return []
        self._settled = None
        self._reason, self._again, self._look_ns = reason, "", None
        days = self._days(ts)
        self._snapshot = Snapshot(account, days, self._channel.out.take_id, pause_s=self._pause_s)
        return [ReconciliationStarted(ts, reason)]

    def feed(self, message: Message) -> None:
        """Keep what a message shows."""
        if self._snapshot is not None:
            self._snapshot.feed(message)

    def spoil(self, why: str) -> None:
        """Take that what is being shown cannot be trusted: another look follows without a comparison."""
        if self._snapshot is not None:
            self._again = why

    def look(self, ts: int, now_ns: int) -> list[Event]:
        """Return what a finished look found, or that one begins.

        To be called before anything is read: everything heard up to here is in the folds.
        """
        if self._channel.take_cancelled() and self._recheck_ns is None:
            self._recheck_ns = now_ns + round(self._pause_s * SECOND_NS)
        self._channel.miss_exits(ts)
        doubt = self._channel.take_doubt(looking=self.active and self._settled is None)
        if doubt and self._settled is not None:
            return self.begin(doubt, self.account, ts)
        if self._snapshot is not None:
            self._again = self._again or doubt
            return self._compared(self._snapshot, ts, now_ns) if self._snapshot.done else []
        if not doubt and self._look_ns is not None and now_ns >= self._look_ns:
            doubt = "orders whose fate is open"
        if doubt and self.account:
            return self.begin(doubt, self.account, ts)
        if self.account and self._recheck_ns is not None and now_ns >= self._recheck_ns:
            self._begin_recheck(ts)
        return []

    def _begin_recheck(self, ts: int) -> None:
        self._recheck_ns = None
        self._settled = {order.id: order.version for order in self._folds.orders.working()}
        self._snapshot = Snapshot(
            self.account,
            self._days(ts),
            self._channel.out.take_id,
            pause_s=self._pause_s,
            orders_only=True,
        )

    def _compared(self, snapshot: Snapshot, ts: int, now_ns: int) -> list[Event]:
        if self._again:
            self._snapshot = None
            return self.begin(self._again, self.account, ts)
        if self._settled is not None:
            settled, self._settled, self._snapshot = self._settled, None, None
            client_id = self._channel.client_id
            events = recheck(settled, snapshot.evidence, self._folds, client_id, ts)
            return events or self._outlived(ts)
        events = reconcile(
            self._reason,
            self.account,
            snapshot.evidence,
            self._folds,
            self._channel.client_id,
            ts,
            # A gateway that has lost its farms may not show all: nothing is presumed lost of it.
            patience_s=self._patience_s if self._farms_well(now_ns, self._patience_s) else FOREVER_S,
        )
        self._snapshot = None
        self.looks += 1
        self._extra = extra_orders(snapshot.evidence, self._folds, self._channel.client_id)
        if self._extra:  # another look shows whether it is gone
            self._look_ns = now_ns + round(self._pause_s * SECOND_NS)
        if any(isinstance(e, OrderResolved) and e.outcome == "unknown" for e in events):
            patient_ns = now_ns + round(self._patience_s * SECOND_NS)
            self._look_ns = min(self._look_ns or patient_ns, patient_ns)
        lost = self._folds.routes.lost()
        found = {e.order for e in events if isinstance(e, OrderResolved) and e.outcome == "live"}
        self._cancels += [self._cancel(order, ts) for order in lost if order in found]
        for alarm in (e for e in events if isinstance(e, BreakFound) and e.kind == UNPROTECTED):
            self._without_stop(alarm.expected, ts)
        return events

    def _outlived(self, ts: int) -> list[Event]:
        """Look at the whole book if an exit seems to work whose entry ended without a fill."""
        orders = self._folds.orders
        left = next((o.id for o in orders.working() if outlived(o, orders.get(o.parent))), "")
        return self.begin(f"{left} works and its entry has ended", self.account, ts) if left else []

    def _without_stop(self, child: str, ts: int) -> None:
        known = self._folds.orders.get(child)
        entry = self._folds.orders.get(known.parent) if known is not None else None
        if entry is not None and entry.working:
            self._channel.out.withdraw(entry_cancel(entry, f"its stop {child} is not at the broker", ts))

    def due(self, encoder: Encoder, now_ns: int) -> bytes | None:
        """Return the request that the look under way needs now, or `None`."""
        return self._snapshot.due(encoder, now_ns) if self._snapshot is not None else None

    def cancels(self) -> list[Effect]:
        """Return the cancels that a look asks for, once: no strategy does, so no decision goes with them."""
        wanted, self._cancels = self._cancels, []
        return wanted

    def extra_cancels(self, encoder: Encoder) -> list[bytes]:
        """Return requests, once, that cancel what is at the broker twice under an order id of its own."""
        wanted, self._extra = self._extra, []
        return [encoder.cancel_order(order_id) for order_id in wanted]

    def _cancel(self, order: str, ts: int) -> Effect:
        known = self._folds.orders.get(order)
        assert known is not None
        who = (known.account, known.strategy, known.instrument)
        return Effect(0, CancelIntended(ts, order, *who, "presumed lost and seen again"))

    def drop(self) -> None:
        """Forget a look that is under way: the connection is gone."""
        self._snapshot, self._again, self._cancels, self._extra = None, "", [], []
        self._settled, self._recheck_ns = None, None

    def _days(self, ts: int) -> int:
        # Of this account: a log may know of a later fill of another one.
        known = self._folds.routes.fills(self.account, ts - DAYS_MAX * DAY_NS)
        last = max((told.ts for told in known), default=0)
        return DAYS_MAX if not last else min(DAYS_MAX, max(0, ts - last) // DAY_NS + 1)
