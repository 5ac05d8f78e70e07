"""Clients that do not read, or are too many: what waits for them is bounded, and others are served."""

import socket
from contextlib import contextmanager

import pytest

from adapters.ibkr.gateway import server as gateway_server
from adapters.ibkr.gateway.server import BACKPRESSURE_BYTES, CONNECTIONS_MAX, STALLED_S
from app.gateway.opening import open_gateway
from app.gateway.request import GatewayRequest
from tests.gateway.raw import OPENED, ZVXA, frame

LINES = 60
A_TURN_BYTES = 8 << 20
"""More than a turn's events can take with so many lines."""


class Turned:
    """A gateway at full speed whose turns are made by hand, at times of its own."""

    def __init__(self, gateway):
        self.server, self.session, self.now = gateway.server, gateway.session, 1000.0
        self.server._monotonic = lambda: self.now

    def turn(self, times=1):
        for _ in range(times):
            self.server._waker.send(b".")
            self.server.turn()

    def connect(self, client_id, lines=LINES):
        """Connect a client that subscribes to many lines."""
        sock = socket.create_connection((self.server.host, self.server.port), 10)
        OPENED.append(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        sock.sendall(b"API\0\0\0\0\x09v100..200" + frame(71, 2, client_id, ""))
        for number in range(1, lines + 1):
            sock.sendall(frame(1, 11, number, *ZVXA, 0, "", 0, 0, ""))
        while (client := self.session.client(client_id)) is None or len(client.streams) < lines:
            self.turn()
        return sock, client

    def waiting(self, client):
        """Return how many bytes wait for a client."""
        [line] = [line for line in self.server._lines.values() if line.client is client]
        return len(line.rest) + sum(map(len, client.out))


@contextmanager
def turned(log, tmp_path):
    request = GatewayRequest(date="2025-07-02", port=0, speed="max", start="open", book=tmp_path / "book")
    with open_gateway(log, request) as gateway:
        yield Turned(gateway)


def test_what_waits_for_a_slow_reader_is_counted_and_bounded(ib_gateway_log, tmp_path):
    with turned(ib_gateway_log, tmp_path) as gateway:
        sock, client = gateway.connect(1)
        heard, crowded = 0, False
        for _ in range(60):
            gateway.turn()
            assert client.out_bytes == gateway.waiting(client) < BACKPRESSURE_BYTES + A_TURN_BYTES
            heard += len(sock.recv(50_000))
            crowded |= gateway.server._crowded()
        assert heard > 1 << 20
        assert crowded


def stalled(gateway):
    """Let one client read nothing until the market waits, then a minute pass; return it and the market."""
    _, slow = gateway.connect(1)
    while not gateway.server._crowded():
        gateway.turn()
    gateway.turn(5)
    before = gateway.session.market.events
    gateway.turn(5)
    assert gateway.session.market.events == before  # it waits, for everybody
    gateway.now += STALLED_S - 1
    gateway.turn()
    assert slow.ready
    gateway.now += 1
    gateway.turn(3)
    return slow, gateway.session.market.events > before


def test_a_client_that_reads_nothing_is_cut_off_and_the_others_go_on(ib_gateway_log, tmp_path):
    with turned(ib_gateway_log, tmp_path) as gateway:
        gateway.connect(2, lines=1)
        slow, goes_on = stalled(gateway)
        assert slow.stage == "closed"
        assert goes_on


def test_a_gateway_that_waits_for_ever_is_caught(ib_gateway_log, tmp_path, monkeypatch):
    monkeypatch.setattr(gateway_server, "STALLED_S", 1e6)
    with turned(ib_gateway_log, tmp_path) as gateway:
        gateway.connect(2, lines=1)
        slow, goes_on = stalled(gateway)
        assert slow.ready
        assert not goes_on


def test_too_many_connections_are_closed_at_once(ib_gateway_log, tmp_path):
    with turned(ib_gateway_log, tmp_path) as gateway:
        address = (gateway.server.host, gateway.server.port)
        socks = []
        for _ in range(CONNECTIONS_MAX + 3):
            socks.append(socket.create_connection(address, 10))
            OPENED.append(socks[-1])
            gateway.turn(2)
        assert len(gateway.session.clients) == CONNECTIONS_MAX
        assert [sock.recv(1) for sock in socks[-3:]] == [b"", b"", b""]
        socks[0].close()
        gateway.turn()
        _, client = gateway.connect(7, lines=1)
        assert client.ready


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\0", frame("x" * 40)[:20]])
def test_bytes_that_are_no_frame_end_their_connection_or_wait(ib_gateway_log, tmp_path, sent):
    with turned(ib_gateway_log, tmp_path) as gateway:
        sock, client = gateway.connect(1, lines=0)
        sock.sendall(sent)
        while not client.closing and client.stage != "closed" and not client.frames._held:
            gateway.turn()
        _, other = gateway.connect(2, lines=1)
        assert other.ready
