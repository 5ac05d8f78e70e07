"""When the broker's book is looked at, how often, and what a look asks for."""

from decimal import Decimal

import pytest

from adapters.ibkr.trading import snapshot
from adapters.ibkr.trading.recovery import Recovery
from adapters.ibkr.trading.snapshot import PASSES_MAX, PIECE_S, SPARE_S
from adapters.ibkr.wire.codec import Codec
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.messages import (
    AccountDownloadEnd,
    CompletedOrdersEnd,
    ExecutionsEnd,
    OpenOrdersEnd,
    PositionsEnd,
)
from core.clock import SECOND_NS
from core.events import BreakFound, Filled, OrderResolved, ReconciliationFinished, ReconciliationStarted
from tests.ibkr.books import ACCOUNT, Books, position

ENCODER = Codec(installed(), 200).requests
ENDS = {
    b"5": OpenOrdersEnd(),
    b"16": OpenOrdersEnd(),
    b"99": CompletedOrdersEnd(),
    b"7": ExecutionsEnd(1),
    b"61": PositionsEnd(),
    b"6": AccountDownloadEnd(ACCOUNT),
}
KINDS = {
    b"5": "open",
    b"16": "open",
    b"99": "completed",
    b"7": "executions",
    b"61": "positions",
    b"6": "cash",
}


class Desk:
    """A recovery over folds, and a broker that shows what the test says."""

    def __init__(self, books=None, **given):
        self.books = books or Books()
        self.recovery = Recovery(self.books.channel, self.books.folds, **given)
        self.now_ns = 0
        self.asked = []

    def begin(self, reason="start"):
        return self.books.take(self.recovery.begin(reason, ACCOUNT, self.books.now))

    def look(self):
        return self.books.take(self.recovery.look(self.books.now, self.now_ns))

    def ask(self):
        request = self.recovery.due(ENCODER, self.now_ns)
        if request is not None:
            self.asked.append(request[4:].split(b"\0")[0])
        return request

    def hear(self, message):
        self.recovery.feed(message)
        self.books.hear(message)

    def answer(self, book):
        """Answer one request from a book: kind to messages."""
        for message in book.get(KINDS[self.asked[-1]], ()):
            self.hear(message)
        self.hear(ENDS[self.asked[-1]])

    def show(self, *books_by_pass):
        """Answer all that a look asks for; the last book is shown for as long as it asks."""
        passes, books = 0, list(books_by_pass or ({},))
        while self.recovery.active:
            if self.ask() is None:
                if self.recovery.failed or not (found := self.look()):
                    self.now_ns += SECOND_NS
                    if self.now_ns > 1000 * SECOND_NS:
                        raise AssertionError("the look does not end")
                    continue
                return found
            passes += self.asked[-1] == b"5"
            self.answer(books[min(passes, len(books)) - 1])
        return []


def test_a_look_begins_and_ends_with_an_event_and_asks_for_all_in_order():
    desk = Desk()
    assert [type(e) for e in desk.begin()] == [ReconciliationStarted]
    assert [type(e) for e in desk.show()] == [ReconciliationFinished]
    assert desk.asked == [*(b"5", b"16", b"99", b"7") * 2, b"61", b"6"]


def test_passes_go_on_until_two_agree():
    books = Books()
    books.send()
    desk = Desk(books)
    desk.begin()
    filled = {"completed": [books.completed(status="Filled", filled=100)], "executions": [books.execution()]}
    found = desk.show({"open": [books.open()]}, filled, {**filled, "positions": [position(100)]})
    assert desk.asked.count(b"5") == 3
    assert [e for e in found if isinstance(e, BreakFound)] == []
    assert books.orders.get("a-1-1").state == "Filled"


def test_a_book_that_never_holds_still_is_compared_at_last():
    books = Books()
    books.send()
    desk = Desk(books)
    desk.begin()
    restless = [{"open": [books.open(status=s)]} for s in ("PreSubmitted", "Submitted") * 4]
    assert isinstance(desk.show(*restless)[-1], ReconciliationFinished)
    assert desk.asked.count(b"5") == PASSES_MAX


def test_an_execution_after_the_passes_makes_them_begin_again():
    books = Books()
    books.send()
    desk = Desk(books)
    desk.begin()
    while desk.ask() is not None and desk.asked[-1] != b"61":
        desk.answer({"open": [books.open()]})
    desk.hear(books.execution())
    shown = {
        "completed": [books.completed(status="Filled", filled=100)],
        "executions": [books.execution()],
        "positions": [position(100)],
    }
    found = desk.show(shown)
    assert [e for e in found if isinstance(e, BreakFound)] == []
    assert desk.asked.count(b"5") > 2


def test_a_piece_that_never_ends_is_asked_for_three_times_and_fails_the_look():
    desk = Desk()
    desk.begin()
    for _ in range(4):
        desk.ask()
        desk.now_ns += round(PIECE_S * SECOND_NS)
    assert desk.asked == [b"5"] * 3
    assert "open orders of this client" in desk.recovery.failed


