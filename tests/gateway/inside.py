"""A raw client without a socket: its bytes go straight into a gateway's session, in the test's own thread."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.gateway.opening import open_gateway
from app.gateway.request import GatewayRequest
from tests.gateway.raw import Raw


class Inside(Raw):
    """One client of a session; `read` fails where a client at a socket would wait for ever."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.client = session.connect()
        self.waiting: deque[list[str]] = deque()
        self.messages: list[list[str]] = []
        self.version = 0

    def write(self, data: bytes) -> None:
        self.session.receive(self.client, data)

    def read(self) -> list[str]:
        if not self.waiting:
            self.session.turn()
            self._take()
        assert self.waiting, "there is no further message"
        self.messages.append(self.waiting.popleft())
        return self.messages[-1]

    def _take(self) -> None:
        data, at = b"".join(self.client.out), 0
        self.client.out.clear()
        self.client.out_bytes = 0
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "big")
            self.waiting.append(data[at + 4 : end - 1].decode().split("\0"))
            at = end

    def close(self) -> None:
        self.session.disconnect(self.client)


@contextmanager
def inside(log: Path, book: Path, **options: Any) -> Iterator[Inside]:
    """Open a gateway in lock step at the open, with one client that has started."""
    wanted = {"date": "2025-07-02", "port": 0, "speed": "step", "start": "open", "book": book, **options}
    with open_gateway(log, GatewayRequest(**wanted)) as gateway:
        raw = Inside(gateway.session)
        raw.greet().start(1)
        raw.drain()
        yield raw
