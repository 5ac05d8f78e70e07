"""Brackets through kills and faults: the books agree, no order is there twice, and a lost stop is seen.

Each session runs in a process of its own against a simulated gateway. For each protection there is a client
without it, which the same test must catch.
"""

import signal
from functools import partial

import pytest

from app.look.status import status
from core.events import (
    BreakFound,
    BreakResolved,
    CancelSent,
    Filled,
    OrderAttempted,
    OrderIntended,
    OrderResolved,
    OrderRetried,
    OrderStatusChanged,
    RiskRefused,
    SendFailed,
)
from core.exits.protection import ExitRules
from tests.conftest import sampled
from tests.live import broken
from tests.live.sessions import (
    CRASH_UNTIL,
    OPEN_S,
    assert_same_books,
    assert_survives,
    at_the_broker,
    book_differences,
    broken_invariants,
    play,
    prove_all,
    trade,
)
from tests.logs import events_of

pytestmark = pytest.mark.slow

AUTOMATIC = ExitRules(stop_loss_pct=0.1, take_profit_pct=0.1)
POINTS = [
    ("intent", 2),
    ("attempt", 1),
    ("attempt", 3),
    ("before_send", 1),
    ("partial", 1),
    ("after_send", 1),
    ("sent_event", 2),
    ("ack", 1),
    ("ack", 2),
    ("ack_durable", 1),
    ("fill", 1),
    ("fill_durable", 1),
    ("modify_intent", 1),
    ("cancel_durable", 1),
    ("cancel_sent", 1),
]


def bracket(log, port, point="-", number=1, until_s=None, **given):
    until = {} if until_s is None else {"until_s": until_s}
    return trade(log, port, point, number, strategy="brackets", **until, **given)


def naked(log, book):
    """Return the stops that the broker never got, of entries that have filled."""
    names = {e.ref: e.order for e in events_of(log, OrderAttempted)}
    there = {names.get(ref) for ref in at_the_broker(book)}
    filled = {e.order for e in events_of(log, Filled)}
    stops = [e for e in events_of(log, OrderIntended) if e.parent in filled and e.type in ("STP", "TRAIL")]
    return [e.order for e in stops if e.order not in there]


@pytest.mark.parametrize(("point", "number"), sampled(POINTS, 6))
def test_a_kill_loses_no_bracket_and_sends_none_twice(ib_gateway, log, point, number):
    gateway = ib_gateway(speed="step", start="open")
    kill = partial(bracket, log, gateway.port, point, number, CRASH_UNTIL)
    assert_survives(kill, partial(bracket, log, gateway.port), gateway, log)
    assert [e.kind for e in events_of(log, BreakFound) if e.kind == "unprotected"] == []


def test_a_client_that_sends_a_bracket_again_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open")
    assert bracket(log, gateway.port, "after_send", 1, CRASH_UNTIL) == -signal.SIGKILL
    assert bracket(log, gateway.port, broken="resends") == 0
    gateway.stop()
    assert [text[:3] for text in broken_invariants(log, gateway.book)] == ["I4:"] * 3


FAULTS = [
    "order 1: reset processed=false",
    "order 1: reset processed=true",
    "order 2: reset processed=false",
    "order 3: reset processed=true",
    "order 4: reset processed=false",
    "order 1: refuse code=201",
    "order 2: refuse code=201",
    "order 1: drop message=openOrder count=6; order 1: drop message=orderStatus count=6",
    "fill 1: reset",
    "fill 1: outage run=600_S end=1102",
    "order 1: restart seconds=0.2",
    "modify 1: refuse code=201",
    "cancel 1: refuse code=10148",
]


@pytest.mark.parametrize("faults", sampled(FAULTS, 5))
def test_after_a_fault_no_entry_is_without_its_stop_and_the_books_agree(ib_gateway, log, faults):
    gateway = ib_gateway(speed="step", start="open", faults=faults)
    assert bracket(log, gateway.port) == 0
    gateway.stop()
    assert len(gateway.fired) == faults.count(";") + 1
    assert broken_invariants(log, gateway.book) == []
    assert [e.kind for e in events_of(log, BreakFound) if e.kind == "unprotected"] == []
    assert naked(log, gateway.book) == []
    prove_all(log)
    assert_same_books(log, gateway.book)


@pytest.mark.parametrize(
    "faults", sampled(["fill 1: reset", "fill 2: reset", "fill 2: outage run=20_S end=1102"], 3)
)
def test_an_entry_that_filled_in_part_keeps_its_stop_over_a_lost_connection(ib_gateway, log, faults):
    gateway = ib_gateway(speed="step", start="open", partial_fills=True, faults=faults)
    assert bracket(log, gateway.port) == 0
    gateway.stop()
    assert len([e for e in events_of(log, Filled) if e.order == "brackets-1-1"]) > 1
    assert [e.kind for e in events_of(log, BreakFound) if e.kind == "unprotected"] == []
    assert naked(log, gateway.book) == []
    prove_all(log)
    assert_same_books(log, gateway.book)


def test_a_client_that_misses_the_fills_of_a_lost_connection_is_caught(ib_gateway, log):
    faults = "fill 2: outage run=20_S end=1102"
    gateway = ib_gateway(speed="step", start="open", partial_fills=True, faults=faults)
    assert bracket(log, gateway.port, broken="trusts_live_messages") == 0
    gateway.stop()
    with pytest.raises(AssertionError):
        assert_same_books(log, gateway.book)


