"""Brackets on their way to the broker and back: a family leaves whole and names its members."""

from decimal import Decimal

import pytest

from adapters.ibkr.link.pacing import Lane
from core.effects import Effect
from core.events import (
    CancelIntended,
    ModifyIntended,
    OrderAmended,
    OrderStatusChanged,
    SendFailed,
)
from projections.gate import Gate
from tests.ibkr.books import CLIENT, Books, D
from tests.ibkr.brackets import (
    ENCODER,
    ENTRY,
    PROFIT,
    STOP,
    WHO,
    acknowledged,
    bracket,
    effects,
    fields,
    of,
    open_,
    placed,
    request,
)

# -- on the way out ----------------------------------------------------------------------------


def test_what_was_decided_together_leaves_together_and_all_else_alone():
    books, other = Books(), Effect(9, CancelIntended(1, "x-1-1", *WHO, "why"))
    first, *exits = effects(books, bracket())
    assert books.channel.out.together([first, other, *exits]) == [[first, *exits], [other]]
    assert books.channel.out.together(exits) == [[exit_] for exit_ in exits]


def test_a_family_names_its_parent_and_only_the_last_lets_it_go():
    books = placed(sent=False)
    assert fields(request(books, bracket())) == [
        (17, "", "0", "0"),
        (18, f"T.{ENTRY}", "0", "17"),
        (19, f"T.{ENTRY}", "1", "17"),
    ]


def test_the_names_of_a_family_are_in_the_log_before_it_leaves():
    books = placed(sent=False)
    named = [books.routes.attempt(order) for order in (ENTRY, PROFIT, STOP)]
    assert [(n.broker_id, n.parent_id, n.group) for n in named] == [
        (17, 0, ""),
        (18, 17, f"T.{ENTRY}"),
        (19, 17, f"T.{ENTRY}"),
    ]


def test_one_closed_instrument_keeps_the_whole_family_back():
    books = placed(sent=False)
    books.channel.out._gate = Gate()
    assert "no usable connection" in books.channel.out.closed(effects(books, bracket()))


def test_a_family_put_up_again_names_its_new_parent():
    books = placed(sent=False)
    books.take([SendFailed(books.now, i.order, 1, 0, "gone") for i in bracket()])
    books.take(books.channel.out.attempts(effects(books, bracket()), books.now))
    assert [f[0::3] for f in fields(request(books, bracket()))] == [(20, "0"), (21, "20"), (22, "20")]


def test_an_entry_is_not_put_up_again_without_its_exits():
    books = placed()
    books.hear(books.error(201, STOP))
    entry, profit, _ = effects(books, bracket())
    books.take(books.channel.out.attempts([entry, profit], books.now))
    assert STOP in books.channel.out.closed([entry, profit])
    assert books.channel.out.closed(effects(books, bracket())) == ""


def late_exit(books):
    """Put the stop up again, alone."""
    [stop] = effects(books, [bracket()[2]])
    books.take(books.channel.out.attempts([stop], books.now))
    return books.channel.out.closed([stop]), fields(books.channel.out.request([stop], ENCODER))[0]


def test_a_late_exit_names_the_entry_that_works():
    books = acknowledged(placed(), ENTRY)
    assert late_exit(books) == ("", (20, f"T.{ENTRY}", "1", "17"))


def test_a_late_exit_of_an_entry_that_has_filled_stands_alone():
    books = acknowledged(placed(), ENTRY)
    books.hear(books.execution())
    assert late_exit(books) == ("", (20, f"T.{ENTRY}", "1", "0"))


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        (lambda _books: None, "not known to be at the broker"),
        (lambda books: books.hear(open_(books, ENTRY, 900, "Cancelled")), "has ended"),
        (
            lambda books: books.hear(books.execution(quantity=40), open_(books, ENTRY, 900, "Cancelled")),
            "40 of 100 filled",
        ),
    ],
)
def test_a_late_exit_without_its_entry_is_not_sent(happened, why):
    books = placed()
    happened(books)
    assert why in late_exit(books)[0]


def test_a_late_exit_of_another_clients_entry_is_not_sent():
    books = acknowledged(placed(), ENTRY)
    books.channel.out.client_id = CLIENT + 1
    assert "is of client 7" in late_exit(books)[0]


