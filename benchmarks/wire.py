"""Ticks read from a socket and decoded, ours against the official client's loop: `wire.py [TICKS]`.

A server in a process of its own sends the same bytes to both, in turn: prices, sizes, single trades and
texts. Both count what they were told. Prints messages a second and the ratio of the medians: in bursts
of 1000 ticks, the next one sent when the client asks for it, and without a pause. Without a pause the
official reader copies all that it has read so far at every 4096 bytes.
"""

import argparse
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from adapters.ibkr.wire.codec import open_session
from core.errors import ConnectionLost

ROUNDS = 3
BURST = 1000
PAUSING, STEADY = 1, 2
"""Client ids: which of the two a client wants."""
Read = Callable[[int, int], tuple[int, float]]


def frame(*fields: object) -> bytes:
    """Build one message."""
    payload = b"".join(str(field).encode() + b"\0" for field in fields)
    return struct.pack(">I", len(payload)) + payload


def burst() -> bytes:
    """Return 1000 ticks of ten subscriptions."""
    return b"".join(
        frame(1, 6, 9000 + i % 10, 1 + i % 2, f"{100 + i % 90 / 100:.2f}", 100 + i % 7, 1)
        + frame(2, 6, 9000 + i % 10, 5, 100 + i % 9)
        + frame(
            99, 9000 + i % 10, 1, 1_767_364_200 + i, f"{100 + i % 90 / 100:.2f}", 1 + i % 5, 0, "ARCA", ""
        )
        + frame(46, 6, 9000 + i % 10, 45, 1_767_364_200 + i)
        for i in range(BURST // 4)
    )


def serve(count: int) -> None:
    """Send the ticks to one client after the other, for ever."""
    greeting = b"200\0" + b"20260102 09:30:00 EST\0"
    data = burst()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            conn, _ = listener.accept()
            with conn:
                conn.recv(64)
                conn.sendall(struct.pack(">I", len(greeting)) + greeting)
                steady = conn.recv(64).split(b"\0")[-3] == b"%d" % STEADY
                for _ in range(count // BURST):
                    conn.sendall(data)
                    if not steady:
                        conn.recv(64)


def read_ours(port: int, client_id: int) -> tuple[int, float]:
    """Return how many messages came, and in how many seconds."""
    transport, codec = open_session("127.0.0.1", port, client_id)
    ask = codec.requests.req_current_time()
    told, began = 0, time.perf_counter()
    with transport, DefaultSelector() as selector:
        selector.register(transport, EVENT_READ)
        try:
            while True:
                selector.select()
                told += len(codec.decode(transport.read()))
                if client_id == PAUSING and told % BURST == 0:
                    transport.send(ask)
        except ConnectionLost:
            return told, time.perf_counter() - began


def read_officially(port: int, client_id: int) -> tuple[int, float]:
    """Return the same for the official client, its reader thread and its loop."""
    from ibapi.client import EClient  # noqa: PLC0415
    from ibapi.wrapper import EWrapper  # noqa: PLC0415

    class Counter(EWrapper):
        told, last = 0, 0.0

        def count(self, *_: object) -> None:
            self.told += 1
            self.last = time.perf_counter()
            if client_id == PAUSING and self.told % BURST == 0:
                client.reqCurrentTime()

        tickPrice = tickString = tickByTickAllLast = count  # noqa: N815

        def tickSize(self, *arguments: object) -> None:  # noqa: N802
            if arguments[1] == 5:  # the size of a price is a callback of its own, and no message
                self.count()

    counter = Counter()
    client = EClient(counter)
    client.connect("127.0.0.1", port, client_id)
    began = time.perf_counter()
    client.run()
    return counter.told, counter.last - began


def rates(port: int, client_id: int, count: int) -> Iterator[float]:
    """Yield the median rates of ours and of the official client, measured in turn."""
    readers: tuple[Read, ...] = (read_ours, read_officially)
    seen: dict[Read, list[float]] = {read: [] for read in readers}
    for _ in range(ROUNDS):
        for read in readers:
            told, seconds = read(port, client_id)
            assert told == count, f"{read.__name__}: {told:,} of {count:,} messages came"
            seen[read].append(told / seconds)
    for read in readers:
        yield statistics.median(seen[read])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ticks", nargs="?", type=int, default=200_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    count = max(options.ticks // BURST, 1) * BURST
    if options.serve:
        serve(count)
        return
    command = [sys.executable, __file__, str(count), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            for name, client_id in (("in bursts", PAUSING), ("without a pause", STEADY)):
                ours, official = rates(port, client_id, count)
                print(f"{name:16} {ours / official:6.1f}   ({ours:,.0f} against {official:,.0f} a second)")
        finally:
            server.kill()


if __name__ == "__main__":
    main()
