"""One TCP connection to TWS or IB Gateway: connect, agree on a version, read frames, send bytes.

Owns the socket and nothing else: no thread, no retry, no meaning of messages. The loop's selector
watches `fileno()` and calls `read()`. Every wait has a limit, every byte that leaves is counted, and
what arrives with or after the version reply is kept. It must never reconnect by itself: one owner
decides that, elsewhere.
"""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Literal, Self

import msgspec

from adapters.ibkr.wire.framing import FrameBuffer, frame
from core.errors import (
    BrokerUnreachable,
    ConnectionLost,
    GatewayWedged,
    HandshakeFailed,
    StreamOutOfStep,
    WriteFailed,
)

READ_BYTES_MAX = 16_384
CLIENT_VERSIONS = (100, 200)
"""What is offered: 200 is the last version that is all text."""
OLDEST_SERVER_VERSION = 163
"""Below it fractional sizes are cut to whole ones."""

Direction = Literal["in", "out"]
Tap = Callable[[Direction, bytes, int], None]
"""Gets each piece of bytes as it passes, with the time in ns UTC."""


class TimeLimits(msgspec.Struct, frozen=True):
    """How long each wait may take, in seconds."""

    connect_s: float = 5.0
    handshake_s: float = 5.0
    send_s: float = 2.0


class Greeting(msgspec.Struct, frozen=True):
    """The server's side of the handshake: the agreed version, and its clock as free text."""

    server_version: int
    server_time: str


class Transport:
    """An open connection. Call `read()` once after `open`: frames may have come with the greeting."""

    def __init__(self, sock: socket.socket, place: str, limits: TimeLimits, tap: Tap | None) -> None:
        self.greeting = Greeting(0, "")
        self._socket = sock
        self._place = place
        self._limits = limits
        self._tap = tap
        self._buffer = FrameBuffer()
        self._early: list[bytes] = []
        self._unreadable = ""
        self._unsendable = ""

    @classmethod
    def open(
        cls,
        host: str,
        port: int,
        *,
        limits: TimeLimits = TimeLimits(),  # noqa: B008
        tap: Tap | None = None,
    ) -> Self:
        """Connect and shake hands; the API is not started yet.

        Raises `BrokerUnreachable` if nobody answers, `HandshakeFailed` if the answer is none, and of these
        `GatewayWedged` if there is no answer at all.
        """
        place = f"{host}:{port}"
        transport = cls(_connected(host, port, limits.connect_s), place, limits, tap)
        try:
            transport._shake_hands()
        except BaseException:
            transport.close()
            raise
        return transport

    def fileno(self) -> int:
        """Return the descriptor that a selector watches for reading."""
        return self._socket.fileno()

    def read(self) -> list[bytes]:
        """Return the frames that are complete now, reading at most 16 KiB; never waits.

        Raises `ConnectionLost` when the other side is gone, `StreamOutOfStep` at an impossible length. A
        failed send does not end reading: fills may still be on their way.
        """
        if self._early:
            frames, self._early = self._early, []
            return frames
        if self._unreadable:
            raise ConnectionLost(f"{self._place}: {self._unreadable}")
        try:
            data = self._socket.recv(READ_BYTES_MAX)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise self._lost(f"the connection broke ({error})") from error
        if not data:
            raise self._lost(f"the other side closed the connection{self._unfinished()}")
        if self._tap:
            self._tap("in", data, time.time_ns())
        return self._cut(data)

    def send(self, data: bytes) -> None:
        """Hand all of `data` to the connection, waiting at most `send_s`.

        Raises `WriteFailed`, which tells how many bytes went out. After it the connection takes no more:
        a half-sent request would swallow the next one.
        """
        sent = 0
        if not self._unsendable:
            deadline = time.monotonic() + self._limits.send_s
            view = memoryview(data)
            try:
                while sent < len(data):
                    sent += self._send_some(view[sent:], deadline)
            except OSError as error:
                self._unsendable = f"a send ended after {sent} of {len(data)} bytes ({error})"
            finally:
                self._socket.settimeout(0)
                if self._tap and sent:
                    self._tap("out", data[:sent], time.time_ns())
        if self._unsendable:
            raise WriteFailed(
                f"{self._place}: {self._unsendable}; reconnect and reconcile before sending", sent
            )

    def close(self) -> None:
        """End the connection for good; calling it again changes nothing."""
        self._unreadable = self._unsendable = "the connection was closed by us"
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_some(self, data: memoryview, deadline: float) -> int:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.0))
        try:
            return self._socket.send(data)
        except BlockingIOError as error:  # what a timeout of 0 raises
            raise TimeoutError(f"not taken within {self._limits.send_s} s") from error

    def _cut(self, data: bytes) -> list[bytes]:
        try:
            return self._buffer.feed(data)
        except StreamOutOfStep as fault:
            self._unreadable = self._unsendable = str(fault)
            raise StreamOutOfStep(f"{self._place}: {fault}", fault.frames) from None

    def _lost(self, why: str) -> ConnectionLost:
        self._unreadable = self._unsendable = why
        return ConnectionLost(f"{self._place}: {why}")

    def _unfinished(self) -> str:
        count = self._buffer.tail_bytes
        return f" in the middle of a frame ({count} bytes of it had come)" if count else ""

    def _shake_hands(self) -> None:
        low, high = CLIENT_VERSIONS
        try:
            self.send(b"API\0" + frame(b"v%d..%d" % (low, high)))
        except WriteFailed as error:
            raise HandshakeFailed(_closed(self._place)) from error
        deadline = time.monotonic() + self._limits.handshake_s
        frames: list[bytes] = []
        while not frames:
            frames = self._first_frames(deadline)
        self.greeting = _greeting(self._place, frames[0])
        self._early = frames[1:]
        self._socket.settimeout(0)

    def _first_frames(self, deadline: float) -> list[bytes]:
        try:
            self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
            data = self._socket.recv(READ_BYTES_MAX)
        except TimeoutError as error:
            raise GatewayWedged(_mute(self._place, self._limits.handshake_s)) from error
        except OSError as error:
            raise HandshakeFailed(_closed(self._place)) from error
        if not data:
            raise HandshakeFailed(_closed(self._place))
        if self._tap:
            self._tap("in", data, time.time_ns())
        try:
            return self._buffer.feed(data)
        except StreamOutOfStep as fault:
            if fault.frames:  # the greeting is whole; a read after the frames with it tells of the rest
                self._unreadable = self._unsendable = str(fault)
                return list(fault.frames)
            raise HandshakeFailed(_foreign(self._place, data)) from fault


