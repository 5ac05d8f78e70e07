"""A session at the broker, from the start of a connection to its end: who we are, contracts, books, data.

The lowest layer of the client, with all its parts. It knows in which order things begin and what is forgotten
when a connection ends; what messages mean is `dialogue.py`'s, and when things are due is `client.py`'s.
"""

import time
from collections.abc import Callable, Sequence

import msgspec

from adapters.ibkr.data.contracting import Contracting
from adapters.ibkr.data.marketdata import MarketData
from adapters.ibkr.link.clocks import SteadyClock, elapsed_ns
from adapters.ibkr.link.connection import Connection
from adapters.ibkr.link.heartbeat import Pong
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.link.lockstep import LockStep
from adapters.ibkr.link.login import account_of
from adapters.ibkr.link.notices import Notices
from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.link.sending import Sending
from adapters.ibkr.reminders import Reminders
from adapters.ibkr.trading.folds import Folds
from adapters.ibkr.trading.orders import OrderChannel
from adapters.ibkr.trading.rates import Rates
from adapters.ibkr.trading.reconcile import PATIENCE_S
from adapters.ibkr.trading.recovery import Recovery
from adapters.ibkr.trading.snapshot import PAUSE_S
from adapters.ibkr.wire.distribution import installed
from core.clock import NEVER, SECOND_NS
from core.errors import AccountRefused, WriteFailed
from core.events import (
    BrokerSessionOpened,
    ClockSkewMeasured,
    ConnectionChanged,
    Event,
    InstrumentDefined,
)

NEVER_ASKED = 1 << 62
CLIENT_ID_IN_USE = 326
LOOK_ON_EVERY_S = 60.0
"""How often the books are compared while another program has our client id."""


