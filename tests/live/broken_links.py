"""Clients whose link lacks a protection, made from the real one: what the fault tests must catch."""

from collections.abc import Callable
from typing import Any

import msgspec

from adapters.ibkr.link.notices import Meaning
from adapters.ibkr.link.restart_window import RestartWindow
from adapters.ibkr.wire.messages import BadFrame, ErrorMessage, Message
from adapters.ibkr.wire.transport import TimeLimits
from app.live.session import LiveSession
from core.errors import ConnectionLost, StreamOutOfStep
from core.events import Event


def waits_for_a_greeting(session: LiveSession) -> None:
    """Wait for the version of a gateway, however long."""
    connection: Any = session.client._connection
    connection._settings = msgspec.structs.replace(connection._settings, limits=TimeLimits(30, 30, 30))


def waits_for_accounts(session: LiveSession) -> None:
    """Wait for accounts and the next order id, however long."""
    session.client._connection.starting = lambda: None  # type: ignore[method-assign]


def gives_up_at_once(session: LiveSession) -> None:
    """Take a failed attempt for the last one."""
    session.client._connection._retries._attempts_max = 1


def never_gives_up(session: LiveSession) -> None:
    """Count no attempt."""
    retries = session.client._connection._retries
    failed = retries.failed
    retries.failed = lambda ending, now_ns, excused: failed(ending, now_ns, excused=True)  # type: ignore


def takes_another_id(session: LiveSession) -> None:
    """Connect with another client id when ours is in use, and trade with it."""
    connection: Any = session.client._connection

    class Anything:
        client_id, looks_on = 1, False

        def failed(self, *, in_use: bool) -> None:
            self.client_id += in_use

        def succeeded(self) -> None:
            pass

    connection._takeover = Anything()


def believes_the_next_id(session: LiveSession) -> None:
    """Take the next order id as the gateway gives it, used before or not."""
    out: Any = session.client._channel.out
    out.offered = lambda order_id: setattr(out, "_next_id", order_id)
    out.seen = lambda _order_id: None


def keeps_its_lines(session: LiveSession) -> None:
    """Open market data lines once, and never again."""
    data: Any = session.client._data
    begin, begun = data.begin, list[int]()

    def once(wanted: Any, ts: int) -> list[Event]:
        if begun:
            return []
        begun.append(ts)
        return list(begin(wanted, ts))

    data.begin = once


def waits_for_the_upstream(session: LiveSession) -> None:
    """Wait for a gateway that is cut off, however long."""
    session.client._connection.outage.hopeless = lambda _now: False  # type: ignore[method-assign]


def _reads(session: LiveSession, code: int, act: Any) -> None:
    notices: Any = session.client._notices
    meaning = notices.meaning

    def read(said: ErrorMessage, *more: Any) -> Meaning:
        found: Meaning = meaning(said, *more)
        return Meaning(found.events, act, said.text) if said.code == code else found

    notices.meaning = read


def a_farm_is_the_connection(session: LiveSession) -> None:
    """Drop the connection when a data farm is lost."""
    _reads(session, 2103, "drop")


def farms_are_no_news(session: LiveSession) -> None:
    """Take a lost data farm for nothing."""
    _reads(session, 2103, "")


def orders_at_a_read_only_api(session: LiveSession) -> None:
    """Take a read-only API for an order that was refused."""
    _reads(session, 321, "")


def dies_of_a_bad_frame(session: LiveSession) -> None:
    """End the connection with a message that cannot be read."""
    client: Any = session.client
    events = client._events

    def heard(message: Message) -> list[Event]:
        if isinstance(message, BadFrame):
            raise ConnectionLost(message.reason)
        return list(events(message))

    client._events = heard


Turn = Callable[[float], list[bytes]]


def _turns(session: LiveSession, turn: Callable[[Turn, float], list[bytes]]) -> None:
    connection: Any = session.client._connection
    plain = connection.turn
    connection.turn = lambda timeout_s: turn(plain, timeout_s)


def reads_on(session: LiveSession) -> None:
    """Go on with a stream that is out of step, and with one that has ended."""

    def turn(plain: Turn, timeout_s: float) -> list[bytes]:
        try:
            return plain(timeout_s)
        except StreamOutOfStep as error:
            return list(error.frames)
        except ConnectionLost:
            return []

    _turns(session, turn)


def takes_a_read_for_its_first_message(session: LiveSession) -> None:
    """Take one message of each read, once the connection is there."""

    def turn(plain: Turn, timeout_s: float) -> list[bytes]:
        return plain(timeout_s)[: 1 if session.client.ready else None]

    _turns(session, turn)


def forgets_what_is_not_whole(session: LiveSession) -> None:
    """Throw away what is not a whole message after each read."""

    def turn(plain: Turn, timeout_s: float) -> list[bytes]:
        frames = plain(timeout_s)
        transport = session.client._connection._transport
        if transport is not None:
            transport._buffer._tail.clear()
        return frames

    _turns(session, turn)


def never_asks_whether_it_lives(session: LiveSession) -> None:
    """Take silence for peace."""
    session.client._connection.heartbeat.late = lambda _now: False  # type: ignore[method-assign]


def knows_no_restart_window(session: LiveSession) -> None:
    """Order whenever the gateway is there."""
    session.client._connection._window = RestartWindow()
