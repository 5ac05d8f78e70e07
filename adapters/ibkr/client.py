"""The live connection to TWS or Gateway as the loop sees it: inputs to take, effects to release.

Ties together the link and its life (connection.py), what leaves (sending.py), what the broker says of
itself (notices.py), orders, market data, and the comparison of the books. One thread: `inputs` reads what is
there, at most 16 KiB at a time, and waits no longer than it is told. Messages become events before anything
acts on them; what `release` did becomes an input too. It never appends, and never sends an order again.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from adapters.ibkr.data.marketdata import MarketData
from adapters.ibkr.data.resolving import Unresolved, confirmed
from adapters.ibkr.link.connection import Connection
from adapters.ibkr.link.heartbeat import Pong
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.link.login import account_of
from adapters.ibkr.link.notices import Act, Meaning, Notices
from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.link.sending import Sending
from adapters.ibkr.trading.missing_commissions import MissingCommissions
from adapters.ibkr.trading.missing_fills import MissingFills
from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.trading.reconcile import PATIENCE_S, Folds
from adapters.ibkr.trading.recovery import Recovery
from adapters.ibkr.trading.snapshot import PAUSE_S
from adapters.ibkr.wire.contracts import contract_of
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.messages import (
    AccountValue,
    BadFrame,
    ContractDetails,
    ContractDetailsEnd,
    CurrentTime,
    ErrorMessage,
    ExecutionsEnd,
    ManagedAccounts,
    Message,
    NextValidId,
    OrderStatus,
)
from core.clock import NEVER, SECOND_NS
from core.effects import Effect
from core.errors import (
    AccountRefused,
    BrokerError,
    ConnectionLost,
    GatewayWedged,
    StreamOutOfStep,
    WriteFailed,
)
from core.events import (
    AccountReported,
    BrokerSessionOpened,
    ClockSkewMeasured,
    ConnectionChanged,
    DataStateChanged,
    Event,
    Filled,
    FrameRejected,
    InstrumentDefined,
)
from core.money import ZERO

__all__ = ["IbClient", "LinkSettings"]

_ACCOUNT_KEYS = frozenset(
    ("NetLiquidation", "TotalCashBalance", "BuyingPower", "AvailableFunds", "MaintMarginReq")
)
_MILLIS_VERSION = 197
_SKEW_MOVED_MS = 1000
_COMPETING_RETRY_NS = 60 * SECOND_NS
_NEVER_ASKED = 1 << 62
_LEFT = "the session ended"


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
        self.over = False
        self.ready = False
        self._channel = channel
        self._data = data
        self._folds = folds
        self._clock = clock
        self._monotonic = monotonic
        self._connection = Connection(settings, lambda: self.now, monotonic)
        self._sending = Sending(self._connection.heartbeat, lambda: self.now, trusting=settings.lock_step)
        self._notices = Notices()
        self._missing = MissingFills()
        self._uncharged = MissingCommissions()
        self._accounts: tuple[str, ...] = ()
        self._offered: int | None = None
        self._begun = False
        self._observing = ""
        self._skew_ms: int | None = None
        self._resolving: dict[int, tuple[InstrumentDefined, list[ContractDetails]]] = {}
        self._recovery = Recovery(
            channel,
            folds,
            patience_s=0.0 if settings.lock_step else PATIENCE_S,  # nothing moves there while we wait
            pause_s=0.0 if settings.lock_step else PAUSE_S,
            farms_well=self._notices.farms_well,
        )
        self._lines_lost = True
        self._renew_ns = _NEVER_ASKED
        self._server_ns = settings.start_ns
        self._said: dict[str, str] = {}
        self._fault: WriteFailed | None = None
        self._acted = False  # in lock step: something was sent since the last step
        self._in_step = False  # our clock is the gateway's since the connection began
        self.due: Callable[[], int] = lambda: NEVER
        self._left = False

    @property
    def failure(self) -> Exception | None:
        """Why the link is over for good: given up, or refused; `None` while it lives."""
        return self._connection.failure

    # -- the broker port -----------------------------------------------------------------------

    def resting(self, instrument: str) -> Sequence[object]:  # noqa: ARG002
        """Return nothing: orders rest at the broker, which says when they fill."""
        return ()

    def scan(self, event: Event) -> Iterable[Event]:  # noqa: ARG002
        """Return nothing."""
        return ()

    def accept(self, effects: Sequence[Effect], ts: int) -> Iterable[Event]:
        """Name the orders that are about to leave."""
        return self._channel.out.attempts(effects, ts)

    def release(self, effects: Sequence[Effect]) -> None:
        """Send what a durable batch decided, most urgent first, within the pace that the broker allows."""
        for together in self._channel.out.together(effects):
            self._offer(*together)
        self._acted = self._acted or bool(effects)
        self._flush_or_leave()

    # -- inputs --------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The time that events get which carry none: ours, or in lock step the gateway's."""
        return self._server_ns if self.settings.lock_step else self._clock()

    def inputs(self, timeout_s: float) -> list[Event]:
        """Return what happened; waits at most `timeout_s` for something to happen."""
        self._channel.folded()
        # A comparison reads the folds, so it is made when all that was heard is in them.
        events = self._sending.outcomes() or self._compared()
        wait_s = 0.0 if events else self._patience_s(timeout_s)
        try:
            events += self._taken(wait_s)
            # What time asks for. Each part's events count, also if the next part finds the connection gone.
            for part in (
                self._clocks,
                self._fills_due,
                self._commissions_due,
                self._look_due,
                self._data_due,
                self._flushed,
            ):
                events += part()
        except BrokerError as error:
            events += self._down(error)
        return events + self._sending.outcomes()

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
        opening = bool(self._resolving) or self._data.opening
        waiting = comparing or self._channel.out.waits or opening
        return self.ready and not waiting and self._sending.next_ns() is None

    def _read(self, timeout_s: float) -> list[Event]:
        try:
            frames = self._connection.turn(timeout_s)
        except StreamOutOfStep as error:
            return [*self._translated(error.frames), *self._down(error)]
        return self._translated(frames)

    def _translated(self, frames: Iterable[bytes]) -> list[Event]:
        return self._told(self._connection.codec.decode(frames))

    def _told(self, messages: Iterable[Message]) -> list[Event]:
        """Return what messages say, in order. Ticks take the short way: nothing else hears of them."""
        events: list[Event] = []
        ticks, emit, ts = self._data.ticks, events.append, self.now
        self._data.finish_bars(ts, emit)
        for message in messages:
            tick = ticks.get(type(message))
            if tick is not None:
                tick(message, ts, emit)
                continue
            events += self._events(message)
            if not self._connection.is_open():
                break  # a message ended the connection: what follows is of no session any more
        return events

    def _step(self) -> list[Event]:
        """Let the gateway's next event happen: all messages up to its answer belong to it."""
        codec = self._connection.codec
        fault: BrokerError | None = None
        messages: list[Message] = []
        # What was sent is answered before anything else happens, as in a replay.
        waiting, self._acted = self._acted, False
        until = self._server_ns if waiting else self.due()
        try:
            self._connection.send(codec.requests.req_step(until))
            deadline = self._monotonic() + round(self.settings.step_deadline_s * SECOND_NS)
            while not any(isinstance(message, CurrentTime) for message in messages):
                messages += codec.decode(self._connection.turn(min(1.0, self.settings.step_deadline_s)))
                if self._monotonic() > deadline:
                    raise ConnectionLost(f"no step of the gateway within {self.settings.step_deadline_s:g} s")
        except BrokerError as error:
            # What came before the fault has happened all the same.
            fault = error
            messages += codec.decode(getattr(error, "frames", ()))
        before = self._server_ns
        told = [m.time_ms for m in messages if isinstance(m, CurrentTime)]
        self._server_ns = max(before, *(time_ms * 1_000_000 for time_ms in told)) if told else before
        passed = self._in_step and self._server_ns > until  # nothing was left to happen up to there
        self._in_step = bool(told)
        if 0 <= until - self._server_ns < 1_000_000:
            self._server_ns = until  # the answer is in ms
        events = self._told(messages)
        if fault is not None:
            return [*events, *self._down(fault)]
        stood = not events and self._server_ns == before and until > before
        idle = not self._recovery.active and not self._channel.out.waits and self._sending.next_ns() is None
        self.over = idle and not waiting and (passed or stood)
        return events

    def _events(self, message: Message) -> list[Event]:
        if not (isinstance(message, ExecutionsEnd) and self._uncharged.answered(message.req_id)):
            self._recovery.feed(message)
        ts = self.now
        said = list(self._channel.events(message, ts))
        for event in said:
            if isinstance(event, Filled):
                self._uncharged.told(event.exec_id, ts)
        events = [*self._data.events(message, ts), *said]
        own = _OWN.get(type(message))
        if own is not None:
            events += own(self, message, ts)
        return events

    # -- the life of a connection --------------------------------------------------------------

    def _down(self, why: BrokerError) -> list[Event]:
        """End the connection, after reading what it still has if only sending failed."""
        if not self._connection.is_open():
            return []
        events = self._translated(self._connection.remaining()) if isinstance(why, WriteFailed) else []
        if not self._connection.is_open():
            return events
        ending = "wedged" if isinstance(why, GatewayWedged) else "lost"
        return [*events, *self._dropped(self._connection.drop(str(why), ending), str(why))]  # type: ignore[arg-type]

    def _dropped(self, told: list[Event], why: str) -> list[Event]:
        """Forget what belonged to the connection that has ended."""
        self._recovery.drop()
        self._uncharged.drop()
        self._resolving, self.ready, self._begun, self._observing = {}, False, False, ""
        self._in_step = False
        self._accounts, self._offered = (), None
        self._lines_lost, self._renew_ns = True, _NEVER_ASKED
        self._data.lost()
        self._notices.opened()
        self._give_up_waiting(why)
        return [*told, *self._sending.outcomes()]

    def _give_up_waiting(self, why: str) -> None:
        for effect in self._channel.out.drop():
            self._sending.refuse(effect, why)
        self._sending.end(why)

    def _clocks(self) -> list[Event]:
        """Look at the clocks of the link; begin, once the broker has said what is needed for it."""
        connection, held_back = self._connection, self._connection.held_back
        events = connection.watch()
        if connection.is_open() and not self._begun:
            events += self._begin()
        elif held_back and not connection.held_back and self.ready:
            events += self._start_look("the restart window is over")
        return events

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

    def _offer_waiting(self) -> None:
        """Offer what waited for its order, and the cancels that a look at the book asks for."""
        go, never = self._channel.out.due(self._monotonic())
        for effect in (*go, *self._recovery.cancels()):
            self._offer(effect)
        for data in self._recovery.extra_cancels(self._connection.codec.requests):
            self._sending.offer(Lane.CANCEL, data)
        for effect, why in never:
            self._sending.refuse(effect, why)

    def _look_due(self) -> list[Event]:
        recovery = self._recovery
        if not recovery.active or self._resolving:
            return []
        if self._connection.outage.upstream_lost:
            recovery.spoil("the gateway was cut off meanwhile")  # its book cannot be trusted now
        request = recovery.due(self._connection.codec.requests, self._monotonic())
        if request is not None:
            self._sending.offer(Lane.RECOVERY, request)
        if recovery.failed:
            raise ConnectionLost(recovery.failed)
        return []

    def _fills_due(self) -> list[Event]:
        if not self.ready:
            return []
        late = self._missing.due(self.now, self._executed)
        return self._start_look(f"no execution for what {late[0]} filled") if late else []

    def _commissions_due(self) -> list[Event]:
        if self.ready and not self._recovery.active and self._uncharged.due(self.now, self._charged):
            req_id = self._uncharged.asked(self._channel.out.take_id())
            request = self._connection.codec.requests.req_executions(
                req_id, account=self.account, last_days=1
            )
            self._sending.offer(Lane.RECOVERY, request)
        return []

    def _charged(self, exec_id: str) -> bool:
        known = self._folds.routes.execution(exec_id)
        return known is not None and bool(known.charge)

    def _executed(self, order: str) -> Decimal:
        return sum((each.quantity for each in self._folds.orders.executions(order)), ZERO)

    def _data_due(self) -> list[Event]:
        if not self.ready:
            return []
        if self._monotonic() >= self._renew_ns:
            self._renew_ns = _NEVER_ASKED
            self._data.renew()
        requests, take_id = self._connection.codec.requests, self._channel.out.take_id
        for request in self._data.due(requests, take_id, self.now, self._monotonic()):
            self._sending.offer(Lane.DATA, request)
        return [] if self.settings.lock_step else self._data.watch(self.now)

    def _begin(self) -> list[Event]:
        """Go on once accounts, the next order id and the clock are known: contracts, the broker's book."""
        settings, codec, ts = self.settings, self._connection.codec, self.now
        pong = self._connection.heartbeat.pong
        if not self._accounts or self._offered is None or (pong is None and not settings.lock_step):
            return []
        try:
            self.account = account_of(settings, self._accounts)
        except AccountRefused as error:
            return self._dropped(self._connection.refuse(error), str(error))
        self._begun = True
        self._channel.out.offered(self._offered)
        opened = BrokerSessionOpened(
            ts,
            codec.server_version,
            settings.client_id,
            ",".join(self._accounts),
            self._offered,
            pong.skew_ms if pong is not None else None,
            msgspec.json.encode(installed(), order="deterministic").decode(),
        )
        for instrument in self.wanted:
            if instrument.con_id is None:
                req_id = self._channel.out.take_id()
                self._resolving[req_id] = (instrument, [])
                request = codec.requests.req_contract_details(req_id, contract_of(instrument))
                self._sending.offer(Lane.RECOVERY, request)
        skew = self._skew(pong, ts) if pong is not None else []
        told = [opened, *skew, *self._connection.up()]
        if settings.data_only:
            self.ready = True
            return [*told, *self._subscribed()]
        return [*told, *(self._observe() if self._observing else self._start_look("start"))]

    def _start_look(self, reason: str) -> list[Event]:
        if self._observing:
            return []
        if self.settings.data_only:
            return self._subscribed()
        return self._recovery.begin(reason, self.account, self.now)

    def _compared(self) -> list[Event]:
        """Return what a look at the book found that has ended, or that another one begins."""
        if not self._begun or self._connection.outage.upstream_lost:
            return []
        looks = self._recovery.looks
        events = self._recovery.look(self.now, self._monotonic())
        if self._recovery.looks == looks:
            return events
        self.ready = True
        self._connection.reconciled()
        return [*events, *self._subscribed()]

    def _subscribed(self) -> list[Event]:
        """Ask for market data again if the broker has forgotten what we asked for."""
        if not self._lines_lost or self._resolving:
            return []
        self._lines_lost = False
        return self._data.begin([i for i in self.wanted if i.con_id is not None], self.now)

    # -- messages of its own -------------------------------------------------------------------

    def _accounts_known(self, said: ManagedAccounts, _ts: int) -> list[Event]:
        self._accounts = said.accounts
        return []

    def _id_offered(self, said: NextValidId, _ts: int) -> list[Event]:
        self._offered = said.order_id
        self._channel.out.offered(said.order_id)
        return []

    def _time_told(self, said: CurrentTime, ts: int) -> list[Event]:
        if self.settings.lock_step:
            self._server_ns = max(self._server_ns, said.time_ms * 1_000_000)
            return []
        connection = self._connection
        whole = connection.codec.server_version < _MILLIS_VERSION
        pong = connection.heartbeat.answered(
            self._monotonic(), self._clock(), said.time_ms, whole_seconds=whole
        )
        if pong is None or not self._begun or self._skew_ms is None:
            return []
        moved_ms = abs(pong.skew_ms - self._skew_ms)
        return self._skew(pong, ts) if moved_ms > _SKEW_MOVED_MS + pong.round_trip_ms // 2 else []

    def _skew(self, pong: Pong, ts: int) -> list[Event]:
        self._skew_ms = pong.skew_ms
        excessive = abs(pong.skew_ms) > self.settings.skew_max_s * 1000
        return [ClockSkewMeasured(ts, pong.skew_ms, pong.round_trip_ms, excessive)]

    def _status_told(self, said: OrderStatus, ts: int) -> list[Event]:
        order = self._folds.routes.find(perm_id=said.perm_id, ref="")
        if order is None and said.client_id == self.settings.client_id:
            order = self._channel.speaks_of(said.order_id)  # its permanent id is not folded yet
        if order and said.filled and self._folds.orders.get(order) is not None:
            self._missing.told(order, said.filled, ts)
        return []

    def _details(self, said: ContractDetails, _ts: int) -> list[Event]:
        asked = self._resolving.get(said.req_id or 0)
        if asked is not None:
            asked[1].append(said)
        return []

    def _details_end(self, said: ContractDetailsEnd, ts: int) -> list[Event]:
        return self._resolved(said.req_id, ts)

    def _resolved(self, req_id: int | None, ts: int) -> list[Event]:
        """Tell which contract the broker's answers mean; one that is in doubt gets no data."""
        asked = self._resolving.pop(req_id or 0, None)
        if asked is None:
            return []
        found = confirmed(asked[0], asked[1], ts)
        if isinstance(found, Unresolved):
            told: list[Event] = [DataStateChanged(ts, found.name, "refused", found.text)]
        else:
            self.wanted = [found if i.instrument == found.instrument else i for i in self.wanted]
            told = [found]
        return [*told, *(self._subscribed() if self.ready else ())]

    def _account_value(self, said: AccountValue, ts: int) -> list[Event]:
        if said.key not in _ACCOUNT_KEYS or self._said.get(said.key + said.currency) == said.value:
            return []
        self._said[said.key + said.currency] = said.value
        return [AccountReported(ts, said.account, said.key, said.currency, said.value)]

    def _bad_frame(self, said: BadFrame, ts: int) -> list[Event]:
        return [FrameRejected(ts, said.message_id, said.reason, said.raw[:4096].hex())]

    def _error(self, said: ErrorMessage, ts: int) -> list[Event]:
        unresolved = self._resolved(said.req_id, ts)
        order = self._channel.speaks_of(said.req_id)
        instrument = self._data.speaks_of(said.req_id)
        meaning = self._notices.meaning(said, order, instrument, ts, self._monotonic())
        act = _ACTS.get(meaning.act)
        told = [*meaning.events, *unresolved]
        return [*told, *(act(self, meaning, said.code) if act is not None else ())]

    # -- what a message of the broker asks for ---------------------------------------------------

    def _look(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._start_look(meaning.why) if self.ready else []

    def _upstream_lost(self, meaning: Meaning, code: int) -> list[Event]:
        news = self._connection.upstream(lost=True, why=meaning.why)
        return [ConnectionChanged(self.now, "upstream_down", code, meaning.why)] if news else []

    def _upstream_back(self, meaning: Meaning, code: int) -> list[Event]:
        self._connection.upstream(lost=False, why=meaning.why)
        state = "data_lost" if code == 1101 else "upstream_up"
        self._lines_lost = self._lines_lost or code == 1101
        told = ConnectionChanged(self.now, state, code, meaning.why)  # type: ignore[arg-type]
        return [told, *(self._start_look(f"{code}: {meaning.why}") if self._begun else ())]

    def _drop(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._dropped(self._connection.drop(meaning.why), meaning.why)

    def _id_in_use(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._dropped(self._connection.drop(meaning.why, "id_in_use"), meaning.why)

    def _read_only(self, meaning: Meaning, _code: int) -> list[Event]:
        if self._observing:
            return []
        self._observing = meaning.why
        return self._observe() if self._begun else []

    def _observe(self) -> list[Event]:
        """Go on without orders: no book is compared, data come, and the gate stays closed."""
        self._recovery.drop()
        self.ready = True
        return [ConnectionChanged(self.now, "read_only", 321, self._observing), *self._subscribed()]

    def _slower(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._sending.slower()
        return []

    def _doubt_data(self, meaning: Meaning, _code: int) -> list[Event]:
        return self._data.doubt(meaning.why, self.now)

    def _renew_data(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._renew_ns = self._monotonic()
        return []

    def _competing(self, _meaning: Meaning, _code: int) -> list[Event]:
        self._renew_ns = min(self._renew_ns, self._monotonic() + _COMPETING_RETRY_NS)
        return []

    # -- sending -------------------------------------------------------------------------------

    def _offer(self, *effects: Effect) -> None:
        """Offer one effect, or a family of them: an order with its exits."""
        out = self._channel.out
        gone = "" if self._connection.is_open() else "not connected"
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

    def _flush_or_leave(self) -> None:
        """Send what may go now; a connection that takes no more is ended by the next look at it."""
        if self._connection.is_open():
            try:
                self._flush()
            except WriteFailed as error:
                self._fault = error

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
        self._acted = True
        return True

    def withdraw(self, why: str) -> None:
        """Report orders and changes that still wait for their turn as not sent."""
        self._sending.withdraw(why)

    def snapshot_now(self, reason: str) -> list[Event]:
        """Begin to compare the log with the broker's book; nothing if that is not possible now."""
        if not self.ready or self._recovery.active:
            return []
        return self._recovery.begin(reason, self.account, self.now)


_ACTS: dict[Act, Callable[[IbClient, Meaning, int], list[Event]]] = {
    "look": IbClient._look,
    "upstream_lost": IbClient._upstream_lost,
    "upstream_back": IbClient._upstream_back,
    "data_lost": IbClient._upstream_back,
    "drop": IbClient._drop,
    "id_in_use": IbClient._id_in_use,
    "read_only": IbClient._read_only,
    "slower": IbClient._slower,
    "doubt_data": IbClient._doubt_data,
    "renew_data": IbClient._renew_data,
    "competing": IbClient._competing,
}

_OWN: dict[type[Message], Callable[[IbClient, Any, int], list[Event]]] = {
    ManagedAccounts: IbClient._accounts_known,
    NextValidId: IbClient._id_offered,
    CurrentTime: IbClient._time_told,
    OrderStatus: IbClient._status_told,
    ContractDetails: IbClient._details,
    ContractDetailsEnd: IbClient._details_end,
    AccountValue: IbClient._account_value,
    BadFrame: IbClient._bad_frame,
    ErrorMessage: IbClient._error,
}