def without_account_values(waited_s):
    """Return what a look has found so long after it asked for values that never end."""
    desk = Desk()
    desk.begin()
    while desk.ask() is not None and desk.asked[-1] != b"6":
        desk.answer({})
    desk.now_ns += round(waited_s * SECOND_NS)
    desk.ask()
    assert desk.recovery.failed == ""
    return [type(e) for e in desk.look()]


def test_a_look_does_soon_without_the_account_s_values(monkeypatch):
    assert without_account_values(SPARE_S) == [ReconciliationFinished]
    assert without_account_values(SPARE_S - 1) == []
    monkeypatch.setattr(
        snapshot, "SPARE_S", PIECE_S
    )  # one that waits as for the others keeps the gate closed
    assert without_account_values(SPARE_S) == []


def test_a_reason_that_comes_meanwhile_makes_another_look_follow():
    desk = Desk()
    desk.begin()
    assert desk.begin("103") == []
    [again] = desk.show()
    assert isinstance(again, ReconciliationStarted)
    assert again.reason == "103"


def test_what_is_nowhere_is_looked_for_again_after_the_patience():
    books = Books()
    books.send()
    desk = Desk(books)
    desk.begin()
    assert [e.outcome for e in desk.show() if isinstance(e, OrderResolved)] == ["unknown"]
    desk.now_ns += 29 * SECOND_NS
    assert desk.look() == []
    desk.now_ns += 2 * SECOND_NS
    books.now += 31 * SECOND_NS
    assert [type(e) for e in desk.look()] == [ReconciliationStarted]
    assert [e.outcome for e in desk.show() if isinstance(e, OrderResolved)] == ["presumed_lost"]


@pytest.mark.parametrize(("well", "outcome"), [(True, "presumed_lost"), (False, "unknown")])
def test_nothing_is_presumed_lost_of_a_gateway_that_has_lost_a_farm(well, outcome):
    books = Books()
    books.send()
    desk = Desk(books, farms_well=lambda _now_ns, for_s: well or for_s != 30.0)
    desk.begin()
    desk.show()
    desk.now_ns += 31 * SECOND_NS
    books.now += 31 * SECOND_NS
    desk.look()
    assert [e.outcome for e in desk.show() if isinstance(e, OrderResolved)] == [outcome]
    desk.now_ns += 31 * SECOND_NS
    assert [type(e) for e in desk.look()] == ([] if well else [ReconciliationStarted])


def test_a_lost_order_that_is_seen_is_cancelled_once():
    books = Books()
    books.send()
    books.compare()
    books.compare(patience_s=0)
    desk = Desk(books)
    desk.begin()
    desk.show({"open": [books.open()]})
    [cancel] = desk.recovery.cancels()
    assert (cancel.seq, cancel.request.order) == (0, "a-1-1")
    assert desk.recovery.cancels() == []


def test_a_cancelled_order_is_looked_for_once_more_while_trade_goes_on():
    books = Books()
    books.send()
    books.hear(books.open())
    desk = Desk(books)
    desk.begin()
    desk.show({"open": [books.open()]})
    desk.asked.clear()
    books.hear(books.status("Cancelled"))
    assert desk.look() == []
    desk.now_ns += 3 * SECOND_NS
    assert desk.look() == []
    assert books.gate.reconciled
    resolved, told = desk.show({"open": [books.open(status="Cancelled")]}) or (None, None)
    assert (resolved.outcome, told.status) == ("live", "Submitted")
    assert desk.asked == [*(b"5", b"16", b"99", b"7") * 2]


def test_an_order_sent_while_a_cancelled_one_is_looked_for_is_left_alone():
    books = Books()
    books.send()
    books.hear(books.open())
    desk = Desk(books)
    desk.begin()
    desk.show({"open": [books.open()]})
    books.hear(books.status("Cancelled"))
    desk.look()
    desk.now_ns += 3 * SECOND_NS
    desk.look()
    books.send("a-1-2")
    books.modify("a-1-2")
    for _ in range(20):
        if desk.ask() is None:
            break
        desk.answer({"completed": [books.completed()]})
    assert desk.look() == []
    assert not desk.recovery.active
    assert books.orders.get("a-1-2").working


@pytest.mark.parametrize(("age_days", "asked_days"), [(None, 7), (0, 1), (2, 3), (30, 7)])
def test_executions_are_asked_for_since_the_last_one_known(age_days, asked_days):
    books = Books()
    books.send()
    if age_days is not None:
        books.hear(books.execution())
        books.now += age_days * 86_400 * SECOND_NS + SECOND_NS
    desk = Desk(books)
    desk.begin()
    assert desk.recovery._days(books.now) == asked_days


def test_a_later_fill_of_another_account_does_not_shorten_what_is_asked_for():
    books = Books()
    books.send()
    books.hear(books.execution())
    books.now += 3 * 86_400 * SECOND_NS + SECOND_NS
    books.take([Filled(books.now, "e9", "external-9", "DU9", "", "ACME", "BUY", Decimal(1), Decimal(10), "")])
    desk = Desk(books)
    desk.begin()
    assert desk.recovery._days(books.now) == 4
