"""Breaks that were accepted as they stand: no news at later looks, also of a log that is opened again."""

import pytest

from core.events import BreakAccepted, BreakFound, BreakResolved, ReconciliationFinished
from projections import gate
from tests.ibkr.books import ACCOUNT, Books, breaks, position

OTHER = 8
"""The client id of a later session."""


def accept(books):
    books.take([BreakAccepted(books.now, ACCOUNT, "ACME", "it may rest")])


def resolved(events):
    return [e.kind for e in events if isinstance(e, BreakResolved)]


def counted(events):
    return [e.breaks for e in events if isinstance(e, ReconciliationFinished)]


def resting():
    """An order that rests, sent by this client, as the broker shows it."""
    books = Books()
    books.send()
    return books, (books.open(),)


def twice():
    """An order that is at the broker two times."""
    books = Books()
    books.send()
    return books, (books.open(), books.open(perm=901, order_id=None))


def overfilled():
    """An order of which more was executed than was asked for."""
    books = Books()
    books.send()
    return books, (books.execution(quantity=60), books.execution("e2.01", quantity=60), position(120))


CASES = {"other_client": (resting, OTHER), "duplicate_order": (twice, 7), "overfilled": (overfilled, 7)}


@pytest.mark.parametrize("kind", CASES)
def test_what_was_accepted_stays_accepted_while_nothing_changes(kind):
    make, client = CASES[kind]
    books, shown = make()
    found = books.compare(*shown, client=client)
    assert (kind in breaks(found), books.gate.closed("ACME") is None) == (True, False)
    accept(books)
    for later in (books, books.restarted()):
        found = later.compare(*shown, client=client)
        assert (breaks(found), resolved(found), counted(found)) == ([], [], [0])
        assert later.gate.breaks == {}


def test_an_unaccepted_break_is_open_once_over_restarts():
    books, shown = resting()
    assert breaks(books.compare(*shown, client=OTHER)) == ["other_client"]
    again = books.restarted()
    found = again.compare(*shown, client=OTHER)
    assert (breaks(found), counted(found), list(again.gate.breaks)) == ([], [1], ["ACME"])


def test_another_client_id_is_another_break():
    books, shown = resting()
    books.compare(*shown, client=OTHER)
    accept(books)
    assert breaks(books.restarted().compare(*shown, client=9)) == ["other_client"]


def test_another_order_of_the_same_kind_is_told_and_ends_alone():
    books, shown = resting()
    books.compare(*shown, client=OTHER)
    accept(books)
    books.send("a-1-2")
    second = books.open("a-1-2", perm=902)
    (told,) = [e for e in books.compare(*shown, second, client=OTHER) if isinstance(e, BreakFound)]
    assert told.message.startswith("a-1-2 was placed as client 7")
    books.hear(books.open("a-1-2", perm=902, status="Cancelled"), books.status("Cancelled", "a-1-2", 902))
    assert resolved(books.compare(*shown, client=OTHER)) == ["other_client"]
    assert books.gate.breaks == {}
    assert breaks(books.restarted().compare(*shown, client=OTHER)) == []


def test_what_was_gone_at_a_look_is_news_when_it_is_back():
    books, shown = resting()
    books.compare(*shown, client=OTHER)
    accept(books)
    assert resolved(books.compare(*shown)) == ["other_client"]  # under the id that placed it
    assert resolved(books.compare(*shown)) == []
    assert breaks(books.restarted().compare(*shown, client=OTHER)) == ["other_client"]


def test_a_position_that_differs_in_the_same_words_again_is_told_again():
    """Accepting took it over: that it differs once more is another difference."""
    books = Books()
    assert breaks(books.compare(position(100))) == ["position"]
    accept(books)
    assert breaks(books.restarted().compare(position(100))) == ["position"]


def test_without_the_memory_an_accepted_break_is_raised_at_every_look(monkeypatch):
    monkeypatch.setattr(gate, "STANDING", frozenset())
    books, shown = resting()
    books.compare(*shown, client=OTHER)
    accept(books)
    assert breaks(books.compare(*shown, client=OTHER)) == ["other_client"]


def test_a_snapshot_knows_what_was_accepted():
    books, shown = resting()
    books.compare(*shown, client=OTHER)
    accept(books)
    again = gate.Gate()
    again.load(books.gate.encoded())
    assert again.digest() == books.gate.digest()
    assert [each.kind for each in again.accepted()] == ["other_client"]
