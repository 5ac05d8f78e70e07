"""Our connection against a raw server on loopback: handshake, reading, sending, every way of failing."""

import os
import socket
import threading
from selectors import EVENT_READ, DefaultSelector

import pytest

from adapters.ibkr.wire.transport import TimeLimits, Transport
from core.errors import BrokerUnreachable, ConnectionLost, HandshakeFailed, StreamOutOfStep, WriteFailed
from tests.ibkr.servers import (
    frame,
    greet,
    hear,
    hear_end,
    hear_frame,
    hear_offer,
    serving,
    version_reply,
)

SHORT = TimeLimits(connect_s=2, handshake_s=0.2, send_s=0.2)


def opened(port, **options):
    return Transport.open("127.0.0.1", port, **options)


def wait(transport):
    """Wait, as the loop does, until there is something to read."""
    with DefaultSelector() as selector:
        selector.register(transport, EVENT_READ)
        assert selector.select(20)


def read_on(transport, got):
    """Read for ever, into a list: the network may deliver at once what was sent, or in pieces."""
    while True:
        wait(transport)
        got += transport.read()


def frames(transport, count):
    """Read until so many frames came."""
    got = transport.read()
    while len(got) < count:
        wait(transport)
        got += transport.read()
    return got


def test_the_handshake_offers_versions_100_to_200_and_keeps_the_reply():
    heard = []

    def script(conn):
        heard.append(greet(conn, 176))
        hear_end(conn)

    with serving(script) as port, opened(port) as transport:
        assert transport.greeting.server_version == 176
        assert transport.greeting.server_time == "20260102 09:30:00 Eastern Standard Time"
    assert heard == [b"v100..200"]


def test_bytes_that_come_with_the_version_reply_are_kept():
    also = frame(15, 1, "DU1") + frame(9, 1, 683)[:5]

    def script(conn):
        greet(conn, also=also)
        conn.sendall(frame(9, 1, 683)[5:])
        hear_end(conn)

    with serving(script) as port, opened(port) as transport:
        assert frames(transport, 2) == [b"15\x001\x00DU1\x00", b"9\x001\x00683\x00"]


def test_a_version_reply_split_at_each_byte_is_understood():
    reply = version_reply(187)
    for cut in range(1, len(reply)):

        def script(conn, cut=cut):
            hear_offer(conn)
            conn.sendall(reply[:cut])
            conn.sendall(reply[cut:])
            hear_end(conn)

        with serving(script) as port, opened(port) as transport:
            assert transport.greeting.server_version == 187


def test_reading_gives_coalesced_and_split_frames_as_they_were_sent():
    sent = [frame(1, 6, 9001, 1, "100.25", 300, 0), frame(2, 6, 9001, 0, 300), frame(49, 1, 1_700_000_000)]
    stream = b"".join(sent)

    def script(conn):
        greet(conn)
        for cut in range(1, len(stream)):
            conn.sendall(stream[:cut])
            conn.sendall(stream[cut:])
        hear_end(conn)

    with serving(script) as port, opened(port) as transport:
        expected = [item[4:] for item in sent] * (len(stream) - 1)
        assert frames(transport, len(expected)) == expected


def test_a_read_never_waits():
    def script(conn):
        greet(conn)
        hear_end(conn)

    with serving(script) as port, opened(port) as transport:
        assert transport.read() == []


def test_a_read_takes_at_most_16_kib():
    def script(conn):
        greet(conn)
        conn.sendall(b"".join(frame("x" * 1000) for _ in range(100)))
        hear_end(conn)

    seen = []
    with (
        serving(script) as port,
        opened(port, tap=lambda direction, data, _: seen.append((direction, data))) as transport,
    ):
        assert len(frames(transport, 100)) == 100
    assert max(len(data) for direction, data in seen if direction == "in") <= 16_384


def test_a_server_that_says_nothing_ends_the_handshake_in_time():
    with (
        serving(hear_end) as port,
        pytest.raises(HandshakeFailed, match=r"no version reply within 0\.2 s"),
    ):
        opened(port, limits=SHORT)


def test_a_server_that_drips_half_a_reply_ends_the_handshake_in_time():
    def script(conn):
        hear_offer(conn)
        conn.sendall(version_reply()[:-3])
        hear_end(conn)

    with serving(script) as port, pytest.raises(HandshakeFailed, match="no version reply"):
        opened(port, limits=SHORT)


@pytest.mark.parametrize("before", [b"", version_reply()[:10]])
def test_a_server_that_closes_in_the_handshake_is_told_as_that(before):
    def script(conn):
        hear_offer(conn)
        conn.sendall(before)

    with serving(script) as port, pytest.raises(HandshakeFailed, match="closed during the handshake"):
        opened(port)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", frame("hello"), frame("new", "year"), frame(200)]
)
def test_another_kind_of_server_is_recognised(answer):
    def script(conn):
        hear_offer(conn)
        conn.sendall(answer)
        hear_end(conn)

    with serving(script) as port, pytest.raises(HandshakeFailed, match="not TWS or IB Gateway"):
        opened(port)


@pytest.mark.parametrize("version", [157, 162, 201])
def test_a_version_that_cannot_trade_is_refused(version):
    def script(conn):
        greet(conn, version)
        hear_end(conn)

    with serving(script) as port, pytest.raises(HandshakeFailed, match=f"version {version}, expected 163"):
        opened(port)


