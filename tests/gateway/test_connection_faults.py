"""Faults of the connection as a client sees them on the wire: closed, mute, in pieces, out of step."""

import socket

import pytest

from tests.gateway.observing import (
    Observations,
    awaited,
    begin,
    codes,
    ends,
    executions,
    open_orders,
    seen,
    seen_without,
    silent,
    told,
)
from tests.gateway.raw import Raw

OBSERVED = Observations()


# -- connections ---------------------------------------------------------------------------------


@OBSERVED.of("connect 1: close")
def the_connection_is_closed_in_the_handshake(gateway) -> bool:
    raw = Raw(gateway.port)
    try:
        raw.write(b"API\0\0\0\0\x09v100..200")
        return raw.read() == []
    except (ConnectionResetError, BrokenPipeError):
        return True


@OBSERVED.of("connect 1: mute")
def tcp_is_there_but_no_version(gateway) -> bool:
    raw = Raw(gateway.port)
    raw.write(b"API\0\0\0\0\x09v100..200")
    return silent(gateway, raw) and not raw.ended


@OBSERVED.of("start 1: refuse code=326")
def the_client_id_is_said_to_be_in_use(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    return codes([raw.read()]) == ["326"] and raw.to_end() == []


@OBSERVED.of("order 1: reset processed=false")
def the_line_breaks_before_the_order_is_seen(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    try:
        raw.drain()
    except (ConnectionResetError, BrokenPipeError, AssertionError):
        return open_orders(gateway) == []
    return False


@OBSERVED.of("order 1: reset")
def the_line_breaks_after_the_order_was_taken(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    try:
        raw.drain()
    except (ConnectionResetError, BrokenPipeError):
        return len(open_orders(gateway)) == 1 and not [m for m in raw.messages if m[0] in ("3", "5")]
    return False


@OBSERVED.of("order 1: close run=600_S")
def an_order_fills_while_its_client_is_away(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1)
    told(raw)
    return len(executions(gateway)) == 1 and not [m for m in raw.messages if m[0] == "11"]


@OBSERVED.of("start 1: freeze seconds=0.6")
def a_stopped_process_answers_later(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    raw.send(49, 1)
    if not silent(gateway, raw):
        return False
    gateway.passes(0.6)
    return raw.seek(49)[0] == "49"


@OBSERVED.of("start 1: deaf seconds=0.8")
def writes_complete_in_part_while_nobody_reads(gateway) -> bool:
    raw = begin(gateway)
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = memoryview((b"\0\0\0\x05" + b"49\x001\0") * 120_000)
    raw.sock.settimeout(gateway.silence_s)
    try:
        while data:
            data = data[raw.sock.send(data) :]
    except TimeoutError:
        return True
    return False


@OBSERVED.of("connect 1: split bytes=1")
def every_byte_comes_alone(gateway) -> bool:
    raw = Raw(gateway.port)
    raw.write(b"API\0\0\0\0\x09v100..200")
    for _ in range(20):
        gateway.passes(0.01)
        if len(raw.sock.recv(65536)) > 2:  # the first goes at once, so one may have caught up with the next
            return False
    return True


@OBSERVED.of("start 1: coalesce frames=9")
def messages_come_together(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    raw.send(49, 1)  # with the five of the start, six messages
    if not silent(gateway, raw):
        return False
    reads = len(raw.reads)
    for _ in range(3):
        raw.send(49, 1)
    for _ in range(9):
        raw.read()
    return len(raw.reads) == reads + 1


@OBSERVED.of("subscribe 1: burst bytes=4096 quiet=0.6")
def a_burst_ends_on_the_boundary_of_a_read(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    while raw.messages[-1][:4] != ["45", "6", "1", "49"]:  # the state of the subscription comes first
        raw.read()
    received = awaited(gateway, raw, lambda data: len(data) >= 4096)
    if len(received) != 4096 or received.count(b"2\x006\x001\x008\x00") <= 100:
        return False
    return silent(gateway, raw)


@OBSERVED.of("subscribe 1: burst bytes=4096 quiet=0.6 inside=true")
def a_burst_ends_inside_a_message(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    while raw.messages[-1][:4] != ["45", "6", "1", "49"]:
        raw.read()
    raw.buffer = awaited(gateway, raw, lambda data: len(data) >= 4096)
    if len(raw.buffer) < 4096:
        return False
    while not silent(gateway, raw):
        pass
    held = len(raw.buffer)
    gateway.passes(0.6)
    return held > 0 and raw.read()[0] in ("2", "46") and raw.buffer == b""


@OBSERVED.of("order 1: cut bytes=9")
def a_message_ends_in_its_middle(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    data = awaited(gateway, raw)
    return len(data) == 9 and int.from_bytes(data[:4], "big") > 9


@OBSERVED.of("start 1: garbage kind=number")
def a_number_is_none(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    return raw.seek(9)[2] == "not a number"


@OBSERVED.of("subscribe 1: garbage kind=truncated")
def a_message_lacks_fields(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return any(m[0] == "1" and len(m) < 7 for m in raw.drain())


@OBSERVED.of("subscribe 1: garbage kind=length")
def a_length_is_impossible(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    length = b"\xff\xff\xff\xff"
    return length in awaited(gateway, raw, lambda data: length in data)


@OBSERVED.of("order 1: pace")
def the_rate_is_exceeded_and_the_line_closed(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    return ends(gateway, raw) and "100" in codes(raw.messages)


@OBSERVED.of("order 1: restart seconds=0.4 back=3")
def the_gateway_restarts_and_ids_go_back(gateway) -> bool:
    raw = begin(gateway)
    raw.place(41, "SELL", 100, "LMT", 99)
    if not ends(gateway, raw):
        return False
    refused = 0
    while True:
        try:
            again = Raw(gateway.port).greet().start(1)
            break
        except (ConnectionRefusedError, ConnectionResetError):
            refused += 1
            gateway.passes(0.4)
    return refused > 0 and again.seek(9)[2] == "39" and len(open_orders(gateway)) == 1


@OBSERVED.of("connect 1: version to=157")
def another_version_is_spoken(gateway) -> bool:
    return Raw(gateway.port).greet().version == 157


@pytest.mark.parametrize(("script", "observation"), OBSERVED.values(), ids=list(OBSERVED))
def test_a_fault_is_seen_on_the_wire(ib_gateway, script, observation):
    assert seen(ib_gateway, script, observation)


@pytest.mark.parametrize("observation", [each for _, each in OBSERVED.values()], ids=list(OBSERVED))
def test_a_sound_gateway_shows_no_such_fault(ib_gateway, observation):
    assert not seen_without(ib_gateway, observation)
