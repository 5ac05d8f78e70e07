"""The gateway as a process: what it prints, how it ends, and what is left after a kill."""

import json
import os
import signal
from decimal import Decimal

from app.look.books import open_book
from app.look.snapshots import snapshot
from tests import forked
from tests.gateway.raw import ACCOUNT, Raw, connected
from tests.gateway.served import start_and_be_killed
from tests.orphans import gone, until

STEP = ("--speed", "step", "--start", "open")


def fill(raw: Raw, order_id: int, **given: object) -> None:
    first = len(raw.messages)
    raw.place(order_id, **given)
    for _ in range(400):
        raw.send(105)
        raw.seek(109)
        if any(m[0] == "59" for m in raw.messages[first:]):
            return
    raise AssertionError("the order did not fill")


def facts(raw: Raw) -> dict[str, list[list[str]]]:
    """Return positions, open orders, executions and completed orders as the gateway tells them."""
    first = len(raw.messages)
    raw.send(61, 1)
    raw.seek(62)
    raw.send(16, 1)
    raw.seek(53)
    raw.send(7, 3, 5, 0, "", "", "", "", "", "", 2147483647, 0)
    raw.seek(55)
    raw.send(99, 0)
    raw.seek(102)
    found = raw.messages[first:]
    return {kind: [m for m in found if m[0] == kind] for kind in ("61", "5", "3", "11", "59", "101")}


def test_a_killed_gateway_knows_its_book_when_it_is_started_again(serve):
    first = serve(*STEP)
    with connected(first.ready()) as raw:
        raw.subscribe()
        fill(raw, 1, ref="filled")
        fill(raw, 4, action="SELL", quantity=40, ref="closes a part")
        raw.place(2, "SELL", 100, "LMT", 99, tif="GTC", ref="resting")
        raw.place(3, "SELL", 100, "LMT", 98)
        raw.cancel(3)
        raw.error(202)
        before = facts(raw)
        first.kill()
    again = serve(*STEP)
    with connected(again.ready()) as raw:
        assert again.told["resumed"] is True
        assert facts(raw) == before
        assert [len(before[kind]) for kind in ("61", "5", "11", "59", "101")] == [1, 1, 2, 2, 3]
        assert [m[5].startswith("1.797") for m in before["59"]] == [True, False]
        raw.send(8, 1, 1)
        assert raw.seek(9)[2] == "5"


def test_what_was_resting_fills_after_a_restart(serve):
    first = serve(*STEP)
    with connected(first.ready()) as raw:
        raw.place(1, "BUY", 100, "LMT", 99)  # takes at the next price: nothing has happened yet
        raw.seek(3)
        first.kill()
    with connected(serve(*STEP).ready()) as raw:
        raw.subscribe()
        for _ in range(50):
            raw.send(105)
            raw.seek(109)
        assert [m[14] for m in raw.messages if m[0] == "11"] == ["0000e0d5.65000001.01.01"]


def test_the_day_goes_on_where_the_book_ends(serve):
    first = serve(*STEP)
    with connected(first.ready()) as raw:
        raw.subscribe()
        fill(raw, 1)
        raw.send(49, 1)
        before = int(raw.seek(49)[2])
        first.kill()
    with connected(serve(*STEP).ready()) as raw:
        raw.send(49, 1)
        assert int(raw.seek(49)[2]) == before


def test_the_book_is_an_ordinary_log(serve, tmp_path):
    served = serve(*STEP)
    with connected(served.ready()) as raw:
        raw.subscribe()
        fill(raw, 1)
    assert served.end() == 143
    state = snapshot(open_book(tmp_path / "book", "log"))
    assert state.positions.quantity("ZVXA") == Decimal(100)
    assert [e.account for e in state.orders.executions()] == [ACCOUNT]


def test_a_new_book_sets_the_old_one_aside(serve, tmp_path):
    first = serve(*STEP)
    with connected(first.ready()) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.seek(3)
    first.end()
    second = serve(*STEP, "--new")
    with connected(second.ready()) as raw:
        assert second.told["resumed"] is False
        assert facts(raw)["5"] == []
    assert (tmp_path / "book.1").is_dir()


def test_an_interrupt_ends_it_in_order(serve):
    served = serve()
    with connected(served.ready()) as raw:
        assert served.end(signal.SIGINT) == 130
        assert raw.to_end() == []


