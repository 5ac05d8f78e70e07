"""Brackets that a look at the broker's book finds, misses, or did not place."""

from adapters.ibkr.trading.snapshot import split_exec_id
from core.events import (
    BreakFound,
    ExternalOrderReported,
    OrderResolved,
    OrderStatusChanged,
    ReconciliationFinished,
)
from tests.ibkr.books import Books, D, position
from tests.ibkr.brackets import (
    ENTRY,
    PROFIT,
    STOP,
    acknowledged,
    of,
    open_,
    placed,
)

# -- looks at the book -------------------------------------------------------------------------


def test_a_family_that_is_live_at_the_broker_is_found_after_a_restart():
    books = placed().restarted()
    shown = (open_(books, o, 900 + n) for n, o in enumerate((ENTRY, PROFIT, STOP)))
    found = books.compare(*shown, hear=False)
    assert [e.outcome for e in of(OrderResolved, found)] == ["live"] * 3
    told = [(e.order, e.status) for e in of(OrderStatusChanged, books.log)]
    assert told == [(ENTRY, "Submitted"), (PROFIT, "PreSubmitted"), (STOP, "PreSubmitted")]


def test_exits_are_found_whose_entry_filled_while_nobody_listened():
    books = acknowledged(placed()).restarted()
    exits = (open_(books, PROFIT, 901, "Submitted"), open_(books, STOP, 902))
    found = books.compare(books.execution(), *exits, position(100))
    assert [e.breaks for e in of(ReconciliationFinished, found)] == [0]
    assert books.orders.get(ENTRY).state == "Filled"
    assert {o.id for o in books.orders.working()} == {PROFIT, STOP}


def test_a_family_of_which_nothing_is_there_is_unknown_and_then_presumed_lost_without_an_alarm():
    books = placed()
    first = books.compare()
    assert [e.outcome for e in of(OrderResolved, first)] == ["unknown"] * 3
    books.now += 31 * 10**9
    second = books.compare()
    assert [e.outcome for e in of(OrderResolved, second)] == ["presumed_lost"] * 3
    assert [e.kind for e in of(BreakFound, second)] == []
    assert books.orders.working() == []


def test_a_lost_stop_of_a_live_entry_is_an_alarm():
    books = acknowledged(placed(), ENTRY, PROFIT)
    there = (open_(books, ENTRY, 900), open_(books, PROFIT, 901))
    books.compare(*there)
    books.now += 31 * 10**9
    assert [e.kind for e in of(BreakFound, books.compare(*there))] == ["unprotected"]


def test_exits_of_an_entry_that_ended_without_a_fill_are_over():
    books = acknowledged(placed())
    found = books.compare(books.completed(ENTRY, 900))
    assert {(e.order, e.outcome) for e in of(OrderResolved, found)} == {
        (o, "ended") for o in (ENTRY, PROFIT, STOP)
    }
    assert of(BreakFound, found) == []


def test_exits_of_a_refused_entry_that_was_never_there_are_over():
    books = placed()
    books.hear(books.error(201, ENTRY))
    found = books.compare()
    assert {(e.order, e.outcome) for e in of(OrderResolved, found)} == {(PROFIT, "ended"), (STOP, "ended")}


def test_exits_of_an_entry_that_filled_in_part_are_not_guessed_to_be_over():
    books = acknowledged(placed())
    books.hear(books.execution(quantity=40))
    found = books.compare(books.completed(ENTRY, 900, filled=40), hear=False)
    assert {e.order: e.outcome for e in of(OrderResolved, found)}[STOP] == "unknown"


def test_exits_of_an_entry_that_has_filled_and_is_shown_no_more_are_not_guessed_to_be_over():
    books = acknowledged(placed())
    books.hear(books.execution())
    found = books.compare(books.execution(), position(100), hear=False)
    assert {e.order: e.outcome for e in of(OrderResolved, found)} == {PROFIT: "unknown", STOP: "unknown"}


# -- brackets of others ------------------------------------------------------------------------


def stranger(books, perm, order_id, **given):
    told = {"order_ref": "", "client_id": 3, "order_id": order_id}
    return books.open("-", perm, **{**told, **given})


def test_exits_of_somebodys_bracket_name_their_entry():
    books = Books()
    exits = {"side": "SELL", "parent_id": 5, "oca_group": "77"}
    books.hear(
        stranger(books, 77, 5),
        stranger(books, 78, 6, limit=D(12), **exits),
        stranger(books, 79, 7, type="TRAIL", stop=D("0.5"), trail_stop=D(9), **exits),
    )
    shown = {o.id: (o.type, o.parent, o.oca, o.trail) for o in books.orders.working()}
    assert shown == {
        "external-77": ("LMT", "", "", None),
        "external-78": ("LMT", "external-77", "77", None),
        "external-79": ("TRAIL", "external-77", "77", D("0.5")),
    }


def test_exits_that_a_window_attached_name_their_entry_by_its_permanent_id():
    books = Books()
    window = {"client_id": 0}
    books.hear(stranger(books, 77, -5, **window))
    books.hear(stranger(books, 78, -6, side="SELL", oca_group="77", **window))
    assert books.orders.get("external-78").parent == "external-77"


def test_what_others_call_a_group_or_an_execution_need_be_no_number():
    books = Books()
    books.hear(stranger(books, 77, 5), stranger(books, 78, 6, oca_group="²"))
    assert (books.orders.get("external-78").parent, books.orders.get("external-78").oca) == ("", "²")
    assert split_exec_id("e1.²") == ("e1.²", 1)


def test_a_bracket_of_others_is_told_once_over_restarts():
    books = Books()
    shown = (stranger(books, 77, 5), stranger(books, 78, 6, side="SELL", parent_id=5, oca_group="77"))
    assert len(of(ExternalOrderReported, books.hear(*shown, *shown))) == 2
    assert of(ExternalOrderReported, books.restarted().hear(*shown)) == []
