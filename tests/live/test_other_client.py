"""A session under another client id than the one before: what rests of that is neither changed nor cancelled.

Order ids count for one client only. A change that goes out under another one is a second order, and a cancel
hits whatever has the number there.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.live.session import LiveSession
from core.events import BreakAccepted, BreakFound, BreakResolved, OrderSent, SendFailed
from eventstore.journal.journal import Journal
from tests.live.rig import ACCOUNT, Books, Rig

Start = Callable[..., tuple[Rig, Any]]


def rests(rig: Rig) -> bool:
    return [order.state for order in rig.session.world.orders.working()] == ["Submitted"]


def told(rig: Rig) -> bool:
    return bool(rig.events(SendFailed)) or rig.drill._trades > 60  # type: ignore[attr-defined]


def takes_the_break_for_settled(session: LiveSession) -> None:
    """Accept what is found, as an operator may."""
    gate = session.gate
    gate._broken = lambda _instrument, *, entries: None  # type: ignore[method-assign]


def knows_one_client(session: LiveSession) -> None:
    """Take every order for one of this client."""
    takes_the_break_for_settled(session)
    session.client._channel.out._placed_elsewhere = lambda _order: ""  # type: ignore[method-assign]


def under_two_ids(start: Start, plan: str, client: Callable[[LiveSession], None]) -> tuple[Rig, Any]:
    """Leave an order at rest as client 7, then cancel or change it as client 1."""
    first, gateway = start(settings={"client_id": 7}, plan=plan, offset=2.0, until=rests)
    first.run()
    second, _ = start(served=gateway, plan=plan, offset=2.0, until=told, client=client)
    return second.run(), gateway


@pytest.mark.parametrize("plan", ["cancel", "modify"])
def test_an_order_of_another_client_id_is_left_alone_and_told(
    start: Start, books: Callable[[Any], Books], plan: str
) -> None:
    rig, gateway = under_two_ids(start, plan, takes_the_break_for_settled)
    (found,) = rig.events(BreakFound)
    assert (found.kind, found.expected, found.reported) == ("other_client", "1", "7")
    assert "client_id = 7" in found.message
    assert {(e.order, e.bytes_written) for e in rig.events(SendFailed)} == {("drill-1-1", 0)}
    assert len(rig.events(OrderSent)) == 1  # by the first session
    compared = books(gateway)
    assert (compared.sent_twice(), compared.differences()) == ([], [])


def test_the_id_that_placed_it_ends_the_break(start: Start) -> None:
    _, gateway = under_two_ids(start, "cancel", takes_the_break_for_settled)
    again, _ = start(served=gateway, settings={"client_id": 7}, plan="cancel", until=Rig.settled, orders=0)
    again.run()
    assert [e.kind for e in again.events(BreakResolved)] == ["other_client"]


def test_a_client_that_takes_every_order_for_its_own_is_caught(
    start: Start, books: Callable[[Any], Books]
) -> None:
    _, gateway = under_two_ids(start, "modify", knows_one_client)
    assert books(gateway).sent_twice() == ["drill-1-1"]


def accepted(root: Path) -> None:
    """Accept what is found, as `tape accept` does."""
    journal = Journal.open(root)
    journal.append(BreakAccepted(1, ACCOUNT, "ZVXA", "it may rest"))
    journal.commit(sync=True)
    journal.close()


def test_what_was_accepted_stays_accepted_when_the_log_is_opened_again(start: Start) -> None:
    first, gateway = start(settings={"client_id": 7}, plan="cancel", offset=2.0, until=rests)
    first.run()
    for opened in range(2):
        again, _ = start(served=gateway, plan="cancel", until=compared, orders=0)
        again.run()
        kinds = [e.kind for e in again.events(BreakFound)]
        assert kinds == ["other_client"]
        if opened == 0:
            accepted(again.root)
    assert not again.session.gate.breaks


def compared(rig: Rig) -> bool:
    return rig.session.gate.reconciled