def test_a_port_in_use_is_a_usage_error(serve):
    port = serve().ready()
    second = serve("--port", str(port), "--new")
    _, errors = second.process.communicate(timeout=60)
    assert second.process.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in errors


def bracket(raw, first=1, quantity=1000):
    raw.place(first, "BUY", quantity, "MKT", transmit=0, ref="entry")
    raw.place(first + 1, "SELL", quantity, "LMT", 99, parent=first, transmit=0, ref="profit")
    raw.place(first + 2, "SELL", quantity, "STP", aux=70, parent=first, ref="stop")


def step(raw, times=1):
    for _ in range(times):
        raw.send(105)
        raw.seek(109)


def statuses(raw):
    return {m[1]: (m[2], m[3], m[4]) for m in raw.messages if m[0] == "3"}


def test_a_bracket_goes_on_after_a_kill_between_the_parts_of_its_entry(serve):
    first = serve(*STEP, "--partial-fills")
    with connected(first.ready()) as raw:
        raw.subscribe()
        bracket(raw)
        while not [m for m in raw.messages if m[0] == "11"]:
            step(raw)
        before = statuses(raw)
        assert before["1"][0] == "Submitted"
        assert [before[n][0] for n in "23"] == ["Submitted", "PreSubmitted"]
        first.kill()
    with connected(serve(*STEP, "--partial-fills").ready()) as raw:
        raw.subscribe()
        raw.send(16, 1)
        raw.seek(53)
        assert statuses(raw) == before
        while statuses(raw)["1"][0] != "Filled":
            step(raw)
        raw.place(2, "SELL", 1000, "LMT", 50, parent=1)
        while statuses(raw)["2"][0] != "Filled":
            step(raw)
        assert statuses(raw)["3"][0] == "Cancelled"
        sold = sum(int(m[19]) for m in raw.messages if m[0] == "11" and m[18] == "SLD")
        assert sold == 1000


def test_what_was_not_transmitted_is_gone_after_a_kill(serve):
    first = serve(*STEP)
    with connected(first.ready()) as raw:
        raw.place(1, "BUY", 100, "MKT", transmit=0)
        raw.drain()
        first.kill()
    with connected(serve(*STEP).ready()) as raw:
        raw.subscribe()
        step(raw, 5)
        raw.send(16, 1)
        raw.seek(53)
        assert not [m for m in raw.messages if m[0] in ("5", "11")]


def trail_stop(raw: Raw) -> Decimal:
    """Return where the trailing stop 1 is shown to stand."""
    first = len(raw.messages)
    raw.send(16, 1)
    raw.seek(53)
    [order] = [m for m in raw.messages[first:] if m[0] == "5" and m[1] == "1"]
    assert order[15] == "TRAIL"
    return next(Decimal(f) for f in order[60:] if f.replace(".", "").isdigit() and 70 < float(f) < 90)


def test_what_has_triggered_and_where_a_trail_stands_outlive_a_kill(serve):
    """The market opens at its highest: a trail that started again would stand lower, a stop never trigger."""
    first = serve(*STEP, "--faults", "order 3: run span=130_S")
    with connected(first.ready()) as raw:
        raw.place(1, "SELL", 100, "TRAIL", aux="2", tif="GTC")
        raw.place(2, "BUY", 100, "STP LMT", aux="83.98", limit="83.86", tif="GTC")
        raw.place(3, "BUY", 100, "LMT", 50, tif="GTC")
        raw.drain()
        stood = trail_stop(raw)
        assert not [m for m in raw.messages if m[0] == "11"]
        first.kill()
    with connected(serve(*STEP, "--faults", "order 1: run span=200_S").ready()) as raw:
        assert trail_stop(raw) == stood
        raw.place(4, "BUY", 100, "LMT", 51, tif="GTC")
        raw.drain()
        assert [m[2] for m in raw.messages if m[0] == "11"] == ["2"]


def test_a_gateway_of_the_tests_ends_with_tests_that_are_killed(ib_gateway_log, tmp_path):
    said = tmp_path / "said.txt"
    code = forked.run(start_and_be_killed, ib_gateway_log, tmp_path, errors=said, timeout_s=120)
    assert code == -signal.SIGKILL, said.read_text()
    held, careless = json.loads((tmp_path / "started.json").read_bytes())
    try:
        until(lambda: gone(held))
        assert not gone(careless), "what does not follow its starter outlives it: the test would see it"
    finally:
        os.kill(careless, signal.SIGKILL)
