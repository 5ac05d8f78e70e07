"""The live connection to TWS or Gateway as the loop sees it: inputs to take, effects to release.

The upper layer of the client: it knows when what is due. How a session on a connection begins and ends is
`lifecycle.py`'s, what the broker's messages mean is `dialogue.py`'s. One thread: `inputs` reads what is
there, at most 16 KiB at a time, and waits no longer than it is told. Messages become events before anything
acts on them; what `release` did becomes an input too. It never appends, and never sends an order again.
"""

from collections.abc import Iterable, Sequence

from adapters.ibkr.dialogue import Dialogue
from adapters.ibkr.lifecycle import NEVER_ASKED
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.link.pacing import Lane
from core.clock import SECOND_NS
from core.effects import Effect
from core.errors import BrokerError, ConnectionLost, GatewayWedged, StreamOutOfStep, WriteFailed
from core.events import DataGapChanged, Event

__all__ = ["IbClient", "LinkSettings"]

_LEFT = "the session ended"


class IbClient(Dialogue):
    """Implements `core.ports.Broker`, and `inputs` for the source of a live session."""

    @property
    def failure(self) -> Exception | None:
        """Why the link is over for good: given up, or refused; `None` while it lives."""
        return self._connection.failure

    # -- the broker port -----------------------------------------------------------------------

    def resting(self, instrument: str) -> Sequence[object]:  # noqa: ARG002
        """Return nothing: orders rest at the broker, which says when they fill."""
        return ()

    def scan(self, event: Event) -> Sequence[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Name the orders that are about to leave."""
        return self._channel.out.attempts(effects, ts)

    def release(self, effects: Sequence[Effect]) -> None:
        """Send what a durable batch decided, most urgent first, within the pace that the broker allows."""
        for together in self._channel.out.together(effects):
            self._offer(*together)
        if effects:
            self._lock_step.acted()
        self._flush_or_leave()

    # -- inputs --------------------------------------------------------------------------------

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened; waits at most `timeout_s` for something to happen."""
        self._channel.folded()
        # A comparison reads the folds, so it is made when all that was heard is in them. What a connection
        # did not take any more is told behind its end: an order that wrote no byte waits for the next one.
        events = [] if self._fault is not None else self._outcomes() or self._compared()
        wait_s = 0.0 if events else self._patience_s(timeout_s)
        try:
            events += self._taken(wait_s)
            # What time asks for. Each part's events count, also if the next part finds the connection gone.
            for part in (
                self._clocks,
                self._fills_due,
                self._answers_due,
                self._commissions_due,
                self._look_due,
                self._steps_due,
                self._data_due,
                self._flushed,
            ):
                events += part()
        except BrokerError as error:
            events += self._down(error)
        return events + self._outcomes()

    def feed(self, ts: int) -> Event:
        """Return what defines the feed that market data come in."""
        return self._data.feed(ts)

    def leave(self) -> list[Event]:
        """Send nothing any more; return what becomes of what waited to be sent."""
        self._left = True
        self._give_up_waiting(_LEFT)
        return self._sending.outcomes()

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def _patience_s(self, timeout_s: float) -> float:
        """How long to wait for bytes, at most, before something of our own is due."""
        if not self._connection.is_open():
            return timeout_s
        due = [] if self.settings.lock_step else [self._connection.next_ns()]
        paced = self._sending.next_ns()
        due += [] if paced is None else [paced]
        return max(0.0, min(timeout_s, (min(due) - self._monotonic()) / SECOND_NS)) if due else timeout_s

    def _taken(self, wait_s: float) -> list[Event]:
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        if not self._connection.is_open():
            return self._connection.connect(wait_s)
        if self.settings.lock_step and self._stands:
            return self._step()
        return self._read(wait_s)

    @property
    def _stands(self) -> bool:
        """Whether the gateway's day may go on: nothing that belongs before its next event is open."""
        comparing = self._recovery.active and not self._connection.outage.upstream_lost
        opening = self._contracts.asking or self._data.opening or self._data.backfill.asking
        waiting = comparing or self._channel.out.waits or opening
        return self.ready and not waiting and self._sending.next_ns() is None

    def _read(self, timeout_s: float) -> list[Event]:
        try:
            frames = self._connection.turn(timeout_s)
        except StreamOutOfStep as error:
            return [*self._translated(error.frames), *self._down(error)]
        return self._translated(frames)

    def _step(self) -> list[Event]:
        """Let the gateway's next event happen."""
        messages, fault = self._lock_step.step(self._connection, self.due())
        events = self._told(messages)
        if fault is not None:
            return [*events, *self._down(fault)]
        idle = not self._recovery.active and not self._channel.out.waits and self._sending.next_ns() is None
        self.over = idle and self._lock_step.over(quiet=not events)
        return events

    def _down(self, why: BrokerError) -> list[Event]:
        """End the connection, after reading what it still has if only sending failed."""
        if not self._connection.is_open():
            return []
        events = self._translated(self._connection.remaining()) if isinstance(why, WriteFailed) else []
        if not self._connection.is_open():
            return events
        ending = "wedged" if isinstance(why, GatewayWedged) else "lost"
        return [*events, *self._dropped(self._connection.drop(str(why), ending), str(why))]  # type: ignore[arg-type]

    # -- what time asks for --------------------------------------------------------------------

    def _clocks(self) -> list[Event]:
        """Look at the clocks of the link; begin, once the broker has said what is needed for it."""
        connection, held_back = self._connection, self._connection.held_back
        events = connection.watch()
        if connection.is_open() and not self._begun:
            events += self._begin()
        elif held_back and not connection.held_back and self.ready:
            events += self._start_look("the restart window is over")
        return events

    def _look_due(self) -> list[Event]:
        recovery = self._recovery
        if self._monotonic() >= self._look_again_ns:
            self._look_again_ns = NEVER_ASKED
            return self._start_look("looking on")
        if not recovery.active or self._contracts.open:
            return []
        if self._connection.outage.upstream_lost:
            recovery.spoil("the gateway was cut off meanwhile")  # its book cannot be trusted now
        request = recovery.due(self._connection.codec.requests, self._monotonic())
        if request is not None:
            self._sending.offer(Lane.RECOVERY, request)
        if recovery.failed:
            raise ConnectionLost(recovery.failed)
        return []

    def _steps_due(self) -> list[Event]:
        if not self._contracts.asking:
            return []
        return self._contracted(self._contracts.overdue(self.now, self._monotonic()), asked=True)

    def _fills_due(self) -> list[Event]:
        if not self.ready:
            return []
        late = self._reminders.late_fills(self.now)
        return self._start_look(f"no execution for what {late[0]} filled") if late else []

    def _answers_due(self) -> list[Event]:
        if not self.ready or self._connection.outage.upstream_lost:
            return []  # a gateway that is cut off may answer when it is back
        late = self._reminders.late_answers(self.now)
        return self._start_look(f"nothing was heard of {late[0]}") if late else []

    def _outcomes(self) -> list[Event]:
        """Return what became of what was to be sent; an order that left is to be answered."""
        happened = self._sending.outcomes()
        for event in happened:
            self._reminders.left(event, self.now)
        return happened

    def _commissions_due(self) -> list[Event]:
        if self.ready and not self._recovery.active and self._reminders.late_commissions(self.now):
            req_id = self._reminders.asked(self._channel.out.take_id())
            request = self._connection.codec.requests.req_executions(
                req_id, account=self.account, last_days=1
            )
            self._sending.offer(Lane.RECOVERY, request)
        return []

    def _data_due(self) -> list[Event]:
        if not self.ready:
            return []
        if self._monotonic() >= self._renew_ns:
            self._renew_ns = NEVER_ASKED
            self._data.renew()
        requests, take_id = self._connection.codec.requests, self._channel.out.take_id
        pong = self._connection.heartbeat.pong
        self._data.broker_ahead(pong.skew_ms if pong is not None else 0)
        asked = self._data.due(requests, take_id, self.now, self._monotonic())
        questions, told = self._data.fill(requests, take_id, self.now, self._monotonic())
        for request in (*asked, *questions):
            self._sending.offer(Lane.DATA, request)
        return told if self.settings.lock_step else [*told, *self._data.watch(self.now)]

    # -- sending -------------------------------------------------------------------------------

    def _flushed(self) -> list[Event]:
        if self._connection.is_open():
            self._connection.trust()
            if not self._begun:
                self._connection.starting()
            self._offer_waiting()
            self._flush()
        return []

    def _flush(self) -> None:
        """Send what may go now; raises `WriteFailed`. Before accounts and order id came, nothing may."""
        if self._accounts and self._offered is not None:
            self._sending.flush(self._connection, self._connection.ping, self._monotonic())

    def _flush_or_leave(self) -> None:
        """Send what may go now; a connection that takes no more is ended by the next look at it."""
        if self._connection.is_open():
            try:
                self._flush()
            except WriteFailed as error:
                self._fault = error

    def _offer_waiting(self) -> None:
        """Offer what waited for its order, and the cancels that a look at the book asks for."""
        go, never = self._channel.out.due(self._monotonic())
        for effect in (*go, *self._recovery.cancels()):
            self._offer(effect)
        for data in self._recovery.extra_cancels(self._connection.codec.requests):
            if not self._connection.looks_on:
                self._sending.offer(Lane.CANCEL, data)
        for effect, why in never:
            self._sending.refuse(effect, why)

    def _offer(self, *effects: Effect) -> None:
        """Offer one effect, or a family of them: an order with its exits."""
        out = self._channel.out
        gone = "" if self._connection.is_open() else "not connected"
        if self._connection.looks_on:
            gone = "read-only: another program has the client id that orders and cancels belong to"
        why = _LEFT if self._left else gone or out.closed(effects)
        if not why:
            if out.holds(effects[0], self._monotonic()):
                return
            request = out.request(effects, self._connection.codec.requests)
            if request is not None:
                self._sending.offer_order(request)
                return
            why = "the order was never sent"
        for effect in effects:
            self._sending.refuse(effect, why)

    @property
    def gaps(self) -> list[DataGapChanged]:
        """What was told last of market data that were missed, oldest first."""
        return list(self._data.backfill.recent)

    # -- what a halt asks for ------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn to leave."""
        return self._sending.waiting

    def cancel_all(self) -> bool:
        """Ask to cancel every order of the login, whoever placed it; `False` if not connected."""
        if not self.ready or not self._connection.is_open():
            return False
        self._sending.offer(Lane.CANCEL, self._connection.codec.requests.global_cancel())
        self._lock_step.acted()
        return True

    def withdraw(self, why: str) -> None:
        """Report orders and changes that still wait for their turn as not sent."""
        self._sending.withdraw(why)

    def snapshot_now(self, reason: str) -> list[Event]:
        """Begin to compare the log with the broker's book; nothing if that is not possible now."""
        if not self.ready or self._recovery.active:
            return []
        return self._recovery.begin(reason, self.account, self.now)