class Lifecycle:
    """The parts of a client, and how a session on a connection begins and ends."""

    def __init__(
        self,
        settings: LinkSettings,
        channel: OrderChannel,
        data: MarketData,
        folds: Folds,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = elapsed_ns,
    ) -> None:
        self.settings = settings
        self.account = settings.account
        self.ready = False
        self.over = False
        """Whether a day in lock step is over."""
        self.due: Callable[[], int] = lambda: NEVER
        """When a timer of the session is due: in lock step the day goes on up to there."""
        self._channel = channel
        self._data = data
        self._folds = folds
        self._clock = SteadyClock(clock, monotonic)
        self._monotonic = monotonic
        self._connection = Connection(settings, lambda: self.now, monotonic)
        self._sending = Sending(self._connection.heartbeat, lambda: self.now, trusting=settings.lock_step)
        self._lock_step = LockStep(settings.start_ns, settings.step_deadline_s, monotonic)
        self._notices = Notices()
        self._contracts = Contracting()
        self._rates = Rates()
        self._reminders = Reminders(folds, channel, settings.client_id)
        self._recovery = Recovery(
            channel,
            folds,
            patience_s=0.0 if settings.lock_step else PATIENCE_S,  # nothing moves there while we wait
            pause_s=0.0 if settings.lock_step else PAUSE_S,
            farms_well=self._notices.farms_well,
        )
        self._accounts: tuple[str, ...] = ()
        self._offered: int | None = None
        self._begun = False
        self._observing = ""
        self._skew_ms: int | None = None
        self._said: dict[str, str] = {}  # account values as last told
        self._lines_lost = True
        self._renew_ns = NEVER_ASKED
        self._look_again_ns = NEVER_ASKED
        self._fault: WriteFailed | None = None
        self._left = False

    @property
    def now(self) -> int:
        """The time that events get which carry none: ours, or in lock step the gateway's."""
        return self._lock_step.now_ns if self.settings.lock_step else self._clock()

    @property
    def wanted(self) -> Sequence[InstrumentDefined]:
        """The instruments whose market data are wanted."""
        return self._contracts.wanted

    @wanted.setter
    def wanted(self, instruments: Sequence[InstrumentDefined]) -> None:
        self._contracts.wanted = instruments

    # -- its beginning -------------------------------------------------------------------------

    def _begin(self) -> list[Event]:
        """Go on once accounts, the next order id and the clock are known: contracts, the broker's book."""
        settings, ts = self.settings, self.now
        pong = self._connection.heartbeat.pong
        if not self._accounts or self._offered is None or (pong is None and not settings.lock_step):
            return []
        if settings.lock_step and not self._lock_step.knows_time(self._connection):
            return []
        try:
            self.account = account_of(settings, self._accounts)
        except AccountRefused as error:
            return self._dropped(self._connection.refuse(error), str(error))
        self._begun = True
        self._channel.out.offered(self._offered)
        opened = self._opened(self._offered, pong, ts)
        for request in self._contracts.ask(
            self._connection.codec.requests, self._channel.out.take_id, self._monotonic()
        ):
            self._sending.offer(Lane.RECOVERY, request)
        skew = self._skew(pong, ts) if pong is not None else []
        up = self._look_on() if self._connection.looks_on else self._connection.up()
        told = [opened, *skew, *up]
        if settings.data_only:
            self.ready = True
            self._usable()
            return [*told, *self._subscribed()]
        return [*told, *(self._observe() if self._observing else self._start_look("start"))]

    def _opened(self, next_order_id: int, pong: Pong | None, ts: int) -> Event:
        return BrokerSessionOpened(
            ts,
            self._connection.codec.server_version,
            self._connection.client_id,
            ",".join(self._accounts),
            next_order_id,
            pong.skew_ms if pong is not None else None,
            msgspec.json.encode(installed(), order="deterministic").decode(),
        )

    def _skew(self, pong: Pong, ts: int) -> list[Event]:
        self._skew_ms = pong.skew_ms
        excessive = abs(pong.skew_ms) > self.settings.skew_max_s * 1000
        return [ClockSkewMeasured(ts, pong.skew_ms, pong.round_trip_ms, excessive)]

    # -- the books, and data -------------------------------------------------------------------

    def _look_on(self) -> list[Event]:
        """Say that nothing is ordered while another program has our client id."""
        own, other = self.settings.client_id, self._connection.client_id
        why = (
            f"client id {own} is in use by another program: looking on as client {other}, read-only; nothing "
            f"is ordered or cancelled; id {own} is tried again in {self.settings.takeover_retry_s:g} s"
        )
        self._look_again_ns = NEVER_ASKED
        return [ConnectionChanged(self.now, "read_only", CLIENT_ID_IN_USE, why)]

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
        self._usable()
        return [*events, *self._subscribed()]

    def _usable(self) -> None:
        """Take that the connection does what it is for; attempts count anew."""
        if not self._connection.looks_on:
            self._connection.reconciled()
            return
        self._connection.looked_on()
        if not self.settings.data_only:
            # Nobody tells this connection of our orders: their executions are asked for.
            self._look_again_ns = self._monotonic() + round(LOOK_ON_EVERY_S * SECOND_NS)

    def _observe(self) -> list[Event]:
        """Go on without orders: no book is compared, data come, and the gate stays closed."""
        self._recovery.drop()
        self.ready = True
        self._connection.looked_on()
        return [ConnectionChanged(self.now, "read_only", 321, self._observing), *self._subscribed()]

    def _subscribed(self) -> list[Event]:
        """Ask for market data again if the broker has forgotten what we asked for."""
        if not self._lines_lost or self._contracts.asking:
            return []
        self._lines_lost = False
        return self._data.begin(self._contracts.known, self.now)

    # -- its end -------------------------------------------------------------------------------

    def _dropped(self, told: list[Event], why: str) -> list[Event]:
        """Forget what belonged to the connection that has ended."""
        self._recovery.drop()
        self._reminders.drop()
        self._contracts.drop()
        self._lock_step.dropped()
        self.ready, self._begun, self._observing = False, False, ""
        self._accounts, self._offered = (), None
        self._lines_lost, self._renew_ns, self._look_again_ns = True, NEVER_ASKED, NEVER_ASKED
        self._data.lost(why)
        self._notices.opened()
        self._give_up_waiting(why)
        return [*told, *self._sending.outcomes()]

    def _give_up_waiting(self, why: str) -> None:
        for effect in self._channel.out.drop():
            self._sending.refuse(effect, why)
        self._sending.end(why)