def test_a_change_of_an_exit_goes_out_with_its_family_names():
    books = acknowledged(placed())
    change = ModifyIntended(books.now, STOP, 2, *WHO, D(100), None, D("9.5"), "why")
    books.take([change])
    books.take(books.channel.out.attempts([Effect(1, change)], books.now))
    request = books.channel.out.request([Effect(1, change)], ENCODER)
    assert request.lane is Lane.MODIFY
    assert fields(request) == [(19, f"T.{ENTRY}", "1", "17")]
    assert b"\0STP\0" in request.data
    assert b"\x009.5\0" in request.data


@pytest.mark.parametrize(("stop", "shown"), [(Decimal(9), False), (Decimal("9.25"), True)])
def test_a_trailing_stop_starts_again_only_if_it_is_told_to(stop, shown):
    books = acknowledged(placed(bracket(type="TRAIL", trail=D("0.5"))))
    change = ModifyIntended(books.now, STOP, 2, *WHO, D(100), None, stop, "why", D("0.75"))
    books.take([change])
    books.take(books.channel.out.attempts([Effect(1, change)], books.now))
    data = books.channel.out.request([Effect(1, change)], ENCODER).data
    assert b"\x000.75\0" in data
    assert (f"\0{stop}".encode() in data) == shown


# -- what the broker makes of it ---------------------------------------------------------------


def test_exits_that_wait_for_their_entry_are_working():
    books = acknowledged(placed())
    told = [(e.order, e.status) for e in of(OrderStatusChanged, books.log)]
    assert told == [(ENTRY, "Submitted"), (PROFIT, "PreSubmitted"), (STOP, "PreSubmitted")]
    assert books.channel.take_doubt(looking=False) == ""


def test_a_smaller_exit_is_the_groups_doing_and_no_doubt():
    books = acknowledged(placed())
    reduced = open_(books, STOP, 902, "Submitted", quantity=D(60))
    assert len(of(OrderAmended, books.hear(reduced, reduced, together=True))) == 1
    assert of(OrderAmended, books.hear(reduced)) == []
    assert (books.orders.get(STOP).quantity, books.orders.get(STOP).version) == (D(60), 2)
    assert books.orders.get(STOP).exposed == D(60)
    assert books.channel.take_doubt(looking=False) == ""


def test_an_order_of_no_group_that_got_smaller_is_a_doubt():
    books = acknowledged(placed(), ENTRY)
    assert of(OrderAmended, books.hear(open_(books, ENTRY, 900, quantity=D(60)))) == []
    assert "other terms" in books.channel.take_doubt(looking=False)


def test_an_older_version_that_shows_after_a_reduction_is_a_doubt():
    books = acknowledged(placed())
    books.hear(open_(books, STOP, 902, quantity=D(60)), open_(books, STOP, 902, quantity=D(100)))
    assert "terms that it had before" in books.channel.take_doubt(looking=False)


def test_a_moving_trailing_stop_is_nobodys_change():
    books = acknowledged(placed(bracket(type="TRAIL", trail=D("0.5"), stop=None)))
    for at in ("9.5", "9.75", "10.5"):
        assert books.hear(open_(books, STOP, 902, trail_stop=D(at))) == []
    assert books.channel.take_doubt(looking=False) == ""
    assert (
        books.compare(*(open_(books, o, 900 + n) for n, o in enumerate((ENTRY, PROFIT, STOP))))[-1].breaks
        == 0
    )
    assert of(OrderAmended, books.log) == []


def test_a_distance_changed_by_hand_becomes_the_orders():
    books = acknowledged(placed(bracket(type="TRAIL", trail=D("0.5"), stop=None)))
    by_hand = open_(books, STOP, 902, stop=D("0.8"))
    books.compare(open_(books, ENTRY, 900), open_(books, PROFIT, 901), by_hand)
    assert (books.orders.get(STOP).trail, books.orders.get(STOP).version) == (D("0.8"), 2)


def test_an_exit_that_is_not_heard_of_after_its_entry_is_a_doubt():
    books = acknowledged(placed(), ENTRY, PROFIT)
    for waited, doubt in ((1, ""), (2, f"nothing was heard of its exit {STOP}"), (3, "")):
        books.channel.miss_exits(books.now + waited * 10**9)
        found = books.channel.take_doubt(looking=False)
        assert (doubt in found) if doubt else found == ""


def test_exits_that_are_shown_in_time_are_no_doubt():
    books = acknowledged(placed())
    books.channel.miss_exits(books.now + 5 * 10**9)
    assert books.channel.take_doubt(looking=False) == ""
