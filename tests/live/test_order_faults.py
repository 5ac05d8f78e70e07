"""What gateways do wrong with orders, done to a live session: at the end the books agree.

Each fault is played by the simulated gateway over a real socket, to a session in lock step. Each row names
a client that lacks a protection, which the same check must bring to light.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.live.session import LiveSession
from app.look.books import open_book
from app.look.chain import chain
from core.events import (
    BreakFound,
    Event,
    FillCorrected,
    Filled,
    OrderAttempted,
    OrderBound,
    OrderResolved,
    OrderRetried,
    OrderStatusChanged,
    ReconciliationFinished,
)
from tests.conftest import sampled
from tests.live import broken
from tests.live.broken import together
from tests.live.sessions import (
    at_the_broker,
    book_differences,
    broken_invariants,
    play,
    prove_all,
)
from tests.logs import events_of


class Row(msgspec.Struct, frozen=True):
    """What a gateway does to some orders, and a client that this must bring to light.

    `looks`: the broker's book has to be looked at again.
    """

    faults: str
    without: Callable[[LiveSession], None]
    looks: bool = False
    tells: str = ""
    """What the check says of that client, if any of its findings will not do."""


AT_ONCE = together(broken.needs_the_order_first, broken.only_the_first_look)
NO_END = broken.codes_are_no_news
ROWS = [
    Row(
        "order 1: repeat message=execDetails times=4; order 1: repeat message=commissionReport times=4",
        broken.counts_each_telling,
        tells="executions",
    ),
    Row(
        "order 1: repeat message=openOrder times=4; order 1: repeat message=orderStatus times=4",
        broken.tells_each_status,
        tells="told twice",
    ),
    Row("order 1: swap", AT_ONCE, tells="executions"),
    Row(
        "order 1: swap hold=execDetails until=commissionReport",
        together(broken.needs_the_execution_first, broken.only_the_first_look),
        tells="executions",
    ),
    Row("order 1: late message=commissionReport behind=40", broken.unknown_is_nothing, tells="executions"),
    Row("order 1: drop message=orderStatus count=4", broken.status_is_a_fill, tells="executions"),
    Row("order 1: drop message=openOrder count=4", AT_ONCE, tells="executions"),
    Row("fill 1: correct by=0.02", broken.corrections_are_fills, tells="executions"),
    Row(
        "fill 1: correct by=0.02; fill 2: correct by=0.01", broken.corrections_are_no_news, tells="executions"
    ),
    Row(
        "order 1: alter message=commissionReport field=3 value=0; fill 2: correct",
        broken.corrections_are_fills,
        tells="executions",
    ),
    Row(
        "order 1: unset",
        together(broken.unset_is_a_defect, broken.only_the_first_look),
        tells="executions",
    ),
    Row(
        "order 1: error code=399; order 2: error code=404; order 3: error code=10349",
        broken.codes_are_ends,
        tells="taken for rejected",
    ),
    Row("order 1: refuse code=201", NO_END, tells="working"),
    Row("order 2: refuse code=321", NO_END, tells="working"),
    Row("order 1: refuse code=103", NO_END, looks=True),
    Row("order 2: refuse code=103", NO_END, looks=True),
    Row("modify 1: refuse code=201", broken.codes_are_ends, looks=True, tells="taken for rejected"),
    Row("modify 1: refuse code=103", broken.codes_are_ends, looks=True, tells="taken for rejected"),
    Row("cancel 1: refuse code=10147", broken.codes_are_ends, looks=True, tells="taken for rejected"),
    Row("cancel 1: refuse code=10148", broken.codes_are_ends, looks=True, tells="taken for rejected"),
    Row("cancel 1: refuse code=161", broken.codes_are_ends, looks=True, tells="taken for rejected"),
    Row(
        "cancel 1: fill_after_cancel",
        together(broken.cancelled_is_final, broken.only_the_first_look),
        looks=True,
        tells="working",
    ),
    Row("order 2: refuse code=201; order 3: refuse code=203", NO_END, tells="working"),
]


def findings(row: Row, log: Path, gateway: Any) -> list[str]:
    """Return what is not as it has to be after a session with a fault; the gateway has stopped."""
    looked = len(events_of(log, ReconciliationFinished)) > 1
    found = [
        *([] if len(gateway.fired) == row.faults.count(";") + 1 else [f"only {gateway.fired} was played"]),
        *broken_invariants(log, gateway.book),
        *(f"break: {e.message}" for e in events_of(log, BreakFound)),
        *(f"told twice: {each}" for each in retold(log)),
        *(f"taken for rejected: {order}" for order in sorted(buried(log, gateway.book))),
        *([] if looked == row.looks else [f"the book was looked at again: {looked}"]),
        *book_differences(log, gateway.book, charges="alter" not in row.faults),
    ]
    if not found:
        prove_all(log)
    return found


def retold(log: Path) -> list[str]:
    """Return the statuses that say what the last news of the same order said."""
    last: dict[str, Event] = {}
    found = []
    for event in events_of(log, OrderStatusChanged, OrderResolved):
        before = last.get(event.order)
        if isinstance(before, OrderStatusChanged) and msgspec.structs.replace(event, ts=before.ts) == before:
            found.append(f"{event.order} {event.status}")
        last[event.order] = event
    return found


def buried(log: Path, book: Path) -> set[str]:
    """Return the orders that the log once took for rejected and that the gateway took."""
    rejected = {
        e.order for e in events_of(log, OrderStatusChanged) if e.status == "Rejected" and e.version == 1
    }
    names = {e.ref: e.order for e in events_of(log, OrderAttempted)}
    return rejected & {names.get(ref, ref) for ref in at_the_broker(book)}


def after(
    row: Row, ib_gateway: Any, log: Path, client: Callable[[LiveSession], None] | None = None
) -> list[str]:
    gateway = ib_gateway(speed="step", start="open", faults=row.faults)
    play(log, gateway.port, *([] if client is None else [client]))
    gateway.stop()
    return findings(row, log, gateway)


def once(rows: Iterable[Row]) -> list[Any]:
    """Leave rows that another row stands for, with the same act and the same client, to the extended run."""
    known: set[object] = set()
    marked = []
    for row in rows:
        kind = (row.faults.split(":")[1].split()[0], row.without)
        marked.append(pytest.param(row, marks=[pytest.mark.extended] if kind in known else []))
        known.add(kind)
    return marked


@pytest.mark.parametrize("row", sampled(ROWS, 3), ids=lambda row: row.faults)
def test_after_a_fault_the_books_agree(ib_gateway, log, row):
    assert after(row, ib_gateway, log) == []


@pytest.mark.parametrize("row", once(ROWS), ids=lambda row: row.faults)
def test_a_client_without_the_protection_is_caught(ib_gateway, log, row):
    found = after(row, ib_gateway, log, row.without)
    assert found
    assert any(row.tells in each for each in found), found


def test_corrections_are_recorded_as_such(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="fill 1: correct by=0.02")
    play(log, gateway.port)
    assert [e.revision for e in events_of(log, FillCorrected)] == [2]


def forked(ib_gateway: Any, log: Path, client: Callable[[LiveSession], None] | None = None) -> list[str]:
    """Return what is wrong after a change has become a second order: it must be found, and none buried."""
    gateway = ib_gateway(speed="step", start="open", faults="modify 1: fork")
    play(log, gateway.port, *([] if client is None else [client]))
    gateway.stop()
    kinds = [e.kind for e in events_of(log, BreakFound)]
    bound = [e.order for e in events_of(log, OrderBound)]
    twice = {order for order in bound if bound.count(order) > 1}
    cancelled = {e.order for e in events_of(log, OrderStatusChanged) if e.status == "Cancelled"}
    return [
        *([] if kinds == ["duplicate_order"] else [f"breaks: {kinds}"]),
        *([] if len(twice) == 1 else [f"with two ids: {sorted(twice)}"]),
        *(f"cancelled, and at the broker: {order}" for order in sorted(twice & cancelled)),
    ]


def test_two_live_orders_from_one_change_close_the_instrument(ib_gateway, log):
    assert forked(ib_gateway, log) == []


def test_a_client_that_knows_one_id_of_an_order_is_caught(ib_gateway, log):
    assert forked(ib_gateway, log, broken.one_order_has_one_id) == ["breaks: []", "with two ids: []"]


def retried(
    ib_gateway: Any, log: Path, retries: int, client: Callable[[LiveSession], None] | None = None
) -> list[str]:
    """Return what is wrong after an order was refused for its id: once, or beyond its last retry."""
    refused = "; ".join(f"order {n}: refuse code=103" for n in range(1, 2 if retries < 2 else retries + 2))
    gateway = ib_gateway(speed="step", start="open", faults=refused)
    play(log, gateway.port, *([] if client is None else [client]), retries=retries)
    gateway.stop()
    again = [e.retry for e in events_of(log, OrderRetried) if e.order == FIRST]
    named = [(e.ref, e.broker_id) for e in events_of(log, OrderAttempted) if e.order == FIRST]
    filled = [e.order for e in events_of(log, Filled)].count(FIRST)
    found = [
        *([] if again == list(range(1, retries + 1)) else [f"tried again: {again}"]),
        *([] if len(set(named)) == retries + 1 else [f"names: {named}"]),
        *([] if filled == (retries == 1) else [f"filled {filled} times"]),
        *broken_invariants(log, gateway.book),
        *book_differences(log, gateway.book),
    ]
    if not found:
        prove_all(log)
    return found


FIRST = "tides-1-1"


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_an_order_refused_for_its_id_is_tried_again_as_often_as_is_allowed(ib_gateway, log, retries):
    assert retried(ib_gateway, log, retries) == []


@pytest.mark.parametrize(
    ("retries", "client", "tells"),
    [
        (1, broken.tries_again_under_the_same_name, "names"),
        (2, broken.retries_for_ever, "tried again"),
    ],
)
def test_a_client_that_tries_again_wrongly_is_caught(ib_gateway, log, retries, client, tells):
    found = retried(ib_gateway, log, retries, client)
    assert any(tells in each for each in found), found


def test_why_shows_how_an_order_was_known_at_the_broker(ib_gateway, log):
    gateway = ib_gateway(speed="step", start="open", faults="order 1: refuse code=103")
    play(log, gateway.port, retries=1)
    roles = [link.role for link in chain(open_book(log, "log"), FIRST)]
    assert roles.count("attempt") == 2
    assert [role for role in roles if role in ("resolved", "retry", "bound")] == [
        "resolved",
        "retry",
        "bound",
    ]
