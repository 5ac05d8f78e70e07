"""What a client sees on the wire of its orders: acknowledged, filled, changed, cancelled, refused."""

import pytest

from tests.gateway.raw import connected, until

# -- orders ------------------------------------------------------------------------------------


def test_an_order_is_acknowledged_then_filled_and_charged(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, ref="mine")
        ack = raw.seek(5)
        assert ack[1] == "1"
        assert "mine" in ack
        status = raw.seek(3)
        assert status[1:5] == ["1", "Submitted", "0", "100"]
        execution = until(raw, 11)
        assert execution[14:15] == ["0000e0d5.65000001.01.01"]
        filled = next(m for m in raw.messages if m[0] == "3" and m[2] == "Filled")
        assert filled[3:5] == ["100", "0"]
        charge = next(m for m in raw.messages if m[0] == "59")
        assert charge[2:5] == ["0000e0d5.65000001.01.01", "1", "USD"]
        assert charge[5].startswith("1.797")  # an opening fill realises nothing


def test_a_limit_order_rests_until_it_is_cancelled(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        assert raw.seek(3)[2] == "Submitted"
        raw.cancel(1)
        assert raw.seek(3)[2] == "Cancelled"
        assert raw.error(202)[0] == "1"


def test_a_modification_keeps_the_perm_id(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        first = raw.seek(3)
        raw.place(1, "SELL", 50, "LMT", 98)
        second = raw.seek(3)
        assert (second[2], second[4], second[6]) == ("Submitted", "50", first[6])


@pytest.mark.parametrize(
    ("code", "given"),
    [
        (387, {"kind": "PEG MID", "aux": 1}),
        (201, {"algo": "Twap"}),
        (201, {"action": "SSHORT"}),
        (321, {"oca": "g", "oca_type": 4}),
        (434, {"quantity": 0}),
        (321, {"kind": "LMT"}),
        (321, {"account": "DU9"}),
        (110, {"kind": "LMT", "limit": 83.005}),
        (10006, {"parent": 77}),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_code(port, code, given):
    with connected(port) as raw:
        raw.place(1, **given)
        assert raw.error(code)[0] == "1"
        raw.send(5, 1)
        assert raw.seek(53)
        assert not [m for m in raw.messages if m[0] == "5"]


def test_a_filled_order_cannot_be_modified_or_cancelled(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1)
        until(raw, 59)
        raw.place(1, quantity=200)
        assert raw.error(104)[0] == "1"
        raw.cancel(1)
        assert "state: Filled" in raw.error(10148)[2]


def test_a_used_id_is_a_duplicate_and_an_unknown_one_is_not_found(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.cancel(1)
        raw.error(202)
        raw.place(1, "SELL", 100, "LMT", 99)
        assert raw.error(103)[0] == "1"
        raw.cancel(9)
        assert raw.error(10147)[0] == "9"


def test_an_order_that_does_not_match_the_original_is_refused(port):
    with connected(port) as raw:
        raw.place(1, "SELL", 100, "LMT", 99)
        raw.place(1, "BUY", 100, "LMT", 80)
        assert raw.error(105)[0] == "1"


def test_ids_go_on_behind_the_highest_used(port):
    with connected(port) as raw:
        raw.place(41, "SELL", 100, "LMT", 99)
        raw.seek(3)
        raw.send(8, 1, 1)
        assert raw.seek(9)[2] == "42"
    with connected(port, 2) as other:
        other.send(8, 1, 1)
        assert other.seek(9)[2] == "1"


def test_a_bracket_waits_for_its_last_child_and_its_parent(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "BUY", 100, "MKT", transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1, transmit=0)
        assert not [m for m in raw.drain() if m[0] in ("3", "5")]
        raw.place(3, "SELL", 100, "STP", aux=70, parent=1)
        statuses = {m[1]: m[2] for m in raw.drain() if m[0] == "3"}
        assert statuses == {"1": "Submitted", "2": "PreSubmitted", "3": "PreSubmitted"}
        until(raw, 59)
        statuses = {m[1]: m[2] for m in raw.messages if m[0] == "3"}
        assert statuses == {"1": "Filled", "2": "Submitted", "3": "PreSubmitted"}


def test_children_are_cancelled_with_their_parent(port):
    with connected(port) as raw:
        raw.place(1, "BUY", 100, "LMT", 50, transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1)
        raw.cancel(1)
        statuses = {m[1]: m[2] for m in raw.drain() if m[0] == "3"}
        assert statuses == {"1": "Cancelled", "2": "Cancelled"}


def test_a_cancelled_exit_names_its_parent_by_the_clients_id(port):
    with connected(port) as raw:
        raw.place(1, "BUY", 100, "LMT", 50, transmit=0)
        raw.place(2, "SELL", 100, "LMT", 99, parent=1)
        raw.cancel(1)
        assert raw.error(202)[::2] == ["1", "Order Canceled - reason:"]
        assert raw.error(202)[::2] == ["2", "Order Canceled - reason:order 1 ended unfilled"]


def test_a_fill_of_one_cancels_the_others(port):
    with connected(port) as raw:
        raw.subscribe()
        raw.place(1, "SELL", 100, "LMT", 99, oca="g", oca_type=1)
        raw.place(2, "BUY", 100, "MKT", oca="g", oca_type=1)
        until(raw, 59)
        assert {m[1]: m[2] for m in raw.messages if m[0] == "3"} == {"1": "Cancelled", "2": "Filled"}


def test_a_preview_is_answered_twice_and_books_nothing(port):
    with connected(port) as raw:
        raw.place(1, quantity=10, what_if=1)
        first, second = raw.seek(5), raw.seek(5)
        assert sum(field.startswith("1.797") for field in second) < sum(f.startswith("1.797") for f in first)
        raw.send(16, 1)
        assert raw.seek(53)
        raw.send(8, 1, 1)
        assert raw.seek(9)[2] == "1"


def test_open_orders_are_the_clients_own_and_all_are_everybodys(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.send(5, 1)
        two.seek(53)
        assert not [m for m in two.messages if m[0] == "5"]
        two.send(16, 1)
        assert two.seek(5)[1] == "1"


def test_a_global_cancel_reaches_every_client(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.send(58, "", 2147483647)
        assert one.seek(3)[2] == "Cancelled"


def test_another_clients_order_cannot_be_cancelled(port):
    with connected(port, 1) as one, connected(port, 2) as two:
        one.place(1, "SELL", 100, "LMT", 99)
        one.seek(3)
        two.cancel(1)
        assert two.error(10147)[0] == "1"
