"""A raw server on loopback that does exactly what a script says, in a thread of its own."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Script = Callable[[socket.socket], None]
GREETING = b"20260102 09:30:00 Eastern Standard Time\0"


def frame(*fields: object) -> bytes:
    """Build a frame by hand, so that a mistake in ours cannot hide itself."""
    payload = b"".join(field if isinstance(field, bytes) else str(field).encode() for field in _ended(fields))
    return struct.pack(">I", len(payload)) + payload


def _ended(fields: tuple[object, ...]) -> Iterator[object]:
    for field in fields:
        yield field
        yield b"\0"


def version_reply(version: int = 200) -> bytes:
    payload = b"%d\0" % version + GREETING
    return struct.pack(">I", len(payload)) + payload


def hear(conn: socket.socket, count: int) -> bytes:
    """Read exactly so many bytes."""
    data = b""
    while len(data) < count:
        piece = conn.recv(count - len(data))
        if not piece:
            raise ConnectionError(f"closed after {data!r}")
        data += piece
    return data


def hear_frame(conn: socket.socket) -> bytes:
    return hear(conn, struct.unpack(">I", hear(conn, 4))[0])


def hear_offer(conn: socket.socket) -> bytes:
    """Read a client's opening: its prefix and the versions that it offers."""
    assert hear(conn, 4) == b"API\0"
    return hear_frame(conn)


def greet(conn: socket.socket, version: int = 200, also: bytes = b"") -> bytes:
    """Shake hands as the server; `also` leaves in the same segment as the version reply."""
    offer = hear_offer(conn)
    conn.sendall(version_reply(version) + also)
    return offer


def hear_end(conn: socket.socket) -> None:
    """Wait until the client closes its side."""
    try:
        while conn.recv(65_536):
            pass
    except ConnectionError:
        pass


@contextmanager
def serving(script: Script) -> Iterator[int]:
    """Serve one client by `script`; yields the port. What the script raises fails the test."""
    errors: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)

        def serve() -> None:
            try:
                conn, _ = listener.accept()
                with conn:
                    conn.settimeout(60)
                    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    script(conn)
            except BaseException as error:  # noqa: BLE001  (it belongs to the test's own thread)
                errors.append(error)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
