"""Each fault of a script as a client sees it on the wire.

An observation is what a client can tell of a fault. Each is made twice: with the script, where it must be
true, and without it, where it must be false; so an observation that would pass on a sound gateway fails.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from tests.gateway.raw import ZVXA, Raw, connected

E308 = "1.7976931348623157E308"
Observation = Callable[[Any], bool]
OBSERVATIONS: dict[str, tuple[str, Observation]] = {}


def observes(script: str) -> Callable[[Observation], Observation]:
    def register(function: Observation) -> Observation:
        OBSERVATIONS[f"{function.__name__}: {script}"] = (script, function)
        return function

    return register


# -- what observations are made of ---------------------------------------------------------------


def begin(gateway, client_id: int = 1) -> Raw:
    raw = Raw(gateway.port).greet().start(client_id)
    raw.seek(9)
    for _ in range(3):
        raw.seek(4)
    return raw


def silent(raw: Raw, seconds: float = 0.25) -> bool:
    """Return whether nothing comes for a while."""
    raw.sock.settimeout(seconds)
    try:
        raw.read()
    except TimeoutError:
        return True
    finally:
        raw.sock.settimeout(10)
    return raw.ended


def run(raw: Raw, steps: int = 60) -> list[list[str]]:
    """Let the day go on; return what was heard."""
    first = len(raw.messages)
    for _ in range(steps):
        raw.send(105)
        raw.seek(109)
    return [m for m in raw.messages[first:] if m[0] != "109"]


def fill(raw: Raw, order_id: int = 1) -> list[str]:
    """Place a market order, let it fill, and return the names of all order messages in order."""
    names = {"5": "open", "3": "status", "11": "exec", "59": "commission"}
    first = len(raw.messages)
    raw.place(order_id)
    raw.send(1, 11, 90 + order_id, *ZVXA, 0, "", 0, 0, "")
    run(raw, 40)
    return [names[m[0]] for m in raw.messages[first:] if m[0] in names]


def told(raw: Raw) -> list[list[str]]:
    """Return what comes until all is answered or the line ends."""
    first = len(raw.messages)
    with suppress(ConnectionResetError, BrokenPipeError, AssertionError):
        return raw.drain()
    return raw.messages[first:]


def executions(gateway, client_id: int = 2) -> list[list[str]]:
    with connected(gateway.port, client_id) as raw:
        raw.send(7, 3, 5, 0, "", "", "", "", "", "", 2147483647, 0)
        raw.seek(55)
        return [m for m in raw.messages if m[0] == "11"]


def open_orders(gateway, client_id: int = 2) -> list[list[str]]:
    with connected(gateway.port, client_id) as raw:
        raw.send(16, 1)
        raw.seek(53)
        return [m for m in raw.messages if m[0] == "5"]


def codes(messages: list[list[str]]) -> list[str]:
    return [m[2] for m in messages if m[0] == "4"]


# -- connections ---------------------------------------------------------------------------------


@observes("connect 1: close")
def the_connection_is_closed_in_the_handshake(gateway) -> bool:
    raw = Raw(gateway.port)
    try:
        raw.write(b"API\0\0\0\0\x09v100..200")
        return raw.read() == []
    except (ConnectionResetError, BrokenPipeError):
        return True


@observes("connect 1: mute")
def tcp_is_there_but_no_version(gateway) -> bool:
    raw = Raw(gateway.port)
    raw.write(b"API\0\0\0\0\x09v100..200")
    return silent(raw) and not raw.ended


@observes("start 1: refuse code=326")
def the_client_id_is_said_to_be_in_use(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    return codes([raw.read()]) == ["326"] and raw.to_end() == []


@observes("order 1: reset processed=false")
def the_line_breaks_before_the_order_is_seen(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    try:
        raw.drain()
    except (ConnectionResetError, BrokenPipeError, AssertionError):
        return open_orders(gateway) == []
    return False


@observes("order 1: reset")
def the_line_breaks_after_the_order_was_taken(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    try:
        raw.drain()
    except (ConnectionResetError, BrokenPipeError):
        return len(open_orders(gateway)) == 1 and not [m for m in raw.messages if m[0] in ("3", "5")]
    return False


@observes("order 1: close run=600_S")
def an_order_fills_while_its_client_is_away(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1)
    told(raw)
    return len(executions(gateway)) == 1 and not [m for m in raw.messages if m[0] == "11"]


@observes("start 1: freeze seconds=0.6")
def a_stopped_process_answers_later(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    raw.send(49, 1)
    if not silent(raw):
        return False
    return raw.seek(49)[0] == "49"


@observes("start 1: deaf seconds=0.8")
def writes_complete_in_part_while_nobody_reads(gateway) -> bool:
    raw = begin(gateway)
    raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    data = memoryview((b"\0\0\0\x05" + b"49\x001\0") * 120_000)
    raw.sock.settimeout(0.3)
    try:
        while data:
            data = data[raw.sock.send(data) :]
    except TimeoutError:
        return True
    return False


@observes("connect 1: split bytes=1")
def every_byte_comes_alone(gateway) -> bool:
    raw = begin(gateway)
    return max(raw.reads[:60]) < 20


@observes("start 1: coalesce frames=9")
def messages_come_together(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    raw.send(49, 1)  # with the five of the start, six messages
    if not silent(raw):
        return False
    reads = len(raw.reads)
    for _ in range(3):
        raw.send(49, 1)
    for _ in range(9):
        raw.read()
    return len(raw.reads) == reads + 1


@observes("subscribe 1: burst bytes=4096 quiet=0.6")
def a_burst_ends_on_the_boundary_of_a_read(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    while raw.messages[-1][:4] != ["45", "6", "1", "49"]:  # the state of the subscription comes first
        raw.read()
    received = raw.buffer
    raw.sock.settimeout(0.3)
    try:
        while True:
            received += raw.sock.recv(65536)
    except TimeoutError:
        return len(received) == 4096 and received.count(b"2\x006\x001\x008\x00") > 100


@observes("subscribe 1: burst bytes=4096 quiet=0.6 inside=true")
def a_burst_ends_inside_a_message(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    while raw.messages[-1][:4] != ["45", "6", "1", "49"]:
        raw.read()
    raw.sock.settimeout(0.3)
    try:
        while True:
            raw.read()
    except TimeoutError:
        held = len(raw.buffer)
    raw.sock.settimeout(10)
    return held > 0 and raw.read()[0] in ("2", "46") and raw.buffer == b""


@observes("order 1: cut bytes=9")
def a_message_ends_in_its_middle(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.sock.settimeout(0.3)
    data = b""
    try:
        while part := raw.sock.recv(65536):
            data += part
    except TimeoutError:
        return False
    return len(data) == 9 and int.from_bytes(data[:4], "big") > 9


@observes("start 1: garbage kind=number")
def a_number_is_none(gateway) -> bool:
    raw = Raw(gateway.port).greet().start(1)
    return raw.seek(9)[2] == "not a number"


@observes("subscribe 1: garbage kind=truncated")
def a_message_lacks_fields(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return any(m[0] == "1" and len(m) < 7 for m in raw.drain())


@observes("subscribe 1: garbage kind=length")
def a_length_is_impossible(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    raw.sock.settimeout(0.3)
    data = raw.buffer
    try:
        while True:
            data += raw.sock.recv(65536)
    except TimeoutError:
        return b"\xff\xff\xff\xff" in data


@observes("order 1: pace")
def the_rate_is_exceeded_and_the_line_closed(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.sock.settimeout(0.3)
    try:
        found = raw.to_end()
    except TimeoutError:
        return False
    return codes(found) == ["100"] or "100" in [m[2] for m in found if m[0] == "4"]


@observes("order 1: restart seconds=0.4 back=3")
def the_gateway_restarts_and_ids_go_back(gateway) -> bool:
    raw = begin(gateway)
    raw.place(41, "SELL", 100, "LMT", 99)
    raw.sock.settimeout(0.3)
    try:
        raw.to_end()
    except TimeoutError:
        return False
    refused = 0
    while True:
        try:
            again = Raw(gateway.port).greet().start(1)
            break
        except (ConnectionRefusedError, ConnectionResetError):
            refused += 1
    return refused > 0 and again.seek(9)[2] == "39" and len(open_orders(gateway)) == 1


@observes("connect 1: version to=157")
def another_version_is_spoken(gateway) -> bool:
    return Raw(gateway.port).greet().version == 157


# -- the session ---------------------------------------------------------------------------------


@observes("start 2: ids back=5")
def the_next_id_goes_back(gateway) -> bool:
    raw = begin(gateway)
    raw.place(41, "SELL", 100, "LMT", 99)
    raw.seek(3)
    raw.close()
    again = Raw(gateway.port).greet().start(1)
    return again.seek(9)[2] == "37"


def outage(gateway, raw: Raw | None = None) -> list[list[str]]:
    raw = raw or begin(gateway)
    raw.subscribe()
    raw.drain()
    raw.place(1)
    return raw.drain()


def between(messages: list[list[str]], first: str, last: str) -> list[str]:
    """Return the ids of the messages between two error codes."""
    found = [m[2] if m[0] == "4" else f"<{m[0]}>" for m in messages]
    return found[found.index(first) + 1 : found.index(last)] if first in found and last in found else ["?"]


@observes("order 1: outage run=600_S end=1102")
def a_fill_happens_during_an_outage_and_is_not_told(gateway) -> bool:
    return between(outage(gateway), "1100", "1102") == [] and len(executions(gateway)) == 1


@observes("order 1: outage run=600_S end=1102 deliver=true")
def a_fill_happens_during_an_outage_and_is_told(gateway) -> bool:
    return "<11>" in between(outage(gateway), "1100", "1102")


@observes("order 1: outage run=600_S end=1101")
def an_outage_ends_and_data_are_lost(gateway) -> bool:
    raw = begin(gateway)
    found = outage(gateway, raw)
    with connected(gateway.port, 3) as other:
        other.subscribe()
        other.drain()
        assert run(other, 5)
    return "1101" in codes(found) and not [m for m in raw.drain() if m[0] in ("1", "2")]


@observes("order 1: outage run=600_S end=0")
def an_outage_does_not_end(gateway) -> bool:
    found = codes(outage(gateway))
    return "1100" in found and not {"1101", "1102"} & set(found)


@observes("order 1: outage run=600_S end=1102")
def an_outage_ends_and_data_are_kept(gateway) -> bool:
    raw = begin(gateway)
    found = outage(gateway, raw)
    return "1102" in codes(found) and bool([m for m in run(raw, 5) if m[0] in ("1", "2")])


@observes("subscribe 1: notices codes=2103,2104,2103,2104")
def a_farm_flaps(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return codes(raw.drain()) == ["2103", "2104"] * 2


@observes("start 1: skew seconds=-7200")
def the_clock_is_off(gateway) -> bool:
    raw = begin(gateway)
    raw.send(49, 1)
    return int(raw.seek(49)[2]) == 1_751_463_000 - 7200


@observes("subscribe 1: halt instrument=ZVXA")
def trading_halts_and_nothing_fills(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    halted = ["45", "6", "1", "49", "1"] in raw.drain()
    return halted and "exec" not in fill(raw)


@observes("subscribe 1: no_quote instrument=ZVXA")
def both_sides_show_nothing(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    found = raw.drain()
    return [m[3:6] for m in found if m[0] == "1" and m[4] == "-1"] == [["1", "-1", "0"], ["2", "-1", "0"]]


@observes("start 1: delayed")
def data_are_delayed(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    found = raw.drain()
    kinds = {m[3] for m in found if m[0] == "1"}
    return "10167" in codes(found) and {"66", "67", "68"} <= kinds


@observes("start 1: unset")
def unset_values_come_everywhere(gateway) -> bool:
    raw = begin(gateway)
    raw.send(92, 8, "", "")
    return raw.seek(94)[2:] == [E308] * 3


@observes("time 09:30:05: notices codes=2103")
def a_fault_comes_at_a_time_of_the_day(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    return "2103" in codes(run(raw, 150))


@observes("subscribe 1: run span=600_S")
def the_day_jumps(gateway) -> bool:
    raw = begin(gateway)
    raw.subscribe()
    raw.drain()
    raw.send(49, 1)
    return int(raw.seek(49)[2]) == 1_751_463_000 + 600


# -- messages about orders -----------------------------------------------------------------------

SOUND = ["open", "status", "exec", "open", "status", "commission"]


def test_without_a_fault_order_messages_come_in_their_order(ib_gateway):
    assert fill(begin(ib_gateway(speed="step", start="open"))) == SOUND


@observes("order 1: swap")
def an_execution_comes_before_the_order(gateway) -> bool:
    return fill(begin(gateway)) == ["exec", "open", "status", "open", "status", "commission"]


@observes("order 1: swap hold=execDetails until=commissionReport")
def a_commission_comes_before_its_execution(gateway) -> bool:
    return fill(begin(gateway)) == ["open", "status", "open", "status", "commission", "exec"]


@observes("order 1: drop message=orderStatus count=2")
def a_status_is_missing(gateway) -> bool:
    return fill(begin(gateway)) == ["open", "exec", "open", "commission"]


@observes("order 1: drop message=commissionReport")
def a_commission_is_missing(gateway) -> bool:
    return fill(begin(gateway)) == SOUND[:-1]


@observes("order 1: repeat message=orderStatus times=4 count=2")
def a_status_comes_four_times(gateway) -> bool:
    return fill(begin(gateway)).count("status") == 8


@observes("order 1: repeat message=execDetails times=4")
def an_execution_comes_four_times(gateway) -> bool:
    raw = begin(gateway)
    found = fill(raw)
    return found.count("exec") == 4 and len({m[14] for m in raw.messages if m[0] == "11"}) == 1


@observes("order 1: late behind=12")
def a_commission_comes_late(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    ids = [m[0] for m in raw.messages]
    return ids.index("59") - ids.index("11") > 12


@observes("order 1: alter")
def a_commission_is_nothing(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    return [m[3] for m in raw.messages if m[0] == "59"] == ["0"]


@observes("fill 1: correct by=0.02")
def an_execution_is_corrected(gateway) -> bool:
    raw = begin(gateway)
    fill(raw)
    told = [(m[14], Decimal(m[20])) for m in raw.messages if m[0] == "11"]
    if len(told) != 2:
        return False
    (first, price), (second, corrected) = told
    (kept,) = executions(gateway)
    same = first[:-3] == second[:-3] and (first[-3:], second[-3:]) == (".01", ".02")
    return same and corrected == price + Decimal("0.02") and (kept[14], Decimal(kept[20])) == told[1]


@observes("cancel 1: fill_after_cancel")
def a_cancelled_order_fills(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1)
    raw.cancel(1)
    raw.seek(3, lambda m: m[2] == "Cancelled")
    raw.error(202)
    raw.subscribe()
    return any(m[0] == "11" for m in run(raw))


@observes("modify 1: fork")
def a_modification_makes_a_second_order(gateway) -> bool:
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.place(1, "SELL", 100, "LMT", 98)
    raw.drain()
    found = open_orders(gateway)
    return [m[1] for m in found] == ["1", "1"] and len({m[25] for m in found}) == 2


@pytest.mark.parametrize("code", ["399", "404", "10349"])
def test_an_error_about_an_order_leaves_it_working(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"order 1: error code={code}")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.error(int(code))[0] == "1"
    assert len(open_orders(gateway)) == 1


@pytest.mark.parametrize("code", ["103", "201", "321"])
def test_an_order_is_refused_and_not_booked(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"order 1: refuse code={code}")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.error(int(code))[0] == "1"
    assert open_orders(gateway) == []
    raw.place(2, "SELL", 100, "LMT", 99)
    assert raw.seek(3)[1:3] == ["2", "Submitted"]


@pytest.mark.parametrize("code", ["10147", "10148", "161"])
def test_a_cancel_is_refused_and_the_order_stays(ib_gateway, code):
    gateway = ib_gateway(speed="step", start="open", faults=f"cancel 1: refuse code={code} text=no")
    raw = begin(gateway)
    raw.place(1, "SELL", 100, "LMT", 99)
    raw.seek(3)
    raw.cancel(1)
    assert raw.error(int(code))[0] == "1"
    assert len(open_orders(gateway)) == 1


@pytest.mark.parametrize("version", [157, 176, 200])
def test_the_versions_of_known_clients_are_spoken(ib_gateway, version):
    gateway = ib_gateway(speed="step", start="open", server_version=version)
    raw = begin(gateway)
    assert raw.version == version
    raw.place(1, "SELL", 100, "LMT", 99)
    assert raw.seek(3)[2] == "Submitted"


# -- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "observation"), OBSERVATIONS.values(), ids=list(OBSERVATIONS))
def test_a_fault_is_seen_on_the_wire(ib_gateway, script, observation):
    gateway = ib_gateway(speed="step", start="open", faults=script)
    assert observation(gateway)
    assert len(gateway.fired) == 1


@pytest.mark.parametrize("observation", [each for _, each in OBSERVATIONS.values()], ids=list(OBSERVATIONS))
def test_a_sound_gateway_shows_no_such_fault(ib_gateway, observation):
    assert not observation(ib_gateway(speed="step", start="open"))
