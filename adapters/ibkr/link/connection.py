"""The life of the link to TWS or IB Gateway: one connection at a time, and when the next one is tried.

The one owner of transport, codec and attempts. Says by events what the link is, and by `failure` that it is
over for good. It knows nothing of orders or data, and it never reads a message: those are the client's.
"""

import random
import selectors
from collections.abc import Callable

from adapters.ibkr.link.dialing import Dialer
from adapters.ibkr.link.heartbeat import Heartbeat
from adapters.ibkr.link.link_settings import LinkSettings
from adapters.ibkr.link.outage import Outage
from adapters.ibkr.link.restart_window import MARGIN_NS, parse
from adapters.ibkr.link.retries import Ending, Retries
from adapters.ibkr.link.takeover import Takeover
from adapters.ibkr.wire.codec import Codec, open_session
from adapters.ibkr.wire.transport import Transport
from core.clock import SECOND_NS
from core.errors import (
    BrokerError,
    BrokerUnreachable,
    ConnectionLost,
    GatewayWedged,
    StreamOutOfStep,
    TapeError,
)
from core.events import ConnectionChanged, Event
from core.events.connection import LinkState

_LAST_READS = 64
"""How often a connection that takes no more bytes is still read: fills may be on their way."""


class _Dialed:
    """What an attempt opens."""

    def __init__(self, settings: LinkSettings, client_id: int) -> None:
        self.transport, self.codec = open_session(
            settings.host, settings.port, client_id, limits=settings.limits
        )

    def close(self) -> None:
        """Close the connection."""
        self.transport.close()


