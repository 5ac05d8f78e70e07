"""A book of more orders than a session keeps at hand: the gateway forgets none of them."""

import pytest

from app.composition.world import ORDERS_KEPT, World
from app.gateway import opening
from tests.gateway.inside import inside

ORDERS = ORDERS_KEPT + ORDERS_KEPT // 4 + 50
"""As many as make a session forget the first of them."""


def trade(raw):
    """Fill many orders at once, and leave one at work and one that was never transmitted."""
    raw.place(1, "BUY", 1, "LMT", 50, tif="GTC", ref="rests")
    raw.place(2, "BUY", 2, "LMT", 200, ref="the first to be over")
    for number in range(3, ORDERS + 2):
        raw.place(number, "BUY" if number % 2 else "SELL", 1)
    raw.subscribe()
    raw.send(105)
    raw.place(ORDERS + 2, "BUY", 1, transmit=0)
    raw.drain()


def told(raw, days=2147483647):
    """Return the ids of the executions, finished and open orders that the gateway tells."""
    first = len(raw.messages)
    raw.send(7, 3, 5, 0, "", "", "", "", "", "", days, 0)
    raw.send(99, 0)
    raw.send(16, 1)
    raw.drain()
    found = raw.messages[first:]
    executions = [m[14] for m in found if m[0] == "11"]
    assert [m[2] for m in found if m[0] == "59"] == executions  # each with what it cost
    finished = [m for m in found if m[0] == "101"]
    return executions, finished, [m[1] for m in found if m[0] == "5"]


def check_all_is_known(raw):
    executions, finished, open_ = told(raw)
    assert (len(executions), len(set(executions)), len(finished)) == (ORDERS, ORDERS, ORDERS)
    assert open_ == ["1"]


def check_requests_about_the_first(raw):
    """What names an order that ended long ago is answered; a global cancel finds what works."""
    raw.cancel(2)
    assert raw.error(10148)[0] == "2"
    raw.place(2, "BUY", 5, "LMT", 200)
    assert raw.error(104)[0] == "2"
    raw.place(9000, "SELL", 2, "LMT", 300, parent=2)
    raw.drain()
    assert told(raw)[2] == ["1", "9000"]
    raw.send(58, 1)
    raw.drain()
    assert told(raw)[2] == []


def test_a_gateway_tells_of_every_order_of_its_day_and_after_a_restart(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book") as raw:
        trade(raw)
        check_all_is_known(raw)
        raw.close()  # takes the order that was not transmitted with it
    with inside(ib_gateway_log, tmp_path / "book") as raw:
        check_all_is_known(raw)
        check_requests_about_the_first(raw)


def test_the_next_day_tells_of_the_day_before_when_it_is_asked(ib_gateway_log, tmp_path):
    with inside(ib_gateway_log, tmp_path / "book") as raw:
        trade(raw)
    with inside(ib_gateway_log, tmp_path / "book", date="2025-07-03") as raw:
        assert told(raw) == ([], [], ["1"])
        assert len(told(raw, days=1)[0]) == ORDERS


def test_a_gateway_that_forgets_is_caught(ib_gateway_log, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "World", lambda *given, **_: World(*given))
    with inside(ib_gateway_log, tmp_path / "book") as raw:
        trade(raw)
        with pytest.raises(AssertionError):
            check_all_is_known(raw)