def test_a_port_where_nobody_listens_is_named_with_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(BrokerUnreachable, match=rf"127\.0\.0\.1:{port}: cannot connect .*start TWS"):
        opened(port)


def test_an_unknown_host_is_unreachable():
    with pytest.raises(BrokerUnreachable, match=r"gateway\.invalid:4001"):
        Transport.open("gateway.invalid", 4001, limits=SHORT)


def test_frames_before_the_end_are_given_and_then_the_end():
    def script(conn):
        greet(conn)
        conn.sendall(frame(9, 1, 1) + b"\x00\x00\x00\x09abc")

    with serving(script) as port, opened(port) as transport:
        assert frames(transport, 1) == [b"9\x001\x001\x00"]
        with pytest.raises(ConnectionLost, match=r"in the middle of a frame \(7 bytes"):
            frames(transport, 1)
        with pytest.raises(ConnectionLost):
            transport.read()
        with pytest.raises(WriteFailed) as caught:
            transport.send(b"late")
        assert caught.value.bytes_written == 0


def test_a_reset_connection_is_lost():
    def script(conn):
        greet(conn)
        hear(conn, 4)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # close with RST

    with serving(script) as port, opened(port) as transport:
        transport.send(b"1234")
        with pytest.raises(ConnectionLost, match="the connection broke"):
            frames(transport, 1)


def test_an_impossible_length_gives_the_frames_before_it_and_ends_the_connection():
    def script(conn):
        greet(conn)
        hear(conn, 2)
        conn.sendall(frame(9, 1, 1) + b"\xff\xff\xff\xff")
        hear_end(conn)

    got = []
    with serving(script) as port, opened(port) as transport:
        transport.send(b"go")
        with pytest.raises(StreamOutOfStep, match="out of step") as caught:
            read_on(transport, got)
        assert got + list(caught.value.frames) == [b"9\x001\x001\x00"]
        with pytest.raises(WriteFailed):
            transport.send(b"x")


def test_an_impossible_length_right_after_the_greeting_is_not_forgotten():
    def script(conn):
        greet(conn, also=frame(9, 1, 1) + b"\xff\xff\xff\xff")
        hear_end(conn)

    with serving(script) as port, opened(port) as transport:
        assert transport.read() == [b"9\x001\x001\x00"]
        with pytest.raises(ConnectionLost, match="out of step"):
            transport.read()


def test_what_is_sent_arrives():
    heard = []

    def script(conn):
        greet(conn)
        heard.append(hear_frame(conn))

    with serving(script) as port, opened(port) as transport:
        transport.send(frame(71, 2, 7, ""))
    assert heard == [b"71\x002\x007\x00\x00"]


def test_a_send_that_is_taken_in_part_says_how_many_bytes_went_out():
    done = threading.Event()
    taken = []

    def script(conn):
        greet(conn)
        done.wait(60)
        conn.sendall(frame(9, 1, 1))
        taken.append(sum(iter(lambda: len(conn.recv(1 << 20)), 0)))

    patient = TimeLimits(connect_s=60, handshake_s=60, send_s=0.2)
    with serving(script) as port, opened(port, limits=patient) as transport:
        size = 64 << 20
        with pytest.raises(WriteFailed, match="reconcile before sending") as caught:
            transport.send(bytes(size))
        assert 0 < caught.value.bytes_written < size
        with pytest.raises(WriteFailed) as again:
            transport.send(b"more")
        assert again.value.bytes_written == 0
        done.set()
        assert frames(transport, 1) == [b"9\x001\x001\x00"]  # what comes in is still heard
    assert taken == [caught.value.bytes_written]


def test_a_send_after_the_other_side_is_gone_fails():
    def script(conn):
        greet(conn)

    with serving(script) as port, opened(port) as transport:
        with pytest.raises(ConnectionLost):
            frames(transport, 1)
        with pytest.raises(WriteFailed, match="closed the connection"):
            transport.send(b"x")


def test_a_closed_connection_takes_and_gives_nothing():
    def script(conn):
        greet(conn)
        hear_end(conn)

    with serving(script) as port:
        transport = opened(port)
        transport.close()
        transport.close()
        with pytest.raises(ConnectionLost, match="closed by us"):
            transport.read()
        with pytest.raises(WriteFailed, match="closed by us"):
            transport.send(b"x")


def test_the_tap_sees_every_byte_of_both_directions_in_order():
    seen = {"in": b"", "out": b""}

    def script(conn):
        greet(conn, also=frame(15, 1, "DU1"))
        hear_frame(conn)
        conn.sendall(frame("echo"))
        hear_end(conn)

    def tap(direction, data, ts_ns):
        assert ts_ns > 1_700_000_000_000_000_000
        seen[direction] += data

    with serving(script) as port, opened(port, tap=tap) as transport:
        frames(transport, 1)
        transport.send(frame("echo"))
        frames(transport, 1)
    assert seen["out"] == b"API\0\x00\x00\x00\x09v100..200" + frame("echo")
    assert seen["in"] == version_reply() + frame(15, 1, "DU1") + frame("echo")


def test_keepalive_is_on():
    def script(conn):
        greet(conn)
        hear_end(conn)

    with (
        serving(script) as port,
        opened(port) as transport,
        socket.socket(fileno=os.dup(transport.fileno())) as same,
    ):
        assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