class Connection:
    """One link. `turn` reads, `watch` looks at the clocks, `drop` ends a connection."""

    def __init__(
        self,
        settings: LinkSettings,
        now: Callable[[], int],
        monotonic: Callable[[], int],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.failure: TapeError | None = None
        self.usable = False
        self.heartbeat = Heartbeat(settings.heartbeat_s, settings.pong_deadline_s, settings.pong_fresh_s)
        self.outage = Outage(settings.alarm_after_s, settings.upstream_patience_s)
        self._settings = settings
        self._now = now
        self._monotonic = monotonic
        self._window = parse(settings.restart_window)
        self._retries = Retries(
            settings.reconnect_interval_s,
            settings.max_reconnect_attempts,
            cap_s=settings.reconnect_cap_s,
            id_in_use_wait_s=settings.id_in_use_wait_s,
            chance=chance,
        )
        self._takeover = Takeover(settings.client_id, settings.takeover_client_id, settings.takeover_after)
        self._transport: Transport | None = None
        self._codec: Codec | None = None
        self._opened_ns = 0
        self._greeted = False
        self._emptied = False
        self.held_back = False
        self._reason = "not connected yet"
        self._dialer: Dialer[_Dialed] = Dialer()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._dialer, selectors.EVENT_READ)
        self.outage.unusable(monotonic())

    def is_open(self) -> bool:
        """Whether there is a connection, usable or not."""
        return self._transport is not None

    @property
    def codec(self) -> Codec:
        """The codec of the connection that is open."""
        assert self._codec is not None
        return self._codec

    @property
    def client_id(self) -> int:
        """The client id of this connection, or of the next one."""
        return self._takeover.client_id

    @property
    def looks_on(self) -> bool:
        """Whether this connection is one under another client id, while ours is in use."""
        return self._takeover.looks_on

    @property
    def attempt(self) -> int:
        """How many attempts were made since the link was last usable."""
        return self._retries.attempt

    # -- connecting ----------------------------------------------------------------------------

    def connect(self, timeout_s: float) -> list[Event]:
        """Wait at most so long for the next connection; start an attempt when one is due."""
        now = self._monotonic()
        if self.failure is not None:
            return []
        if not self._dialer.busy:
            if now < self._retries.due_ns:
                self._selector.select(min(timeout_s, (self._retries.due_ns - now) / SECOND_NS))
                return []
            self._dialer.start(lambda: _Dialed(self._settings, self.client_id))
        self._selector.select(timeout_s)
        return self._dialed()

    def _dialed(self) -> list[Event]:
        try:
            dialed = self._dialer.take()
        except GatewayWedged as error:
            return self._failed("wedged", str(error))
        except BrokerError as error:
            return self._failed("unreachable", str(error))
        except TapeError as error:
            return self.refuse(error)
        if dialed is not None:
            self._transport, self._codec = dialed.transport, dialed.codec
            self._selector.register(dialed.transport, selectors.EVENT_READ)
            self._opened_ns, self._greeted, self._emptied = self._monotonic(), False, False
            self.heartbeat.opened()
        return []

    def _failed(self, ending: Ending, why: str) -> list[Event]:
        self._retries.failed(ending, self._monotonic(), excused=self._in_window())
        self._takeover.failed(in_use=ending == "id_in_use")
        self._reason = why
        if self._retries.exhausted:
            reason = f"{why} (given up after {self.attempt} attempts: [ibkr] max_reconnect_attempts)"
            self.failure = BrokerUnreachable(reason)
            return [self._changed("given_up", reason)]
        states: dict[Ending, LinkState] = {"wedged": "wedged", "id_in_use": "id_in_use", "lost": "down"}
        return [self._changed(states.get(ending, "connecting"), why, 326 if ending == "id_in_use" else None)]

    # -- reading and sending -------------------------------------------------------------------

    def turn(self, timeout_s: float) -> list[bytes]:
        """Wait at most so long for bytes and return the frames that are complete.

        Raises `ConnectionLost`; with `StreamOutOfStep` come the frames before the fault.
        """
        if self._greeted:  # frames may have come with the greeting
            self._selector.select(timeout_s)
        self._greeted = True
        return self.read()

    def read(self) -> list[bytes]:
        """Return the frames that are there, without waiting."""
        assert self._transport is not None
        frames = self._transport.read()
        self._emptied = not frames
        return frames

    def send(self, data: bytes) -> None:
        """Hand bytes to the connection; raises `WriteFailed`."""
        assert self._transport is not None
        self._transport.send(data)

    def ping(self) -> bytes:
        """Return the request that a heartbeat is."""
        return self.codec.requests.req_current_time_in_millis()

    # -- the clocks ----------------------------------------------------------------------------

    def watch(self) -> list[Event]:
        """Look at the clocks and return what they tell of the link."""
        now = self._monotonic()
        if self._in_window(MARGIN_NS):
            self.outage.excused(now)
        events = self._restart_window()
        lasted_s = self.outage.alarm(now)
        if lasted_s is not None and self.failure is None:
            why = f"no order could leave for {lasted_s:.0f} s: {self._reason}"
            events.append(self._changed("overdue", why))
        return events

    def trust(self) -> None:
        """Check that the other side is alive and connected; raises `ConnectionLost`."""
        settings, now = self._settings, self._monotonic()
        # What we have not read yet may hold the answer: only an empty socket proves silence.
        if self._emptied and self.heartbeat.late(now):
            raise ConnectionLost(f"no answer to a heartbeat within {settings.pong_deadline_s:g} s")
        if self.looks_on and now - self._opened_ns > settings.takeover_retry_s * SECOND_NS:
            raise ConnectionLost(f"client id {settings.client_id} is tried again: it may be free by now")
        if self.outage.hopeless(now):
            raise ConnectionLost(
                f"the gateway has been cut off from IB's servers for {settings.upstream_patience_s:g} s"
            )

    def starting(self) -> None:
        """Check that a start does not take too long; raises `GatewayWedged`."""
        limit_s = self._settings.start_deadline_s
        if self._monotonic() - self._opened_ns > limit_s * SECOND_NS:
            raise GatewayWedged(
                f"{self._settings.host}:{self._settings.port}: connected, but no accounts and order id "
                f"within {limit_s:g} s; restart TWS or IB Gateway, or look for a question in its window"
            )

    def _in_window(self, margin_ns: int = 0) -> bool:
        return self._window.contains(self._now(), margin_ns)

    def _restart_window(self) -> list[Event]:
        inside = self.usable and self._in_window(MARGIN_NS)
        if inside == self.held_back:
            return []
        self.held_back = inside
        if inside:
            window = self._settings.restart_window
            why = f"the gateway may restart at any moment ([ibkr] restart_window {window})"
            return [self._changed("restart_window", why)]
        return [self._changed("up", "the restart window is over")] if self.usable else []

    def next_ns(self) -> int:
        """Return when a heartbeat is to be sent or missed, in terms of the monotonic clock."""
        started = self._opened_ns + round(self._settings.start_deadline_s * SECOND_NS)
        return self.heartbeat.next_ns() or (started if self.heartbeat.pong is None else 0)

    # -- what it comes to ----------------------------------------------------------------------

    def up(self) -> list[Event]:
        """Note that accounts and order id are known."""
        self._reason = "the log is not reconciled yet"
        return [self._changed("up", "")]

    def reconciled(self) -> None:
        """Note that the link is usable: attempts count anew."""
        self.usable = True
        self._retries.succeeded()
        self._takeover.succeeded()
        if not self.outage.upstream_lost:
            self.outage.usable()

    def looked_on(self) -> None:
        """Note that the link is all that it can be, read-only: attempts count anew, and no alarm is due."""
        self._retries.succeeded()
        self.outage.usable()

    def upstream(self, *, lost: bool, why: str) -> bool:
        """Note what the gateway says of its own connection; return whether that is news."""
        now = self._monotonic()
        news = self.outage.upstream(now, lost=lost)
        if lost:
            self._reason = why
            self.outage.unusable(now)
        return news

    def drop(self, why: str, ending: Ending = "lost") -> list[Event]:
        """End the connection; the next attempt follows, or there is none any more."""
        now, was_usable = self._monotonic(), self.usable
        self._end()
        self.outage.unusable(now)
        if not was_usable:
            return self._failed(ending, why)
        self._reason = why
        self._retries.lost(now)
        return [self._changed("down", why)]

    def refuse(self, error: TapeError) -> list[Event]:
        """End the connection for good: another attempt would come to the same."""
        self._end()
        self.failure = error
        return [self._changed("refused", str(error))]

    def remaining(self) -> list[bytes]:
        """Return what can still be read of a connection that is about to be dropped."""
        frames: list[bytes] = []
        try:
            for _ in range(_LAST_READS):
                found = self.read()
                if not found:
                    break
                frames += found
        except StreamOutOfStep as error:
            frames += error.frames
        except BrokerError:
            pass
        return frames

    def close(self) -> None:
        """End the connection and any attempt; nothing follows."""
        self._end()
        self._selector.close()
        self._dialer.close()

    def _end(self) -> None:
        if self._transport is not None:
            self._selector.unregister(self._transport)
            self._transport.close()
        self._transport = self._codec = None
        self.usable = self.held_back = False
        self.outage.upstream(self._monotonic(), lost=False)

    def _changed(self, state: LinkState, reason: str, code: int | None = None) -> ConnectionChanged:
        return ConnectionChanged(self._now(), state, code, reason, self.attempt)
