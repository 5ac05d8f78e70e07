"""Sockets: one thread, one selector, clients in and out. Binds to loopback unless told otherwise.

Each turn reads what has come, lets the session work, makes the book durable, and only then writes. Faults of
the connection (pieces, bursts, resets, silence) are done here, where bytes meet the socket.
"""

import contextlib
import selectors
import socket
import struct
from collections.abc import Callable

from adapters.ibkr.gateway.clients import Client
from adapters.ibkr.gateway.session import Session
from core.errors import UsageError

READ_BYTES = 65_536
BACKPRESSURE_BYTES = 1 << 20
"""At full speed the market waits while a client has this much to read."""
STALLED_S = 60.0
"""So long it waits for a client that reads nothing; then that client is cut off."""
CONNECTIONS_MAX = 128
"""Further ones are closed at once: each takes a file that the book may need."""


class Line:
    """A socket and its client."""

    def __init__(self, sock: socket.socket, client: Client) -> None:
        self.sock = sock
        self.client = client
        self.rest = memoryview(b"")
        self.took_s = 0.0  # when it took bytes for the last time, or had none to take
        self.quiet_until_s = 0.0
        self.deaf_until_s = 0.0


class Server:
    """Serves one session until it is stopped."""

    def __init__(
        self,
        session: Session,
        host: str,
        port: int,
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self.session = session
        self.stopping = False
        self._monotonic = monotonic
        self._selector = selectors.DefaultSelector()
        self._lines: dict[int, Line] = {}
        self._waker, self._wake_end = socket.socketpair()
        self._waker.setblocking(False)  # noqa: FBT003  # its only argument
        self._selector.register(self._wake_end, selectors.EVENT_READ, "wake")
        self._address = (host, port)
        self._listener = self._listen()
        self.host, self.port = self._listener.getsockname()[:2]
        self._away_until_s = 0.0
        self._frozen_until_s = 0.0

    def _listen(self) -> socket.socket:
        host, port = self._address
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            listener.close()
            raise UsageError(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
            ) from error
        listener.listen(16)
        listener.setblocking(False)  # noqa: FBT003  # its only argument
        self._address = listener.getsockname()[:2]
        self._selector.register(listener, selectors.EVENT_READ, "listener")
        return listener

    # -- running -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            while not self.stopping:
                self.turn()
        finally:
            self.close()

    def stop(self) -> None:
        """Make `run` return; may be called from another thread or a signal handler."""
        self.stopping = True
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        for key, _ in self._selector.select(self._timeout_s()):
            if key.data == "listener":
                self._accept()
            elif key.data == "wake":
                self._wake_end.recv(4096)
            else:
                self._read(key.data)
        now = self._monotonic()
        if now < self._frozen_until_s:
            return
        if self._frozen_until_s:
            self._frozen_until_s = 0.0
        if not self._crowded():
            self.session.turn()
        else:
            self.session.trading.book.commit()
        self._obey(now)
        if now >= self._frozen_until_s:
            for line in list(self._lines.values()):
                self._write(line, now)
        self._watch(now)

    def _timeout_s(self) -> float | None:
        now = self._monotonic()
        # What has passed meanwhile counts too: it is for the coming turn to take up.
        waits = [until - now for until in (self._frozen_until_s, self._away_until_s) if until]
        for line in self._lines.values():
            waits += [until - now for until in (line.quiet_until_s, line.deaf_until_s) if until]
            waits += [line.took_s + STALLED_S - now] if line.client.out_bytes > BACKPRESSURE_BYTES else []
        if self._frozen_until_s <= now and not self._crowded() and not self.session.waiting:
            market = self.session.market.wait_s()
            waits += [] if market is None else [market]
        return max(0.0, min(waits)) if waits else None

    def _crowded(self) -> bool:
        return any(line.client.out_bytes > BACKPRESSURE_BYTES for line in self._lines.values())

    def _obey(self, now: float) -> None:
        """Take up faults of the whole server: a restart, a freeze."""
        away = self.session.restart_s
        if away is not None:
            for line in list(self._lines.values()):
                self._drop(line)
            self._selector.unregister(self._listener)
            self._listener.close()
            self._away_until_s = now + away
        elif self._away_until_s and now >= self._away_until_s:
            self._away_until_s = 0.0
            self._listener = self._listen()
        frozen = self.session.frozen_s
        if frozen is not None:
            self._frozen_until_s = now + frozen

    def _watch(self, now: float) -> None:
        """Ask the selector for what each line can do now."""
        frozen = now < self._frozen_until_s
        for line in self._lines.values():
            if line.deaf_until_s <= now:
                line.deaf_until_s = 0.0
            wanted = 0
            if not frozen and now >= line.deaf_until_s:
                wanted |= selectors.EVENT_READ
            if (
                not frozen
                and now >= line.quiet_until_s
                and (line.rest or line.client.out or line.client.bursts)
                and not line.client.coalescing
            ):
                wanted |= selectors.EVENT_WRITE
            self._register(line, wanted)
        if self._away_until_s == 0.0:
            known = self._listener.fileno() in self._selector.get_map()
            if frozen and known:
                self._selector.unregister(self._listener)
            elif not frozen and not known:
                self._selector.register(self._listener, selectors.EVENT_READ, "listener")

    def _register(self, line: Line, wanted: int) -> None:
        known = self._selector.get_map().get(line.sock)
        if known is None and wanted:
            self._selector.register(line.sock, wanted, line)
        elif known is not None and not wanted:
            self._selector.unregister(line.sock)
        elif known is not None and known.events != wanted:
            self._selector.modify(line.sock, wanted, line)

    # -- lines ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # gone before it was taken
        if len(self._lines) >= CONNECTIONS_MAX:
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003  # its only argument
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(sock, self.session.connect())
        self._lines[sock.fileno()] = line
        self._selector.register(sock, selectors.EVENT_READ, line)

    def _read(self, line: Line) -> None:
        try:
            data = line.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(line)
            return
        self.session.receive(line.client, data)

    def _write(self, line: Line, now: float) -> None:
        client = line.client
        if client.deaf_s:
            line.deaf_until_s, client.deaf_s = now + client.deaf_s, 0.0
        if client.reset:
            self._drop(line, abort=True)
            return
        if client.out_bytes <= BACKPRESSURE_BYTES or client.coalescing:
            line.took_s = now
        try:
            self._flush(line, now)
        except BlockingIOError:
            if now - line.took_s >= STALLED_S:
                self._drop(line, abort=True)
            return
        except OSError:
            self._drop(line)
            return
        if client.closing and not line.rest and not client.out:
            self._drop(line)

    def _flush(self, line: Line, now: float) -> None:
        client = line.client
        if now < line.quiet_until_s:
            return
        line.quiet_until_s = 0.0
        if client.coalescing and len(client.out) < client.coalescing and not client.closing:
            return
        while client.out or line.rest:
            if not line.rest:
                line.rest = memoryview(b"".join(client.out))
                client.out.clear()
            size = client.piece or len(line.rest)
            sent = line.sock.send(line.rest[:size])
            line.rest, line.took_s = line.rest[sent:], now
            client.out_bytes -= sent
            if client.piece:
                line.quiet_until_s = now + client.pause_s
                return
        if client.bursts:
            data, quiet_s = client.bursts.pop(0)
            line.rest = memoryview(data)[line.sock.send(data) :]
            client.out_bytes += len(line.rest)
            line.quiet_until_s = now + quiet_s

    def _drop(self, line: Line, *, abort: bool = False) -> None:
        self.session.disconnect(line.client)
        if self._lines.pop(line.sock.fileno(), None) is None:
            return
        if self._selector.get_map().get(line.sock) is not None:
            self._selector.unregister(line.sock)
        if abort:
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sock.close()

    def close(self) -> None:
        """Close everything."""
        for line in list(self._lines.values()):
            self._drop(line)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(self._listener)
        self._listener.close()
        self._selector.close()
        self._waker.close()
        self._wake_end.close()
