"""What leaves, in which order, and what is reported of what does not."""

from decimal import Decimal

import msgspec
import pytest

from adapters.ibkr.link.heartbeat import Heartbeat
from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.link.sending import Sending
from adapters.ibkr.trading.outgoing import Request
from core.effects import Effect
from core.errors import WriteFailed
from core.events import CancelIntended, CancelSent, ModifyIntended, OrderIntended, OrderSent, SendFailed

S = 1_000_000_000
WHO = ("DU1", "s", "ACME")
PING = b"ping"


class Wire:
    """Keeps what was sent; breaks at one request, after some of its bytes."""

    def __init__(self, breaks_at: bytes = b"", written: int = 0) -> None:
        self.sent: list[bytes] = []
        self._breaks_at = breaks_at
        self._written = written

    def send(self, data: bytes) -> None:
        if data == self._breaks_at:
            raise WriteFailed("broken", self._written)
        self.sent.append(data)


def order(name):
    intent = OrderIntended(1, name, *WHO, "BUY", Decimal(1), "MKT", None, None, "DAY", "")
    return Request(Lane.NEW_ORDER, name.encode(), Effect(1, intent))


def modify(name, version=2):
    intent = ModifyIntended(1, name, version, *WHO, Decimal(2), None, None, "")
    return Request(Lane.MODIFY, f"modify {name}".encode(), Effect(2, intent))


def cancel(name):
    return Request(Lane.CANCEL, f"cancel {name}".encode(), Effect(3, CancelIntended(1, name, *WHO, "")))


class Bench:
    def __init__(self, *, fresh=True, trusting=False):
        self.heartbeat = Heartbeat(5, 3, 2)
        self.heartbeat.opened()
        if fresh:
            self.answer(0)
        self.sending = Sending(self.heartbeat, lambda: 7, trusting=trusting)
        self.wire = Wire()

    def answer(self, now):
        self.heartbeat.asked(now)
        self.heartbeat.answered(now, 0, 0, whole_seconds=False)

    def flush(self, now=1):
        self.sending.flush(self.wire, lambda: PING, now)


def test_an_order_leaves_while_the_last_answer_is_fresh_and_is_told_sent():
    bench = Bench()
    bench.sending.offer_order(order("A"))
    bench.flush()
    assert bench.wire.sent == [b"A"]
    assert bench.sending.outcomes() == [OrderSent(7, "A", 1)]


def test_an_order_without_a_fresh_answer_waits_for_one_that_is_asked_for_at_once():
    bench = Bench(fresh=False)
    for request in (order("A"), modify("B")):
        bench.sending.offer_order(request)
    bench.flush(3 * S)
    assert bench.wire.sent == [PING]
    bench.flush(4 * S)
    assert bench.wire.sent == [PING]
    bench.heartbeat.answered(5 * S, 0, 0, whole_seconds=False)
    bench.flush(5 * S)
    assert bench.wire.sent == [PING, b"A", b"modify B"]


def test_a_cancel_never_waits_for_an_answer():
    bench = Bench(fresh=False)
    bench.sending.offer_order(cancel("A"))
    bench.flush(3 * S)
    assert bench.wire.sent[0] == b"cancel A"


def test_in_lock_step_every_step_is_the_answer():
    bench = Bench(fresh=False, trusting=True)
    bench.sending.offer_order(order("A"))
    bench.flush()
    assert bench.wire.sent == [b"A"]


def test_what_waits_when_the_connection_ends_is_told_not_sent():
    bench = Bench(fresh=False)
    bench.sending.offer_order(order("A"))
    bench.flush(3 * S)
    bench.sending.offer_order(order("B"))
    bench.sending.end("gone")
    assert bench.sending.outcomes() == [SendFailed(7, "A", 1, 0, "gone"), SendFailed(7, "B", 1, 0, "gone")]
    bench.answer(4 * S)
    bench.flush(4 * S)
    assert bench.wire.sent == [PING]


def test_a_cancel_takes_back_an_order_that_waits_and_does_not_leave_itself():
    bench = Bench(fresh=False)
    bench.sending.offer_order(order("A"))
    bench.flush(3 * S)
    bench.sending.offer_order(order("A"))  # a second one still in the queue
    bench.sending.offer_order(cancel("A"))
    bench.answer(3 * S)
    bench.flush(3 * S)
    assert bench.wire.sent == [PING]
    assert {type(e) for e in bench.sending.outcomes()} == {SendFailed}


