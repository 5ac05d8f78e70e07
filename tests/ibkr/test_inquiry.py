"""Questions to the broker over a real socket: answers, refusals, silence, and a pace that was too fast."""

import socket
from datetime import date

import pytest

from adapters.ibkr.data import inquiry as module
from adapters.ibkr.data.bars import asks, size_of
from adapters.ibkr.data.inquiry import PACE_PAUSE_S, Place, inquire
from adapters.ibkr.wire.terms import Contract
from adapters.replay import calendar
from core.errors import BrokerUnreachable, RequestRefused
from tests.ibkr.servers import frame, greet, hear_end, hear_frame, serving

DAY = calendar.sessions("XNYS", date(2025, 7, 2), date(2025, 7, 2))[0]
(ASK,) = asks(DAY, size_of("1min"), "TRADES", regular_hours=True)
SPY = Contract(con_id=756733, symbol="SPY", kind="STK", exchange="SMART", currency="USD")
TOO_FAST = "Historical Market Data Service error message:Historical data request pacing violation"


def start(conn: socket.socket) -> None:
    greet(conn)
    assert hear_frame(conn).startswith(b"71\0")
    conn.sendall(frame(15, 1, "DU1") + frame(9, 1, 1))


def request_id(conn: socket.socket) -> str:
    fields = hear_frame(conn).split(b"\0")
    assert fields[0] == b"20"
    return fields[1].decode()


def refuse(conn: socket.socket, code: int, text: str) -> None:
    conn.sendall(frame(4, request_id(conn), code, text, "", 0))


def answer(conn: socket.socket) -> None:
    req_id = request_id(conn)
    conn.sendall(frame(17, req_id, 1, DAY.open // 1_000_000_000, 10, 12, 9, 11, 500, 10.5, 7))
    conn.sendall(frame(108, req_id, "", ""))


def ask(port: int, slept: list[float]) -> list:
    """Ask once, on clocks that only sleeping moves."""
    with inquire(Place(port=port)) as inquiry:
        now = [0]

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += round(seconds * 1e9)

        inquiry._monotonic, inquiry._sleep = lambda: now[0], sleep
        return inquiry.bars(SPY, ASK)


def test_an_answer_is_the_bars():
    def script(conn):
        start(conn)
        answer(conn)
        hear_end(conn)

    with serving(script) as port:
        (bar,) = ask(port, [])
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (10, 12, 9, 11, 500)


def test_a_request_that_came_too_fast_is_put_again_after_a_pause():
    def script(conn):
        start(conn)
        refuse(conn, 162, TOO_FAST)
        answer(conn)
        hear_end(conn)

    slept: list[float] = []
    with serving(script) as port:
        assert len(ask(port, slept)) == 1
    assert sum(slept) == pytest.approx(PACE_PAUSE_S)


def test_one_that_is_always_too_fast_ends_in_the_brokers_words():
    def script(conn):
        start(conn)
        for _ in range(module.PACE_TRIES):
            refuse(conn, 162, TOO_FAST)
        hear_end(conn)

    with serving(script) as port, pytest.raises(RequestRefused, match="pacing violation"):
        ask(port, [])


def test_no_data_are_no_bars():
    def script(conn):
        start(conn)
        refuse(
            conn, 162, "Historical Market Data Service error message:HMDS query returned no data: SPY@SMART"
        )
        hear_end(conn)

    with serving(script) as port:
        assert ask(port, []) == []


def test_any_other_refusal_is_told_with_its_code():
    def script(conn):
        start(conn)
        refuse(conn, 321, "Error validating request")
        hear_end(conn)

    with (
        serving(script) as port,
        pytest.raises(RequestRefused, match=r"Error validating request \(code 321\)"),
    ):
        ask(port, [])


def test_a_client_id_in_use_is_named():
    def script(conn):
        greet(conn)
        hear_frame(conn)
        conn.sendall(frame(4, -1, 326, "Unable to connect as the client id is already in use.", "", 0))
        hear_end(conn)

    with serving(script) as port, pytest.raises(BrokerUnreachable, match="use another client_id"):
        ask(port, [])


def test_a_broker_that_never_says_who_we_are_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "START_S", 0.3)

    def script(conn):
        greet(conn)
        hear_end(conn)

    with serving(script) as port, pytest.raises(BrokerUnreachable, match="did not name accounts"):
        ask(port, [])
