"""A client of few lines that speaks the wire with raw bytes: what the tests see the gateway do.

It knows nothing of the gateway's own encoders, so that a mistake there is not repeated here.
"""

import contextlib
import socket
from collections.abc import Callable, Iterator

END_OF_STREAM: list[str] = []
ZVXA = ["0", "ZVXA", "STK", "", "0", "", "", "SMART", "", "USD", "", ""]
ACCOUNT = "DU1000001"
TIMEOUT_S = 60.0
OPENED: list["Raw"] = []
"""Every connection of the running test; a fixture closes what is left."""


def frame(*fields: object) -> bytes:
    body = "".join(f"{field}\0" for field in fields).encode()
    return len(body).to_bytes(4, "big") + body


class Raw:
    """One connection. `messages` is everything received; `seek` waits for a message by its id."""

    def __init__(self, port: int, *, timeout: float = TIMEOUT_S) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.settimeout(timeout)
        self.buffer = b""
        self.reads: list[int] = []
        self.messages: list[list[str]] = []
        self.version = 0
        self.ended = False
        OPENED.append(self)

    # -- bytes ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send(self, *fields: object) -> None:
        self.write(frame(*fields))

    def read(self) -> list[str]:
        """Return the next message; an empty one at the end of the stream."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + int.from_bytes(self.buffer[:4], "big"):
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                self.ended = True
                raise
            if not data:
                self.ended = True
                return END_OF_STREAM
            self.reads.append(len(data))
            self.buffer += data
        length = int.from_bytes(self.buffer[:4], "big")
        body, self.buffer = self.buffer[4 : 4 + length], self.buffer[4 + length :]
        message = body[:-1].decode().split("\0")
        self.messages.append(message)
        return message

    def close(self) -> None:
        self.sock.close()

    # -- protocol ------------------------------------------------------------------------------

    def greet(self, versions: str = "v100..200") -> "Raw":
        offer = versions.encode()
        self.write(b"API\0" + len(offer).to_bytes(4, "big") + offer)
        self.version = int(self.read()[0])
        return self

    def start(self, client_id: int = 1) -> "Raw":
        self.send(71, 2, client_id, "")
        return self

    def seek(self, kind: int, where: Callable[[list[str]], bool] = lambda _m: True) -> list[str]:
        """Return the next message of an id; fails at the end of the stream."""
        while message := self.read():
            if message[0] == str(kind) and where(message):
                return message
        raise AssertionError(f"the stream ended before a message {kind}: {self.messages[-5:]}")

    def error(self, code: int) -> list[str]:
        """Return the next error of a code, as [id, code, text]."""
        at = 1 if self.version >= 194 else 2
        found = self.seek(4, lambda m: m[at + 1] == str(code))
        return found[at : at + 3]

    def drain(self) -> list[list[str]]:
        """Return all messages up to the answer of a request for the time: nothing else is on its way then."""
        first = len(self.messages)
        self.send(49, 1)
        self.seek(49)
        return self.messages[first:-1]

    def to_end(self) -> list[list[str]]:
        """Return all messages up to the end of the stream, however it ends."""
        first = len(self.messages)
        with contextlib.suppress(ConnectionResetError):
            while self.read():
                pass
        return self.messages[first:]

    def place(
        self,
        order_id: int,
        action: str = "BUY",
        quantity: object = 100,
        kind: str = "MKT",
        limit: object = "",
        aux: object = "",
        *,
        contract: list[str] = ZVXA,
        tif: str = "DAY",
        ref: str = "",
        transmit: int = 1,
        parent: int = 0,
        oca: str = "",
        oca_type: int = 0,
        what_if: int = 0,
        account: str = "",
        algo: str = "",
        good_till: str = "",
        outside: int = 0,
        trail_stop: object = "",
        trail_percent: object = "",
    ) -> None:
        """Send placeOrder as clients do from version 145 on."""
        head = [3, order_id, *contract, "", "", action, quantity, kind, limit, aux, tif, oca, account, "", 0]
        head += [ref, transmit, parent, 0, 0, 0, 0, outside, 0]
        tail: list[object] = ["", 0, "", good_till, "", "", "", *([""] if self.version < 177 else []), ""]
        tail += [0, "", -1, oca_type, "", "", 0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", ""]
        tail += [0, "", trail_stop, trail_percent, "", "", "", "", "", "", "", 0, "", "", 0, 0, algo]
        tail += [0] if algo else []
        tail += ["", what_if, "", 0, 0, 0, 0, "", "", "", "", "", "", 0, "", "", "", 0]
        self.send(*head, *tail)

    def cancel(self, order_id: int) -> None:
        if self.version >= 192:
            self.send(4, order_id, "", "", 2147483647)
        elif self.version >= 169:
            self.send(4, 1, order_id, "")
        else:
            self.send(4, 1, order_id)

    def subscribe(self, req_id: int = 1, contract: list[str] = ZVXA, generic: str = "") -> None:
        self.send(1, 11, req_id, *contract, 0, generic, 0, 0, "")


@contextlib.contextmanager
def connected(port: int, client_id: int = 1, versions: str = "v100..200") -> Iterator[Raw]:
    """Connect, start, and take the messages of the start."""
    raw = Raw(port)
    try:
        raw.greet(versions).start(client_id)
        raw.seek(9)
        for _ in range(3):
            raw.seek(4)
        yield raw
    finally:
        raw.close()


def step(raw: Raw, count: int = 1) -> list[list[str]]:
    """Let `count` events happen that the client hears of; return what was heard."""
    first = len(raw.messages)
    for _ in range(count):
        raw.send(105)
        raw.seek(109)
    return raw.messages[first:]


def until(raw: Raw, kind: int, limit: int = 400) -> list[str]:
    """Step until a message of an id comes."""
    for _ in range(limit):
        for message in step(raw):
            if message[0] == str(kind):
                return message
    raise AssertionError(f"no message {kind} in {limit} steps")
