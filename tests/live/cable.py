"""A cable between a session and its gateway: real sockets on loopback, which a test cuts when it wants to."""

import contextlib
import select
import socket
import struct
import threading
from types import TracebackType

ABORT = struct.pack("ii", 1, 0)
"""Linger for no time: a close is a reset."""


class Cable:
    """Hands bytes on between whoever connects to `port` and a gateway; `cut` resets what is connected."""

    def __init__(self, gateway_port: int) -> None:
        self._gateway = ("127.0.0.1", gateway_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = "127.0.0.1", self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._over = False

    def __enter__(self) -> "Cable":
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """Reset every connection; the next one is served again."""
        with self._lock:
            for pair in self._pairs:
                for end in pair:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                    end.close()
            self._pairs.clear()

    def _serve(self) -> None:
        while not self._over:
            with self._lock:
                self._turn()

    def _turn(self) -> None:
        other = {a: b for pair in self._pairs for a, b in (pair, pair[::-1])}
        ready, _, _ = select.select([self._listener, *other], [], [], 0.005)
        for end in ready:
            if end is self._listener:
                self._pairs.append((end.accept()[0], socket.create_connection(self._gateway)))
            elif end.fileno() >= 0:
                with contextlib.suppress(OSError):
                    data = end.recv(1 << 16)
                    if data:
                        other[end].sendall(data)
                        continue
                self._pairs = [pair for pair in self._pairs if end not in pair]
                for each in (end, other[end]):
                    each.close()