def _connected(host: str, port: int, timeout_s: float) -> socket.socket:
    try:
        sock = socket.create_connection((host, port), timeout_s)
    except (OSError, UnicodeError) as error:  # UnicodeError: what is no name of a host
        raise BrokerUnreachable(_unreachable(f"{host}:{port}", error)) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # not every platform lets them be set
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return sock


def _greeting(place: str, reply: bytes) -> Greeting:
    fields = reply.split(b"\0")
    if len(fields) != 3 or not fields[0].isdigit():
        raise HandshakeFailed(_foreign(place, reply))
    version, (low, high) = int(fields[0]), (OLDEST_SERVER_VERSION, CLIENT_VERSIONS[1])
    if not low <= version <= high:
        raise HandshakeFailed(
            f"{place}: the server answers with protocol version {version}, expected {low} to {high}; "
            "update TWS or IB Gateway to 10.37 or later"
        )
    return Greeting(version, fields[1].decode("latin-1"))


def _unreachable(place: str, error: Exception) -> str:
    return (
        f"{place}: cannot connect ({error}); start TWS or IB Gateway, tick "
        '"Enable ActiveX and Socket Clients" in its API settings, and compare host and port there '
        "(7496 and 7497 are TWS live and paper, 4001 and 4002 IB Gateway)"
    )


def _mute(place: str, timeout_s: float) -> str:
    return (
        f"{place}: connected, but no version reply within {timeout_s:g} s; restart TWS or IB Gateway, or "
        "look for a question that its window asks"
    )


def _closed(place: str) -> str:
    return (
        f"{place}: the connection was closed during the handshake; look at the API settings of TWS or "
        "IB Gateway: trusted addresses, and a number of clients below 32"
    )


def _foreign(place: str, data: bytes) -> str:
    return (
        f"{place}: this is not TWS or IB Gateway: it answered {data[:40]!r}, expected a version reply; "
        "compare the port with the one in its API settings"
    )
