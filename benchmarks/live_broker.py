"""A broker's side of the socket for the live benchmark: it agrees to everything and sends ticks as told.

`python benchmarks/live_broker.py` listens on a free port, prints it, serves one client, and prints what it
measured. It answers what a session asks at its start and matches nothing. Frames are written by hand and made
before the clock runs, so that the client is measured and not this. Times are the machine's monotonic clock.
"""

import argparse
import json
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator

ACCOUNT = "DU1"
PIECE = 500
GO, OFF = "go", "off"
"""Conditions of trades that make the strategy send an order, or cancel its oldest one."""


def frame(*fields: object) -> bytes:
    """Return one message."""
    body = b"".join(str(field).encode() + b"\0" for field in fields)
    return struct.pack(">I", len(body)) + body


class Broker:
    """One client's connection; `arrivals` are the times at which orders and cancels came in."""

    def __init__(self, connection: socket.socket) -> None:
        self.sock = connection
        self.quotes_id = self.trades_id = 0
        self.orders: list[int] = []
        self.cancels: list[int] = []
        self._rest = b""
        self._unsaid: deque[bytes] = deque()
        self._selector = selectors.SelectSelector()  # epoll rounds a wait up to a whole millisecond
        self._selector.register(connection, selectors.EVENT_READ)
        self._answers: dict[bytes, Callable[[list[bytes]], None]] = {
            b"71": lambda _: self.say(frame(15, 1, ACCOUNT) + frame(9, 1, 1)),
            b"49": lambda _: self.say(frame(49, 1, int(time.time()))),
            b"105": lambda _: self.say(frame(109, time.time_ns() // 1_000_000)),
            b"5": lambda _: self.say(frame(53, 1)),
            b"16": lambda _: self.say(frame(53, 1)),
            b"99": lambda _: self.say(frame(102)),
            b"7": lambda f: self.say(frame(55, 1, f[2].decode())),
            b"61": lambda _: self.say(frame(62, 1)),
            b"6": lambda _: self.say(frame(54, 1, ACCOUNT)),
            b"1": self._quotes,
            b"97": self._trades,
            b"3": lambda _: self.orders.append(time.monotonic_ns()),
            b"4": lambda _: self.cancels.append(time.monotonic_ns()),
        }

    def greet(self) -> None:
        """Agree on version 200."""
        self.sock.settimeout(10)
        opening = b""
        while len(opening) < 8 + 4 or not opening[8:]:
            opening += self.sock.recv(4096)
        body = b"200\0" + b"20260102 09:30:00 UTC\0"
        self.sock.sendall(struct.pack(">I", len(body)) + body)

    def _quotes(self, fields: list[bytes]) -> None:
        self.quotes_id = int(fields[2])
        self.say(frame(58, 1, self.quotes_id, 1))

    def _trades(self, fields: list[bytes]) -> None:
        self.trades_id = int(fields[1])

    def say(self, data: bytes) -> None:
        """Send whole frames, hearing meanwhile what the client says: neither side may wait for the other.

        Answers to that wait until these frames are out, so that none is put into the middle of another.
        """
        self._unsaid.append(data)
        if len(self._unsaid) > 1:
            return  # somebody is at it below
        while self._unsaid:
            self._send_all(self._unsaid[0])
            self._unsaid.popleft()

    def _send_all(self, data: bytes) -> None:
        view = memoryview(data)
        self.sock.settimeout(0)
        while view:
            try:
                view = view[self.sock.send(view[: 1 << 16]) :]
            except BlockingIOError:
                self.hear(0.001)

    def stream(self, ticks: list[bytes]) -> None:
        """Send many frames, some hundred at a time: an answer need not wait for all of them."""
        for first in range(0, len(ticks), PIECE):
            self.say(b"".join(ticks[first : first + PIECE]))
            self.hear(0.0)

    def hear(self, timeout_s: float) -> bool:
        """Take what the client sent; return `False` when it is gone."""
        if not self._selector.select(timeout_s):
            return True
        self.sock.settimeout(0)
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            return False
        if not data:
            return False
        self._rest += data
        for body in self._frames():
            fields = body.split(b"\0")
            answer = self._answers.get(fields[0])
            if answer is not None:
                answer(fields)
        return True

    def _frames(self) -> Iterator[bytes]:
        while len(self._rest) >= 4:
            (length,) = struct.unpack_from(">I", self._rest)
            if len(self._rest) < 4 + length:
                return
            body, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            yield body

    def wait_for(self, met: Callable[[], bool], limit_s: float = 60) -> None:
        """Serve until a condition is met."""
        deadline = time.monotonic() + limit_s
        while not met():
            assert self.hear(0.01), "the client is gone"
            assert time.monotonic() < deadline, "the client did not do what the benchmark waits for"

    def serve(self, seconds: float) -> None:
        """Serve for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.hear(min(0.01, max(0.0, deadline - time.monotonic()))):
            pass

    # -- ticks ---------------------------------------------------------------------------------

    def tick(self, number: int) -> bytes:
        """Return one of a stream of ticks: of ten, four bids, three asks, two trades, one size."""
        price = 100 + number % 97 / 100
        match number % 10:
            case 0 | 2 | 4 | 6:
                return frame(1, 6, self.quotes_id, 1, price, 100 + number % 7, 1)
            case 1 | 3 | 5:
                return frame(1, 6, self.quotes_id, 2, price + 0.01, 200 + number % 7, 1)
            case 7 | 9:
                return self.trade(price)
        return frame(2, 6, self.quotes_id, 0, 300 + number % 50)

    def trade(self, price: float, conditions: str = "") -> bytes:
        """Return one trade."""
        return frame(99, self.trades_id, 2, 1_750_000_000, price, 100, 0, "NYSE", conditions)

    def ticks(self, count: int) -> list[bytes]:
        """Return so many ticks in a row."""
        return [self.tick(number) for number in range(count)]


def flood(broker: Broker, count: int) -> dict[str, object]:
    """Send `count` ticks as fast as they are taken."""
    data = broker.ticks(count)
    broker.stream(data)
    return {"ticks": count}


def pace(broker: Broker, seconds: float, rate: int, orders: int) -> dict[str, object]:
    """Send `rate` ticks a second, `orders` of which ask for an order; return how long each order took."""
    took: list[float] = []
    every = rate // orders
    begun = time.monotonic_ns()
    for number in range(round(seconds * rate)):
        due = begun + number * 1_000_000_000 // rate
        while (wait := due - time.monotonic_ns()) > 0:
            broker.hear(wait / 1e9)
        if number % every == every // 2:
            known, at = len(broker.orders), time.monotonic_ns()
            broker.say(broker.trade(100.0, GO))
            deadline = at + 10_000_000_000
            while len(broker.orders) == known and time.monotonic_ns() < deadline:
                broker.hear(0.01)  # no spinning: the client's disk needs a core as well
            if len(broker.orders) > known:
                took.append((broker.orders[-1] - at) / 1e6)
        else:
            broker.say(broker.tick(number))
    return {"took_ms": took, "asked": round(seconds * orders)}


def burst(broker: Broker, count: int, cancels: int) -> dict[str, object]:
    """Send `count` ticks at once, with `cancels` of them spread over it; the client tells when it decided."""
    pieces = [broker.tick(number) for number in range(count)]
    for number in range(cancels):
        pieces[(number + 1) * count // (cancels + 1)] = broker.trade(100.0, OFF)
    known = len(broker.cancels)
    broker.stream(pieces)
    broker.wait_for(lambda: len(broker.cancels) >= known + cancels)
    return {"arrived_ns": broker.cancels[known:]}


def main() -> None:
    """Serve one client, through the three measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--orders", type=int, default=20)
    parser.add_argument("--burst", type=int, default=100_000)
    parser.add_argument("--cancels", type=int, default=10)
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        broker = Broker(connection)
        broker.greet()
        broker.wait_for(lambda: broker.quotes_id > 0 and broker.trades_id > 0)
        broker.serve(1.0)
        told: dict[str, object] = {"flood": flood(broker, options.flood)}
        broker.say(broker.trade(100.0, GO))
        broker.wait_for(lambda: bool(broker.orders))  # what the flood left in buffers is read
        broker.serve(0.5)
        told["pace"] = pace(broker, options.seconds, options.rate, options.orders)
        broker.serve(1.0)
        told["burst"] = burst(broker, options.burst, options.cancels)
        broker.serve(0.5)
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
