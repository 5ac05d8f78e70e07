"""Looking at the broker's book: when, how often, and what the log makes of it.

One look at a time. It begins at each start of a connection and at each doubt, and ends in
`ReconciliationFinished`; the comparison is made when everything heard so far is in the folds. Orders that
were nowhere make it look again later. It sends nothing itself: the requests it wants are for the caller.
"""

from adapters.ibkr.encoder import Encoder
from adapters.ibkr.messages import Message
from adapters.ibkr.orders import OrderChannel
from adapters.ibkr.pacing import Lane
from adapters.ibkr.reconcile import PATIENCE_S, Folds, reconcile
from adapters.ibkr.snapshot import PAUSE_S, Snapshot
from core.clock import DAY_NS, SECOND_NS
from core.events import BreakFound, CancelSent, Event, OrderResolved, ReconciliationStarted

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
    ) -> None:
        self.looks = 0
        self.account = ""
        self._channel = channel
        self._folds = folds
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._snapshot: Snapshot | None = None
        self._reason = ""
        self._again = ""
        self._look_ns: int | None = None
        self._cancels: list[str] = []

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
        if self._snapshot is not None:
            self._again = reason
            return []
        self._reason, self._again, self._look_ns = reason, "", None
        days = self._days(ts)
        self._snapshot = Snapshot(account, days, self._channel.out.take_id, pause_s=self._pause_s)
        return [ReconciliationStarted(ts, reason)]

    def feed(self, message: Message) -> None:
        """Keep what a message shows."""
        if self._snapshot is not None:
            self._snapshot.feed(message)

    def look(self, ts: int, now_ns: int) -> list[Event]:
        """Return what a finished look found, or that one begins.

        To be called before anything is read: everything heard up to here is in the folds.
        """
        self._channel.folded()
        if self._snapshot is not None and self._snapshot.done:
            return self._compared(self._snapshot, ts, now_ns)
        doubt = self._channel.take_doubt()
        if not doubt and self._look_ns is not None and now_ns >= self._look_ns and self._snapshot is None:
            doubt = "orders whose fate is open"
        return self.begin(doubt, self.account, ts) if doubt and self.account else []

    def _compared(self, snapshot: Snapshot, ts: int, now_ns: int) -> list[Event]:
        events = reconcile(
            self._reason,
            self.account,
            snapshot.evidence,
            self._folds,
            self._channel.client_id,
            ts,
            patience_s=self._patience_s,
        )
        self._snapshot = None
        self.looks += 1
        if any(isinstance(e, OrderResolved) and e.outcome == "unknown" for e in events):
            self._look_ns = now_ns + round(self._patience_s * SECOND_NS)
        if any(isinstance(e, BreakFound) and e.kind == "lost_order" for e in events):
            lost = self._folds.routes.lost()
            self._cancels += [e.order for e in events if isinstance(e, OrderResolved) and e.order in lost]
        if self._again:
            events += self.begin(self._again, self.account, ts)
        return events

    def due(self, encoder: Encoder, now_ns: int) -> list[tuple[Lane, bytes]]:
        """Return the requests that the look under way needs now."""
        request = self._snapshot.due(encoder, now_ns) if self._snapshot is not None else None
        return [(Lane.RECOVERY, request)] if request is not None else []

    def cancels(self, encoder: Encoder, ts: int) -> list[tuple[bytes, CancelSent]]:
        """Return cancels that no strategy asked for, each with what to record when it was sent."""
        wanted, self._cancels = self._cancels, []
        found = []
        for order in wanted:
            attempt = self._folds.routes.attempt(order)
            if attempt is not None and attempt.client_id == self._channel.client_id:
                told = CancelSent(ts, order, "presumed lost and seen again")
                found.append((encoder.cancel_order(attempt.broker_id), told))
        return found

    def drop(self) -> None:
        """Forget a look that is under way: the connection is gone."""
        self._snapshot, self._again = None, ""

    def _days(self, ts: int) -> int:
        last = self._folds.routes.last_fill_ts
        return DAYS_MAX if not last else min(DAYS_MAX, max(0, ts - last) // DAY_NS + 1)
