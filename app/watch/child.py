"""The other side of `app.watch.processes`: loads a listener, tells it of events, reports what it raised.

Run as `python -m app.watch.child`; its orders come on stdin. It ends when the connection ends. A listener
that does not return does not keep it: it ends some seconds after a session that was killed. Signals are the
session's business and are ignored here.
"""

import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from app.lifeline import end_with_starter
from app.watch.loading import load_listener
from app.watch.processes import SOCKET_BYTES
from core.errors import TapeError
from core.events import BY_TYPE, Entry
from core.listener import Delivery, Listener
from eventstore.codec import decode_records

_READ_BYTES = 1 << 16
_GRACE_S = 5.0
"""To hear what its session has told it before that was killed, and that it is the end."""


class Orders(msgspec.Struct, frozen=True):
    """What the session tells its listener's process."""

    port: int
    token: str
    path: str
    errors_max: int


def main() -> int:
    """Serve one listener until the session ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    end_with_starter(_GRACE_S)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        connection.connect(("127.0.0.1", orders.port))
        connection.sendall(orders.token.encode())
        try:
            listener = load_listener(orders.path)
        except TapeError as error:
            _say(connection, {"refused": str(error)})
            return int(error.exit_code)
        serve(connection, listener, orders.errors_max)
    return 0


def serve(connection: socket.socket, listener: Listener, errors_max: int) -> None:
    """Tell the listener of all that comes over the connection."""
    delivery = Delivery(listener, errors_max)
    _say(connection, {"told": [_described(one) for one in type(listener).told]})
    _report(connection, delivery, delivery.call(listener.on_start))
    for entry in _entries(connection):
        if not delivery.off:
            _report(connection, delivery, delivery.deliver(entry))
    if not delivery.off:
        _report(connection, delivery, delivery.call(listener.on_stop))


def _described(one: Any) -> dict[str, list[str]]:
    return {"types": [BY_TYPE[kind].tag for kind in one.types], "instruments": sorted(one.instruments)}


def _report(connection: socket.socket, delivery: Delivery, raised: list[str]) -> None:
    for place, reason in enumerate(raised, delivery.errors - len(raised) + 1):
        _say(connection, {"said": "error", "count": place, "reason": reason})
    if raised and delivery.off:
        reason = "it raised too often and is told nothing more"
        _say(connection, {"said": "switched_off", "count": delivery.errors, "reason": reason})


def _say(connection: socket.socket, said: dict[str, Any]) -> None:
    connection.sendall(msgspec.json.encode(said) + b"\n")


def _entries(connection: socket.socket) -> Iterator[Entry]:
    buffer = bytearray()
    while data := connection.recv(_READ_BYTES):
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "big")
            if len(buffer) < end:
                break
            yield from decode_records(bytes(buffer[start + 4 : end]))
            start = end
        del buffer[:start]


if __name__ == "__main__":
    sys.exit(main())
