"""The live connection to TWS or Gateway as the loop sees it: inputs to take, effects to release.

Owns one connection at a time and everything that follows from it: start, heartbeat, reconnection within
bounds, subscriptions, snapshots and their comparison with the log. One thread: `inputs` reads what is there,
at most 16 KiB at a time, and waits no longer than it is told. Messages become events before anything acts on
them; what `release` did becomes an input too. It never appends, and never sends an order again.
"""

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from adapters.ibkr.codec import Codec, open_session
from adapters.ibkr.contracts import contract_of, instrument_of
from adapters.ibkr.distribution import installed
from adapters.ibkr.marketdata import MarketData
from adapters.ibkr.messages import (
    AccountValue,
    BadFrame,
    ContractDetails,
    ContractDetailsEnd,
    CurrentTime,
    ErrorMessage,
    ManagedAccounts,
    Message,
    NextValidId,
)
from adapters.ibkr.notices import meaning
from adapters.ibkr.orders import OrderChannel, Request
from adapters.ibkr.pacing import Lane, Pacer
from adapters.ibkr.reconcile import Folds, reconcile
from adapters.ibkr.snapshot import Snapshot
from adapters.ibkr.transport import TimeLimits, Transport
from core.clock import SECOND_NS
from core.effects import Effect
from core.errors import BrokerError, BrokerUnreachable, StreamOutOfStep, UsageError, WriteFailed
from core.events import (
    AccountReported,
    BrokerMessage,
    BrokerSessionOpened,
    ConnectionChanged,
    Event,
    FrameRejected,
    InstrumentDefined,
    OrderSent,
    ReconciliationStarted,
    SendFailed,
)

_ACCOUNT_KEYS = frozenset(
    ("NetLiquidation", "TotalCashBalance", "BuyingPower", "AvailableFunds", "MaintMarginReq")
)


class LinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect and how patiently. `account` empty takes the login's only one."""

    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 1
    account: str = ""
    reconnect_interval_s: float = 5.0
    max_reconnect_attempts: int = 10
    heartbeat_s: float = 5.0
    pong_deadline_s: float = 3.0
    stale_after_s: float = 60.0
    lines_max: int = 100
    tick_by_tick_max: int = 3
    delayed_data: bool = False
    lock_step: bool = False
    """The broker is a simulated gateway that holds its next event until it is asked for the time."""
    start_ns: int = 0
    """In lock step, the time at which the gateway's day stands at first."""
    limits: TimeLimits = TimeLimits()


