"""Brackets on their way to the broker and back: a family leaves whole, an entry without its stop is seen."""

from decimal import Decimal

import msgspec
import pytest

from adapters.ibkr.link.pacing import Lane
from adapters.ibkr.wire.distribution import installed
from adapters.ibkr.wire.encoder import Encoder
from core.effects import Effect
from core.events import (
    BreakAccepted,
    BreakFound,
    BreakResolved,
    CancelIntended,
    ExternalOrderReported,
    ModifyIntended,
    OrderAmended,
    OrderIntended,
    OrderResolved,
    OrderSendStarted,
    OrderSent,
    OrderStatusChanged,
    ReconciliationFinished,
    RiskApproved,
    SendFailed,
)
from projections.gate import Gate
from tests.ibkr.books import ACCOUNT, CLIENT, Books, D, position

ENTRY, PROFIT, STOP = "a-1-1", "a-1-2", "a-1-3"
ENCODER = Encoder(installed(), 200)
WHO = (ACCOUNT, "a", "ACME")


def bracket(quantity=100, **stop) -> list[OrderIntended]:
    """Return an entry, its take-profit and its stop."""
    entry = OrderIntended(0, ENTRY, *WHO, "BUY", D(quantity), "LMT", D(10), None, "DAY", "why")
    bound = {"parent": ENTRY, "oca": ENTRY}
    exits = (*WHO, "SELL", D(quantity))
    profit = OrderIntended(0, PROFIT, *exits, "LMT", D(12), None, "GTC", "why", **bound)
    loss = OrderIntended(0, STOP, *exits, "STP", None, D(9), "GTC", "why", **bound)
    return [entry, profit, msgspec.structs.replace(loss, **stop)]


def effects(books, intents):
    return [Effect(n, msgspec.structs.replace(i, ts=books.now)) for n, i in enumerate(intents, 1)]


def placed(intents=None, *, sent=True, books=None) -> Books:
    """Return the books after a bracket was decided, named and sent."""
    books, intents = books or Books(), bracket() if intents is None else intents
    for intent in intents:
        intent = msgspec.structs.replace(intent, ts=books.now)  # noqa: PLW2901
        books.take([intent, RiskApproved(books.now, intent.order, 1, *WHO, "none")])
        books.take([OrderSendStarted(books.now, intent.order, 1, *WHO)])
    books.take(books.channel.out.attempts(effects(books, intents), books.now))
    if sent:
        books.take([OrderSent(books.now, intent.order, 1) for intent in intents])
    return books


def acknowledged(books, *orders, perm=900):
    """Let the broker show orders as it does: exits wait for their entry."""
    for n, order in enumerate(orders or (ENTRY, PROFIT, STOP)):
        books.hear(open_(books, order, perm + n))
    return books


def open_(books, order, perm, status="", **given):
    sent, known = books.routes.attempt(order), books.orders.get(order)
    shown = {"parent_id": sent.parent_id or None, "oca_group": sent.group, "oca_kind": 2 if sent.group else 3}
    shown |= {"stop": known.trail or known.stop, "tif": known.tif, "outside_hours": known.outside_rth}
    word = status or ("PreSubmitted" if known.parent else "Submitted")
    return books.open(order, perm, word, **{**shown, **given})


def fields(request):
    """Return each order of a request: id, transmit, parent id, group, type of group."""
    found = []
    for each in request.members:
        text = each.data[4:].decode().split("\0")
        told = dict(zip(("oca", "transmit", "parent"), (text[22], text[27], text[28]), strict=True))
        found.append((int(text[1]), told["oca"], told["transmit"], told["parent"]))
    return found


def request(books, intents):
    return books.channel.out.request(effects(books, intents), ENCODER)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


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


# -- an entry without its stop -----------------------------------------------------------------


def refused_stop(books):
    return books.hear(books.error(201, STOP))


def test_a_refused_stop_cancels_the_entry_and_closes_the_instrument_for_entries():
    books = acknowledged(placed(), ENTRY, PROFIT)
    [alarm] = of(BreakFound, refused_stop(books))
    assert alarm.kind == "unprotected"
    assert STOP in alarm.message
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.closed("ACME") is None
    assert books.gate.entries_closed("ACME") == alarm.message
    [cancel], never = books.channel.out.due(1)
    assert (cancel.request.order, cancel.seq, never) == (ENTRY, 0, [])


def test_a_stop_refused_after_the_fill_is_an_alarm_and_no_cancel():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    assert len(of(BreakFound, refused_stop(books))) == 1
    assert books.channel.out.due(1) == ([], [])


