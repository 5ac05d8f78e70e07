"""A short visit to TWS or Gateway, apart from any session: what is there, or cancel everything and go.

Opens a connection of its own under a client id of its own, asks, waits within a limit, closes. It keeps no
state and needs no log, so it works while the main loop hangs. It never places an order.
"""

import selectors
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from adapters.ibkr.wire.codec import Codec, open_session
from adapters.ibkr.wire.messages import (
    CurrentTime,
    ErrorMessage,
    ManagedAccounts,
    Message,
    NextValidId,
    OpenOrder,
    OpenOrdersEnd,
)
from adapters.ibkr.wire.transport import TimeLimits, Transport
from core.errors import BrokerUnreachable

M = TypeVar("M", bound=Message)
_WAIT_S = 5.0
_ASKED_TWICE = 2
_PAUSE_S = 0.3


class Visit(msgspec.Struct, frozen=True):
    """What a visit found. `skew_ms` is the broker's clock minus ours, `None` if it was not asked for."""

    server_version: int
    accounts: tuple[str, ...]
    next_order_id: int
    skew_ms: int | None
    open_orders: int
    messages: tuple[tuple[int, str], ...]


class Cancelled(msgspec.Struct, frozen=True):
    """Working orders of the whole login before and after everything was cancelled."""

    accounts: tuple[str, ...]
    before: int
    after: int


def visit(host: str, port: int, client_id: int, *, limits: TimeLimits = TimeLimits()) -> Visit:  # noqa: B008
    """Look who is there; raises `BrokerUnreachable` or what the handshake raises."""
    with _Dialogue(host, port, client_id, limits) as talk:
        began = time.time_ns()
        talk.send(talk.codec.requests.req_current_time_in_millis())
        told = talk.until(CurrentTime)
        here = (began + time.time_ns()) // 2
        orders = talk.open_orders()
        talk.linger(_PAUSE_S)
        return Visit(
            talk.codec.server_version,
            talk.accounts,
            talk.next_id,
            told.time_ms - here // 1_000_000,
            orders,
            tuple((m.code, m.text) for m in talk.heard(ErrorMessage)),
        )


def cancel_everything(
    host: str,
    port: int,
    client_id: int,
    *,
    deadline_s: float = 10.0,
    limits: TimeLimits = TimeLimits(),  # noqa: B008
) -> Cancelled:
    """Cancel all orders of the login, whoever placed them, asking twice; look until none is left.

    Raises `BrokerUnreachable` or what the handshake raises; orders that are left after `deadline_s` are told.
    """
    with _Dialogue(host, port, client_id, limits) as talk:
        before = talk.open_orders()
        for _ in range(_ASKED_TWICE):
            talk.send(talk.codec.requests.global_cancel())
            talk.linger(_PAUSE_S)
        deadline = time.monotonic() + deadline_s
        while (after := talk.open_orders()) and time.monotonic() < deadline:
            talk.linger(_PAUSE_S)
        return Cancelled(talk.accounts, before, after)


class _Dialogue:
    """Questions and answers over one connection."""

    def __init__(self, host: str, port: int, client_id: int, limits: TimeLimits) -> None:
        self._place = f"{host}:{port}"
        self._transport: Transport
        self.codec: Codec
        self._transport, self.codec = open_session(host, port, client_id, limits=limits)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._transport, selectors.EVENT_READ)
        self._messages: list[Message] = []

    def __enter__(self) -> "_Dialogue":
        try:
            self._take(self._transport.read())
            self.accounts = self.until(ManagedAccounts).accounts
            self.next_id = self.until(NextValidId).order_id
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._selector.close()
        self._transport.close()

    def send(self, data: bytes) -> None:
        """Send a request."""
        self._transport.send(data)

    def heard(self, kind: type[M]) -> list[M]:
        """Return the messages of a kind that came so far and were not taken."""
        return [message for message in self._messages if isinstance(message, kind)]

    def open_orders(self) -> int:
        """Return how many orders of the login are working."""
        self._messages = [m for m in self._messages if not isinstance(m, OpenOrder | OpenOrdersEnd)]
        self.send(self.codec.requests.req_all_open_orders())
        self.until(OpenOrdersEnd)
        return len(
            {m.terms.perm_id or m.terms.order_id for m in self.heard(OpenOrder) if not m.terms.what_if}
        )

    def until(self, kind: type[M]) -> M:
        """Wait for a message of a kind and take it; raises `BrokerUnreachable` after a few seconds."""
        self._wait(lambda: bool(self.heard(kind)), _WAIT_S)
        found = self.heard(kind)
        if not found:
            why = "; ".join(f"{m.code}: {m.text}" for m in self.heard(ErrorMessage))
            what = f"no answer ({kind.__name__}) within {_WAIT_S:g} s" + (f"; it said {why}" if why else "")
            raise BrokerUnreachable(f"{self._place}: {what}")
        self._messages.remove(found[0])
        return found[0]

    def linger(self, seconds: float) -> None:
        """Listen for a while."""
        self._wait(lambda: False, seconds)

    def _wait(self, enough: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not enough() and (left := deadline - time.monotonic()) > 0:
            if self._selector.select(left):
                self._take(self._transport.read())

    def _take(self, frames: list[bytes]) -> None:
        self._messages += self.codec.decode(frames)