class IbClient:
    """Implements `core.ports.Broker`, and `inputs` for the source of a live session."""

    def __init__(
        self,
        settings: LinkSettings,
        channel: OrderChannel,
        data: MarketData,
        folds: Folds,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.settings = settings
        self.account = settings.account
        self.wanted: Sequence[InstrumentDefined] = ()
        self.given_up = ""
        self.over = False
        self.ready = False
        self._channel = channel
        self._data = data
        self._folds = folds
        self._clock = clock
        self._monotonic = monotonic
        self._transport: Transport | None = None
        self._codec: Codec | None = None
        self._selector = selectors.DefaultSelector()
        self._pacer: Pacer[Request | bytes] = Pacer()
        self._outcomes: deque[Event] = deque()
        self._attempt = 0
        self._retry_ns = 0
        self._accounts: tuple[str, ...] = ()
        self._offered: int | None = None
        self._resolving: dict[int, InstrumentDefined] = {}
        self._snapshot: Snapshot | None = None
        self._snapshot_reason = ""
        self._server_ns = settings.start_ns
        self._asked_ns: int | None = None
        self._heard_ns = 0
        self._said: dict[str, str] = {}

    # -- the broker port -----------------------------------------------------------------------

    def resting(self, instrument: str) -> Sequence[object]:  # noqa: ARG002
        """Return nothing: orders rest at the broker, which says when they fill."""
        return ()

    def scan(self, event: Event) -> Iterable[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Name the orders that are about to leave."""
        return self._channel.attempts(effects, ts)

    def release(self, effects: Sequence[Effect]) -> None:
        """Send what a durable batch decided, most urgent first, within the pace that the broker allows."""
        for effect in effects:
            self._offer(effect)
        self._send_due()

    # -- inputs --------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time that events get which carry none: ours, or in lock step the gateway's."""
        return self._server_ns if self.settings.lock_step else self._clock()

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened; waits at most `timeout_s` for something to happen."""
        events = self._drained()
        if self._transport is None:
            events += self._reconnect(0.0 if events else timeout_s)
            return events
        try:
            if self.settings.lock_step and self.ready:
                events += self._step()
            else:
                self._selector.select(0.0 if events else timeout_s)
                events += self._read()
            events += self._upkeep()
            self._send_due()
        except BrokerError as error:
            events += self._down(str(error))
        return events + self._drained()

    def feed(self, ts: int) -> Event:
        """Return what defines the feed that market data come in."""
        return self._data.feed(ts)

    def close(self) -> None:
        """End the connection; what waits to be sent is reported as not sent."""
        self._drop("the session ended")

    def _drained(self) -> list[Event]:
        drained = list(self._outcomes)
        self._outcomes.clear()
        return drained

    def _read(self) -> list[Event]:
        assert self._transport is not None
        try:
            frames = self._transport.read()
        except StreamOutOfStep as error:
            return [*self._translated(error.frames), *self._down(str(error))]
        return self._translated(frames)

    def _translated(self, frames: Iterable[bytes]) -> list[Event]:
        assert self._codec is not None
        events: list[Event] = []
        for message in self._codec.decode(frames):
            events += self._events(message)
        return events

    def _step(self) -> list[Event]:
        """Let the gateway's next event happen: all messages up to its answer belong to it."""
        assert self._transport is not None
        assert self._codec is not None
        self._transport.send(self._codec.requests.req_current_time_in_millis())
        messages: list[Message] = []
        deadline = self._monotonic() + 30 * SECOND_NS
        while not any(isinstance(message, CurrentTime) for message in messages):
            self._selector.select(1.0)
            messages += self._codec.decode(self._transport.read())
            if self._monotonic() > deadline:
                raise BrokerUnreachable("the gateway did not answer within 30 s")
        before = self._server_ns
        self._server_ns = next(m.time_ms for m in messages if isinstance(m, CurrentTime)) * 1_000_000
        events = [event for message in messages for event in self._events(message)]
        self.over = not events and self._server_ns == before
        return events

    def _events(self, message: Message) -> list[Event]:
        if self._snapshot is not None:
            self._snapshot.feed(message)
        ts = self.now
        events = [*self._data.events(message, ts), *self._channel.events(message, ts)]
        own = _OWN.get(type(message))
        if own is not None:
            events += own(self, message, ts)
        return events

    # -- the life of a connection --------------------------------------------------------------

    def _reconnect(self, timeout_s: float) -> list[Event]:
        settings, now = self.settings, self._monotonic()
        if self.given_up or now < self._retry_ns:
            time.sleep(min(timeout_s, max(0.0, (self._retry_ns - now) / SECOND_NS)))
            return []
        self._attempt += 1
        try:
            transport, codec = open_session(
                settings.host, settings.port, settings.client_id, limits=settings.limits
            )
        except BrokerUnreachable as error:
            return self._not_reached(str(error))
        self._transport, self._codec = transport, codec
        self._selector.register(transport, selectors.EVENT_READ)
        self._accounts, self._offered = (), None
        self._heard_ns, self._asked_ns = now, None
        return self._read()

    def _not_reached(self, why: str) -> list[Event]:
        settings = self.settings
        self._retry_ns = self._monotonic() + round(settings.reconnect_interval_s * SECOND_NS)
        if self._attempt >= settings.max_reconnect_attempts:
            self.given_up = f"{why} ({self._attempt} attempts)"
            return [ConnectionChanged(self.now, "given_up", None, self.given_up, self._attempt)]
        return [ConnectionChanged(self.now, "connecting", None, why, self._attempt)]

    def _down(self, why: str) -> list[Event]:
        self._drop(why)
        self._retry_ns = self._monotonic() + round(self.settings.reconnect_interval_s * SECOND_NS)
        return [ConnectionChanged(self.now, "down", None, why)]

    def _drop(self, why: str) -> None:
        if self._transport is not None:
            self._selector.unregister(self._transport)
            self._transport.close()
        self._transport = self._codec = self._snapshot = None
        self._resolving, self.ready = {}, False
        for request in self._pacer.drain():
            if isinstance(request, Request):
                self._failed(request.effect, 0, why)

    def _upkeep(self) -> list[Event]:
        """Do what time asks for: the next piece of a snapshot, its comparison, a heartbeat."""
        if self._transport is None:
            return []
        events: list[Event] = []
        snapshot, codec = self._snapshot, self._codec
        assert codec is not None
        if snapshot is not None and not self._resolving:
            request = snapshot.due(codec.requests, self._monotonic())
            if request is not None:
                self._pacer.offer(Lane.RECOVERY, request)
            if snapshot.failed:
                return self._down(snapshot.failed)
            if snapshot.done:
                events += self._compared(snapshot)
        events += self._heartbeat()
        if self.ready and not self.settings.lock_step:
            events += self._data.stale(self.now, round(self.settings.stale_after_s * SECOND_NS))
        return events

    def _heartbeat(self) -> list[Event]:
        assert self._codec is not None
        settings, now = self.settings, self._monotonic()
        if settings.lock_step and self.ready:
            return []
        if self._asked_ns is not None:
            late_s = (now - self._asked_ns) / SECOND_NS
            if late_s > settings.pong_deadline_s:
                return self._down(f"no answer to a heartbeat within {settings.pong_deadline_s:g} s")
            return []
        if now - self._heard_ns >= settings.heartbeat_s * SECOND_NS:
            self._asked_ns = now
            self._pacer.offer(Lane.CANCEL, self._codec.requests.req_current_time_in_millis())
        return []

    def _begin(self) -> list[Event]:
        """Go on once accounts and the next order id are known: contracts, data, then the broker's book."""
        assert self._codec is not None
        assert self._offered is not None
        settings, codec, ts = self.settings, self._codec, self.now
        account = settings.account or (self._accounts[0] if len(self._accounts) == 1 else "")
        if account not in self._accounts:
            raise UsageError(
                f"account {settings.account or '(none given)'}: this login has {', '.join(self._accounts)}; "
                "give one of them with --account or as [ibkr] account"
            )
        self.account = account
        self._channel.offered(self._offered)
        self._attempt = 0
        opened = BrokerSessionOpened(
            ts,
            codec.server_version,
            settings.client_id,
            ",".join(self._accounts),
            self._offered,
            None,
            msgspec.json.encode(installed(), order="deterministic").decode(),
        )
        for instrument in self.wanted:
            if instrument.con_id is None:
                req_id = self._channel.take_id()
                self._resolving[req_id] = instrument
                request = codec.requests.req_contract_details(req_id, contract_of(instrument))
                self._pacer.offer(Lane.RECOVERY, request)
        return [opened, ConnectionChanged(ts, "up", None, "", 0), *self._start_snapshot("start")]

    def _start_snapshot(self, reason: str) -> list[Event]:
        self._snapshot_reason = reason
        self._snapshot = Snapshot(self.account, 7, self._channel.take_id)
        return [ReconciliationStarted(self.now, reason)]

    def _compared(self, snapshot: Snapshot) -> list[Event]:
        assert self._codec is not None
        client_id = self.settings.client_id
        events = reconcile(
            self._snapshot_reason, self.account, snapshot.evidence, self._folds, client_id, self.now
        )
        self._snapshot = None
        if not self.ready:
            self.ready = True
            requests, left_out = self._subscriptions()
            for request in requests:
                self._pacer.offer(Lane.DATA, request)
            events += left_out
        return events

    def _subscriptions(self) -> tuple[list[bytes], list[Event]]:
        assert self._codec is not None
        requests, take_id = self._codec.requests, self._channel.take_id
        again = self._data.resubscribe(requests, take_id) if self._data.lines else []
        new, events = self._data.subscribe(self.wanted, requests, take_id, self.now)
        return [*again, *new], events

    # -- messages of its own -------------------------------------------------------------------

    def _accounts_known(self, said: ManagedAccounts, _ts: int) -> list[Event]:
        self._accounts = said.accounts
        return self._begin() if self._offered is not None else []

    def _id_offered(self, said: NextValidId, _ts: int) -> list[Event]:
        first = self._offered is None
        self._offered = said.order_id
        self._channel.offered(said.order_id)
        return self._begin() if first and self._accounts else []

    def _time_told(self, said: CurrentTime, _ts: int) -> list[Event]:
        self._heard_ns, self._asked_ns = self._monotonic(), None
        if self.settings.lock_step:
            self._server_ns = max(self._server_ns, said.time_ms * 1_000_000)
        return []

    def _details(self, said: ContractDetails, ts: int) -> list[Event]:
        asked = self._resolving.get(said.req_id or 0)
        if asked is None:
            return []
        found = instrument_of(said, ts)
        # What the log knows of an instrument stays; the broker adds how to name it.
        known = msgspec.structs.replace(asked, ts=ts, con_id=found.con_id)
        self.wanted = [known if i.instrument == known.instrument else i for i in self.wanted]
        return [known]

    def _details_end(self, said: ContractDetailsEnd, ts: int) -> list[Event]:
        asked = self._resolving.pop(said.req_id or 0, None)
        if asked is not None and not any(i.instrument == asked.instrument and i.con_id for i in self.wanted):
            return [
                BrokerMessage(ts, 200, "error", "the broker knows no such contract", "", asked.instrument)
            ]
        return []

    def _account_value(self, said: AccountValue, ts: int) -> list[Event]:
        if said.key not in _ACCOUNT_KEYS or self._said.get(said.key + said.currency) == said.value:
            return []
        self._said[said.key + said.currency] = said.value
        return [AccountReported(ts, said.account, said.key, said.currency, said.value)]

    def _bad_frame(self, said: BadFrame, ts: int) -> list[Event]:
        return [FrameRejected(ts, said.message_id, said.reason, said.raw[:4096].hex())]

    def _error(self, said: ErrorMessage, ts: int) -> list[Event]:
        self._resolving.pop(said.req_id or 0, None)
        order = self._channel.speaks_of(said.req_id)
        instrument = self._data.speaks_of(said.req_id)
        events, again = meaning(said, order, instrument, ts)
        if again and self.ready:
            events += self._start_snapshot(again)
        return events

    # -- sending -------------------------------------------------------------------------------

    def _offer(self, effect: Effect) -> None:
        if self._codec is None:
            self._failed(effect, 0, "not connected")
            return
        request = self._channel.request(effect, self._codec.requests)
        if request is None:
            self._failed(effect, 0, "the order was never sent")
        else:
            self._pacer.offer(request.lane, request)

    def _send_due(self) -> None:
        if self._transport is None:
            return
        for request in self._pacer.take(self._monotonic()):
            data = request if isinstance(request, bytes) else request.data
            try:
                self._transport.send(data)
            except WriteFailed as error:
                if isinstance(request, Request):
                    self._failed(request.effect, error.bytes_written, str(error))
                self._outcomes += self._down(str(error))
                return
            if isinstance(request, Request):
                self._sent(request.effect)

    def _sent(self, effect: Effect) -> None:
        intent = effect.request
        version = getattr(intent, "version", 1)
        if request_kind(intent) != "cancel":
            self._outcomes.append(OrderSent(self.now, intent.order, version))

    def _failed(self, effect: Effect, bytes_written: int, why: str) -> None:
        intent = effect.request
        self._outcomes.append(
            SendFailed(self.now, intent.order, getattr(intent, "version", 1), bytes_written, why)
        )

    # -- what a halt asks for ------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn to leave."""
        return sum(self._pacer.waiting(lane) for lane in Lane)

    def cancel_all(self) -> bool:
        """Ask to cancel every order of the login, whoever placed it; `False` if not connected."""
        if self._codec is None or not self.ready:
            return False
        self._pacer.offer(Lane.CANCEL, self._codec.requests.global_cancel())
        return True

    def withdraw(self, why: str) -> None:
        """Report orders and changes that still wait for their turn as not sent."""
        for lane in (Lane.NEW_ORDER, Lane.MODIFY):
            for request in self._pacer.withdraw(lane):
                if isinstance(request, Request):
                    self._failed(request.effect, 0, why)

    def snapshot_now(self, reason: str) -> list[Event]:
        """Begin to compare the log with the broker's book; nothing if that is not possible now."""
        if not self.ready or self._snapshot is not None:
            return []
        return self._start_snapshot(reason)


def request_kind(intent: Any) -> str:
    """Return `new`, `modify` or `cancel`."""
    return {"OrderIntended": "new", "ModifyIntended": "modify"}.get(type(intent).__name__, "cancel")


_OWN: dict[type[Message], Callable[[IbClient, Any, int], list[Event]]] = {
    ManagedAccounts: IbClient._accounts_known,
    NextValidId: IbClient._id_offered,
    CurrentTime: IbClient._time_told,
    ContractDetails: IbClient._details,
    ContractDetailsEnd: IbClient._details_end,
    AccountValue: IbClient._account_value,
    BadFrame: IbClient._bad_frame,
    ErrorMessage: IbClient._error,
}