def test_a_client_that_lets_the_entry_go_by_itself_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: reset processed=true")
    assert bracket(log, gateway.port, broken="transmits_each") == 0
    gateway.stop()
    assert "brackets-1-3" in naked(log, gateway.book)


def test_a_refused_entry_ends_its_exits(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: refuse code=201")
    assert bracket(log, gateway.port) == 0
    ends = {e.order: e.status for e in events_of(log, OrderStatusChanged)}
    assert ends["brackets-1-1"] == ends["brackets-1-2"] == ends["brackets-1-3"] == "Rejected"
    assert events_of(log, BreakFound) == []


def test_a_refused_stop_cancels_the_entry_and_closes_the_instrument_for_entries(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 3: refuse code=201")
    assert bracket(log, gateway.port) == 0
    gateway.stop()
    [alarm] = events_of(log, BreakFound)
    assert (alarm.kind, alarm.expected) == ("unprotected", "brackets-1-3")
    assert [e.order for e in events_of(log, CancelSent) if e.reason] == ["brackets-1-1"]
    assert [e for e in events_of(log, Filled) if e.order == "brackets-1-1"] == []
    assert {e.rule for e in events_of(log, RiskRefused)} == {
        "gate",
        "bracket",
    }  # the entry, and with it its exits
    prove_all(log)
    assert_same_books(log, gateway.book)


def unalarmed(ib_gateway, log, refused, kinds, client=broken.nothing, **given):
    """Return what is wrong after the broker refused exits: each is an alarm that `status` shows."""
    gateway = ib_gateway(
        speed="step", start="open", faults="; ".join(f"{e}: refuse code=201" for e in refused)
    )
    play(log, gateway.port, client, **given)
    gateway.stop()
    found = [e.kind for e in events_of(log, BreakFound)]
    texts = {e.message for e in events_of(log, BreakFound)}
    shown = status(log).breaks
    return [
        *([] if found == kinds else [f"alarms: {found}"]),
        *([] if shown.get("ZVXA") in texts else [f"status shows {shown}"]),
        *book_differences(log, gateway.book),
    ]


@pytest.mark.parametrize(
    ("refused", "kinds", "given"),
    [
        (["order 2"], ["exit_refused"], {"strategy": "brackets"}),
        (["order 2", "order 3"], ["unprotected", "exit_refused"], {"exits": AUTOMATIC}),
    ],
    ids=["a take-profit of a bracket", "automatic exits"],
)
def test_each_exit_that_the_broker_refuses_is_an_alarm(ib_gateway, log, refused, kinds, given):
    given = {"until_s": OPEN_S + 60, **given}
    assert unalarmed(ib_gateway, log, refused, kinds, **given) == []


def test_a_client_that_minds_no_refused_exit_is_caught(ib_gateway, log):
    given = {"strategy": "brackets", "until_s": OPEN_S + 60}
    found = unalarmed(ib_gateway, log, ["order 2"], ["exit_refused"], broken.minds_no_exit, **given)
    assert found == ["alarms: []", "status shows {}"]


def test_a_client_that_does_not_mind_a_refused_stop_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 3: refuse code=201")
    assert bracket(log, gateway.port, broken="minds_no_stop") == 0
    gateway.stop()
    assert events_of(log, BreakFound) == []
    assert [e for e in events_of(log, RiskRefused) if e.rule == "gate"] == []


def test_a_family_cut_short_says_what_left_and_ends_as_lost(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: reset processed=true")
    assert bracket(log, gateway.port) == 0
    gateway.stop()
    first = [f"brackets-1-{n}" for n in (1, 2, 3)]
    ended = {e.order: e.outcome for e in events_of(log, OrderResolved) if e.order in first}
    assert set(ended.values()) <= {"presumed_lost", "ended"}
    assert not [e for e in events_of(log, Filled) if e.order in first]
    assert not [e for e in events_of(log, SendFailed) if e.order in first and e.bytes_written == 0]


REFUSED_ID = "order 1: refuse code=103"


def test_an_entry_refused_for_its_id_ends_with_its_stop_and_trade_goes_on(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults=REFUSED_ID)
    assert bracket(log, gateway.port, retries=1) == 0
    gateway.stop()
    assert "unprotected" in {e.kind for e in events_of(log, BreakResolved)}
    assert "brackets-1-1" not in {e.order for e in events_of(log, Filled)}
    assert events_of(log, Filled) != []
    assert naked(log, gateway.book) == []


def test_an_entry_is_not_tried_again_without_its_exits(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults=REFUSED_ID)
    assert bracket(log, gateway.port, retries=1, broken="minds_no_stop") == 0
    gateway.stop()
    assert [e.order for e in events_of(log, OrderRetried)] == ["brackets-1-1"]
    assert [e.message[:35] for e in events_of(log, SendFailed)] == ["it is not put up again without its "]
    assert naked(log, gateway.book) == []


def test_a_client_that_tries_the_entry_again_alone_is_caught(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults=REFUSED_ID)
    assert bracket(log, gateway.port, retries=1, broken="enters_alone") == 0
    gateway.stop()
    assert "brackets-1-3" in naked(log, gateway.book)