def test_a_cancel_takes_back_a_modify_that_waits_and_leaves():
    bench = Bench(fresh=False)
    bench.sending.offer_order(modify("A"))
    bench.sending.offer_order(cancel("A"))
    bench.answer(3 * S)
    bench.flush(3 * S)
    assert bench.wire.sent == [b"cancel A"]
    assert bench.sending.outcomes() == [
        SendFailed(7, "A", 2, 0, "cancelled before it left"),
        CancelSent(7, "A"),
    ]


def test_a_send_that_breaks_tells_how_much_left_and_that_nothing_behind_it_did():
    bench = Bench()
    bench.wire = Wire(b"B", 17)
    for request in (order("A"), order("B"), order("C"), cancel("D")):
        bench.sending.offer_order(request)
    with pytest.raises(WriteFailed):
        bench.flush()
    bench.sending.end("gone")
    told = bench.sending.outcomes()
    assert OrderSent(7, "A", 1) in told
    assert SendFailed(7, "B", 1, 17, "broken") in told
    assert SendFailed(7, "C", 1, 0, "gone") in told
    assert bench.wire.sent == [b"cancel D", b"A"]


def test_a_cancel_that_did_not_leave_says_nothing_of_its_order():
    bench = Bench()
    bench.wire = Wire(b"cancel A")
    bench.sending.offer_order(cancel("A"))
    with pytest.raises(WriteFailed):
        bench.flush()
    assert bench.sending.outcomes() == [SendFailed(7, "A", 0, 0, "broken")]


def test_a_complaint_of_the_broker_halves_the_pace():
    bench = Bench()
    bench.sending.slower()
    for _ in range(40):
        bench.sending.offer(Lane.DATA, b"data")
    bench.flush()
    assert len(bench.wire.sent) == 20


def family(*names):
    """Return an entry with its exits, each of one byte more than the one before."""
    first, *exits = (order(name) for name in names)
    return msgspec.structs.replace(first, exits=tuple(exits))


def test_a_family_leaves_in_one_write():
    bench = Bench()
    bench.sending.offer_order(family("A", "BB", "CCC"))
    bench.flush()
    assert bench.wire.sent == [b"ABBCCC"]
    assert bench.sending.outcomes() == [OrderSent(7, name, 1) for name in ("A", "BB", "CCC")]


@pytest.mark.parametrize(
    ("written", "bytes_of_each"), [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 1, 0]), (5, [1, 2, 2])]
)
def test_a_family_cut_short_says_of_each_order_how_much_of_it_left(written, bytes_of_each):
    bench = Bench()
    bench.wire = Wire(b"ABBCCC", written)
    bench.sending.offer_order(family("A", "BB", "CCC"))
    with pytest.raises(WriteFailed):
        bench.flush()
    assert [e.bytes_written for e in bench.sending.outcomes()] == bytes_of_each


def test_a_cancel_of_the_entry_takes_back_the_family():
    bench = Bench(fresh=False)
    bench.sending.offer_order(family("A", "BB", "CCC"))
    bench.sending.offer_order(cancel("A"))
    told = bench.sending.outcomes()
    assert [(e.order, e.bytes_written, e.message) for e in told] == [
        (name, 0, "cancelled before it left") for name in ("A", "BB", "CCC")
    ]
    assert bench.sending.waiting == 0


def test_a_cancel_of_an_exit_leaves_behind_its_family():
    bench = Bench(fresh=False)
    bench.sending.offer_order(family("A", "BB", "CCC"))
    bench.flush(3 * S)
    bench.sending.offer_order(cancel("BB"))
    bench.flush(3 * S + 1)
    bench.answer(4 * S)
    bench.flush(4 * S)
    assert bench.wire.sent[-2:] == [b"ABBCCC", b"cancel BB"]


def test_a_family_that_waits_when_the_connection_ends_is_told_of_as_a_whole():
    bench = Bench(fresh=False)
    bench.sending.offer_order(family("A", "BB"))
    bench.sending.end("gone")
    assert [(e.order, e.bytes_written) for e in bench.sending.outcomes()] == [("A", 0), ("BB", 0)]