def test_a_refused_entry_is_no_alarm():
    books = acknowledged(placed(), PROFIT, STOP)
    assert of(BreakFound, books.hear(books.error(201, ENTRY))) == []


def test_a_refused_take_profit_is_an_alarm_and_cancels_nothing():
    books = acknowledged(placed(), ENTRY, STOP)
    [alarm] = of(BreakFound, books.hear(books.error(201, PROFIT)))
    assert (alarm.kind, alarm.expected) == ("exit_refused", PROFIT)
    assert PROFIT in alarm.message
    assert books.channel.out.due(1) == ([], [])
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.closed("ACME") is None
    assert books.gate.entries_closed("ACME") == alarm.message


def test_a_lost_take_profit_of_a_live_entry_is_an_alarm():
    books = acknowledged(placed(), ENTRY, STOP)
    there = (open_(books, ENTRY, 900), open_(books, STOP, 902))
    books.compare(*there)
    books.now += 31 * 10**9
    assert [e.kind for e in of(BreakFound, books.compare(*there))] == ["exit_refused"]


def automatic(books, kind, number=1):
    """Place an automatic exit of what strategy `a` holds."""
    price = {"STP": (None, D(9)), "LMT": (D(12), None)}[kind]
    name = f"exit-a-1-{number}"
    placed([OrderIntended(0, name, *WHO, "SELL", D(100), kind, *price, "GTC", "why")], books=books)
    return name


@pytest.mark.parametrize(("kind", "told"), [("STP", "unprotected"), ("LMT", "exit_refused")])
def test_a_refused_automatic_exit_is_an_alarm_until_another_one_works_or_nothing_is_held(kind, told):
    books = acknowledged(placed(bracket()[:1]), ENTRY)
    books.hear(books.execution())
    name = automatic(books, kind)
    [alarm] = of(BreakFound, books.hear(books.error(201, name)))
    assert (alarm.kind, alarm.expected) == (told, name)
    assert of(BreakResolved, books.compare(position(100))) == []
    again = automatic(books, kind, 2)
    books.hear(open_(books, again, 950, "Submitted"))
    there = (open_(books, again, 950, "Submitted"), position(100))
    assert [e.kind for e in of(BreakResolved, books.compare(*there))] == [told]


def test_a_lost_automatic_exit_is_no_alarm_for_it_is_asked_for_again():
    books = acknowledged(placed(bracket()[:1]), ENTRY)
    books.hear(books.execution())
    name = automatic(books, "STP")
    books.compare(position(100))
    books.now += 31 * 10**9
    second = books.compare(position(100))
    assert [(e.order, e.outcome) for e in of(OrderResolved, second)] == [(name, "presumed_lost")]
    assert of(BreakFound, second) == []


def test_a_family_refused_in_one_breath_is_no_alarm():
    books = placed()
    refusals = [books.error(201, ENTRY), books.error(10006, PROFIT), books.error(10006, STOP)]
    told = books.hear(*refusals, together=True)
    assert [type(e) for e in told] == [OrderStatusChanged] * 3


def test_an_order_that_reduces_passes_an_instrument_without_a_stop():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    books.gate.link, books.gate.reconciled = "up", True
    assert books.gate.bars("a-1-9", "ACME") is None


def test_the_alarm_ends_with_the_position():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    held = books.compare(open_(books, PROFIT, 901, "Submitted"), position(100))
    assert of(BreakResolved, held) == []
    books.hear(books.execution("e2.01", order=PROFIT, perm=901, side="SLD", price="12"))
    assert [e.kind for e in of(BreakResolved, books.compare(position(0)))] == ["unprotected"]
    assert books.gate.found() == []


def test_an_accepted_alarm_does_not_come_back():
    books = acknowledged(placed(), ENTRY, PROFIT)
    books.hear(books.execution())
    refused_stop(books)
    books.take([BreakAccepted(books.now, ACCOUNT, "ACME", "I watch it")])
    again = books.compare(open_(books, PROFIT, 901, "Submitted"), position(100))
    assert of(BreakFound, again) == []


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


def test_a_bracket_of_others_is_told_once_over_restarts():
    books = Books()
    shown = (stranger(books, 77, 5), stranger(books, 78, 6, side="SELL", parent_id=5, oca_group="77"))
    assert len(of(ExternalOrderReported, books.hear(*shown, *shown))) == 2
    assert of(ExternalOrderReported, books.restarted().hear(*shown)) == []
